from __future__ import annotations

import numpy as np

from preprocessing.tracking.scene import CutDetector


def picture(seed: int, level: float = 120) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(level + rng.normal(0, 60, (18, 32)), 0, 255).astype(np.uint8)


def test_a_cut_is_found_at_its_frame() -> None:
    scenes = [picture(1)] * 10 + [picture(2)] * 10
    cuts = CutDetector()
    assert [n for n, frame in enumerate(scenes) if cuts.is_cut(frame)] == [10]


def test_fast_pans_and_fades_are_no_cuts() -> None:
    wide = np.tile(np.linspace(0, 255, 200), (18, 1)).astype(np.uint8)
    pan = [wide[:, n : n + 32] for n in range(0, 160, 4)]
    fade = [np.clip(picture(3).astype(float) * (1 - n / 20), 0, 255).astype(np.uint8) for n in range(20)]
    for frames in (pan, fade):
        cuts = CutDetector()
        assert not any(cuts.is_cut(frame) for frame in frames)


def test_flicker_is_no_cut() -> None:
    """Every frame differs much from the one before: there is nothing for a cut to stand out against."""
    cuts = CutDetector()
    found = [cuts.is_cut(picture(n)) for n in range(20)]
    assert sum(found[6:]) == 0
