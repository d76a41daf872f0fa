"""RAVDESS, speech with picture and sound: all takes of some actors, or some of theirs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.videofer.miniatures.media import Media


def takes(actor: int) -> list[str]:
    """The 60 names of an actor's takes with sound."""
    return [
        f"01-01-{emotion:02}-{strength:02}-{statement:02}-{repetition:02}-{actor:02}.mp4"
        for emotion in range(1, 9)
        for strength in ((1,) if emotion == 1 else (1, 2))
        for statement in (1, 2)
        for repetition in (1, 2)
    ]


def build(root: Path, media: Media, actors: Iterable[int] = (1, 2, 5, 24), every: int = 1) -> Path:
    """every: only each such take."""
    for actor in actors:
        for name in takes(actor)[::every]:
            media.video(root / f"Actor_{actor:02}" / name)
    return root
