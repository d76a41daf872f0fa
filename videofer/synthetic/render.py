"""From drawn pictures to files: encoding, keypoint sidecars, and many videos at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.errors import UserError
from preprocessing.stage.cluster import usable_cores
from videofer.synthetic.body import NUM_JOINTS, Joints
from videofer.synthetic.script import Floats

JITTER_PIXELS = 1.2
DROPPED_JOINT_SHARE = 0.02
DROPPED_BODY_SHARE = 0.01


class SyntheticError(UserError, ValueError):
    """A synthetic set cannot be made so. The message is one line."""


class Planned(Protocol):
    """A video to be made."""

    @property
    def path(self) -> str:
        """Relative to the data set's folder, posix."""


P = TypeVar("P", bound=Planned)


def check_new(out: Path) -> None:
    """SyntheticError where the folder for a new data set holds something already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SyntheticError(f"{out} exists and is no empty folder; give a new one for the synthetic data")


def render_all(
    render: Callable[[P, Path], None],
    planned: Sequence[P],
    out: Path,
    num_workers: int | None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Call render(video, out) for each of them, after their folders were made.

    num_workers: processes; None: one a core; 0: in this process. progress(done, total) is called after each.
    """
    for folder in sorted({(out / one.path).parent for one in planned}):
        folder.mkdir(parents=True, exist_ok=True)
    num_workers = usable_cores() if num_workers is None else num_workers
    if num_workers <= 0:
        for done, one in enumerate(planned, 1):
            render(one, out)
            if progress is not None:
                progress(done, len(planned))
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of the caller's threads
    with ProcessPoolExecutor(
        min(num_workers, len(planned)), mp_context=context, initializer=_one_thread
    ) as pool:
        jobs = [pool.submit(render, one, out) for one in planned]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            if progress is not None:
                progress(done, len(planned))


def _one_thread() -> None:
    """Each process draws on one core."""
    cv2.setNumThreads(1)


def encode(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    size_wh: tuple[int, int],
    fps: int,
    codec: str = "libx264",
    quality: int = 23,
) -> None:
    """Write pictures (H, W, 3) uint8 RGB as an MP4 file. quality: crf of H.264, quantiser of MPEG-4."""
    import av

    if codec == "libx264":
        options = {"crf": str(quality), "preset": "superfast", "x264-params": "log-level=error"}
    else:
        options = {"qmin": str(quality), "qmax": str(quality)}
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
        stream.codec_context.thread_count = 1  # the same bytes on any machine
        stream.codec_context.time_base = Fraction(1, fps)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def save_keypoints(
    video: Path, joints: list[Joints], size_wh: tuple[int, int], t: Floats, fps: int, seed: int
) -> None:
    """Write the sidecar of a video: `estimated_keypoints` at its instants t (T,)."""
    np.savez(
        video.with_suffix(".keypoints.npz"),
        keypoints=estimated_keypoints(joints, size_wh, np.random.default_rng(seed)),
        t_seconds=t,
        layout=np.array("coco17"),
        size_wh=np.array(size_wh),
        fps=np.array(float(fps)),
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
