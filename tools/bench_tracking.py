"""How well identities hold: synthetic crossings with known truth, through the whole pipeline.

    .venv/bin/python -m tools.bench_tracking [--pairs 8] [--faces yunet] [--weights-dir DIR] [--videos DIR]
    .venv/bin/python -m tools.bench_tracking --picture docs/images/tracking.png

Every case of `tools/crossings.py` is drawn with several sets of subjects, encoded, and preprocessed three
times: with `appearance: none` (motion and overlap only), with `appearance: plain`, and with the latter cut
into segments of two seconds. A frame of a person counts where at least 60 % of the face can be seen. ID-F1
and identity switches are those of `motmetrics`. The last case is made of one subject twice, in the same
clothes: nothing but motion can tell them apart.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import av
import cv2
import motmetrics
import numpy as np

from cache.reader import StoreReader
from cache.schema import SEEN_STATES
from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.assemble import assemble
from preprocessing.engines import Engines, build_engines, resolve_engines
from preprocessing.pipeline import process_segment, spans_of
from preprocessing.spec import PreprocessSpec
from preprocessing.types import Source
from tools.crossings import CASES, MIN_VISIBLE, Truth, make_video

MODES = {
    "none": PreprocessSpec(appearance="none"),
    "plain": PreprocessSpec(appearance="plain"),
    "cut": PreprocessSpec(appearance="plain", segment_seconds=2.0),
}
COLOURS_BGR = ((60, 200, 60), (60, 60, 230), (230, 140, 40), (40, 210, 230), (220, 80, 220), (255, 255, 255))
MIN_IOU = 0.3  # of a stored box with the truth, to be that face


@dataclass(frozen=True)
class Score:
    """Of one video."""

    num_switches: int
    id_f1: float
    num_persons: int
    num_true: int


Boxes = dict[int, np.ndarray]
"""Person -> (T, 4) boxes, NaN where the face is not seen."""


def stored_faces(video: Path, engines: Engines, spec: PreprocessSpec) -> Boxes:
    """Preprocesses a video into a store of its own and reads the faces back."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "store", spec={}, contract={}, codec="jpeg")
        writer = ShardWriter(store.path, codec="jpeg", crop_size=spec.crop_size)
        source = Source(video, video.name, "video")
        facts, spans = spans_of(source, spec)
        outcomes = [process_segment(source, "key", spec, engines, writer, span=s, facts=facts) for s in spans]
        writer.seal()
        store.commit(assemble([source], "key", outcomes, spec))
        reader = StoreReader(store.path)
        (record,) = reader.videos()
        boxes: Boxes = {}
        for person in record.persons:
            track = reader.track("key", person.id)
            rows = boxes[person.id] = np.full((record.num_frames, 4), np.nan)
            seen = np.isin(track.face_state, SEEN_STATES)
            rows[track.first_frame : track.first_frame + len(track)][seen] = track.face_boxes_xyxy[seen]
        return boxes


def score(truth: Truth, found: Boxes) -> Score:
    """Of found faces against the truth. A face that can hardly be seen is neither demanded nor counted."""
    from preprocessing.tracking.association import box_iou

    events = motmetrics.MOTAccumulator()
    for n in range(truth.visible.shape[1]):
        here = np.flatnonzero(truth.visible[:, n] > 0)
        there = [person for person, boxes in found.items() if np.isfinite(boxes[n, 0])]
        boxes = np.array([found[person][n] for person in there]).reshape(-1, 4)
        distance = 1 - box_iou(truth.face_boxes_xyxy[here, n], boxes)  # (M, N)
        distance[distance > 1 - MIN_IOU] = np.nan
        hidden = truth.visible[here, n] < MIN_VISIBLE
        if hidden.any() and len(there):  # what fits best to somebody hidden is not judged
            filled = np.nan_to_num(distance, nan=np.inf)
            of_hidden = hidden[filled.argmin(axis=0)] & np.isfinite(filled.min(axis=0))
            there = [person for person, out in zip(there, of_hidden, strict=True) if not out]
            distance = distance[:, ~of_hidden]
        events.update(here[~hidden].tolist(), there, distance[~hidden], frameid=n)
    figures = motmetrics.metrics.create().compute(events, metrics=["num_switches", "idf1"], name="video")
    return Score(
        num_switches=int(figures["num_switches"].iloc[0]),
        id_f1=float(figures["idf1"].iloc[0]),
        num_persons=len(found),
        num_true=len(truth.visible),
    )


