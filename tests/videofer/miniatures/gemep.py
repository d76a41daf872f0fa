"""GEMEP as the hybrid system of the literature names it: performer and emotion in the name, tables beside."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import Media, text

TEN = ("amusement", "pride", "joy", "fear", "anxiety", "despair", "sadness", "anger", "irritation",
       "interest", "pleasure", "relief")  # fmt: skip
FIVE = ("surprise", "disgust", "contempt", "admiration", "tenderness")


def portrayals() -> list[tuple[int, str]]:
    """The core set: ten of each of twelve states, one by each performer; five of each of five."""
    return [(performer, word) for word in TEN for performer in range(1, 11)] + [
        (performer, word) for place, word in enumerate(FIVE) for performer in range(1 + place % 2, 11, 2)
    ]


def build(root: Path, media: Media, frames: bool = False, performers: range = range(1, 11)) -> Path:
    """frames: as folders of pictures, else as videos."""
    kind = "frame" if frames else "video"
    lines = ["path,emotion\n"]
    for performer, word in portrayals():
        if performer not in performers:
            continue
        name = f"{performer:02}{word}_GEMEP"
        lines.append(f"GEMEP/{kind}/{name}.mp4,{word}\n")
        if frames:
            media.frames(root / "GEMEP" / kind / name, ["0001.jpg", "0002.jpg"])
        else:
            media.video(root / "GEMEP" / kind / f"{name}.mp4")
    text(root / "GEMEP" / "all_face_label.csv", "".join(lines))
    return root
