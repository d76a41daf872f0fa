"""One engine at work: in a process of its own, so that its memory and its crashes are its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.engine_bench.engines import Engine
from tools.engine_bench.material import Picture

SEARCHED_SIDE = 512  # pixels of the longer side, as preprocessing searches it
PICTURE_EVERY = 20  # frames of a video whose pictures are compared


@dataclass(frozen=True)
class Measured:
    """What an engine did. `results` are one for each picture, or for each video of a decoder."""

    frames_per_second: (
        float  # of processor time in all threads: what a core gives; on a GPU, by the wall clock
    )
    memory_mib: float  # of the process, beyond what it had with the pictures
    results: list[Any]


@dataclass(frozen=True)
class Work:
    """What an engine is given."""

    engine: Engine
    pictures: list[Picture]
    videos: list[Path]
    faces: list[
        np.ndarray
    ]  # of each picture as `find_faces` gives them: where dense landmarks are looked for
    weights_dir: Path | None
    repeats: int


def in_its_own_process(work: Work) -> Measured | str:
    """The figures, or why there are none, in one line."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        try:
            return pool.submit(measure, work).result()
        except BrokenProcessPool:
            return "its process crashed"


def measure(work: Work) -> Measured | str:
    """Builds the engine as a run does, and lets it work, on one thread as far as it obeys."""
    from preprocessing.stage.threads import pin_threads
    from preprocessing.weights import WeightsError

    pin_threads()
    _forget_peak()
    before = _status_mib("VmRSS")
    try:
        run = {
            "decoder": decode_videos,
            "faces": find_faces,
            "landmarks": find_landmarks,
            "pose": find_bodies,
        }[work.engine.kind](work)
    except WeightsError as error:
        return str(error)
    results = run()  # also warms up
    clock = time.perf_counter if "cuda" in work.engine.name else time.process_time
    best = min(_seconds(run, clock) for _ in range(work.repeats))
    count = sum(len(times) for times, _ in results) if work.engine.kind == "decoder" else len(results)
    return Measured(count / best, _status_mib("VmHWM") - before, results)


def decode_videos(work: Work) -> Callable[[], list[Any]]:
    """Every frame of every video, made small as a search for faces needs it.

    For each video: pts of its frames, and some pictures by pts (h, w, 3); none where it was refused.
    """
    from preprocessing.decode import DECODERS
    from preprocessing.probe import probe
    from preprocessing.types import InputError, Source
    from preprocessing.weights import WeightsError

    engine = DECODERS[work.engine.name]
    if (why := engine.usable()) is not None:
        raise WeightsError(why)

    def run() -> list[Any]:
        results = []
        for path in work.videos:
            source = Source(path, path.name, "video")
            facts = probe(source)
            size_wh = searched_size(facts.width, facts.height)
            times: list[int] = []
            shown: dict[int, np.ndarray] = {}
            try:
                for number, frame in enumerate(engine.build(None).frames(source, facts)):
                    small = frame.reduced_rgb(size_wh)
                    times.append(frame.pts)
                    if number % PICTURE_EVERY == 0:
                        shown[frame.pts] = small
            except InputError:
                times, shown = [], {}
            results.append((times, shown))
        return results

    return run


def find_faces(work: Work) -> Callable[[], list[np.ndarray]]:
    """For each picture (N, 15): box, five landmarks, in its own pixels, and whether the score is sure."""
    from preprocessing import faces

    detector = faces.build(faces.resolve(work.engine.name, work.weights_dir))
    sizes = [searched_size(picture.rgb.shape[1], picture.rgb.shape[0]) for picture in work.pictures]
    small = [picture.frame.reduced_rgb(size) for picture, size in zip(work.pictures, sizes, strict=True)]
    scales = [p.rgb.shape[1] / size[0] for p, size in zip(work.pictures, sizes, strict=True)]

    def run() -> list[np.ndarray]:
        results = []
        for image, scale in zip(small, scales, strict=True):
            (found,) = detector.detect([image])
            places = np.concatenate([found.boxes_xyxy, found.landmarks_xy.reshape(-1, 10)], axis=1) * scale
            results.append(np.column_stack([places, found.scores >= detector.sure_score]))
        return results

    return run


def find_landmarks(work: Work) -> Callable[[], list[np.ndarray]]:
    """For each picture (N, 68, 2), of the faces that were given."""
    from preprocessing import landmarks
    from preprocessing.landmarks.layouts import to_ibug68

    engine = landmarks.build(landmarks.resolve(work.engine.name, work.weights_dir))
    assert engine is not None
    frames = [picture.frame for picture in work.pictures]

    def run() -> list[np.ndarray]:
        return [
            to_ibug68(
                engine.locate([frame] * len(rows), rows[:, :4], rows[:, 4:14].reshape(-1, 5, 2)),
                engine.layout,
            )
            for frame, rows in zip(frames, work.faces, strict=True)
        ]

    return run


def find_bodies(work: Work) -> Callable[[], list[np.ndarray]]:
    """For each picture (N, 17, 3): joints of COCO-17. People are searched in every picture."""
    from preprocessing import skeletons
    from preprocessing.skeletons.layouts import COCO17

    choice = skeletons.resolve_skeletons(work.engine.name, work.weights_dir, layout=COCO17.name)
    built = skeletons.build_skeletons(choice)
    assert built is not None
    engine = skeletons.as_layout(built, COCO17.name)
    frames = [picture.frame for picture in work.pictures]

    def run() -> list[np.ndarray]:
        return [engine.detect(frame, n, 0.0, None).keypoints for n, frame in enumerate(frames)]

    return run


def searched_size(width: int, height: int) -> tuple[int, int]:
    """(w, h) of a picture as it is searched."""
    scale = min(1.0, SEARCHED_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _seconds(run: Callable[[], Sequence[Any]], clock: Callable[[], float]) -> float:
    began = clock()
    run()
    return clock() - began


def _status_mib(key: str) -> float:
    """Memory of this process as the kernel counts it: VmRSS now, VmHWM at most since `_forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")
