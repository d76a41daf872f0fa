"""The card of a run: one HTML page that needs no other and no network, to read, show and print."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from cache.atomic import atomic_write_text
from preprocessing.config_file import dump_yaml
from preprocessing.quantities import as_time
from videofer.datasets.adapters import ADAPTERS
from videofer.ensembles.recipe import Ensemble
from videofer.evaluation.page import render
from videofer.reproduce.compare import PERCENT, TITLES, Compared, Result, reported_by, sentence
from videofer.reproduce.outcome import Outcome
from videofer.reproduce.plan import Plan

MAX_LINES = 200
"""Of a list of videos."""
HEADS = {"face": "face", "body": "body", "fused": "face and body"}
_VERDICTS = {
    "inside": "inside our interval",
    "below": "above our interval",
    "above": "below our interval",
    "no interval": "not judged: no interval",
    "another protocol": "of another protocol",
    "other data": "of other data: not to be compared",
    "no figure": "not measured here",
}
_STEPS = {"manifest": "read and label", "store": "preprocess", "test": "train and test"}
_PALE, _BLUE = (246, 247, 249), (30, 100, 150)
_DARK = 0.229  # luminance and 0.05: below it white is read better than black


def write_card(
    plan: Plan,
    outcome: Outcome,
    result: Result,
    steps: Mapping[str, Mapping[str, Any]],
    path: Path,
    command: Sequence[str],
) -> None:
    """Writes the page. steps: content of steps.json. command: the words that were typed."""
    adapter = ADAPTERS[plan.system.dataset]
    labels = list(outcome.metrics["labels"])
    by_head = {head: [one for one in result.figures if one.head == head] for head in outcome.heads}
    page = render(
        "card.html",
        {},
        package="videofer.reproduce",
        kind="reproduction",
        title=f"{plan.system.title[:1].upper()}{plan.system.title[1:]} on {adapter.title}",
        parts=[("figures", "Figures"), ("reported", "Reported"),
               ("classes", "Classes" if outcome.metrics.get("targets") == "multi" else "Confusion"),
               ("protocol", "Protocol"), ("data", "Data"), ("made", "How it was made")],
        plan=plan,
        outcome=outcome,
        result=result,
        dataset=adapter,
        labels=labels,
        heads=HEADS,
        by_head=by_head,
        metrics=[one.metric for one in result.main],
        in_percent=PERCENT,
        titles=TITLES,
        verdicts=_VERDICTS,
        chance=outcome.heads[outcome.answer]["chance"],
        said=sentence(result).replace(" %", "\u00a0%"),
        remarks=_remarks(outcome, steps),
        checks=[note for note in _notes(outcome) if not _is_worrying(note)],
        compared=[(key[0], list(rows)) for key, rows in groupby(result.compared, _told_once)],
        reported=lambda figure: reported_by(result.compared, figure.head, figure.metric),
        has_reported=any(one.is_reproduced for one in result.compared),
        any_on_test=any(one.on_test for one in result.compared),
        matrices={
            head: matrix(one["confusion"]) for head, one in outcome.heads.items() if "confusion" in one
        },
        folds=_folds(plan, outcome),
        fold_metrics=("war", "uar"),
        recipe_notes=paragraphs(plan.recipe_text),
        differences=_differences(plan, outcome),
        coverage=plan.reading.coverage,
        quirks=plan.reading.quirks,
        num_subjects=int(plan.table["subject"].nunique()),
        counts=_counts(plan),
        has_expected=bool(plan.reading.coverage.expected_by_label),
        lists=_lists(plan, steps),
        command=shlex.join(command),
        facts=_facts(plan, outcome),
        steps=_steps(steps),
        recipe=_recipe(plan),
        spec=dump_yaml(plan.spec),
    )  # fmt: skip
    atomic_write_text(path, page)


def matrix(confusion: Sequence[Sequence[int]]) -> list[list[dict[str, Any]]]:
    """Cells of a confusion matrix: count, of how many, share of the row, colour, whether that is dark."""
    rows = []
    for row in confusion:
        total = sum(row)
        shares = [count / total if total else 0.0 for count in row]
        rows.append([_cell(count, total, share) for count, share in zip(row, shares, strict=True)])
    return rows


def paragraphs(recipe: str) -> list[str]:
    """The comment at the head of a recipe, without its marks; a sentence "Deviations." begins a new one."""
    lines = []
    for line in recipe.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    text = " ".join(lines)
    head, mark, rest = text.partition("Deviations. ")
    return [part.strip() for part in (head, rest if mark else "") if part.strip()]


def _cell(count: int, total: int, share: float) -> dict[str, Any]:
    """Between the paper's grey and blue, by the share."""
    rgb = [round(a + (b - a) * share) for a, b in zip(_PALE, _BLUE, strict=True)]
    linear = [((value / 255 + 0.055) / 1.055) ** 2.4 for value in rgb]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    colour = f"rgb({', '.join(map(str, rgb))})"
    return {
        "count": count,
        "of": total,
        "share": share,
        "colour": colour,
        "is_dark": luminance + 0.05 < _DARK,
    }


