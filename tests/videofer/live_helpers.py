"""Videos of people who come and go, made of synthetic takes; and the same file offline and as a stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import pandas as pd

from cache.reader import StoreReader
from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.assemble import assemble
from preprocessing.discover import discover
from preprocessing.engines import Engines, build_engines, resolve_engines
from preprocessing.pipeline import process_segment, spans_of
from preprocessing.spec import PreprocessSpec
from preprocessing.types import FaceDetector, Faces, InputError
from tests.videofer.timeline_helpers import CONTRACT, CROP, make_model
from videofer.checkpoint import LoadedModel
from videofer.live.engine import LiveEngine
from videofer.live.feed import FileFeed
from videofer.synthetic.dataset import render_take
from videofer.synthetic.takes import plan_takes
from videofer.timeline.make import make_timeline
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.timeline import Timeline

FPS = 25
SPEC = PreprocessSpec(faces="mtcnn", pose="sidecar", crop_size=CROP)
Shot = tuple[float, Sequence[int | None], int]
"""Seconds, the person in each panel from left to right (None: nobody), brightness of empty panels."""


class Remembering:
    """A face detector that looks at each picture once only: many tests see the same videos."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self.name, self.provenance = detector.name, detector.provenance
        self.sure_score = detector.sure_score
        self._found: dict[bytes, Faces] = {}

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        keys = [image.tobytes() for image in images_rgb]
        for key, image in zip(keys, images_rgb, strict=True):
            if key not in self._found:
                self._found[key] = self._detector.detect([image])[0]
        return [self._found[key] for key in keys]


@lru_cache
def engines() -> Engines:
    choices = resolve_engines(faces_name="mtcnn", pose="sidecar")
    built = build_engines(choices)
    return Engines(choices, Remembering(built.faces), built.skeletons, built.embedder)


@lru_cache
def model_for_streams(parts: str = "fused") -> LoadedModel:
    """Short windows, so that short videos have many rows. "frame": one face in one instant, as the built-in
    model sees it.
    """
    if parts == "frame":
        model = make_model("face", num_clips=1, num_frames=1, clip_seconds=0.1, window_seconds=0.1)
    else:
        model = make_model(parts, num_clips=4, num_frames=3, clip_seconds=0.16, window_seconds=0.8)
    contract = {**SPEC.contract(), **CONTRACT}
    return LoadedModel(**{**vars(model), "contract": contract})


@lru_cache
def _person(number: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures (h, w, 3) and joints (T, 17, 3) of one take."""
    takes = plan_takes(num_subjects=6, takes_per_class=1, take_seconds=2.0)
    take = [take for take in takes if take.subject.name == f"s{number:02d}"][2 + number % 2]
    with TemporaryDirectory() as folder:
        path = Path(folder) / take.path
        path.parent.mkdir(parents=True)
        render_take(take, Path(folder))
        with av.open(str(path)) as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        with np.load(path.with_suffix(".keypoints.npz")) as arrays:
            return pictures, np.nan_to_num(arrays["keypoints"][:, 0])


def write_people(
    path: Path, shots: Sequence[Shot], *, step_ms: Sequence[int] = (40,), astray_seconds: float = 0.0
) -> Path:
    """People side by side, with a keypoint file. step_ms: durations of frames, again and again.

    astray_seconds: for so long the joints lie beside the people, as if they were somebody else's.
    """
    height, width = _person(0)[0][0].shape[:2]
    num_panels = max(len(panels) for _, panels, _ in shots)
    shown: Counter[int] = Counter()
    times, joints, now = [], [], 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=FPS, options={"crf": "18", "preset": "ultrafast", "g": "25"}
        )
        stream.width, stream.height, stream.pix_fmt = width * num_panels, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for seconds, panels, brightness in shots:
            end = now + round(seconds * 1000)
            while now < end:
                picture = np.full((height, width * num_panels, 3), brightness, np.uint8)
                here = np.zeros((num_panels, 17, 3), np.float32)
                for panel, number in enumerate(panels):
                    if number is None:
                        continue
                    pictures, keypoints = _person(number)
                    index = _bounced(shown[number], len(pictures))
                    shown[number] += 1
                    picture[:, panel * width : (panel + 1) * width] = pictures[index]
                    here[panel] = keypoints[index]
                    astray = width / 2 if now < astray_seconds * 1000 else 0
                    here[panel, here[panel, :, 2] > 0, 0] += panel * width + astray
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = now, Fraction(1, 1000)
                container.mux(stream.encode(frame))
                times.append(now / 1000)
                joints.append(here)
                now += step_ms[len(times) % len(step_ms)]
        container.mux(stream.encode(None))
    np.savez(
        path.with_suffix(".keypoints.npz"),
        keypoints=np.stack(joints), t_seconds=np.array(times), layout=np.array("coco17"),
        size_wh=np.array([width * num_panels, height]),
    )  # fmt: skip
    return path


def _bounced(number: int, length: int) -> int:
    """Forwards and backwards, without a jump."""
    at = number % (2 * length - 2)
    return at if at < length else 2 * length - 2 - at


def offline(
    path: Path, folder: Path, model: LoadedModel, settings: TimelineSettings, spec: PreprocessSpec = SPEC
) -> Timeline:
    """The timeline by way of a store."""
    source = discover([path], sidecars=spec.pose == "sidecar")[0][0]
    store = Store.create(folder, spec={}, contract=dict(model.contract), codec=spec.codec)
    writer = ShardWriter(folder, codec=spec.codec, crop_size=spec.crop_size, jpeg_quality=spec.jpeg_quality)
    facts, spans = spans_of(source, spec)
    outcomes = [
        process_segment(source, "key", spec, engines(), writer, span=span, facts=facts) for span in spans
    ]
    writer.seal()
    store.commit(assemble([source], "key", outcomes, spec))
    return make_timeline(model, StoreReader(folder), "key", settings)


def stream(
    path: Path, model: LoadedModel, settings: TimelineSettings, spec: PreprocessSpec = SPEC
) -> tuple[LiveEngine, list[dict[str, Any]]]:
    """The engine and all its events."""
    feed = FileFeed(path, spec)
    engine = LiveEngine(model, settings, spec, engines(), feed.source, feed.facts, feed.spans)
    events = [engine.start()]
    damage = None
    try:
        for fed in feed.frames():
            events += engine.push(fed.source_index, fed.frame, fed.holes)
    except InputError as error:
        damage = error.reason
    return engine, events + engine.finish(damage)


def assert_same_rows(live: pd.DataFrame, reference: pd.DataFrame) -> None:
    """Same rows, numbers to 1e-5. Rows that begin at the same time to a microsecond may come in any order."""
    tables = []
    for table in (live, reference):
        keys = pd.DataFrame({"t": table["t_start"].round(6), "person": table["person"].fillna(-1)})
        tables.append(table.loc[keys.sort_values(["t", "person"]).index].reset_index(drop=True))
    assert list(live.columns) == list(reference.columns)
    pd.testing.assert_frame_equal(*tables, check_dtype=False, rtol=0, atol=1e-5)


def counts(events: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return Counter(event["event"] for event in events)
