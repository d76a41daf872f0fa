"""Who is to blame for dead workers: simulated storms of kills, and videos that do kill."""

from __future__ import annotations

import random

import pytest

from preprocessing.stage.blame import Blame


def work(blame: Blame, count: int, seconds: float = 1.0) -> None:
    for number in range(count):
        blame.saw(f"good{number}", seconds, died=False, alone=False)


def deaths_until_guilty(blame: Blame, key: str, seconds: float, limit: int = 100) -> int:
    for number in range(1, limit + 1):
        blame.saw(key, seconds, died=True, alone=True)
        if blame.is_guilty(key):
            return number
    return limit + 1


def test_a_poison_video_is_found_among_good_ones() -> None:
    blame = Blame()
    work(blame, 60)
    assert deaths_until_guilty(blame, "poison", 0.3) <= 8
    assert not blame.is_guilty("good1")


@pytest.mark.parametrize("hours", [1, 10])
def test_a_few_deaths_are_enough_after_quiet_hours(hours: int) -> None:
    blame = Blame()
    work(blame, hours * 3600)
    assert deaths_until_guilty(blame, "poison", 2.0) <= 10


def test_one_death_is_never_enough() -> None:
    blame = Blame()
    work(blame, 100_000)
    blame.saw("poison", 0.001, died=True, alone=True)
    assert not blame.is_guilty("poison")


def test_without_others_to_compare_with_nothing_is_known() -> None:
    assert deaths_until_guilty(Blame(), "only", 0.3) == 101


def test_deaths_in_company_do_not_count() -> None:
    blame = Blame()
    work(blame, 1000)
    for _ in range(20):
        blame.saw("v", 1.0, died=True, alone=False)
    assert not blame.is_guilty("v") and blame.num_deaths_alone("v") == 0


def test_a_burst_after_quiet_hours_is_seen_as_one() -> None:
    blame = Blame()
    work(blame, 36_000)
    for number in range(8):  # every worker is shot, again and again
        for key in ("a", "b", "c"):
            blame.saw(key, 1.0, died=True, alone=number > 0)
    assert not any(blame.is_guilty(key) for key in ("a", "b", "c"))


def test_several_poison_videos_are_all_found() -> None:
    blame = Blame()
    work(blame, 600)
    for _ in range(25):
        for key in ("p", "q", "r"):
            blame.saw(key, 0.2, died=True, alone=True)
            blame.is_guilty(key)
    assert all(blame.is_guilty(key) for key in ("p", "q", "r"))


@pytest.mark.parametrize("seed", range(20))
def test_a_storm_of_kills_blames_no_good_video(seed: int) -> None:
    """Three workers, 300 kills at random times, runs about as long as the time between two kills."""
    rng = random.Random(seed)
    blame, now, kills = Blame(), [0.0, 0.0, 0.0], 0
    jobs: list[tuple[str, bool]] = [(f"v{n}", False) for n in range(400)]
    while kills < 300 and jobs:
        worker = min(range(3), key=lambda w: now[w])
        key, alone = jobs.pop(0)
        seconds, shot = rng.uniform(0.2, 4.0), rng.expovariate(0.5)
        died = shot < seconds
        blame.saw(key, min(seconds, shot), died=died, alone=alone)
        assert not blame.is_guilty(key)
        now[worker] += min(seconds, shot)
        kills += died
        if died:
            jobs.insert(0, (key, True))
    assert kills > 100
