"""Who is who in a stream: the groups that the evidence makes so far, and the numbers that people keep.

The rule is that of a finished video (`preprocessing.tracking.persons.join_persons`), asked again and again
with what is known by then. A person keeps the number; what changes later is an event:

merge   two who had a number each are one; the lower number stays
split   what was taken for one person is two; who came later gets a new number
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cache.schema import PersonRecord
from videofer.live.fragments import Fragment, Key


@dataclass(frozen=True)
class Merge:
    """`gone` was `person` all the time."""

    gone: int
    person: int


@dataclass(frozen=True)
class Split:
    """What `person` was taken for since `seconds` is partly `new`."""

    person: int
    new: int
    seconds: float


@dataclass(frozen=True)
class Identity:
    """A person as known now."""

    number: int
    fragments: tuple[Fragment, ...]
    certainty: float


Change = Merge | Split


class Identities:
    """Gives numbers to persons and keeps them."""

    def __init__(self) -> None:
        self._number_of: dict[Key, int] = {}
        self._next = 0

    def update(
        self,
        records: Sequence[PersonRecord],
        fragments: dict[Key, Fragment],
        is_due: Callable[[PersonRecord], bool],
    ) -> tuple[list[Identity], list[Change]]:
        """The persons that the evidence makes, in the order of their records, and what changed of old ones.

        is_due: whether somebody new is to have a number now; else there is time to learn more.
        """
        found: list[Identity] = []
        changes: list[Change] = []
        members = [_members(record, fragments) for record in records]
        owner = self._owners(members)
        for group, (record, parts) in enumerate(zip(records, members, strict=True)):
            numbers = sorted({self._number_of[one.key] for one in parts if one.key in self._number_of})
            own = [number for number in numbers if owner[number] == group]
            if not own:
                if not numbers and not is_due(record):
                    continue
                own = [self._next]
                self._next += 1
                changes += [Split(number, own[0], record.t_start) for number in numbers]
            changes += [Merge(gone, own[0]) for gone in own[1:]]
            for one in parts:
                self._number_of[one.key] = own[0]
            found.append(Identity(own[0], tuple(parts), record.confidence))
        return found, changes

    def number_of(self, key: Key) -> int | None:
        """Whose this fragment is; None where it is nobody's so far."""
        return self._number_of.get(key)

    def forget(self, key: Key) -> None:
        self._number_of.pop(key, None)

    def _owners(self, members: list[list[Fragment]]) -> dict[int, int]:
        """Number -> the group that keeps it: that of its earliest fragment."""
        first: dict[int, tuple[int, int]] = {}
        for group, parts in enumerate(members):
            for one in parts:
                number = self._number_of.get(one.key)
                if number is not None:
                    first[number] = min(first.get(number, (one.first, group)), (one.first, group))
        return {number: group for number, (_, group) in first.items()}


def _members(record: PersonRecord, fragments: dict[Key, Fragment]) -> list[Fragment]:
    keys: list[Key] = [(span, "face", local_id) for span, local_id in record.faces]
    keys += [(span, "body", local_id) for span, local_id in record.bodies]
    return [fragments[key] for key in keys if key in fragments]
