"""What `videofer timeline` was told, checked before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, get_args

from cache.errors import UserError
from videofer.study.products import Blur, ProductOptions, VideoInReport, wanted_formats

if TYPE_CHECKING:
    from pathlib import Path

    from videofer.timeline.settings import TimelineSettings

Word = TypeVar("Word", bound=str)


def settings_of(
    overrides: Sequence[str], *, modality: str | None, smooth: str | None, min_confidence: float | None
) -> TimelineSettings:
    """The settings by `--set` and by options of their own, the latter winning. ConfigError in one line."""
    import json

    from preprocessing.config_file import validate
    from videofer.timeline.settings import TimelineSettings

    own = {"modality": modality, "smoothing.method": smooth, "min_confidence": min_confidence}
    given = [f"{key}={json.dumps(value)}" for key, value in own.items() if value is not None]
    return validate({}, TimelineSettings, source="the command line", overrides=[*overrides, *given])


def products_of(
    formats: str,
    *,
    video: str,
    blur: str,
    focus: int | None,
    skeleton: bool,
    weights_dir: Path | None = None,
) -> tuple[tuple[str, ...], ProductOptions]:
    """The formats and what is asked of report and annotated video. UserError names what is unknown."""
    options = ProductOptions(
        video=_word("--video", video, get_args(VideoInReport)),
        blur=_word("--blur", blur, get_args(Blur)),
        focus=focus,
        skeleton=skeleton,
        weights_dir=weights_dir,
    )
    if focus is not None and blur != "others":
        raise UserError(f"--focus {focus} goes with --blur others, and --blur is {blur}")
    return wanted_formats([name for name in formats.split(",") if name.strip()], options), options


def names_of(texts: Sequence[str]) -> dict[int, str]:
    """Person -> name, of texts like `0=Anna`. UserError where one is of another form, or given twice."""
    names: dict[int, str] = {}
    for text in texts:
        number, equals, name = text.partition("=")
        if not (equals and name.strip() and number.strip().isascii() and number.strip().isdecimal()):
            raise UserError(f"--name {text!r} must have the form NUMBER=NAME, such as 0=Anna")
        if int(number) in names:
            raise UserError(f"--name {text!r}: person {int(number)} has the name {names[int(number)]!r}")
        names[int(number)] = name.strip()
    return names


def _word(option: str, value: str, allowed: Sequence[Word]) -> Word:
    for word in allowed:
        if value == word:
            return word
    raise UserError(f"{option} is {value!r}, must be {', '.join(allowed[:-1])} or {allowed[-1]}")
