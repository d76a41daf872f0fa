"""The command itself, without any library: `videofer doctor` and `python -m videofer.doctor` are this."""

from __future__ import annotations

import json
import sys

from videofer.doctor import examine
from videofer.doctor.text import progress, progress_done, show

HEALTHY, UNHEALTHY = 0, 3


def doctor(*, as_json: bool, quick: bool) -> int:
    """Look, show, and tell by the exit code whether what videofer needs works: 0, or 3 where it does not."""
    try:
        report = examine(quick=quick, on_start=progress)
    finally:
        progress_done()
    if as_json:
        print(json.dumps(report.to_json(), indent=2))
    else:
        show(report, sys.stdout)
    return HEALTHY if report.healthy else UNHEALTHY
