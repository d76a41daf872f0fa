"""A hundred broken and hostile files: decoded in watched children, and through the whole stage."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import DATA
from tools.fuzz import GOOD, STAGE_LIMIT_BYTES
from tools.fuzzing.corpus import SOUND, Case, write_corpus
from tools.fuzzing.damage import DAMAGES
from tools.fuzzing.decode_run import Result, run_decoding
from tools.fuzzing.seeds import make_seeds
from tools.fuzzing.stage_run import run_stage

NUM_CASES = 100


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Made from encoded videos and, where they are, from real ones."""
    folder = tmp_path_factory.mktemp("fuzz")
    seeds = make_seeds(folder / "seeds", DATA / "videos", most_real=8)
    return write_corpus(folder / "cases", seeds, NUM_CASES, seed=1)


def check(cases: list[Case], results: list[Result]) -> None:
    """Stored or refused with a reason; sound files whole."""
    for case, result in zip(cases, results, strict=True):
        assert result.outcome in GOOD, f"{case}: {result}"
        assert case.kind != SOUND or result.outcome == "stored whole", f"{case}: {result}"
        assert result.outcome == "stored whole" or result.reason
        assert "\n" not in result.reason
    counts = Counter(result.outcome for result in results)
    assert all(counts[outcome] > 5 for outcome in GOOD), counts


def test_decoding(cases: list[Case]) -> None:
    assert len([case for case in cases if case.kind != SOUND]) == NUM_CASES
    assert set(DAMAGES) <= {case.kind for case in cases}
    results = run_decoding(cases, num_workers=2, limit_bytes=2 << 30)
    check(cases, results)
    for case, result in zip(cases, results, strict=True):
        if case.kind == SOUND and case.path.parent.name == "cases":
            assert result.num_frames > 1


def test_a_hang_a_crash_and_hunger_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge itself: what it must never overlook."""
    from tools.fuzzing import decode_run

    monkeypatch.setattr(decode_run, "HANG_SECONDS", 3.0)
    names = ("hang", "crash", "over memory", "error", "stored whole")
    cases = [Case(name, tmp_path / name) for name in names]
    results = run_decoding(cases, num_workers=2, limit_bytes=1 << 30, decode=misbehave)
    assert [result.outcome for result in results] == list(names)


def misbehave(path: Path) -> Result:
    """Does what its name says."""
    import os
    import time

    match path.name:
        case "hang":
            time.sleep(60)
        case "crash":
            os.abort()
        case "over memory":
            bytearray(3 << 30)
        case "error":
            raise KeyError("nobody foresaw this")
    return Result("stored whole")


@pytest.mark.ray
def test_the_whole_stage(cases: list[Case], tmp_path: Path) -> None:
    weights = DATA / "weights" if (DATA / "weights").is_dir() else None
    run = run_stage(cases, tmp_path / "store", num_workers=2, limit_bytes=STAGE_LIMIT_BYTES, weights=weights)
    assert run.problems == []
    assert run.num_workers_lost == 0
    check(cases, run.results)