def looks_of(name: str, set_number: int) -> list[int]:
    """Which subjects take part: every set another group."""
    _, count = CASES[name]
    return [(set_number * 3 + 5 * k) % 24 for k in range(count)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=8, help="sets of subjects for every case")
    parser.add_argument("--faces", default="yunet")
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--videos", type=Path, help="keep the videos here and take them up again")
    parser.add_argument("--cases", nargs="*", default=[*CASES])
    parser.add_argument("--modes", nargs="*", default=[*MODES], choices=[*MODES])
    parser.add_argument("--each", action="store_true", help="print every video")
    parser.add_argument("--picture", type=Path, help="only draw one case, before and after, into this file")
    options = parser.parse_args(arguments)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data" / "weights"
    weights = options.weights_dir or (shared if shared.is_dir() else None)
    engines = build_engines(resolve_engines(faces_name=options.faces, pose="none", weights_dir=weights))
    results: dict[tuple[str, str], list[Score]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.videos or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if options.picture:
            draw(*made("three", 0, folder), engines, options.picture)
            return
        for name in options.cases:
            for number in range(options.pairs):
                video, truth = made(name, number, folder)
                for mode in options.modes:
                    start = time.perf_counter()
                    found = stored_faces(video, engines, MODES[mode])
                    seconds[mode] += time.perf_counter() - start
                    results[name, mode].append(score(truth, found))
                    if options.each:
                        print(video.name, mode, results[name, mode][-1], flush=True)
    print_table(results, options.modes)
    print("seconds in all:", ", ".join(f"{mode} {seconds[mode]:.1f}" for mode in options.modes))


def made(name: str, number: int, folder: Path) -> tuple[Path, Truth]:
    """The video of a case with one set of subjects, and its truth."""
    video = folder / f"{name.replace(' ', '-')}-{number}.mp4"
    kept = video.with_suffix(".npz")
    if not kept.exists():
        truth = make_video(CASES[name][0](looks_of(name, number)), video, seed=number)
        np.savez(kept, **vars(truth))
    with np.load(kept) as arrays:
        return video, Truth(**arrays)


def draw(video: Path, truth: Truth, engines: Engines, path: Path) -> None:
    """Strips of a video with the persons that were found: motion only above, with looks below."""
    picks = np.linspace(8, truth.visible.shape[1] - 26, 7).astype(int).tolist()
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    strips = []
    for mode in ("none", "plain"):
        found, tiles = stored_faces(video, engines, MODES[mode]), []
        for n in picks:
            tile = frames[n].copy()
            for person, boxes in found.items():
                if np.isfinite(boxes[n, 0]):
                    x0, y0, x1, y1 = np.rint(boxes[n]).astype(int).tolist()
                    cv2.rectangle(tile, (x0, y0), (x1, y1), COLOURS_BGR[person % len(COLOURS_BGR)], 4)
                    at = (x0 + 6, y0 - 12)
                    cv2.putText(tile, str(person), at, 0, 1.6, COLOURS_BGR[person % len(COLOURS_BGR)], 4)
            tiles.append(cv2.resize(tile[40:400], (240, 135), interpolation=cv2.INTER_AREA))
        strips.append(np.hstack(tiles))
    cv2.imwrite(str(path), np.vstack(strips))


def print_table(results: dict[tuple[str, str], list[Score]], modes: Sequence[str]) -> None:
    """One row a case; switches and surplus persons are sums, ID-F1 is the mean."""
    head = "".join(f" | {mode:>8}: IDF1  switches  persons" for mode in modes)
    print(f"{'case':14}{head}")
    for name in [*dict.fromkeys(case for case, _ in results), "all"]:
        line = f"{name:14}"
        for mode in modes:
            scores = [
                s
                for (case, m), group in results.items()
                if m == mode and name in (case, "all")
                for s in group
            ]
            switches = sum(s.num_switches for s in scores)
            persons = f"{sum(s.num_persons for s in scores)}/{sum(s.num_true for s in scores)}"
            line += f" | {np.mean([s.id_f1 for s in scores]):14.3f} {switches:9d} {persons:>8}"
        print(line)


if __name__ == "__main__":
    main()
