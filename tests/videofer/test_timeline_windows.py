from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.reader import StoreReader
from cache.schema import State
from tests.videofer.timeline_helpers import add_video, make_model, make_store, reader_of
from videofer.data.sampling import NANOSECONDS, SampleSpec, plan, read
from videofer.timeline.windows import WindowPredictions, plan_windows, predict_windows, window_starts_ns

FPS_25 = np.arange(0, 4001, 40)
OK, ABSENT = State.OK, State.ABSENT


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> StoreReader:
    store = make_store(tmp_path_factory.mktemp("windows") / "store")
    face = [OK] * 40 + [ABSENT] * 25 + [OK] * 35
    add_video(store, "steady", FPS_25, [{"face": (0, face), "body": (10, [OK] * 60)}])
    rng = np.random.default_rng(0)
    vfr = np.concatenate([[0], np.cumsum(rng.choice([20, 33, 40, 100], 70))])
    add_video(store, "vfr", vfr, [{"face": (3, [OK] * 60), "body": None}])
    return reader_of(store)


@settings(max_examples=200)
@given(
    start=st.floats(0, 100), length=st.floats(0.001, 20), window=st.floats(0.1, 5),
    clips=st.integers(1, 8), steps=st.integers(1, 5),
)  # fmt: skip
def test_windows_are_all_those_of_the_grid_that_overlap(
    start: float, length: float, window: float, clips: int, steps: int
) -> None:
    spec = SampleSpec(num_clips=clips, num_frames=1, clip_seconds=window / clips / 2, window_seconds=window)
    starts = window_starts_ns(start, start + length, spec, steps)
    ends = starts + round(window * NANOSECONDS)
    assert (starts < round((start + length) * NANOSECONDS)).all()
    assert (ends > round(start * NANOSECONDS)).all()
    step = spec.hop_ns / steps
    assert np.abs(np.diff(starts) - step).max(initial=0) <= 1
    assert starts[0] - step + round(window * NANOSECONDS) <= round(start * NANOSECONDS) + 1
    assert starts[-1] + step >= round((start + length) * NANOSECONDS) - 1


@pytest.mark.parametrize("key", ["steady", "vfr"])
@pytest.mark.parametrize("sampling", ["window", "interval"])
@pytest.mark.parametrize("steps_per_hop", [1, 3])
def test_windows_equal_the_training_samples_one_by_one(
    reader: StoreReader, key: str, sampling: str, steps_per_hop: int
) -> None:
    """What training would read for the same window, through the whole model, gives the same answer."""
    model, track = make_model(sampling=sampling), reader.track(key, 0)
    found = predict_windows(model, reader, track, steps_per_hop=steps_per_hop)
    spec = model.spec
    for window in range(len(found.starts)):
        t0 = float(found.starts[window])
        t1 = t0 + spec.window_seconds if sampling == "interval" else None
        sample = read(reader, track, plan(track, t0, spec, t1=t1), spec)
        probabilities = model.predict({name: torch.as_tensor(value)[None] for name, value in sample.items()})
        for head in ("face", "body", "fused"):
            np.testing.assert_allclose(
                np.exp(found.log_probs[head][window]), probabilities[head][0].numpy(), atol=2e-5
            )


def test_a_clip_passes_the_trunk_once(reader: StoreReader, monkeypatch: pytest.MonkeyPatch) -> None:
    model, track = make_model(), reader.track("steady", 0)
    face = model.model.face
    assert face is not None
    seen: list[int] = []
    original = face.clip_features
    monkeypatch.setattr(face, "clip_features", lambda frames: (seen.append(len(frames)), original(frames))[1])
    plans = plan_windows(track, model.spec)
    predict_windows(model, reader, track)
    num_clips = sum(int(one.clip_mask.sum()) for one in plans)
    assert sum(seen) == 10 - 3  # 4 s in clips of 0.4 s, three of which lie in the gap
    assert num_clips > 3 * sum(seen)


def test_evidence_is_the_share_of_the_window_that_was_seen(reader: StoreReader) -> None:
    found = predict_windows(make_model(), reader, reader.track("steady", 0))
    at = {round(float(start), 3): i for i, start in enumerate(found.starts)}
    assert min(at) == -1.2
    assert max(at) == 3.6
    assert found.evidence["face"][at[0.0]] == 1
    assert found.evidence["face"][at[-1.2]] == 0.25
    assert found.evidence["face"][at[1.6]] == 0.25
    assert found.evidence["body"][at[0.8]] == 1
    assert found.evidence["body"][at[3.2]] == 0
    np.testing.assert_array_equal(
        found.evidence["fused"], np.maximum(found.evidence["face"], found.evidence["body"])
    )


@pytest.mark.parametrize("parts", ["face", "body"])
def test_models_of_one_modality(reader: StoreReader, parts: str) -> None:
    found = predict_windows(make_model(parts), reader, reader.track("steady", 0))
    assert set(found.log_probs) == {parts}
    np.testing.assert_allclose(np.exp(found.log_probs[parts]).sum(axis=1), 1, atol=1e-5)


def test_a_track_without_a_body_gives_no_evidence_of_one(reader: StoreReader) -> None:
    found: WindowPredictions = predict_windows(make_model("body"), reader, reader.track("vfr", 0))
    assert (found.evidence["body"] == 0).all()


def test_progress_ends_at_one(reader: StoreReader) -> None:
    shares: list[float] = []
    predict_windows(make_model(), reader, reader.track("steady", 0), on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_wrong_steps_fail(reader: StoreReader) -> None:
    with pytest.raises(ValueError, match="steps_per_hop is 0"):
        predict_windows(make_model(), reader, reader.track("steady", 0), steps_per_hop=0)
