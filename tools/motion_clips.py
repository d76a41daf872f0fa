"""Makes keypoint files and a manifest of Bandai-Namco-Research-Motiondataset-1: real, labelled body motion.

    python tools/motion_clips.py bandai_namco1_joints3d.npz OUT [--views -30 0 30] [--min-seconds 1.5]

The input holds `xyz` (sum of T, 22, 3) joint positions in cm with y upwards, `start` (N + 1) rows of the
clips, their `content`, `style` and `take`, the names `joint`, and `fps`. OUT gets a `.keypoints.npz` a clip
and view, for `videofer preprocess OUT --pose sidecar --set skeleton=bandai22`; `manifest.csv`; and
`manifest_shuffled.csv`, a control: the styles of each content dealt anew among its clips.

A view is what a far (orthographic) camera sees that stands so many degrees to the left of where the body
faces on average, and pans with it: walking backwards stays walking backwards. Contents that were recorded in
one style only cannot tell a style and are left out, and so are clips below `--min-seconds`: four loops of a
single stride, all of them `normal`, whose length would give them away. The data set is under CC BY-NC 4.0;
neither it nor the files made from it belong in a repository.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.skeletons.layouts import BANDAI22
from preprocessing.tracking.smoothing import smooth_at
from videofer import emotions

PICTURE_WH = (640, 480)
PIXELS_PER_CM = 2.0  # a standing body is about 300 pixels high
FLOOR_Y = 440.0  # pixels
PAN_SIGMA_SECONDS = 0.5  # the camera follows the walk, not the sway of each step
LOCOMOTION = ("dash", "run", "walk", "walk-back", "walk-left", "walk-right")
PERFORMER = "actors"  # three, and the data set does not say who is in which clip
JOINT = {name: number for number, name in enumerate(BANDAI22.joints)}
ACROSS = (("UpperArm_R", "UpperArm_L"), ("UpperLeg_R", "UpperLeg_L"))


@dataclass(frozen=True)
class Clip:
    """One take of one action in one style."""

    xyz: np.ndarray  # (T, 22, 3) float64 cm, y upwards
    content: str
    style: str
    take: str

    @property
    def name(self) -> str:
        return f"{self.content}_{self.style}_{self.take}"


def read_clips(path: Path) -> tuple[list[Clip], float]:
    """All clips of the file, and their frame rate. ValueError, one line, where the file is another one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            data = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    missing = {"xyz", "start", "content", "style", "take", "joint", "fps"} - set(data)
    if missing:
        raise ValueError(f"{path}: no array {', '.join(sorted(missing))}")
    if tuple(data["joint"].tolist()) != BANDAI22.joints:
        raise ValueError(f"{path}: its joints are not those of {BANDAI22.name}")
    start = data["start"].tolist()
    if data["xyz"].shape != (start[-1], BANDAI22.num_joints, 3) or len(data["style"]) != len(start) - 1:
        raise ValueError(
            f"{path}: xyz has shape {data['xyz'].shape}, start has {len(start)} entries to {start[-1]}"
        )
    rows = zip(start[:-1], start[1:], data["content"], data["style"], data["take"], strict=True)
    clips = [
        Clip(data["xyz"][first:stop].astype(np.float64), str(content), str(style), str(take))
        for first, stop, content, style, take in rows
    ]
    return clips, float(data["fps"])


def choose(clips: Sequence[Clip], fps: float, min_seconds: float) -> tuple[list[Clip], list[str]]:
    """The clips that can show a style, and a line for each of the others."""
    styles: dict[str, set[str]] = {}
    for clip in clips:
        styles.setdefault(clip.content, set()).add(clip.style)
    kept, left_out = [], []
    for clip in clips:
        seconds = len(clip.xyz) / fps
        if len(styles[clip.content]) == 1:
            left_out.append(f"{clip.name}: {clip.content} was recorded in one style only")
        elif seconds < min_seconds:
            left_out.append(f"{clip.name}: {seconds:.2f} s long")
        else:
            kept.append(clip)
    return kept, left_out


