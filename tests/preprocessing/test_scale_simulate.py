"""The simulated run against cases that can be computed by hand, and against the bounds of list scheduling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.scale.simulate import Cluster, Hazards, Simulated, simulate


def done_once(run: Simulated, num_jobs: int) -> None:
    """Every job was done, and only those that were lost unsealed were done again."""
    finished = np.bincount(run.run_jobs[~run.run_was_lost], minlength=num_jobs)
    assert finished.min() >= 1 and finished.sum() == num_jobs + run.num_redone
    assert run.num_never_done == 0


def test_one_worker_takes_the_sum() -> None:
    run = simulate(np.array([3.0, 1.0, 2.0]), Cluster(1))
    assert run.makespan_seconds == 6.0 and run.busy_seconds == 6.0
    assert run.run_jobs.tolist() == [0, 1, 2] and run.run_starts.tolist() == [0, 3, 4]


def test_equal_jobs_come_in_rounds() -> None:
    run = simulate(np.full(10, 2.0), Cluster(4))
    assert run.makespan_seconds == 6.0  # 4 + 4 + 2
    assert run.num_busy_at(np.array([0.0, 3.9, 4.1, 6.1])).tolist() == [4, 4, 2, 0]


def test_largest_first_beats_largest_last() -> None:
    jobs = np.array([1.0] * 8 + [8.0])
    assert simulate(jobs, Cluster(2)).makespan_seconds == 12.0
    assert simulate(jobs[::-1], Cluster(2)).makespan_seconds == 8.0


def test_a_slow_driver_is_the_limit() -> None:
    """100 workers, 1 s a job, but the driver hands out one in 0.5 s: two at work, the last ends at 51 s."""
    run = simulate(np.ones(100), Cluster(100, driver_seconds=0.5))
    assert run.makespan_seconds == pytest.approx(51.0)
    assert run.num_busy_at(np.array([25.25]))[0] == 2


def test_starts_of_workers_do_not_hold_up_the_others() -> None:
    run = simulate(np.ones(4), Cluster(2, start_seconds=3.0))
    assert run.makespan_seconds == 5.0


def test_nothing_to_do() -> None:
    run = simulate(np.zeros(0), Cluster(3))
    assert run.makespan_seconds == 0.0 and run.num_never_done == 0


def test_a_lost_node_gives_its_jobs_to_the_other() -> None:
    """Two nodes of one worker; the first goes at 3.5 s in its second job; its first one was not sealed."""
    run = simulate(np.full(4, 2.0), Cluster(2, workers_per_node=1), Hazards(node_losses_seconds=(3.5,)))
    assert run.num_deaths == 1 and run.num_redone == 1
    assert run.makespan_seconds == 8.0  # the other one: 2 of its own, then 2 that were lost
    done_once(run, 4)


def test_what_is_sealed_is_not_lost() -> None:
    hazards = Hazards(node_losses_seconds=(3.5,), seal_seconds=0.0)
    run = simulate(np.full(4, 2.0), Cluster(2, workers_per_node=1), hazards)
    assert run.num_redone == 0 and run.makespan_seconds == 6.0
    done_once(run, 4)


def test_without_a_node_left_the_rest_is_never_done() -> None:
    run = simulate(np.ones(5), Cluster(1), Hazards(node_losses_seconds=(2.5,), seal_seconds=0.0))
    assert run.num_never_done == 3 and run.num_deaths == 1


def test_deaths_come_at_their_rate() -> None:
    """1000 worker hours at one death in ten hours: 100 deaths, each costs half a job and those unsealed."""
    run = simulate(np.full(36_000, 100.0), Cluster(50), Hazards(deaths_per_worker_hour=0.1))
    assert 70 < run.num_deaths < 140
    assert run.num_redone < 4 * run.num_deaths  # 300 s of jobs of 100 s
    done_once(run, 36_000)


@pytest.mark.parametrize("values", [(0, 1), (1, 0)])
def test_a_cluster_has_workers(values: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Cluster(*values)


seconds = st.lists(st.floats(min_value=0.0, max_value=1e4), min_size=1, max_size=60)


@settings(deadline=None)
@given(seconds, st.integers(1, 12))
def test_bounds_of_list_scheduling(jobs: list[float], num_workers: int) -> None:
    """None is shorter than the longest job or the fair share; none of a list over Graham's bound."""
    run = simulate(np.array(jobs), Cluster(num_workers))
    total, longest = sum(jobs), max(jobs)
    slack = 1e-6 * (1 + total)
    assert run.makespan_seconds >= max(longest, total / num_workers) - slack
    assert run.makespan_seconds <= total / num_workers + (1 - 1 / num_workers) * longest + slack
    assert run.busy_seconds == pytest.approx(total)
    assert run.num_busy_at(run.run_starts).max() <= num_workers


@settings(deadline=None)
@given(seconds, st.integers(1, 6), st.floats(0.0, 0.5), st.floats(0.1, 20.0), st.integers(0, 9))
def test_with_hazards_every_job_is_done(
    jobs: list[float], num_workers: int, driver: float, deaths: float, seed: int
) -> None:
    jobs = [job / 1000 for job in jobs]  # a worker lives long enough for each
    hazards = Hazards(deaths_per_worker_hour=deaths, seal_seconds=1.0)
    cluster = Cluster(num_workers, driver_seconds=driver, start_seconds=0.5)
    run = simulate(np.array(jobs), cluster, hazards, np.random.default_rng(seed))
    done_once(run, len(jobs))
    floor = max(max(jobs), sum(jobs) / num_workers, driver * len(jobs))
    assert run.makespan_seconds >= floor - 1e-9
