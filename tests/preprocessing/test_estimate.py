"""The estimate: children under a watchdog, samples, sums by hand, and a real look at real files."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.engines import resolve_engines
from preprocessing.estimate.children import Limits, Lost, ask_all
from preprocessing.estimate.extrapolate import Interval, extrapolate
from preprocessing.estimate.measure import Measured, measure, slowdown_of
from preprocessing.estimate.sampling import draw_by_size, spread_out, stratify
from preprocessing.estimate.text import forecast, text_of
from preprocessing.estimate.timing import Excerpt, Timing, cut_out
from preprocessing.probe import probe
from preprocessing.scale.rates import read_rates
from preprocessing.spec import PreprocessSpec
from preprocessing.types import InputError, Probe, Source
from tests.videos import write_video

QUICK = Limits(answer_seconds=1.0, max_rss_bytes=400 << 20)


class Behaves:
    """A child that does what it is told."""

    def __call__(self, wish: Any) -> Any:
        if wish == "hang":
            time.sleep(100)
        if wish == "die":
            os.kill(os.getpid(), 9)
        if wish == "raise":
            raise ZeroDivisionError("nobody foresaw it")
        if wish == "grow":
            ballast = bytearray(600 << 20)
            time.sleep(100)
            return len(ballast)
        return wish * 2


def cannot_start() -> Behaves:
    raise ImportError("no such library")


# --- children ------------------------------------------------------------------------------------


def test_every_question_has_its_answer_whatever_the_children_do() -> None:
    wishes = [1, "hang", 2, "die", 3, "raise", 4, "grow", 5]
    answers = dict(ask_all(Behaves, wishes, num_children=3, limits=QUICK))
    assert {n: answers[n] for n in (0, 2, 4, 6, 8)} == {0: 2, 2: 4, 4: 6, 6: 8, 8: 10}
    reasons = [answers[n].reason for n in (1, 3, 5, 7)]
    assert reasons[0] == "no answer in 1 s" and "SIGKILL" in reasons[1]
    assert reasons[2] == "ZeroDivisionError: nobody foresaw it" and "GiB of memory" in reasons[3]
    assert all(isinstance(answers[n], Lost) for n in (1, 3, 5, 7))


def test_nothing_is_asked_after_the_end() -> None:
    began = time.monotonic()
    answers = list(ask_all(Behaves, ["hang"] * 5, num_children=1, limits=Limits(60.0), until=began + 0.5))
    assert answers == [] and time.monotonic() - began < 10


def test_children_that_cannot_start_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="ImportError: no such library"):
        list(ask_all(cannot_start, [1], num_children=1, limits=QUICK))


# --- samples -------------------------------------------------------------------------------------


def sources_of(*names: str) -> list[Source]:
    return [Source(Path(name), name, "image" if name.endswith(".png") else "video") for name in names]


@given(
    st.lists(st.tuples(st.sampled_from([".mp4", ".avi", ".png"]), st.integers(0, 1000)), min_size=1),
    st.integers(1, 30),
)
def test_strata_hold_everything_once_and_all_are_seen_early(
    files: list[tuple[str, int]], wanted: int
) -> None:
    sources = sources_of(*(f"v{n}{suffix}" for n, (suffix, _) in enumerate(files)))
    strata = stratify(sources, np.array([size for _, size in files], float))
    assert sorted(index for stratum in strata for index in stratum.members) == list(range(len(files)))
    for stratum in strata:
        assert {sources[index].path.suffix for index in stratum.members} == {stratum.ending}
    chosen = spread_out(strata, max(wanted, len(strata)))
    assert len(set(chosen)) == len(chosen) == min(len(files), max(wanted, len(strata)))
    assert all(set(chosen) & set(stratum.members) for stratum in strata)


@given(st.lists(st.just(0.0) | st.floats(1e-3, 100.0), min_size=1, max_size=50), st.integers(0, 40))
def test_large_ones_are_drawn_as_often_as_they_are_large(sizes: list[float], number: int) -> None:
    drawn = draw_by_size(np.array(sizes), number)
    total = sum(sizes)
    if total == 0 or number == 0:
        assert drawn == []
        return
    counts = np.bincount(drawn, minlength=len(sizes))
    expected = np.array(sizes) / total * number
    assert counts.sum() == number and (np.abs(counts - expected) < 1 + 1e-6).all()


# --- sums ----------------------------------------------------------------------------------------


def looked(duration: float) -> Probe:
    from fractions import Fraction

    return Probe(64, 48, 0, False, 0, Fraction(1, 25), Fraction(0), duration, "h264", "yuv420p")


def timing(work: float, media: float = 4.0, opening: float = 0.5, size: int | None = 4000) -> Timing:
    return Timing(opening, work, media, int(25 * media), size, opening + work)


def test_all_looked_at_is_a_sum() -> None:
    """100 s and 300 s at 0.1 s a second and 0.5 s each to open, side by side a quarter slower: 51.25 s."""
    sources = sources_of("a.mp4", "b.mp4")
    size = np.array([1e6, 3e6])
    measured = Measured(
        size, stratify(sources, size), {0: looked(100.0), 1: looked(300.0)},
        [(0, timing(0.4)), (1, timing(0.4))], slowdown=1.25, num_beside=2,
    )  # fmt: skip
    estimate = extrapolate(sources, measured)
    assert estimate.media_seconds == Interval(400.0, 400.0, 400.0)
    assert estimate.worker_seconds.value == pytest.approx(1.25 * (40 + 1.0))
    assert estimate.bytes_written.value == pytest.approx(400 * 1000)
    assert estimate.failures == Interval(0.0, 0.0, 0.0) and estimate.bytes_read == 4e6


def test_waits_are_told() -> None:
    """Half of the time of an excerpt was spent on waiting."""
    sources, size = sources_of("a.mp4"), np.array([1e6])
    slow = Timing(0.5, 1.5, 4.0, 100, 4000, 1.0)
    measured = Measured(size, stratify(sources, size), {0: looked(100.0)}, [(0, slow)])
    assert measured.waited_share == 0.5
    result = forecast(
        extrapolate(sources, measured), measured, num_workers=1, cores_per_node=1, segment_seconds=300.0
    )
    assert "they waited 50 % of the time" in text_of(result)


def test_the_rest_is_extrapolated_by_bytes_with_an_interval() -> None:
    """Half of 200 equal files is looked at: 60 s or 120 s each, and one in ten fails."""
    sources = sources_of(*(f"{n:03}.mp4" for n in range(200)))
    size = np.full(200, 1e6)
    looks: dict[int, Probe | InputError] = {
        n: InputError("probe", "empty file") if n % 20 == 0 else looked(60.0 + 60.0 * (n % 4 == 2))
        for n in range(0, 200, 2)
    }
    estimate = extrapolate(sources, Measured(size, stratify(sources, size), looks, [(2, timing(0.4))]))
    real = sum(look.duration or 0.0 for look in looks.values() if isinstance(look, Probe)) * 2
    assert estimate.media_seconds.value == pytest.approx(real, rel=1e-6)
    assert real * 0.8 < estimate.media_seconds.low < real < estimate.media_seconds.high < real * 1.2
    assert estimate.failures.value == pytest.approx(20) and 10 < estimate.failures.low < 20
    assert len(estimate.seen_failures) == 10


def test_stills_count_by_the_piece() -> None:
    sources = sources_of(*(f"{n}.png" for n in range(40)))
    size = np.ones(40)
    stills = [(n, timing(0.0, media=0.0, opening=0.25, size=2000)) for n in range(10)]
    measured = Measured(size, stratify(sources, size), {n: looked(0.0) for n in range(40)}, [], stills)
    estimate = extrapolate(sources, measured)
    assert estimate.worker_seconds.value == pytest.approx(10.0) and estimate.rates is None
    assert estimate.bytes_written.value == pytest.approx(80_000)
    result = forecast(estimate, measured, num_workers=4, cores_per_node=4, segment_seconds=300.0)
    assert result.wall.value == pytest.approx(2.5 + 4.0)  # and Ray's start


def test_slowdown_compares_the_same_excerpts() -> None:
    alone = {0: timing(1.0, opening=0.0), 1: timing(9.0, opening=0.0)}
    assert slowdown_of(alone, {(0, 0): timing(1.5, opening=0.0)}) == 1.5
    assert slowdown_of(alone, {(1, 0): timing(8.0, opening=0.0)}) == 1.0
    assert slowdown_of(alone, {}) == 1.0


# --- real files ----------------------------------------------------------------------------------


def test_an_excerpt_is_a_few_seconds_from_the_middle(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pts=range(25 * 30), codec_options={"g": "25"})
    source = Source(path, "a.mp4", "video")
    facts = probe(source)
    short = cut_out(Excerpt(source, facts.duration, 0.5), tmp_path)
    assert short is not None and short.path.parent == tmp_path
    assert probe(short).duration == pytest.approx(4.0, abs=1.1)
    assert cut_out(Excerpt(source, 5.0, 0.5), tmp_path) is None  # short videos are read whole
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    assert cut_out(Excerpt(Source(tmp_path / "bad.mp4", "bad", "video"), 60.0, 0.5), tmp_path) is None


def test_measure_and_forecast(tmp_path: Path) -> None:
    """A folder of good, bad and cut-off files, as a user has it."""
    for number in range(3):
        write_video(tmp_path / f"{number}.mp4", pts=range(50 * (number + 1)))
    write_video(tmp_path / "long.mkv", pts=range(25 * 40), codec_options={"g": "25"})
    (tmp_path / "empty.mp4").write_bytes(b"")
    sources = sources_of(*(str(path) for path in sorted(tmp_path.iterdir())))
    spec = PreprocessSpec(faces="precropped")
    choices = resolve_engines(faces_name="precropped", pose="none")
    measured = measure(sources, spec, choices, num_workers=2, seconds=2.0)
    assert sorted(measured.looks) == list(range(5)) and measured.start_seconds > 0
    estimate = extrapolate(sources, measured)
    assert estimate.media_seconds.value == pytest.approx(12.0 + 40.0, abs=0.2)
    assert [failure[1:] for failure in estimate.seen_failures] == [("probe", "empty file")]
    assert estimate.num_timed >= 1 and 0.0 < estimate.worker_seconds.value < 52.0
    result = forecast(
        estimate, measured, num_workers=2, cores_per_node=2, segment_seconds=300.0, deadline_hours=1.0
    )
    text = text_of(result)
    for words in ("5 videos", "one node of 2 cores is enough", "probe: empty file", "Nothing was written"):
        assert words in text
    assert estimate.rates is not None
    estimate.rates.save(tmp_path / "rates.json")
    assert read_rates(tmp_path / "rates.json").mean_per_second == estimate.rates.mean_per_second


def test_nothing_to_look_at() -> None:
    estimate_of = partial(extrapolate, [])
    measured = measure([], PreprocessSpec(), None, num_workers=2, seconds=1.0)  # type: ignore[arg-type]
    result = forecast(estimate_of(measured), measured, num_workers=2, cores_per_node=2, segment_seconds=300)
    assert "inputs     none" in text_of(result)
