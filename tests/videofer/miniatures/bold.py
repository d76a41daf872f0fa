"""BoLD: tables without a header, joints beside videos, two people in one clip, one clip not downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.videofer.miniatures.media import Media, text

NUM_CATEGORIES = 26


def line(video: str, person: int, strong: int, dimensions: tuple[str, ...] = ("5.5", "3", "7.25")) -> str:
    """A row whose category at place `strong` has 0.75, the next 0.25."""
    shares = [0.0] * NUM_CATEGORIES
    shares[strong], shares[(strong + 1) % NUM_CATEGORIES] = 0.75, 0.25
    cells = [video, f"{person}.0", "120", "250", *map(str, shares), *dimensions]
    return ",".join([*cells, "Male", "Adult", "White", "0.8"]) + "\n"


def build(root: Path, media: Media, clips: int = 0) -> Path:
    """clips: so many more in each table, of categories 6 and 7 in turn, whose dimensions differ."""
    public = root / "BOLD_public"
    train = [("003/IzvOYVMltkI.mp4/0114.mp4", 0, 6), ("003/IzvOYVMltkI.mp4/0114.mp4", 1, 21),
             ("005/abc.mp4/0002.mp4", 0, 19)]  # fmt: skip
    val = [("010/xyz.mp4/0001.mp4", 2, 23), ("010/xyz.mp4/0009.mp4", 0, 9)]
    further: list[list[tuple[str, int, int, tuple[str, ...]]]] = [
        [
            (f"{film}/a.mp4/{n:04}.mp4", 0, 6 + n % 2, (str(2 + n % 5), str(3 + n % 2), "5"))
            for n in range(clips)
        ]
        for film in ("100", "200")
    ]
    for name, rows, more in zip(("train", "val"), (train, val), further, strict=True):
        text(public / f"annotations/{name}.csv", "".join(line(*row) for row in [*rows, *more]))
    text(public / "annotations/test_meta.csv", "020/t.mp4/0001.mp4,0.0,1,90\n")
    videos = {row[0] for row in [*train, *val, *further[0], *further[1]]}
    for video in sorted(videos - {"010/xyz.mp4/0009.mp4"}):
        media.video(public / "videos" / video)
        joints = np.zeros((8, 2 + 18 * 3), np.float32)
        joints[:, 0] = np.arange(120, 128)
        path = (public / "joints" / video).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, joints)
    return root
