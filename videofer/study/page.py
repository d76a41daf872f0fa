"""The index of a study: one HTML file that needs no other and no network.

Templates lie beside this module. jinja2 escapes every value; the data of the charts are JSON in the page, and
its scripts set them as text only. The page's own policy lets nothing be loaded, and no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from preprocessing.quantities import as_hours, as_time
from videofer import emotions
from videofer.study.digest import BINS, labels_of, shares_of
from videofer.study.metadata import Described
from videofer.timeline.several import NONE_HOLDS
from videofer.timeline.timeline import UNCERTAIN

if TYPE_CHECKING:
    from videofer.study.run import Done, Failure

SCRIPTS = ("stats.js", "parts.js", "study.js", "ribbon.js", "charts.js", "table.js", "main.js")
MAX_DEGREES = 200  # of freedom whose quantile is in the page; beyond them it is 1.96
DIGITS = 4  # of shares


def index_page(
    done: Sequence[Done],
    about: Described,
    failures: Sequence[Failure],
    *,
    title: str,
    group_by: str | None = None,
    facts: Sequence[tuple[str, str]] = (),
) -> str:
    """The HTML of the page. about: a row for each video of `done`. facts: names and values for its end."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files(__package__) / "templates"
    shared = files("videofer.report") / "templates" / "base.css"
    css = shared.read_text(encoding="utf-8") + (folder / "index.css").read_text(encoding="utf-8")
    js = "".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return template.from_string((folder / "index.html").read_text(encoding="utf-8")).render(
        title=title,
        policy=_policy(js),
        # Our own files, and JSON that cannot end its element: not to be escaped.
        css=Markup(css),  # noqa: S704
        js=Markup(js),  # noqa: S704
        data=Markup(_json(page_data(done, about, group_by))),  # noqa: S704
        figures=_figures(done, failures),
        failures=failures,
        facts=facts,
        version=version("videofer"),
        made=time.strftime("%Y-%m-%d %H:%M"),
    )


def page_data(done: Sequence[Done], about: Described, group_by: str | None) -> dict[str, Any]:
    """What the scripts draw. Short keys: they stand once for each person."""
    from scipy.stats import t

    digests = [one.account.digest for one in done]
    classes = list(digests[0]["classes"]) if digests else []
    labels = [*classes, *labels_of(digests)]
    several = bool(digests) and digests[0].get("several", False)
    values = list(zip(*about.rows, strict=True)) if about.rows else [()] * len(about.columns)
    return {
        "bins": BINS,
        "classes": [{"name": name, "colour": emotions.colour(name, classes)} for name in classes],
        "several": several,
        "labels": [NONE_HOLDS if several and label == UNCERTAIN else label for label in labels],
        "columns": [
            {"name": name, "kind": "number" if _is_number(column) else "text"}
            for name, column in zip(about.columns, values, strict=True)
        ],
        "groupBy": -1 if group_by is None else about.columns.index(group_by),
        "t95": [round(float(t.ppf(0.975, degrees)), 4) for degrees in range(1, MAX_DEGREES + 1)],
        "videos": [_video(one, row, labels) for one, row in zip(done, about.rows, strict=True)],
    }


def _video(one: Done, row: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
    """n name, h link, r whether it leads to a report, d seconds, f face, m metadata, p persons."""
    digest = one.account.digest
    link = _link(one)
    return {
        "n": one.task.name,
        "h": None if link is None else "./" + quote(link),
        "r": link is not None and link.endswith(".html"),
        "d": round(digest["duration_seconds"], 3),
        "f": digest["face"],
        "m": list(row),
        "p": [_person(person, labels) for person in digest["persons"]],
    }


def _person(person: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """n name, s seconds, c curve, l shares by label, v valence and a arousal (means), r segments a minute."""
    shares = shares_of(person)
    return {
        "n": person["name"],
        "s": round(person["seconds"], 3),
        "c": person["curve"],
        "l": [round(shares.get(label, 0.0), DIGITS) for label in labels],
        "v": _rounded(person["mean_valence"]),
        "a": _rounded(person["mean_arousal"]),
        "r": _rounded(person["segments_per_minute"]),
    }


def _link(one: Done) -> str | None:
    """The file of a video that a reader wants to see first."""
    for ending in (".html", "_annotated.mp4", ".png", ".csv"):
        if (name := one.task.stem + ending) in one.account.files:
            return name
    return None


def _figures(done: Sequence[Done], failures: Sequence[Failure]) -> list[tuple[str, str]]:
    digests = [one.account.digest for one in done]
    seconds = sum(digest["duration_seconds"] for digest in digests)
    found = [
        (f"{len(done):,}", "video" if len(done) == 1 else "videos"),
        (f"{sum(digest['num_persons'] for digest in digests):,}", "persons"),
        (as_time(seconds) if seconds < 48 * 3600 else as_hours(seconds), "of video"),
    ]
    predicted = sum(person["seconds_predicted"] for digest in digests for person in digest["persons"])
    there = sum(person["seconds"] for digest in digests for person in digest["persons"])
    if there > 0:
        found.append((f"{100 * predicted / there:.0f}\u00a0%", "of the persons' time has a prediction"))
    if num_with_warnings := sum(one.task.num_warnings > 0 for one in done):
        found.append((f"{num_with_warnings:,}", "with warnings"))
    return [*found, (f"{len(failures):,}", "failed")] if failures else found


def _is_number(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, float) for value in known)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _json(values: Mapping[str, Any]) -> str:
    """JSON that holds nothing that HTML could take for its own."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _policy(script: str) -> str:
    """Nothing from elsewhere, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
