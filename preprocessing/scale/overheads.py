"""What one driver and one store can take, beside the work itself. Measured by `tools/bench_scale.py`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cache.errors import UserError


@dataclass(frozen=True)
class Overheads:
    """Seconds of the driver alone; it does one thing at a time. The defaults are of a local disk."""

    job_seconds: float = 0.0008  # handing out a job, taking its answer, committing it
    commit_seconds: float = 0.0  # a video's record, where that is not in job_seconds
    plan_seconds: float = 0.0002  # an input that is in the store already, at the start of a run
    open_seconds: float = 0.0002  # a video's record, when a store is opened without its index
    watch_seconds: float = 0.00004  # for each worker and second, whatever it does
    worker_start_seconds: float = 5.0  # of a worker process until its first job

    def save(self, path: Path) -> None:
        """As `read_overheads` reads it."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read_overheads(path: Path) -> Overheads:
    """UserError where the file is not one of `tools/bench_scale.py --json`."""
    try:
        return Overheads(**{name: float(value) for name, value in json.loads(path.read_bytes()).items()})
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{path} does not hold the keys {', '.join(asdict(Overheads()))}") from None
