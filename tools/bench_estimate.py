"""How far the dry run is from the real run on the same inputs, in turns.

    .venv/bin/python tools/bench_estimate.py INPUT... [--rounds 3] [--seconds 20] [--looks 1000]
                                             [--weights-dir DIR] [--report FILE]

Each round estimates and then preprocesses into a new store. `--looks` less than the inputs shows the
extrapolation by bytes. `--report` keeps the last run's report, for `videofer plan --rates`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from preprocessing.discover import discover
from preprocessing.engines import engines_of
from preprocessing.estimate import measure as measuring
from preprocessing.estimate.extrapolate import Interval, extrapolate
from preprocessing.estimate.text import forecast
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import usable_cores
from preprocessing.stage.report import RunReport
from preprocessing.stage.run import preprocess


def line(name: str, estimate: Interval, real: float) -> str:
    inside = "inside" if estimate.low <= real <= estimate.high else "OUTSIDE"
    error = 100 * (estimate.value / real - 1) if real else 0.0
    bounds = f"{estimate.low:.4g} to {estimate.high:.4g}"
    return f"  {name:<22}{estimate.value:10.4g}  ({bounds}){real:12.4g}  {error:+6.1f} %  {inside}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--looks", type=int, default=measuring.MAX_LOOKS)
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    spec, cores = PreprocessSpec(), usable_cores()
    measuring.MAX_LOOKS = arguments.looks
    sources, _ = discover(arguments.inputs, sidecars=False)
    choices = engines_of(spec, arguments.weights_dir)
    for number in range(arguments.rounds):
        seen = measuring.measure(
            sources, spec, choices, num_workers=cores, seconds=arguments.seconds, seed=number
        )
        estimate = extrapolate(sources, seen, seed=number)
        result = forecast(
            estimate, seen, num_workers=cores, cores_per_node=cores, segment_seconds=spec.segment_seconds
        )
        ended: list[RunReport] = []
        with tempfile.TemporaryDirectory() as folder:
            preprocess(
                arguments.inputs,
                Path(folder) / "store",
                spec,
                weights_dir=arguments.weights_dir,
                on_end=ended.append,
            )
        (report,) = ended
        print(
            f"round {number + 1}: {len(sources)} inputs, {estimate.num_looked} seen, {estimate.num_timed} "
            f"timed; side by side {seen.slowdown:.2f} times as long; estimate, interval, real, error"
        )
        print(line("seconds of video", estimate.media_seconds, report.media_seconds))
        print(line("worker seconds", estimate.worker_seconds, report.worker_seconds))
        print(line("bytes of the store", estimate.bytes_written, report.bytes_written))
        print(line("failures", estimate.failures, report.num_failures))
        print(line("wall seconds", result.wall, report.wall_seconds))
        if arguments.report is not None:
            arguments.report.write_bytes(report.to_bytes())


if __name__ == "__main__":
    main()
