"""The card of the built-in model, made from what was measured, for its folder and for the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videofer.checkpoint import Release
from videofer.emotions import PERCEIVED
from videofer.recipe import Recipe

NONE = "\u2013"
TEMPLATE = Path(__file__).with_name("card.md")


def card(
    recipe: Recipe,
    release: Release,
    metrics: Mapping[str, Any],
    figures: Mapping[str, Any],
    *,
    num_parameters: int,
    num_bytes: int,
) -> str:
    """Markdown, from the contents of recipe.yaml, release.json, metrics.json and figures.json."""
    plus, own, latency = figures["ferplus"], figures["fer2013"], figures["latency"]
    return TEMPLATE.read_text(encoding="utf-8").format(
        name=release.name,
        version=release.version,
        perceived=PERCEIVED,
        classes=", ".join(recipe.data.classes),
        hop=round(1 / recipe.data.window_seconds),
        parameters=f"{num_parameters / 1e6:.1f}",
        size=f"{num_bytes / 1e6:.1f}",
        side=recipe.sample_spec().input_size,
        batch=latency["batch"],
        milliseconds=latency["milliseconds"],
        threads=latency["threads"],
        num_train=f"{metrics['num_train']:,}",
        num_val=f"{metrics['num_val']:,}",
        num_pictures=f"{figures['num_pictures']:,}",
        num_copies=figures["num_copies"],
        num_classes=len(plus["classes"]),
        own_classes=len(own["classes"]),
        **_row("plus", plus),
        **_row("own", own),
        plus_rest=percent(figures["ferplus_without_copies"]),
        own_rest=percent(figures["fer2013_without_copies"]),
        per_class="\n".join(_class_row(name, plus, own) for name in plus["classes"]),
        human="65 %",
        confusions=confusions(plus["confusion"], list(plus["classes"])),
        conditions="\n".join(
            f"| {name} | {percent(accuracy)} |" for name, accuracy in figures["conditions"].items()
        ),
    )


def docs_page(text: str) -> str:
    """The card as a page of the docs, with its confusion matrix."""
    heading = "### Faces as videos show them\n"
    assert text.count(heading) == 1
    picture = "![Confusion matrix, majority of the FER+ votes](images/builtin_confusion.png)"
    return text.replace(heading, f"{picture}\n\n{heading}")


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f} %"


def confusions(matrix: Sequence[Sequence[int]], labels: Sequence[str], most: int = 4) -> str:
    """The largest shares of a class that get one other name, of classes with 50 pictures and more."""
    shares = []
    for row, name in zip(matrix, labels, strict=True):
        for count, other in zip(row, labels, strict=True):
            if other != name and sum(row) >= 50:
                shares.append((count / sum(row), f"{name} for {other} ({100 * count / sum(row):.0f} %)"))
    return ", ".join(words for _, words in sorted(shares, reverse=True)[:most])


def _row(prefix: str, figures: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{prefix}_num": f"{figures['num_pictures']:,}",
        f"{prefix}_accuracy": percent(figures["accuracy"]),
        f"{prefix}_uar": percent(figures["uar"]),
        f"{prefix}_ece": f"{figures['ece']:.3f}",
    }


def _class_row(name: str, *labels: Mapping[str, Any]) -> str:
    cells = [name]
    for figures in labels:
        one = figures["classes"].get(name)
        if one is None:
            cells += [NONE] * 3
        else:
            cells += [str(one["num_pictures"]), percent(one["recall"]), percent(one["precision"])]
    return f"| {' | '.join(cells)} |"
