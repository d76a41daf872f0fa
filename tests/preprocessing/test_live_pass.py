"""What a pass that stores nothing gives of a video is what a store has, by either way to place crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cache.reader import StoreReader
from cache.schema import FaceBlock
from preprocessing.decode import decoder_for
from preprocessing.engines import build_engines, engines_of
from preprocessing.live_pass import LivePass
from preprocessing.probe import probe
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from preprocessing.types import Source

VIDEO = "videos/neutral_to_smile.mp4"


def live_crops(video: Path, spec: PreprocessSpec, weights_dir: Path) -> np.ndarray:
    """(n, S, S, 3): of the one face of a video whose frames are all sampled."""
    source = Source(video, video.name, "video")
    facts = probe(source)
    following = LivePass(source, facts, spec, build_engines(engines_of(spec, weights_dir)))
    found, number = [], 0
    for number, frame in enumerate(decoder_for("video").frames(source, facts)):
        found += following.push(number, number, frame.pts * float(facts.time_base), frame)
    found += following.finish(number + 1)
    blocks = [one.block for one in found]
    assert {one.local_id for one in found} == {0}
    assert all(isinstance(block, FaceBlock) for block in blocks)
    return np.concatenate([block.crops for block in blocks if isinstance(block, FaceBlock)])


@pytest.mark.parametrize("align_by", ["five", "dense"])
def test_crops_are_those_of_a_store(
    align_by: str, shared_data: Path, shared_weights: Path, tmp_path: Path
) -> None:
    spec = PreprocessSpec(faces="yunet", landmarks="mesh", align_by=align_by, codec="plain")  # type: ignore[arg-type]
    video = shared_data / VIDEO
    preprocess([video], tmp_path / "store", spec, weights_dir=shared_weights, num_workers=1)
    reader = StoreReader(tmp_path / "store")
    (stored,) = reader.videos()
    track = reader.track(stored.key, 0)
    live = live_crops(video, spec, shared_weights)
    assert len(live) == len(track)
    np.testing.assert_array_equal(live, reader.read_crops(track, np.arange(len(track))))
