"""The HTML of a report: one file with its style, scripts and data, under a policy that lets nothing else run.

Every name passes jinja2's escaping or JSON; scripts put it into the page as text only. The Content Security
Policy allows our style and our script by their hashes, and the network not at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import pandas as pd

from videofer.report import provenance, words, words_several
from videofer.report.faces import Sprite
from videofer.report.pack import labels_of, spans_without_person, threshold_steps
from videofer.report.palette import palette_css
from videofer.report.video import Shown
from videofer.timeline.circumplex import POSITIONS
from videofer.timeline.rows import STATES
from videofer.timeline.summary import Summary
from videofer.timeline.timeline import Timeline, probability_columns

SCRIPTS = (
    "core", "data", "pyramid", "theme", "player", "view", "paint", "strips", "questions", "ribbon", "lanes",
    "overview", "pointer", "now", "boxes", "segments", "affect", "keys", "print", "main",
)  # fmt: skip
"""Files of templates/ in the order in which they become one script."""

FOLDER = files("videofer.report") / "templates"


def report_html(
    timeline: Timeline,
    *,
    title: str | None,
    segments: pd.DataFrame,
    summary: Summary,
    shown: Shown,
    layouts: Mapping[str, Any],
    blobs: Sequence[tuple[str, str]],
    sprites: Mapping[int, Sprite],
    truth: Sequence[tuple[int, float, float, str]],
) -> str:
    """The page as text.

    layouts: what the page must know of each blob by its id; blobs: id and base64. sprites: faces by place of
    the person. truth: place of the person, t_start, t_end, label.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_read), trim_blocks=True
    )
    thresholds = timeline.thresholds
    if thresholds is None:
        lead, persons = words.lead, [words.person_words(timeline, one) for one in summary.persons]
    else:
        lead = words_several.lead
        persons = [words_several.person_words(timeline, one, thresholds) for one in summary.persons]
    css = "\n".join(
        (_read("base.css"), _read("report.css"), palette_css(timeline.classes), _sizes_css(timeline, persons))
    )
    js = script()
    folder, _, name = timeline.video.name.replace("\\", "/").rpartition("/")
    many = len(persons) > 1
    columns = [("onset", "from", "n"), ("offset", "to", "n"), ("duration", "length", "n")]
    columns += [("person", "person", "who")] if many else []
    columns += [
        ("label", "emotion", "label"),
        ("mean_probability", "mean", "wide"),
        ("apex", "peak at", "n wide"),
    ]
    least = timeline.settings.min_confidence
    html: str = environment.get_template("report.html").render(
        policy=policy(css, js),
        css=Markup(css),  # noqa: S704  # our own files, and colours
        js=Markup(js),  # noqa: S704
        title=words.shown(title or name),
        folder=words.shown(folder) if folder else "",
        lead=lead(timeline, summary),
        warnings=[*shown.warnings, *provenance.warnings_of(timeline)],
        has_picture=shown.kind != "none",
        has_sound=shown.has_sound,
        classes=[words.shown(label) for label in timeline.classes],
        states=_states(timeline),
        sources=_sources(timeline),
        duration=timeline.duration_seconds,
        hop=f"{timeline.hop_seconds:g}",
        persons=persons,
        min_seconds=f"{timeline.settings.segmentation.min_seconds:g}",
        uncertain_below=words.percent(least) if least else "",
        several=thresholds is not None,
        segment_columns=columns,
        holds_footage=_holds(shown, sprites),
        facts=provenance.facts(timeline, shown.note),
        card=card_html(timeline.model.card),
        model=words.shown(timeline.model.title),
        version=version("videofer"),
        data=page_data(timeline, shown, layouts, sprites, truth),
        blobs=blobs,
    )
    return html


def script() -> str:
    """All scripts as one, in a scope of their own."""
    parts = [f"// {name}.js\n{_read(f'{name}.js')}" for name in SCRIPTS]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n"


def policy(css: str, js: str) -> str:
    """The Content Security Policy: this style, this script, pictures and films of the page and beside it."""
    return (
        f"default-src 'none'; script-src {_hash(js)}; style-src {_hash(css)}; img-src data: blob:; "
        "media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
    )


def page_data(
    timeline: Timeline,
    shown: Shown,
    layouts: Mapping[str, Any],
    sprites: Mapping[int, Sprite],
    truth: Sequence[tuple[int, float, float, str]],
) -> dict[str, Any]:
    """What the scripts need besides the arrays."""
    thresholds = timeline.thresholds
    return {
        "title": timeline.video.name,
        "duration": timeline.duration_seconds,
        "hop": timeline.hop_seconds,
        "classes": [words.shown(label) for label in timeline.classes],
        "neutral": timeline.classes.index("neutral") if "neutral" in timeline.classes else -1,
        "labels": list(labels_of(timeline)),
        "thresholds": None if thresholds is None else threshold_steps(thresholds).tolist(),  # in 255ths
        "states": list(STATES),
        "stateWords": {key: list(value) for key, value in words.STATE_WORDS.items()},
        "sources": ["answer", *timeline.model.modalities],
        "positions": [POSITIONS.get(label) for label in timeline.classes],
        "video": {
            "kind": shown.kind,
            "address": shown.address,
            "mime": shown.mime,
            "width": timeline.video.width,
            "height": timeline.video.height,
        },
        "persons": [{"id": one.id, "name": words.shown(one.name)} for one in timeline.persons],
        "nobody": spans_without_person(timeline),
        "layouts": layouts,
        "faces": {
            str(place): {"times": one.times, "columns": one.columns, "size": one.size}
            for place, one in sprites.items()
        },
        "truth": [(place, start, end, words.shown(label)) for place, start, end, label in truth],
    }


def card_html(card: str) -> Any:
    """A model card, Markdown, as HTML: text, lists and tables; no HTML of its own, no links, no pictures."""
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["image", "link", "autolink", "html_inline", "html_block", "reference"])
    tokens = parser.parse(card)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"  # below the headings of the page
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _sizes_css(timeline: Timeline, persons: Sequence[words.PersonWords]) -> str:
    """Widths of bars and the video's shape, by class: the policy allows no style of an element's own."""
    filled = {share.permille for one in persons for share in one.shares}
    used = sorted(filled | {1000 - permille for permille in filled})
    widths = "".join(f".w{permille}{{flex:{permille} 1 0}}" for permille in used)
    width, height = timeline.video.width, timeline.video.height
    return f".screen-well{{aspect-ratio:{width}/{height}}}{widths}" if width and height else widths


def _states(timeline: Timeline) -> list[tuple[str, str, str]]:
    """Key, name, explanation of the states that occur, for the legend."""
    occurring = set(timeline.rows["state"].unique())
    return [(key, *value) for key, value in words.STATE_WORDS.items() if key in occurring]


def _sources(timeline: Timeline) -> list[tuple[str, str, str]]:
    """Value, name, explanation of what the ribbons can show: the answer, and the modalities as they are."""
    if len(timeline.model.modalities) == 1:
        return []
    alone = [
        (modality, words.MODALITY_WORDS[modality], f"{modality} alone, calibrated, not smoothed")
        for modality in timeline.model.modalities
        if timeline.rows[probability_columns(timeline.classes, modality)].notna().to_numpy().any()
    ]
    return [("answer", "Answer", f"{timeline.modality}, calibrated and smoothed"), *alone]


def _holds(shown: Shown, sprites: Mapping[int, Sprite]) -> str:
    """What of the people is inside the file."""
    parts = []
    if shown.kind == "embedded":
        parts.append("the video")
    if sprites:
        parts.append("pictures of faces")
    return " and ".join(parts)
