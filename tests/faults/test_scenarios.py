"""The scenarios of tools/faults in short form: real videos, a real Ray, real kills."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tools.faults.bed import Bed, Result
from tools.faults.disks import NotPossibleError, full_disk, read_errors
from tools.faults.drivers import killed_driver, lost_node
from tools.faults.workers import killed_actors, poison, stuck

pytestmark = [pytest.mark.faults, pytest.mark.ray]


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    bed = Bed(num_videos=48, num_frames=250, size=240, workers=2)
    yield bed
    bed.close()


def check(scenario: Callable[[], Result]) -> None:
    try:
        result = scenario()
    except NotPossibleError as reason:
        pytest.skip(str(reason))
    assert result.problems == []
    assert result.verdict.clean and result.verdict.num_stored == result.num_good
    assert result.num_orphans == 0


def test_workers_killed_at_random_times(bed: Bed) -> None:
    check(lambda: killed_actors(bed, num_kills=8, mean_seconds=0.6))


def test_poison_videos_are_given_up_and_no_other_while_workers_are_killed_from_outside(bed: Bed) -> None:
    check(lambda: poison(bed, num_kills=5, mean_seconds=0.6))


def test_videos_that_hang_or_eat_memory_are_given_up_with_their_reasons(bed: Bed) -> None:
    check(lambda: stuck(bed))


def test_a_driver_killed_again_and_again_loses_nothing(bed: Bed) -> None:
    check(lambda: killed_driver(bed, num_kills=3))


def test_a_node_of_two_is_lost(bed: Bed) -> None:
    check(lambda: lost_node(bed))


def test_a_full_disk_ends_the_run_in_one_line_and_blames_no_video(bed: Bed) -> None:
    check(lambda: full_disk(bed, shares=(0.02, 0.6)))


def test_what_could_not_be_read_for_a_while_is_whole_in_the_end(bed: Bed) -> None:
    check(lambda: read_errors(bed))
