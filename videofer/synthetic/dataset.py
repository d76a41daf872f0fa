"""Writes a synthetic data set: encoded videos with keypoint sidecars, manifest, truth, and a long video.

    from videofer.synthetic.dataset import make_dataset
    dataset = make_dataset(Path("synthetic"), seed=0)

Everything is determined by the arguments: the same seed gives the same files, for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from videofer.synthetic.acting import body_poses, face_actions
from videofer.synthetic.face import face_renderer
from videofer.synthetic.render import check_new, encode, render_all, save_keypoints
from videofer.synthetic.scene import Stage
from videofer.synthetic.script import LABELS
from videofer.synthetic.takes import Take, plan_long, plan_takes
from videofer.synthetic.truth import Truth, ceilings, order_pair_ceilings


@dataclass(frozen=True)
class SyntheticDataset:
    """Where everything of a data set lies."""

    root: Path
    videos: Path  # folder of <subject>/<emotion>_<take>.mp4 with .keypoints.npz beside each
    manifest: Path  # path (relative to root), label, subject, start, end, split
    takes: Path  # manifest and what was shown: for analysis, never for training
    long_video: Path
    long_truth: Path
    readme: Path


def make_dataset(
    out: Path,
    *,
    num_subjects: int = 10,
    takes_per_class: int = 4,
    take_seconds: float = 2.6,
    fps: int = 25,
    size_wh: tuple[int, int] = (320, 384),
    seed: int = 0,
    num_workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SyntheticDataset:
    """Make the whole data set in folder `out`, which must be new or empty.

    num_workers: processes; None: one a core; 0: in this process. progress(done, total) is called after
    each video. Raises ValueError for impossible sizes or if `out` holds something already.
    """
    takes = plan_takes(
        num_subjects=num_subjects,
        takes_per_class=takes_per_class,
        take_seconds=take_seconds,
        fps=fps,
        size_wh=size_wh,
        seed=seed,
    )
    long_take = plan_long(fps=fps, size_wh=size_wh, seed=seed, num_subjects=num_subjects)
    check_new(out)
    dataset = SyntheticDataset(
        root=out,
        videos=out / "videos",
        manifest=out / "manifest.csv",
        takes=out / "takes.csv",
        long_video=out / long_take.path,
        long_truth=out / "long" / "long.truth.csv",
        readme=out / "README.txt",
    )
    # The long video first: it takes the longest.
    render_all(render_take, [long_take, *takes], out, num_workers, progress)
    Truth.of_script(long_take.script).save(dataset.long_truth)
    table = takes_table(takes)
    manifest_columns = ["path", "label", "subject", "start", "end", "split"]
    for path, columns in ((dataset.manifest, manifest_columns), (dataset.takes, list(table.columns))):
        table[columns].to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    dataset.readme.write_text(describe(takes, long_take, seed), encoding="utf-8")
    return dataset


def takes_table(takes: list[Take]) -> pd.DataFrame:
    """One row a take: the manifest's columns and what was shown, encoded and at which rate."""
    rows = []
    for take in takes:
        start, end = take.interval()
        episode = take.script.episodes[0] if take.script.episodes else None
        rows.append(
            {
                "path": take.path,
                "label": take.label,
                "subject": take.subject.name,
                "start": start,
                "end": end,
                "split": take.split,
                "face_shown": episode is None or episode.face_shown,
                "body_shown": episode is None or episode.body_shown,
                "face_look": episode.face_look if episode else "rest",
                "body_look": episode.body_look if episode else "rest",
                "fps": take.fps,
                "codec": take.codec,
                "num_frames": take.num_frames,
            }
        )
    return pd.DataFrame(rows)


def describe(takes: list[Take], long_take: Take, seed: int) -> str:
    """README.txt: what the set is and the ceilings of the ideal observer, from what was drawn."""
    lines = [
        "Synthetic emotion videos made by videofer from one public-domain photograph",
        "(NASA, skimage.data.astronaut).",
        f"Seed {seed}; {len(takes)} takes of {len({t.subject.name for t in takes})} simulated subjects; "
        f"classes: {', '.join(LABELS)}.",
        "",
        "anger and disgust share the face; happiness and anger share the body; fear and surprise share the",
        "body and show the same faces in opposite order. Some faces are masked (never those of fear and",
        "surprise), some bodies are still.",
        "",
        "Accuracy of an ideal observer, who sees everything that was drawn and nothing else:",
    ]
    for split in ("train", "test"):
        some = [take for take in takes if take.split == split]
        best, pair = ceilings(some), order_pair_ceilings(some)
        lines.append(
            f"  {split:5s} ({len(some)} takes): face {best['face']:.3f}, body {best['body']:.3f}, "
            f"fused {best['fused']:.3f}; face from single frames {best['single_frame_face']:.3f}"
        )
        lines.append(
            f"        fear against surprise: face {pair['face']:.3f}, body {pair['body']:.3f}, "
            f"fused {pair['fused']:.3f}; single frames {pair['single_frame_face']:.3f}"
        )
    order = ", ".join(episode.label for episode in long_take.script.episodes)
    lines += [
        f"  chance: {1 / len(LABELS):.3f}; within the pair: 0.500",
        "",
        f"long/long.mp4: {long_take.duration:.0f} s of test subject {long_take.subject.name}: {order}; "
        "truth in long.truth.csv (label where its intensity is at least 0.3, neutral elsewhere).",
        "takes.csv says what each take shows; it is for analysis and must not be trained on.",
    ]
    return "\n".join(lines) + "\n"


def render_take(take: Take, out: Path) -> None:
    """Draw and encode one take to `out / take.path`, and write the sidecar beside it."""
    t = np.arange(take.num_frames) / take.fps
    stage = Stage(take.subject, take.scene, face_renderer(take.subject), t)
    actions = face_actions(take.script, t)
    joints = stage.joints(body_poses(take.script, take.subject, t))
    pictures = (stage.draw(index, joints[index], actions[index]) for index in range(take.num_frames))
    encode(out / take.path, pictures, take.scene.size_wh, take.fps, take.codec, take.quality)
    save_keypoints(out / take.path, joints, take.scene.size_wh, t, take.fps, take.seed)
