"""What the benchmark of the store compares must be the same crops, and what it calls cold must be cold."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from cache.schema import Codec
from tools.store_bench import material, reading


@pytest.mark.parametrize("codec", get_args(Codec))
def test_both_sources_give_the_same_crops(tmp_path: Path, codec: Codec) -> None:
    crops = material.make_crops(np.random.default_rng(0), 2, 80)
    reading.write_both(tmp_path, codec, crops)
    flat, store = reading.open_flat(tmp_path / "flat", codec), reading.open_store(tmp_path / "store")
    for draw in (reading.draw_samples, reading.draw_runs):
        for track, rows in draw(np.random.default_rng(1), 5, 2, 80):
            assert np.array_equal(np.asarray(flat(track, rows)), store(track, rows))


def test_evicted_files_are_not_in_the_page_cache(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (1 << 20))
    with path.open("rb") as file:
        assert material._resident(file.fileno()).all()
    if material.evict(tmp_path) > 0:
        pytest.skip("this file system keeps its pages in memory")
    with path.open("rb") as file:
        assert not material._resident(file.fileno()).any()