def front(xyz: np.ndarray) -> np.ndarray:
    """(T, 22, 3) -> (3,): horizontal unit vector in which the body faces, on average over the clip."""
    across = sum(xyz[:, JOINT[left]] - xyz[:, JOINT[right]] for right, left in ACROSS)  # (T, 3)
    facing = np.cross(across, (0.0, 1.0, 0.0))
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    mean: np.ndarray = facing.mean(axis=0)
    mean /= np.linalg.norm(mean)
    return mean


def project(xyz: np.ndarray, fps: float, view_degrees: float) -> np.ndarray:
    """(T, 22, 3) cm -> keypoints (T, 22, 3): x, y in pixels, score.

    `joint_Root` is unseen: it is no part of the body, and how it moves tells how a clip was exported.
    """
    up = np.array([0.0, 1.0, 0.0])
    ahead = front(xyz)
    left = np.cross(up, ahead)
    angle = np.radians(view_degrees)
    to_camera = np.cos(angle) * ahead + np.sin(angle) * left
    to_right = np.cross(up, to_camera)  # of the picture; the person's left, seen from the front
    along = xyz @ to_right  # (T, 22) cm
    seconds = np.arange(len(xyz)) / fps
    panned = smooth_at(seconds, seconds, along[:, JOINT["Hips"], None], PAN_SIGMA_SECONDS)  # (T, 1)
    keypoints = np.ones(xyz.shape, np.float32)
    keypoints[..., 0] = PICTURE_WH[0] / 2 + PIXELS_PER_CM * (along - panned)
    keypoints[..., 1] = FLOOR_Y - PIXELS_PER_CM * xyz[..., 1]
    keypoints[:, JOINT["joint_Root"]] = 0
    return keypoints


def shuffled(clips: Sequence[Clip], seed: int = 0) -> list[str]:
    """A style for each clip: those of its content, dealt anew."""
    rng = np.random.default_rng(seed)
    styles = np.array([clip.style for clip in clips])
    contents = np.array([clip.content for clip in clips])
    for content in np.unique(contents):
        styles[contents == content] = rng.permutation(styles[contents == content])
    return [str(style) for style in styles]


def write(clips: Sequence[Clip], fps: float, views: Sequence[float], out: Path) -> None:
    """Keypoint files and both manifests."""
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    control: list[dict[str, Any]] = []
    for clip, other_style in zip(clips, shuffled(clips), strict=True):
        for view in views:
            name = f"{clip.name}_view{view:+03.0f}.keypoints.npz"
            np.savez_compressed(
                out / name,
                keypoints=project(clip.xyz, fps, view),
                layout=BANDAI22.name,
                joints=np.array(BANDAI22.joints),
                fps=fps,
                size_wh=np.array(PICTURE_WH),
            )
            row = {
                "name": name,
                "label": label_of(clip.style),
                "subject": PERFORMER,
                "content": clip.content,
                "family": "locomotion" if clip.content in LOCOMOTION else "gesture",
                "fold": 1 if clip.content in LOCOMOTION else 2,  # for `crossval --protocol official`
                "clip": clip.name,
                "style": clip.style,
                "take": clip.take,
                "view_degrees": f"{view:g}",
            }
            rows.append(row)
            control.append(row | {"label": label_of(other_style)})
    for path, table in ((out / "manifest.csv", rows), (out / "manifest_shuffled.csv", control)):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(table)


def label_of(style: str) -> str:
    """The style's own name, or that of the emotion it is: angry is `anger`, as in every recipe."""
    return emotions.canonical(style) if emotions.is_emotion(style) else style


def main() -> None:
    """Convert, and say what was left out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("npz", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--views", type=float, nargs="+", default=[-30.0, 0.0, 30.0], help="degrees to the body's left"
    )
    parser.add_argument("--min-seconds", type=float, default=1.5)
    arguments = parser.parse_args()
    try:
        clips, fps = read_clips(arguments.npz)
    except ValueError as error:
        sys.exit(str(error))
    kept, left_out = choose(clips, fps, arguments.min_seconds)
    for line in left_out:
        print(f"left out {line}")
    write(kept, fps, arguments.views, arguments.out)
    print(f"{len(kept)} of {len(clips)} clips in {len(arguments.views)} views each: {arguments.out}")


if __name__ == "__main__":
    main()