def _remarks(outcome: Outcome, steps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a reader must know first."""
    remarks = []
    lost = len(steps["store"].get("failures", []))
    if lost:
        remarks.append(f"{lost:,} videos could not be stored, or not whole: they are listed below")
    failed = list(steps["test"].get("failures", []))
    if failed:
        remarks.append(f"{len(failed)} trainings did not finish: {failed[0]}")
    remarks += [note for note in _notes(outcome) if _is_worrying(note)]
    return remarks


def _notes(outcome: Outcome) -> list[str]:
    """What the test says beside its protocol: whether a video's copies are on both sides, what is missing."""
    source = outcome.metrics["source"].get("protocol")
    return [note for note in outcome.metrics["notes"] if note != source]


def _is_worrying(note: str) -> bool:
    """Whether a reader must see it first."""
    return note.startswith("leak:") or "did not finish" in note


def _told_once(one: Compared) -> tuple[str, str, str, bool]:
    """What is written once for all numbers that have it in common."""
    return one.system, one.source, one.note, one.on_test


def _folds(plan: Plan, outcome: Outcome) -> list[dict[str, Any]]:
    folds = outcome.heads[outcome.answer].get("folds")
    if not folds:
        return []
    groups = {str(fold.number): fold.groups for fold in plan.folds.folds}
    return [{**part, "who": _few(groups.get(str(part["value"]), ()))} for part in folds["parts"]]


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown


def _differences(plan: Plan, outcome: Outcome) -> list[str]:
    """Notes, and what the user changed."""
    size = plan.spec.crop_size
    lines = [*plan.notes]
    if plan.first.model.face is not None and plan.system.dataset != "fer2013":
        found_by = outcome.preprocessed.get("engines", {}).get("faces", {}).get("name", plan.spec.faces)
        how = "as they are" if plan.spec.faces == "precropped" else f"aligned, found by {found_by}"
        lines.append(f"faces are crops of {size} pixels, {how}")
    if plan.changes:
        lines.append(f"changed on the command line: {', '.join(plan.changes)}")
    if plan.left_out:
        counts = ", ".join(f"{count:,} {name}" for name, count in plan.left_out.items())
        lines.append(f"left out, as {plan.reading.labels.name} has no such class: {counts}")
    return lines


def _counts(plan: Plan) -> list[dict[str, Any]]:
    """Rows of each class; of soft labels their sums."""
    table, expected = plan.reading.table, plan.reading.coverage.expected_by_label
    counts: dict[str, float] = dict(plan.reading.counts())
    if not counts:
        columns = {name: f"p_{name}" for name in plan.reading.labels.classes}
        counts = {name: float(table[p].sum()) for name, p in columns.items() if p in table}
    largest = max([*counts.values(), *expected.values()], default=1) or 1
    names = [name for name in plan.reading.labels.classes if counts.get(name) or expected.get(name)]
    return [
        {
            "label": name,
            "found_shown": f"{counts.get(name, 0):,.6g}",
            "expected": f"{expected[name]:,}" if name in expected else "",
            "width": max(counts.get(name, 0), expected.get(name, 0)) / largest,
            "share": counts.get(name, 0) / max(counts.get(name, 0), expected.get(name, 0), 1),
        }
        for name in names
    ]


def _lists(plan: Plan, steps: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str], int]]:
    """Name, first lines, how many there are."""
    coverage = plan.reading.coverage
    found = [
        ("missing", list(coverage.missing)),
        ("odd", [f"{one.path}: {one.why}" for one in coverage.odd]),
        ("videos that failed", steps["store"].get("failures", [])),
        ("rows that could not be used", steps["test"].get("unused", [])),
    ]
    return [(name, lines[:MAX_LINES], len(lines)) for name, lines in found if lines]


