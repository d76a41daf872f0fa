"""Tells a video that kills its workers from workers that are killed from outside.

Nobody says how a worker on a cluster died. So a video is judged by comparison: it is guilty when its workers,
which ran nothing else, died so much more often per second of work than those of all other videos that chance
is no explanation. Where nothing else ran to compare with, or others die just as often, it stays open.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CHANCE = 1e-9  # an innocent video is found guilty with about this probability
RECENT_SECONDS = 60.0  # of other videos' work: a burst of kills must not vanish in ten quiet hours,
RECENT_FACTOR = 10.0  # at least so many times the work of the accused


@dataclass(frozen=True, slots=True)
class _Run:
    """One job in one worker, from its submission to its end."""

    key: str
    seconds: float
    died: bool


@dataclass
class Blame:
    """The runs of one driver, and the verdict on a video from them."""

    _runs: list[_Run] = field(default_factory=list)
    _alone: dict[str, list[float]] = field(default_factory=dict)  # key -> seconds of each death alone
    _guilty: set[str] = field(default_factory=set)

    def saw(self, key: str, seconds: float, *, died: bool, alone: bool) -> None:
        """A run of video `key` ended after `seconds` of work.

        died: its process was suddenly gone; False also where the driver ended it, or where it is known that
        the process crashed by itself. alone: the process ran nothing else before.
        """
        self._runs.append(_Run(key, max(seconds, 1e-3), died))
        if died and alone:
            self._alone.setdefault(key, []).append(max(seconds, 1e-3))

    def num_deaths_alone(self, key: str) -> int:
        """How often a worker died that ran nothing but this video."""
        return len(self._alone.get(key, ()))

    def seconds_alone(self, key: str) -> float:
        """What these deaths cost."""
        return sum(self._alone.get(key, ()))

    def is_guilty(self, key: str) -> bool:
        """Whether the deaths of this video's workers cannot be chance. Once guilty, always guilty."""
        if key in self._guilty:
            return True
        deaths = self.num_deaths_alone(key)
        own_seconds = sum(self._alone.get(key, ()))
        if deaths < 2 or self._probability(key, deaths, own_seconds) > CHANCE:
            return False
        self._guilty.add(key)
        return True

    def _probability(self, key: str, deaths: int, own_seconds: float) -> float:
        """Of so many deaths or more, if all workers died at one rate: in the whole run, and recently.

        Given the number of all deaths, those of one video are binomial; its share is that of its work.
        """
        recent = max(RECENT_SECONDS, RECENT_FACTOR * own_seconds)
        other_deaths, other_seconds, recently = 0, 0.0, 0.0
        for run in reversed(self._runs):
            if run.key == key:
                continue
            other_deaths += run.died and run.key not in self._guilty
            other_seconds += run.seconds
            if recently == 0.0 and other_seconds >= recent:
                recently = _tail(deaths, other_deaths, own_seconds, other_seconds)
        return max(recently, _tail(deaths, other_deaths, own_seconds, other_seconds))


def _tail(deaths: int, other_deaths: int, own_seconds: float, other_seconds: float) -> float:
    """Probability that at least `deaths` of all deaths are among the own seconds."""
    from scipy.special import bdtrc

    share = own_seconds / (own_seconds + other_seconds)
    return float(bdtrc(deaths - 1, deaths + other_deaths, share))
