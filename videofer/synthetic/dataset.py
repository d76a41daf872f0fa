"""Writes a synthetic data set: encoded videos with keypoint sidecars, manifest, truth, and a long video.

    from videofer.synthetic.dataset import make_dataset
    dataset = make_dataset(Path("synthetic"), seed=0)

Everything is determined by the arguments: the same seed gives the same files, for any number of workers.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preprocessing.stage.cluster import usable_cores
from videofer.synthetic.acting import body_poses, face_actions
from videofer.synthetic.body import NUM_JOINTS, Joints
from videofer.synthetic.face import FaceRenderer
from videofer.synthetic.scene import Stage
from videofer.synthetic.script import LABELS
from videofer.synthetic.subjects import Subject
from videofer.synthetic.takes import Take, plan_long, plan_takes
from videofer.synthetic.truth import Truth, ceilings, order_pair_ceilings

JITTER_PIXELS = 1.2
DROPPED_JOINT_SHARE = 0.02
DROPPED_BODY_SHARE = 0.01


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
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; give a new one for the synthetic data")
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
    _render_all(out, [long_take, *takes], usable_cores() if num_workers is None else num_workers, progress)
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


def _render_all(
    out: Path, takes: list[Take], num_workers: int, progress: Callable[[int, int], None] | None
) -> None:
    for folder in sorted({(out / take.path).parent for take in takes}):
        folder.mkdir(parents=True, exist_ok=True)
    if num_workers <= 0:
        for done, take in enumerate(takes, 1):
            render_take(take, out)
            if progress is not None:
                progress(done, len(takes))
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of the caller's threads
    with ProcessPoolExecutor(
        min(num_workers, len(takes)), mp_context=context, initializer=_one_thread
    ) as pool:
        jobs = [pool.submit(render_take, take, out) for take in takes]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            if progress is not None:
                progress(done, len(takes))


def _one_thread() -> None:
    """Each process draws on one core."""
    cv2.setNumThreads(1)


@lru_cache(maxsize=1)
def _face_renderer(subject: Subject) -> FaceRenderer:
    """The last subject's renderer: takes come sorted by subject, and building one costs 0.1 s."""
    return FaceRenderer(subject)


def render_take(take: Take, out: Path) -> None:
    """Draw and encode one take to `out / take.path`, and write the sidecar beside it."""
    import av

    t = np.arange(take.num_frames) / take.fps
    stage = Stage(take.subject, take.scene, _face_renderer(take.subject), t)
    actions = face_actions(take.script, t)
    joints = stage.joints(body_poses(take.script, take.subject, t))
    path = out / take.path
    width, height = take.scene.size_wh
    if take.codec == "libx264":
        options = {"crf": str(take.quality), "preset": "superfast", "x264-params": "log-level=error"}
    else:
        options = {"qmin": str(take.quality), "qmax": str(take.quality)}
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(take.codec, rate=take.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1  # the same bytes on any machine
        stream.codec_context.time_base = Fraction(1, take.fps)
        for index in range(take.num_frames):
            picture = stage.draw(index, joints[index], actions[index])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, take.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.savez(
        path.with_suffix(".keypoints.npz"),
        keypoints=estimated_keypoints(joints, take.scene.size_wh, np.random.default_rng(take.seed)),
        t_seconds=t,
        layout=np.array("coco17"),
        size_wh=np.array([width, height]),
        fps=np.array(float(take.fps)),
    )


def estimated_keypoints(
    joints: list[Joints], size_wh: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """(T, 1, 17, 3) x, y, score as a pose estimator would report the true joints: jittered, some missed.

    Joints outside the picture have score 0 and lie at 0, 0; in a few frames the whole body is missed (NaN,
    score 0).
    """
    true_xy = np.stack([instant.coco17() for instant in joints])
    num_frames = len(true_xy)
    xy = true_xy + rng.normal(0, JITTER_PIXELS, true_xy.shape)
    score = np.clip(rng.normal(0.86, 0.07, (num_frames, NUM_JOINTS)), 0.35, 0.99)
    missed = rng.random((num_frames, NUM_JOINTS)) < DROPPED_JOINT_SHARE
    xy[missed] += rng.normal(0, 12, (int(missed.sum()), 2))
    score[missed] = rng.uniform(0.03, 0.2, int(missed.sum()))
    outside = ((true_xy < 0) | (true_xy >= np.asarray(size_wh))).any(axis=2)
    xy[outside], score[outside] = 0.0, 0.0
    keypoints = np.concatenate([xy, score[..., None]], axis=2)
    gone = rng.random(num_frames) < DROPPED_BODY_SHARE
    keypoints[gone] = np.array([np.nan, np.nan, 0.0])
    return keypoints[:, None].astype(np.float32)
