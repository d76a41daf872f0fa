"""tools/degraded_faces.py: the picture of the docs, from any store with faces of three people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.videofer.small_store import crop_of, make_store
from tools import degraded_faces

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("kind", degraded_faces.KINDS)
def test_each_kind_is_seen(kind: str) -> None:
    face = crop_of(3, 2)[1]
    face[::7] = 255 - face[::7]  # lines, which small and blurred pictures lose
    shown = degraded_faces.strongest(face, degraded_faces.only(kind))
    assert np.abs(shown.astype(int) - face).mean() > 2
    assert (np.ptp(shown.astype(int), axis=2).max() == 0) == (kind == "grey")


def test_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"videos/{subject}/{take}.mp4" for subject in ("a", "b", "c") for take in (0, 1)]
    make_store(tmp_path / "store", names, num_frames=4)
    monkeypatch.setattr("sys.argv", ["x", "--store", str(tmp_path / "store"), "--out", str(tmp_path)])
    degraded_faces.main()
    picture = cv2.imread(str(tmp_path / "degraded_faces.png"))
    assert picture is not None and picture.shape == (430, 1560, 3)
    columns = 1 + len(degraded_faces.KINDS) + 4
    cells = np.array_split(picture[50:420].astype(int), columns, axis=1)
    assert all(np.ptp(cell) > 100 for cell in cells)
