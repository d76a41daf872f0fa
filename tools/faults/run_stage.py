"""One run of the stage in a process of its own, with a watch that is quicker than the command's.

    python -m tools.faults.run_stage '{"inputs": [...], "out": "STORE", "spec": {...}, "workers": 3}'

Prints one line of JSON: counts, or the one-line error. Exit codes as the command's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main(given: dict[str, Any]) -> int:
    from cache.errors import UserError
    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.run import preprocess
    from preprocessing.stage.watch import Watch

    try:
        report = preprocess(
            [Path(path) for path in given["inputs"]],
            Path(given["out"]),
            PreprocessSpec.model_validate(given["spec"]),
            num_workers=given["workers"],
            ray_address=given.get("ray_address"),
            retry_failed=given.get("retry_failed", False),
            watch=Watch(**given.get("watch", {})),
        )
    except UserError as error:
        print(json.dumps({"error": str(error)}))
        return 2
    totals = asdict(report.totals)
    kept = {name: value for name, value in totals.items() if isinstance(value, int | float)}
    print(json.dumps({**kept, "failures": [asdict(failure) for failure in report.failures]}))
    return 3 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
