"""FERV39k: folders of face crops and lists without a header, separated by a space."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import Media, text

WORDS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
SCENES = ("DailyLife", "School")


def build(root: Path, media: Media, numbers: bool = False) -> Path:
    """numbers: labels as codes, as some distributions have them."""
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for scene in SCENES:
        for code, word in enumerate(WORDS):
            for number in (1, 2, 3):
                clip = f"{scene}/{word}/{number:04}"
                media.frames(root / "2_ClipsforFaceCrop" / clip, ["001.jpg", "002.jpg"])
                lists["test" if number == 3 else "train"].append(f"{clip} {code if numbers else word}")
    for split, lines in lists.items():
        text(root / f"4_setups/All_scenes/{split}_All.csv", "\n".join(lines) + "\n")
    return root
