"""AFEW, CAER and CAER-S: videos or stills in folders of splits and classes."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import Media

AFEW = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
CAER = ("Anger", *AFEW[1:])


def build_afew(root: Path, media: Media, num: int = 2) -> Path:
    for place, split in enumerate(("Train", "Val")):
        for number, word in enumerate(AFEW):
            for each in range(num):
                media.video(root / split / word / f"{place:03}{number:03}{each:03}.avi")
    return root


def build_caer(root: Path, media: Media, num: int = 1, validation: str = "validation") -> Path:
    for split in ("train", validation, "test"):
        for word in CAER:
            for each in range(1, num + 1):
                media.video(root / split / word / f"{each:04}.avi")
    return root


def build_caer_s(root: Path, media: Media) -> Path:
    for split in ("train", "test"):
        for word in AFEW:
            for each in (0, 7):
                media.picture(root / split / word / f"{each:04}.png")
    return root
