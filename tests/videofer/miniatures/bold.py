"""BoLD: tables without a header, joints beside videos, two people in one clip, one clip not downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.videofer.miniatures.media import Media, text

NUM_CATEGORIES = 26


def line(video: str, person: int, strong: int) -> str:
    """A row whose category at place `strong` has 0.75, the next 0.25."""
    shares = [0.0] * NUM_CATEGORIES
    shares[strong], shares[(strong + 1) % NUM_CATEGORIES] = 0.75, 0.25
    cells = [video, f"{person}.0", "120", "250", *map(str, shares), "5.5", "3", "7.25"]
    return ",".join([*cells, "Male", "Adult", "White", "0.8"]) + "\n"


def build(root: Path, media: Media) -> Path:
    public = root / "BOLD_public"
    train = [("003/IzvOYVMltkI.mp4/0114.mp4", 0, 6), ("003/IzvOYVMltkI.mp4/0114.mp4", 1, 21),
             ("005/abc.mp4/0002.mp4", 0, 19)]  # fmt: skip
    val = [("010/xyz.mp4/0001.mp4", 2, 23), ("010/xyz.mp4/0009.mp4", 0, 9)]
    text(public / "annotations/train.csv", "".join(line(*row) for row in train))
    text(public / "annotations/val.csv", "".join(line(*row) for row in val))
    text(public / "annotations/test_meta.csv", "020/t.mp4/0001.mp4,0.0,1,90\n")
    for video in sorted({row[0] for row in train + val} - {"010/xyz.mp4/0009.mp4"}):
        media.video(public / "videos" / video)
        joints = np.zeros((8, 2 + 18 * 3), np.float32)
        joints[:, 0] = np.arange(120, 128)
        path = (public / "joints" / video).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, joints)
    return root
