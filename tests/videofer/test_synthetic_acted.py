"""The synthetic acted set: GEMEP's layout and counts, known faces, gestures and joints, its ceilings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from tests.videofer.miniatures import gemep
from videofer.cli import app
from videofer.cli.errors import one_line_errors
from videofer.datasets.adapters import read, recognise
from videofer.emotions.label_sets import LABEL_SETS
from videofer.synthetic.acted import FPS, ActedSet, make_acted, plan_acted, render_acted
from videofer.synthetic.acted_acting import FACES, body_poses, face_actions
from videofer.synthetic.acted_states import (
    FACE_AND_GESTURE,
    MASKED_FACE_SHARE,
    STATES,
    Shown,
    ceilings,
    draw_shown,
)
from videofer.synthetic.face import ACTION
from videofer.synthetic.render import SyntheticError


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> ActedSet:
    """The seven classes by two performers."""
    return make_acted(tmp_path_factory.mktemp("acted") / "set", classes=7, num_performers=2, num_workers=0)


def test_its_portrayals_are_those_of_the_core_set() -> None:
    planned = [(int(v.subject.name), v.portrayal.shown.state) for v in plan_acted()]
    assert sorted(planned) == sorted(gemep.portrayals())
    assert [len(plan_acted(classes=classes)) for classes in (7, 12, 17)] == [55, 120, 145]


def test_a_portrayal_does_not_depend_on_which_others_are_made() -> None:
    everything = {video.path: video for video in plan_acted(seed=3)}
    assert all(everything[v.path] == v for v in plan_acted(classes=7, num_performers=4, seed=3))
    assert plan_acted(seed=4)[0] != plan_acted(seed=3)[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": 6}, "classes is 6"),
        ({"num_performers": 1}, "2 to 10"),
        ({"num_performers": 11}, "2 to 10"),
    ],
)
def test_impossible_numbers_fail(options: dict[str, int], words: str, tmp_path: Path) -> None:
    with pytest.raises(SyntheticError, match=words):
        make_acted(tmp_path / "set", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


def test_no_look_tells_a_state_but_each_pair_does() -> None:
    assert set(FACE_AND_GESTURE) == set(STATES)
    assert len(set(FACE_AND_GESTURE.values())) == len(STATES)
    twelve = [FACE_AND_GESTURE[state] for state in LABEL_SETS["gemep12"].classes]
    for part in (0, 1):
        assert set(Counter(pair[part] for pair in twelve).values()) == {2}
    assert set(FACES) == {face for face, _ in FACE_AND_GESTURE.values()}


def test_ceilings_leave_room_for_both_modalities() -> None:
    shown = [video.portrayal.shown for video in plan_acted()]
    for name, highest in (("gemep7", 0.72), ("gemep12", 0.50)):
        best = ceilings(shown, LABEL_SETS[name].classes)
        assert max(best["face"], best["body"]) <= highest
        assert best["whole"] >= max(best["face"], best["body"]) + 0.2
    with pytest.raises(ValueError, match="no portrayal"):
        ceilings(shown, ["shame"])


def test_ceilings_of_a_case_done_by_hand() -> None:
    """Anger and joy share the gesture, anger and irritation the face."""
    shown = [Shown("anger"), Shown("joy"), Shown("irritation"), Shown("anger", face_shown=False)]
    best = ceilings(shown, ["anger", "joy", "irritation"])
    # Anger comes twice as often: a scowl, a raised arm and a neutral face are taken for anger.
    assert best == {"face": 3 / 4, "body": 3 / 4, "whole": 1.0}


def test_shares_of_what_is_hidden() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_shown("anger", rng) for _ in range(4000)]
    assert np.mean([not one.face_shown for one in drawn]) == pytest.approx(MASKED_FACE_SHARE, abs=0.02)
    assert not any(not one.face_shown and not one.body_shown for one in drawn)
    assert (
        Shown("anger", face_shown=False).face == "rest" and Shown("anger", body_shown=False).gesture == "rest"
    )


def test_faces_and_gestures_are_held_to_the_end() -> None:
    for video in plan_acted(num_performers=2):
        t = np.arange(video.num_frames) / FPS
        shown, held = video.portrayal.shown, t > 0.6
        actions = face_actions(video.portrayal, t)
        poses = body_poses(video.portrayal, video.subject, t)
        assert np.isfinite(actions).all() and np.isfinite(poses).all()
        if shown.face == "agape":
            assert actions[held, ACTION["mouth_open"]].min() > 0.3
        elif shown.face == "rest":
            assert actions[held, ACTION["mouth_open"]].max() == 0
        moved = np.abs(poses[held] - poses[0]).max()
        assert moved > 8 if shown.body_shown else moved < 15


def test_files_are_as_the_adapter_wants_them(acted: ActedSet) -> None:
    assert recognise(acted.root)[0][0].name == "gemep"
    reading = read(acted.root)
    assert len(reading.table) == acted.num_videos == 11 and not reading.coverage.odd
    assert set(reading.table["performer"]) == {"01", "02"}
    assert reading.coverage.expected is None and reading.preprocess == "--pose sidecar"
    assert reading.quirks[0].startswith("SYNTHETIC") and "GEMEP/SYNTHETIC.txt" in reading.quirks[0]
    assert acted.about.read_text(encoding="utf-8").startswith("This is not GEMEP.")
    shown = pd.read_csv(acted.shown, dtype=str)
    assert dict(zip(shown["path"], shown["state"], strict=True)) == dict(
        zip(reading.table["name"], reading.table["label"], strict=True)
    )


def test_the_true_set_is_not_called_synthetic(acted: ActedSet) -> None:
    text = acted.about.read_text(encoding="utf-8")
    acted.about.unlink()
    try:
        reading = read(acted.root)
    finally:
        acted.about.write_text(text, encoding="utf-8")
    assert reading.coverage.expected == 145 and not any("SYNTHETIC" in line for line in reading.quirks)


def test_videos_and_joints_agree(acted: ActedSet) -> None:
    for path in sorted(acted.videos.glob("*.mp4"))[:3]:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            assert float(stream.average_rate or 0) == FPS
        with np.load(path.with_suffix(".keypoints.npz"), allow_pickle=False) as sidecar:
            keypoints, size = sidecar["keypoints"], tuple(sidecar["size_wh"])
        assert keypoints.shape == (len(pictures), 1, 17, 3) and size == pictures[0].shape[1::-1]
        seen = keypoints[:, 0, :, 2] > 0.3
        assert seen.mean() > 0.9  # the whole body is in the picture, feet as well
        assert seen[:, 15:].mean() > 0.9


def test_the_same_bytes_in_any_order(acted: ActedSet, tmp_path: Path) -> None:
    video = plan_acted(classes=7, num_performers=2)[7]
    (tmp_path / video.path).parent.mkdir(parents=True)
    render_acted(video, tmp_path)
    for suffix in (".mp4", ".keypoints.npz"):
        path = Path(video.path).with_suffix(suffix)
        assert (tmp_path / path).read_bytes() == (acted.root / path).read_bytes()


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videofer.synthetic.acted.render_acted", lambda video, out: None)
    arguments = ["datasets", "acted", "--out", str(tmp_path / "set"), "--performers", "2", "--workers", "1"]
    monkeypatch.setattr("videofer.synthetic.acted.render_all", _folders_only)
    assert one_line_errors(app, arguments) == 0
    shown = capsys.readouterr().out
    assert "29 synthetic videos" in shown and "gemep12: face" in shown and "datasets inspect" in shown
    assert one_line_errors(app, arguments) == 2
    assert "is no empty folder" in capsys.readouterr().err


def _folders_only(render: object, videos: list[object], out: Path, *_: object) -> None:
    (out / "GEMEP" / "video").mkdir(parents=True)
