"""Options that `annotations` and `agree` share: which tiers, what their labels mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

Tiers = Annotated[
    list[str] | None, typer.Option("--tier", metavar="T", help="Only this tier or observation; repeatable.")
]
RenamedLabels = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="THEIRS=OURS", help="What a label of the files means; repeatable."),
]
IgnoredLabels = Annotated[
    list[str] | None,
    typer.Option("--ignore-label", metavar="THEIRS", help="A label that is no emotion; repeatable."),
]
ClassNames = Annotated[
    list[str] | None,
    typer.Option("--class", metavar="NAME", help="A label that counts as it is; repeatable."),
]
PointSeconds = Annotated[
    float | None,
    typer.Option(min=0.001, help="How long a point event lasts, around its time; else they are left out."),
]


def pairs_of(options: Sequence[str]) -> dict[str, str]:
    """`["glad=happiness"]` as a dict. Usage error where one is no pair, or one label means two things."""
    pairs: dict[str, str] = {}
    for option in options:
        theirs, sign, ours = option.rpartition("=")
        if not sign or not theirs.strip() or not ours.strip():
            raise typer.BadParameter(f"--map is {option!r}, must be THEIRS=OURS")
        if pairs.setdefault(theirs.strip(), ours.strip()) != ours.strip():
            raise typer.BadParameter(f"--map gives {theirs!r} two meanings")
    return pairs


def numbers_of(options: Sequence[str]) -> dict[str, int]:
    """`["0=Anna"]` as name -> person; several names may mean one person. Usage error for another form."""
    numbers: dict[str, int] = {}
    for option in options:
        number, sign, name = option.partition("=")
        if not (sign and name.strip() and number.strip().isascii() and number.strip().isdecimal()):
            raise typer.BadParameter(f"--name is {option!r}, must be NUMBER=NAME, such as 0=Anna")
        if numbers.setdefault(name.strip(), int(number)) != int(number):
            raise typer.BadParameter(f"--name gives two persons the name {name.strip()!r}")
    return numbers


def two_of(option: str, values: Sequence[str] | None) -> tuple[str | None, str | None]:
    """One value is for both files, two are one for each. Usage error for more."""
    if not values:
        return None, None
    if len(values) > 2:
        raise typer.BadParameter(f"{option} is given {len(values)} times; there are two files")
    return values[0], values[-1]
