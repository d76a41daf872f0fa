"""What a joint layout is: the joints of a skeleton by name, their order, bones and mirror images.

Left and right are the person's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

LEFT, RIGHT = "left_", "right_"


@dataclass(frozen=True)
class Layout:
    """The joints of a skeleton, in the order in which they are stored."""

    name: str
    joints: tuple[str, ...]
    """Their names as the source of the layout has them."""
    anatomy: tuple[str, ...]
    """What each joint is, in words that all layouts share; joints that are not the same differ here."""
    bones: tuple[tuple[int, int], ...]
    head: tuple[int, ...]
    """Joints that lie in the box of the same person's face."""
    core: tuple[int, ...]
    """Joints that bound a body and count in its score: of a whole body neither face nor fingers."""
    has_sides: bool = True
    """Whether it is known which joints are left and right."""

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @cached_property
    def place(self) -> dict[str, int]:
        """Where a joint stands, by what it is."""
        return {part: joint for joint, part in enumerate(self.anatomy)}

    @cached_property
    def left_right_pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) joints; none where the sides are not known."""
        lefts = [part for part in self.anatomy if part.startswith(LEFT)]
        return tuple((self.place[part], self.place[_twin(part)]) for part in lefts)

    @cached_property
    def mirrored(self) -> tuple[int, ...] | None:
        """Entry j is the joint that stands at joint j's place after a left-right flip of the picture.

        None where the sides are not known.
        """
        return tuple(self.place[_twin(part)] for part in self.anatomy) if self.has_sides else None


def make_layout(
    name: str,
    joints: str,
    chains: Sequence[str],
    *,
    head: str,
    core: str | None = None,
    anatomy: Mapping[str, str] | None = None,
) -> Layout:
    """A layout from names of joints, which stand between blanks.

    chains: joints one behind the other; each step is a bone. core: by default all joints.
    anatomy: what those joints are whose names are not of the shared words.
    """
    names, words = tuple(joints.split()), anatomy or {}
    place = {joint: number for number, joint in enumerate(names)}
    bones = [(place[a], place[b]) for chain in chains for a, b in pairwise(chain.split())]
    return Layout(
        name=name,
        joints=names,
        anatomy=tuple(words.get(joint, joint) for joint in names),
        bones=tuple(dict.fromkeys(bones)),
        head=tuple(place[joint] for joint in head.split()),
        core=tuple(place[joint] for joint in (names if core is None else core.split())),
    )


def both_sides(chains: Sequence[str]) -> tuple[str, ...]:
    """The chains of the left side, and the same of the right side."""
    return (*chains, *(chain.replace(LEFT, RIGHT) for chain in chains))


def _twin(part: str) -> str:
    """The same part of the other side."""
    if part.startswith(LEFT):
        return RIGHT + part.removeprefix(LEFT)
    return LEFT + part.removeprefix(RIGHT) if part.startswith(RIGHT) else part
