"""DFEW: lists of five folds with unpadded ids, and one form of its clips."""

from __future__ import annotations

from pathlib import Path

from tests.videofer.miniatures.media import Media, text

LABELS = {number: number % 7 + 1 for number in range(1, 21)}
"""Id -> code 1 to 7. Fold f tests ids 4f - 3 to 4f."""


def build(root: Path, media: Media, clips: str = "Clip/original", folds: int = 5) -> Path:
    for fold in range(1, folds + 1):
        tested = set(range(4 * fold - 3, 4 * fold + 1))
        for side in ("train", "test"):
            ids = [number for number in LABELS if (number in tested) == (side == "test")]
            rows = "".join(f"{number},{LABELS[number]}\n" for number in ids)
            text(
                root / f"EmoLabel_DataSplit/{side}(single-labeled)/set_{fold}.csv",
                "video_name,label\n" + rows,
            )
    for number in LABELS:
        if clips == "Clip/original":
            media.video(root / clips / f"{number}.mp4")
        else:
            media.frames(root / clips / f"{number:05}", ["1.jpg", "2.jpg", "3.jpg"])
    return root
