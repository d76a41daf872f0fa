"""Reading the store at speed, side by side in one run: 3 minutes, with nothing else on the machine.

    python -m tools.bench_store [--parts reading,loaders,ray,many,index] [--json FILE] [--folder DIR]

Parts:
  reading   one sample (5 clips x 2 frames scattered over 3 s) and 16 consecutive frames, both codecs, 1 to 8
            processes: from a store, and from a flat file of the same bytes, where plain pixels are copied out
            of a NumPy memory map and JPEG files decoded out of one, bare. Warm: all is checked and in the
            page cache. Cold: opening and checking included; files are evicted by posix_fadvise, and mincore
            says which share of them stayed
  loaders   the same samples as training reads them, through DataLoader processes
  ray       and through Ray Data
  many      the first sample of each of 2,000 short videos, by a reader that keeps hardly any
  index     listing the records of 100,000 videos, made up

The crops are 112-pixel faces cut from a photograph, each shifted, lit and with its own noise.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cv2
import numpy as np

from tools.store_bench.loading import measure_loaders, measure_ray
from tools.store_bench.many import measure_first_samples, measure_index
from tools.store_bench.material import make_crops
from tools.store_bench.reading import measure_reading, write_both

PARTS = ("reading", "loaders", "ray", "many", "index")


def run(folder: Path, arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """All rows of each part that is asked for."""
    parts = set(arguments.parts.split(","))
    if unknown := parts - set(PARTS):
        raise SystemExit(f"--parts: {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    results: dict[str, list[dict[str, Any]]] = {}
    size = arguments.tracks, arguments.frames
    if parts & {"reading", "loaders", "ray"}:
        crops = make_crops(np.random.default_rng(0), *size)
        if "reading" in parts:
            results["reading"] = measure_reading(folder, crops, arguments.samples, arguments.rounds)
        else:
            for codec in ("jpeg", "plain"):
                write_both(folder / codec, codec, crops)
        del crops
    if "loaders" in parts:
        results["loaders"] = measure_loaders(folder, *size, 2 * arguments.samples)
    if "ray" in parts:
        results["ray"] = measure_ray(folder, *size, 2 * arguments.samples)
    if "many" in parts:
        results["many"] = measure_first_samples(folder, arguments.videos)
    if "index" in parts:
        results["index"] = measure_index(folder, arguments.records)
    return results


def show(name: str, rows: list[dict[str, Any]]) -> None:
    """One table."""
    print(f"\n{name}")
    widths = [max(len(column), *(len(_cell(row[column])) for row in rows)) for column in rows[0]]
    print("  ".join(column.rjust(width) for column, width in zip(rows[0], widths, strict=True)))
    for row in rows:
        print("  ".join(_cell(value).rjust(width) for value, width in zip(row.values(), widths, strict=True)))


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--tracks", type=int, default=8)
    parser.add_argument("--frames", type=int, default=900, help="of each track")
    parser.add_argument(
        "--samples", type=int, default=400, help="JPEG ones of a measurement; plain: 10 times"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--videos", type=int, default=2000, help="of the part many")
    parser.add_argument("--records", type=int, default=100_000, help="of the part index")
    parser.add_argument("--folder", type=Path, help="where to put the stores; a disk, for cold figures")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)  # before anything is forked: threads of the parent do not live in a child
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        results = run(Path(folder), arguments)
    for name, rows in results.items():
        show(name, rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
