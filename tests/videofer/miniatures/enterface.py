"""eNTERFACE'05 with its quirks: spaces in folders, subject 11's names, subject 3's, subject 23's gap."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.videofer.miniatures.media import Media

EMOTIONS = {
    "anger": "an",
    "disgust": "di",
    "fear": "fe",
    "happiness": "ha",
    "sadness": "sa",
    "surprise": "su",
}


def build(
    root: Path, media: Media, subjects: Iterable[int] = (1, 3, 11, 23, 29, 44), underscores: bool = False
) -> Path:
    space = "_" if underscores else " "
    for subject in subjects:
        prefix = {11: "s12", 3: "s_3"}.get(subject, f"s{subject}")
        for emotion, code in EMOTIONS.items():
            for sentence in range(1, 6):
                if subject == 23 and emotion == "happiness" and sentence <= 3:
                    continue
                folder = root / f"subject{space}{subject}" / emotion / f"sentence{space}{sentence}"
                media.video(folder / f"{prefix}_{code}_{sentence}.avi")
    return root
