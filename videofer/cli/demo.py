"""`videofer demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path("demo"),
    short: Annotated[bool, typer.Option("--short", help="Less data, fewer epochs, lower floors.")] = False,
) -> int:
    """The whole path on synthetic video: preprocess, train, evaluate, timeline. Fails below its floors."""
    from videofer.demo import run_demo

    return run_demo(out, short=short)
