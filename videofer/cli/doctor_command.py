"""`videofer doctor`: what works here, how fast, and what mends the rest."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs; keys in docs/install.md.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Time nothing and do not start Ray.")] = False,
) -> int:
    """What is installed, which engines work here and how fast, and the command that mends each other one.

    Takes about half a minute, downloads nothing and changes nothing. Exit code 3 if something is broken that
    videofer cannot do without.
    """
    from videofer.doctor.command import doctor as examine_and_show

    return examine_and_show(as_json=as_json, quick=quick)