def _facts(plan: Plan, outcome: Outcome) -> list[tuple[str, str]]:
    """Names and values: what ran where, and hashes of what came in and out."""
    trained, versions = outcome.trained, outcome.trained.get("versions", {})
    commit = trained.get("commit")
    facts = [
        ("system", f"{plan.system.name}, recipe configs/{plan.system.recipe}"),
        ("data", str(plan.data)),
        ("parameters", parameters_of(plan)),
        ("seeds", ", ".join(map(str, plan.seeds))),
        ("epochs", _epochs(outcome)),
        ("trained on", f"{trained.get('device', '?')}, {trained.get('platform', '?')}"),
        ("engines", _engines(outcome)),
        ("versions", ", ".join(f"{name} {value}" for name, value in versions.items())),
        ("code", f"{commit['id'][:12]}{', with changes' if commit['changed'] else ''}" if commit else ""),
        ("date", str(trained.get("time", ""))),
        ("input contract", ", ".join(f"{name} {value}" for name, value in outcome.contract.items())),
        *((f"SHA-256, {name}", value) for name, value in outcome.hashes.items()),
    ]
    return [(name, value) for name, value in facts if value]


def _engines(outcome: Outcome) -> str:
    engines = outcome.preprocessed.get("engines", {})
    named = {
        part: one.get("name", "") if isinstance(one, dict) else str(one) for part, one in engines.items()
    }
    return ", ".join(f"{part} {name}" for part, name in named.items() if name and name != "none")


def parameters_of(plan: Plan) -> str:
    """Of the model, or of each member."""
    from videofer.models.model import EmotionModel

    counts = []
    for name, recipe in plan.recipes.items():
        model = EmotionModel(recipe.emotion_model_config())
        count = sum(parameter.numel() for parameter in model.parameters())
        counts.append(f"{count:,} {name}".strip())
    return ", ".join(counts)


def _epochs(outcome: Outcome) -> str:
    done = [epochs for _, epochs, _ in outcome.epochs]
    kept = [kept for _, _, kept in outcome.epochs]
    if not done:
        return ""
    return f"{_span(done)} in {len(done)} training{'s' if len(done) > 1 else ''}, kept: {_span(kept)}"


def _span(values: Sequence[int]) -> str:
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _steps(steps: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, float]]:
    longest = max((step["seconds"] for step in steps.values()), default=0) or 1
    return [
        (_STEPS[name], as_time(step["seconds"]), step["seconds"] / longest)
        for name, step in steps.items()
        if name in _STEPS
    ]


def _recipe(plan: Plan) -> str:
    own = [dump_yaml(plan.recipe.recipe)] if isinstance(plan.recipe, Ensemble) else []
    return "\n".join([*own, *map(dump_yaml, plan.recipes.values())])
