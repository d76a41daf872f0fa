"""Many small pictures into a store, fast: each is a video of one frame, with one face.

The pictures come as arrays. Where they are face crops already (`faces: precropped`) each becomes its crop by
scaling; else the face in it is found (`preprocessing.still_faces`) and warped onto the canonical template
like any face of a video. A face that was not found has score 0 and is `low_quality`. Dense landmarks are
found where a detector finds the face: in face crops it searches for them alone.

Letters in shapes: N pictures.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.removals import Removals
from cache.schema import STATE_NAMES, FaceBlock, PersonRecord, SegmentRecord, State, VideoRecord
from cache.shard import ShardWriter
from preprocessing import faces, landmarks
from preprocessing.align import quality, similarity_from_landmarks, warp_face
from preprocessing.decode.frames import PixelFrame
from preprocessing.decode.still_engine import MICROSECONDS
from preprocessing.engines import NO_LANDMARKS, EngineChoices, engines_of, package_versions
from preprocessing.landmarks.layouts import five_by_dense
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import usable_cores
from preprocessing.stage.run import open_or_create
from preprocessing.stage.threads import one_thread_environment, pin_threads
from preprocessing.still_faces import (
    FIRST,
    FURTHER,
    Placements,
    StillsError,
    TypicalPlace,
    find_faces,
    rgb_of,
    typical_place,
    whole_pictures,
    with_typical,
)
from preprocessing.tracking.face_rows import LOW_SCORE, LOW_SIDE_PIXELS
from preprocessing.types import LandmarkEngine
from preprocessing.weights import EngineChoice

NUM_TYPICAL = 512  # pictures that tell where a face lies
BATCH = 1024  # pictures a shard; what a crash costs at most
MAX_FACES = 64  # whose dense landmarks are sought at once
MIN_PICTURES_PER_PROCESS = 1500  # starting one takes longer than to store fewer
FRAME_PTS = 1_000_000  # a still lasts 1 s, as in preprocessing.decode.still_engine


@dataclass(frozen=True, eq=False)
class Still:
    """One picture. Equal pictures are one video with several names."""

    key: str  # see `pixel_key`
    names: tuple[str, ...]
    pixels: np.ndarray  # (h, w) grey or (h, w, 3) RGB, uint8


@dataclass(frozen=True)
class StillsReport:
    """What a call of `store_stills` did."""

    num_stored: int
    num_there_before: int
    num_refused: int  # removed from this store for good
    num_without_face: int  # of the stored ones: where none was found
    num_without_landmarks: int  # of the stored ones, where dense landmarks were asked for
    detector: EngineChoice


Progress = Callable[[int, int], None]
"""Called with the number of pictures that are stored and of all; shows a person how far it is."""


def pixel_key(pixels: np.ndarray, salt: str = "") -> str:
    """32 hexadecimal digits of a picture's size and pixels (h, w) or (h, w, 3): equal ones, however they
    were encoded, have the same. `salt` tells apart what must be stored twice."""
    header = f"still {salt} {'x'.join(map(str, pixels.shape))} {pixels.dtype.str}\n"
    return hashlib.sha256(header.encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:32]


def store_stills(
    out: Path,
    spec: PreprocessSpec,
    stills: Sequence[Still],
    *,
    weights_dir: Path | None = None,
    num_workers: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> StillsReport:
    """Store the pictures that the store at `out`, new or of the same contract, does not hold yet.

    Each key once. num_workers: processes; None: as many as there are cores and work for; a call with several
    must come from an importable main module. What is finished is kept whatever ends the call. Raises
    StillsError, StoreError or WeightsError in one line.
    """
    choices = engines_of(spec, weights_dir)
    finder = choices.faces
    if finder.name == "precropped" and choices.landmarks.name != "none":
        finder = faces.resolve("auto", weights_dir)
    store = open_or_create(out, spec)
    if (begun := store.spec.get("landmarks", "none")) != spec.landmarks:
        raise StillsError(
            f"{out} was begun with landmarks {begun}, not {spec.landmarks}: give another folder"
        )
    with store.lock():
        store.sweep_partials()
        removed = Removals(store.path)
        wanted = [still for still in stills if still.key not in removed]
        there = {video.key: video for video in store.videos()} if store.keys() else {}
        for still in wanted:
            if still.key in there:
                for name in set(still.names) - set(there[still.key].names):
                    store.add_name(still.key, name)
        new = [still for still in wanted if still.key not in there]
        num_done, num_without_face, num_without_landmarks = len(wanted) - len(new), 0, 0
        progress(num_done, len(wanted))
        if new:
            some = min(usable_cores(), len(new) // MIN_PICTURES_PER_PROCESS)
            with _processes(some if num_workers is None else num_workers) as run:
                typical = None
                if choices.faces.name != "precropped":
                    first = [still.pixels for still in wanted[:NUM_TYPICAL]]
                    typical = typical_place(first, choices.faces)
                batches = [
                    _Batch(out, spec, choices, finder, new[start : start + BATCH], typical)
                    for start in range(0, len(new), BATCH)
                ]
                for records, num_without in run(_write, batches):
                    store.commit_all(records)
                    num_done += len(records)
                    num_without_landmarks += num_without
                    num_without_face += sum(record.persons[0].confidence == 0 for record in records)
                    progress(num_done, len(wanted))
    return StillsReport(
        num_stored=len(new),
        num_there_before=len(wanted) - len(new),
        num_refused=len(stills) - len(wanted),
        num_without_face=num_without_face,
        num_without_landmarks=num_without_landmarks,
        detector=choices.faces,
    )


# --- batches ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Batch:
    """What one process stores in one go: a shard of its own. It pickles."""

    out: Path
    spec: PreprocessSpec
    choices: EngineChoices
    finder: EngineChoice  # says where the face is for the landmarks, also of face crops
    stills: Sequence[Still]
    typical: TypicalPlace | None  # None: the pictures are face crops


def _write(batch: _Batch) -> tuple[list[VideoRecord], int]:
    """Finds the faces of a batch and writes its shard. The records are not committed yet.

    And in how many pictures no dense landmarks were found, where they are asked for.
    """
    spec, choices = batch.spec, batch.choices
    pictures = [still.pixels for still in batch.stills]
    engine = landmarks.build(choices.landmarks)
    placements, found = _places(batch, pictures)
    dense = None if engine is None else _dense_landmarks(pictures, found, engine)
    five = placements.landmarks_xy
    if spec.align_by == "dense" and dense is not None and engine is not None:
        five = five_by_dense(dense, engine.layout, five)
    warps = similarity_from_landmarks(five, spec.crop_size)  # (N, 2, 3)
    provenance = _provenance(batch, engine)
    writer = ShardWriter(
        batch.out, codec=spec.codec, crop_size=spec.crop_size, jpeg_quality=spec.jpeg_quality
    )
    records = []
    for place, still in enumerate(batch.stills):
        crop = warp_face(rgb_of(still.pixels), warps[place], spec.crop_size)
        block = FaceBlock(
            boxes_xyxy=placements.boxes_xyxy[place][None],
            landmarks_xy=placements.landmarks_xy[place][None],
            warps=warps[place][None],
            scores=placements.scores[place][None],
            states=np.array([_state(placements, place)], np.uint8),
            quality=quality(crop, warps[place])[None],
            crops=crop[None],
            dense_landmarks=None if dense is None else dense[place][None],
        )
        segment = writer.begin_segment(still.key, 0, MICROSECONDS)
        segment.append_frames(np.zeros(1, np.int64))
        segment.append_faces(segment.open_track("face", 0, engine.layout if engine else ""), block)
        records.append(_record(still, segment.finish(FRAME_PTS), block, provenance))
    writer.seal()
    num_without = 0 if dense is None else int(np.isnan(dense).any(axis=(1, 2)).sum())
    return records, num_without


def _places(batch: _Batch, pictures: Sequence[np.ndarray]) -> tuple[Placements, Placements]:
    """Where the crops are taken, and where a detector finds the faces."""
    if batch.typical is not None:
        found = find_faces(pictures, batch.finder)
        return with_typical(found, pictures, batch.typical), found
    whole = whole_pictures(pictures, batch.choices.faces)
    return whole, whole if batch.finder.name == "precropped" else find_faces(pictures, batch.finder)


def _dense_landmarks(pictures: Sequence[np.ndarray], found: Placements, engine: LandmarkEngine) -> np.ndarray:
    """(N, P, 2) float32 in pixels of each picture, NaN where no face was found."""
    dense = np.empty((len(pictures), engine.num_points, 2), np.float32)
    for start in range(0, len(pictures), MAX_FACES):
        some = slice(start, start + MAX_FACES)
        frames = [PixelFrame(rgb_of(picture), pts=0, duration_pts=FRAME_PTS) for picture in pictures[some]]
        dense[some] = engine.locate(frames, found.boxes_xyxy[some], found.landmarks_xy[some])
    return dense


def _state(placements: Placements, place: int) -> State:
    width, height = placements.boxes_xyxy[place, 2:] - placements.boxes_xyxy[place, :2]
    is_low = placements.scores[place] < LOW_SCORE or math.sqrt(max(0, width * height)) < LOW_SIDE_PIXELS
    return State.LOW_QUALITY if is_low else State.OK


def _record(
    still: Still, segment: SegmentRecord, block: FaceBlock, provenance: dict[str, Any]
) -> VideoRecord:
    """As `preprocessing.assemble` makes it of an image with one face."""
    height, width = still.pixels.shape[:2]
    person = PersonRecord(
        id=0,
        faces=[(0, segment.tracks[0].local_id)],
        bodies=[],
        num_frames=1,
        t_start=0.0,
        t_end=1.0,
        face_states={STATE_NAMES[State(int(block.states[0]))]: 1},
        body_states={STATE_NAMES[State.ABSENT]: 1},
        confidence=round(float(block.scores[0]), 4),
    )
    return VideoRecord(
        key=still.key,
        names=list(still.names),
        kind="image",
        num_frames=1,
        width=width,
        height=height,
        time_base=(MICROSECONDS.numerator, MICROSECONDS.denominator),
        presentation_start=(0, 1),
        t_start=0.0,
        t_end=1.0,
        duration=1.0,
        segments=[segment],
        persons=[person],
        provenance=provenance,
    )


def _provenance(batch: _Batch, engine: LandmarkEngine | None) -> dict[str, Any]:
    choices = batch.choices
    said = NO_LANDMARKS.provenance()
    if engine is not None:
        said = {**engine.provenance, "placed_by": batch.finder.provenance()}
    return {
        "decoder": "array",
        "detector": choices.faces.provenance(),
        "skeletons": choices.skeletons.provenance(),
        "appearance": EngineChoice("none", reason="stills").provenance(),
        "landmarks": said,
        "versions": package_versions(),
        "warnings": [],
        "search": [asdict(each) for each in (FIRST, *FURTHER)],
    }


@contextmanager
def _processes(num_workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """`map`, in this process or over several others."""
    if num_workers <= 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of the caller's threads
    with one_thread_environment():
        pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=_begin)
        try:
            yield pool.map
        except BrokenProcessPool:
            raise StillsError("a worker process was ended; run again: what was finished is kept") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Ctrl-C is the main process's affair; each process works on one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pin_threads()
