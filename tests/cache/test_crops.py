"""Crops on their way into a segment: their encoding can be timed, and nothing else with it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import pytest

from cache.schema import Codec
from tests.cache.parts import TIME_BASE, make_faces, make_store, make_writer


class Stage:
    """Counts how often it was entered, like a meter's stage."""

    def __init__(self) -> None:
        self.num_entered = 0
        self.is_open = False

    def __enter__(self) -> None:
        assert not self.is_open
        self.num_entered += 1
        self.is_open = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_open = False


@pytest.mark.parametrize(("codec", "times"), [("jpeg", 2), ("plain", 0)])
def test_only_jpeg_encoding_is_timed(tmp_path: Path, codec: Codec, times: int) -> None:
    store = make_store(tmp_path / "store", codec)
    writer, stage = make_writer(store), Stage()
    segment = writer.begin_segment("a", 0, TIME_BASE, encoding=stage)
    segment.append_frames(np.arange(20) * 40)
    segment.append_faces(segment.open_track("face", 0), make_faces(np.random.default_rng(0), 20))
    assert stage.num_entered == times  # 20 crops are one full chunk of 16 and the begin of another
    segment.finish(800)
    writer.seal()
    assert stage.num_entered == times
    assert not stage.is_open
