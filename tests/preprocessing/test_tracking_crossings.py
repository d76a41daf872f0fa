"""Identities through encoded videos of people who cross, hide each other and come back, with known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from preprocessing.engines import Engines, build_engines, resolve_engines
from tools import bench_tracking as bench
from tools.crossings import Truth


@pytest.fixture(scope="module")
def yunet(shared_weights: Path) -> Engines:
    return build_engines(resolve_engines(faces_name="yunet", pose="none", weights_dir=shared_weights))


@pytest.mark.parametrize("name", ["turn back", "relay", "shot reverse"])
def test_identities_hold_where_motion_alone_fails(name: str, yunet: Engines, tmp_path: Path) -> None:
    video, truth = bench.made(name, 0, tmp_path)
    before, after, cut = (
        bench.score(truth, bench.stored_faces(video, yunet, bench.MODES[mode])) for mode in bench.MODES
    )
    assert before.id_f1 < 0.85
    for held in (after, cut):
        assert held.num_switches == 0 and held.id_f1 > 0.97
        assert held.num_persons == held.num_true


def test_the_face_detector_that_is_always_there_serves_too(tmp_path: Path) -> None:
    engines = build_engines(resolve_engines(faces_name="mtcnn", pose="none"))
    video, truth = bench.made("cross", 0, tmp_path)
    found = bench.score(truth, bench.stored_faces(video, engines, bench.MODES["plain"]))
    assert found.num_switches == 0 and found.id_f1 > 0.9 and found.num_persons == 2


def truth_of(*starts: float) -> Truth:
    """Faces of 40 pixels that stand still for 10 frames."""
    boxes = np.array([[[x, 0, x + 40, 40]] * 10 for x in starts], float)
    return Truth(boxes, np.ones((len(starts), 10)), np.zeros((len(starts), 10, 17, 2)))


def test_the_judge_counts_as_by_hand() -> None:
    truth = truth_of(0, 200)
    a, b = truth.face_boxes_xyxy
    assert bench.score(truth, {0: a, 1: b}) == bench.Score(0, 1.0, 2, 2)
    swapped = {0: np.concatenate([a[:5], b[5:]]), 1: np.concatenate([b[:5], a[5:]])}
    assert bench.score(truth, swapped) == bench.Score(2, 0.5, 2, 2)  # both names are right half the time
    gone = np.full((5, 4), np.nan)
    pieces = {0: np.concatenate([a[:5], gone]), 1: b, 2: np.concatenate([gone, a[5:]])}
    assert bench.score(truth, pieces) == bench.Score(1, 0.75, 3, 2)
    hidden = truth_of(0, 20)
    hidden.visible[1] = 0.1  # neither demanded nor counted
    assert bench.score(hidden, {0: hidden.face_boxes_xyxy[0]}) == bench.Score(0, 1.0, 1, 2)
