"""Which tiers an annotation file has: one for each person or, where several classes may hold at once, one for
each class that a person ever shows, for what is in a tier must not overlap. It is called `happiness@Anna`, by
which name it is read as Anna's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from videofer.formats.text import one_line, unlike


@dataclass(frozen=True)
class Tier:
    """label None: of all that a person shows."""

    name: str  # no two alike
    person: int
    label: str | None


def tiers_of(
    names: Mapping[int, str], classes: Sequence[str], shown: Collection[tuple[int, str]]
) -> list[Tier]:
    """names: of persons, whose order tiers have. classes: those with tiers of their own, in order; none: a
    tier for each person. shown: who shows what; who shows nothing has one tier without a class.
    """
    tiers: list[Tier] = []
    for person, name in names.items():
        labels: list[str | None] = [label for label in classes if (person, label) in shown]
        for label in labels or [None]:
            wanted = name if label is None else f"{one_line(label)}@{name}"
            tiers.append(Tier(unlike(wanted, {tier.name for tier in tiers}), person, label))
    return tiers
