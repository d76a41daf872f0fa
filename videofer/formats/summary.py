"""The summary of a timeline as JSON, with what was watched and by what."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, BinaryIO

from videofer.timeline.summary import summarise

if TYPE_CHECKING:
    import pandas as pd

    from videofer.timeline.timeline import Timeline


def write_summary(timeline: Timeline, segments: pd.DataFrame, file: BinaryIO) -> None:
    """One JSON object: `summary` (see `videofer.timeline.summary`), video, model, persons, settings and
    provenance; null where there is no value.
    """
    model = asdict(timeline.model)
    model.pop("card")  # a page of text, and in the report
    content = {
        "video": asdict(timeline.video),
        "model": model,
        "settings": timeline.settings.model_dump(mode="json"),
        "persons": [asdict(person) for person in timeline.persons],
        "summary": summarise(timeline, segments).to_json(),
        "provenance": timeline.provenance,
    }
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    file.write(text.encode("utf-8", errors="replace"))


def _plain(value: object) -> object:
    """The same in JSON's types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
