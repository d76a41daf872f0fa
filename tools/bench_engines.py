"""Every engine side by side, in one run: speed, what it finds, how far engines agree, memory, licence.

    .venv/bin/python -m tools.bench_engines [--write] [--kinds decoder,faces] [--videos DIR] ...

Each engine works alone in a process of its own, on one thread, as a worker of preprocessing does; its speed
is counted in processor time, by which engines that take more threads gain nothing. Decoders read all frames
of the test videos; the others see a few pictures of each of them, made small as preprocessing makes them.
Dense landmarks are looked for where the first usable face detector found faces, and people in every picture.
What the videos show was counted by eye, see `tools/engine_bench/material.py`.

--write puts the table into docs/engines.md, between its markers. On a busy machine even processor time grows:
keep it quiet. Videos and weights are taken from the test data beside the checkout unless said otherwise; an
engine that is not usable here is listed with the reason.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from preprocessing.stage.threads import one_thread_environment
from tools.engine_bench import agree
from tools.engine_bench.engines import ENGINES, Engine, Kind
from tools.engine_bench.material import Picture, pictures
from tools.engine_bench.measure import Measured, Work, in_its_own_process
from tools.engine_bench.page import NONE, Row, table, write_into

PAGE = Path(__file__).resolve().parents[1] / "docs" / "engines.md"
SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi"}


def main() -> None:
    from tools.bench import (
        test_data,
    )  # here: the processes of the engines import this module, and shall be light

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, default=test_data("videos"))
    parser.add_argument("--weights-dir", type=Path, default=test_data("weights"))
    parser.add_argument("--kinds", default=",".join(get_args(Kind)), help="some of them, with commas between")
    parser.add_argument("--pictures", type=int, default=12, help="of each video")
    parser.add_argument("--repeats", type=int, default=3, help="the best one counts")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    arguments = parser.parse_args()
    if arguments.videos is None:
        parser.error("no test data beside the checkout: give --videos DIR")
    kinds = arguments.kinds.split(",")
    if unknown := set(kinds) - set(get_args(Kind)):
        parser.error(f"--kinds: no {', '.join(unknown)}; there are {', '.join(get_args(Kind))}")
    with one_thread_environment():
        text = measure_all(
            [engine for engine in ENGINES if engine.kind in kinds],
            arguments.videos,
            arguments.weights_dir,
            per_video=arguments.pictures,
            repeats=arguments.repeats,
        )
    print(text)
    if arguments.write:
        write_into(PAGE, text)


def measure_all(
    engines: Sequence[Engine], videos: Path, weights_dir: Path | None, *, per_video: int, repeats: int
) -> str:
    """The tables."""
    paths = sorted(path for path in videos.rglob("*.*") if path.suffix in SUFFIXES)
    shown = pictures(videos, per_video)
    faces: list[np.ndarray] = []
    figures: dict[Engine, Measured] = {}
    unusable: list[tuple[Engine, str]] = []
    for engine in engines:
        print(f"{engine.kind} {engine.name} ...", flush=True)
        is_decoder = engine.kind == "decoder"
        if engine.kind == "landmarks" and not faces:
            unusable.append((engine, "no face detector was measured beside it"))
            continue
        work = Work(
            engine, [] if is_decoder else shown, paths if is_decoder else [], faces, weights_dir, repeats
        )
        measured = in_its_own_process(work)
        if isinstance(measured, str):
            unusable.append((engine, measured))
            continue
        figures[engine] = measured
        if engine.kind == "faces" and not faces:
            faces = measured.results
    rows = [row for kind in get_args(Kind) for row in _rows(kind, figures, shown, faces)]
    videos_text = f"{len(paths)} videos for decoders, {len(shown)} pictures for the others"
    return table(rows, unusable, f"Measured on {_machine()}; {videos_text}.")


def _rows(
    kind: Kind, figures: dict[Engine, Measured], shown: list[Picture], faces: list[np.ndarray]
) -> list[Row]:
    chosen = {engine: measured for engine, measured in figures.items() if engine.kind == kind}
    results = {engine.name: measured.results for engine, measured in chosen.items()}
    agreements = _agreements(kind, results, faces)
    return [
        Row(
            engine,
            measured.frames_per_second,
            measured.memory_mib,
            _found(kind, measured.results, shown),
            agreements[engine.name],
        )
        for engine, measured in chosen.items()
    ]


def _agreements(kind: Kind, results: dict[str, list[Any]], faces: list[np.ndarray]) -> dict[str, str]:
    """In words, for each engine: with all others of its kind."""
    match kind:
        case "decoder":
            by_time = {name: [shown for _, shown in found] for name, found in results.items()}
            return _say(agree.of_each(by_time, agree.level_distances), "{:.1f} of 255 levels apart")
        case "faces":
            return _say(agree.of_each(results, agree.landmark_distances), "landmarks {:.1%} apart")
        case "landmarks":
            apart = _say(agree.of_each(results, agree.point_distances), "points {:.1%} apart")
            for name, found in results.items():
                five = [d for a, b in zip(found, faces, strict=True) for d in agree.five_from_detector(a, b)]
                with_detector = f"{100 * np.mean(five):.1f} % from the detector's five" if five else NONE
                apart[name] = ", ".join(part for part in (apart[name], with_detector) if part != NONE) or NONE
            return apart
        case "pose":
            return _say(agree.of_each(results, agree.keypoint_similarity), "OKS {:.2f}")


def _say(values: dict[str, float], form: str) -> dict[str, str]:
    texts = {name: form.format(value).replace("%", " %") for name, value in values.items()}
    return {name: text if np.isfinite(values[name]) else NONE for name, text in texts.items()}


def _found(kind: Kind, results: list[Any], shown: list[Picture]) -> str:
    match kind:
        case "decoder":
            return f"{sum(bool(times) for times, _ in results)} of {len(results)} videos"
        case "faces":
            sure = [int(rows[:, -1].sum()) for rows in results]
            found, of, more = agree.found_of([len(r) for r in results], sure, [p.faces for p in shown])
            return f"{found} of {of} faces, {more} too many"
        case "landmarks":
            looked = sum(len(points) for points in results)
            return f"{sum(int(np.isfinite(p).all(axis=(1, 2)).sum()) for p in results)} of {looked} faces"
        case "pose":
            counts = [len(bodies) for bodies in results]
            found, of, more = agree.found_of(counts, counts, [p.bodies for p in shown])
            return f"{found} of {of} people, {more} too many"


def _machine() -> str:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{cpu}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
