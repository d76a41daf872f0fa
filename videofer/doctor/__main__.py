"""`python -m videofer.doctor [--json] [--quick]`, for where `videofer` itself does not start."""

from __future__ import annotations

import argparse
import sys

from videofer.doctor.command import doctor


def main() -> int:
    """The exit code of `videofer doctor`."""
    parser = argparse.ArgumentParser(prog="python -m videofer.doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="For programs.")
    parser.add_argument("--quick", action="store_true", help="Time nothing, do not start Ray.")
    arguments = parser.parse_args()
    return doctor(as_json=arguments.json, quick=arguments.quick)


if __name__ == "__main__":
    sys.exit(main())
