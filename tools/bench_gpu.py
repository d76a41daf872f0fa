"""Preprocessing and training with a GPU, end to end: rates, how busy all were, and what limits them.

    make bench-gpu   (or: .venv/bin/python tools/bench_gpu.py [--parts pipeline,training] [--write])

Parts, both by default:

    pipeline   `videofer preprocess --gpu` on many files of 640x360 at once, made here, a face in every frame,
               each engine that is usable here; beside it the same with networks on the workers' cores.
               Rates are taken from when each worker has finished a video to the last video
    training   two epochs of shipped recipes from a synthetic store (made here: minutes; or --store): the
               share of time in which the steps did not wait for samples

Besides: how busy the device was by the clock of the process that holds it and by nvidia-smi, the mean batch,
and the CPU time of a frame by kind of process. The aims: 1,000 face-analysed frames/s, and a device that is
over 90 % busy in training. --write puts the figures into docs/benchmarks.md, between its markers.

--device cpu tries all this without a GPU: one process stands for it. Its figures mean nothing for a GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where videofer is not installed

import torch

from preprocessing.device import CPU, FIRST_GPU, Device
from preprocessing.engines import engines_of
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import usable_cores
from preprocessing.weights import WeightsError
from tools.bench import test_data
from tools.bench_train import SHIPPED, make_store
from tools.gpu_bench import pipeline, training
from tools.gpu_bench.pipeline import Case, Figures
from tools.gpu_bench.text import page_text, write_into
from tools.gpu_bench.training import TrainingFigures
from tools.speed.setting import make_video
from videofer.training.environment import device_name

PARTS = ("pipeline", "training")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
ENGINES: dict[str, dict[str, str]] = {
    "faces yunet": {"faces": "yunet"},
    "faces mtcnn": {"faces": "mtcnn"},
    "faces face-alignment:blazeface": {"faces": "face-alignment:blazeface"},
    "faces yunet, landmarks fan": {"faces": "yunet", "landmarks": "fan"},
    "faces yunet, skeletons": {
        "faces": "yunet",
        "pose": "onnx:tinypose_256x192.onnx,rtmdet_nano_person_end2end.onnx",
    },
}
"""What is measured, where its weights are. A look every 5th frame, whatever moves or does not."""


def cases_of(names: list[str], device: Device, workers: list[int], weights_dir: Path | None) -> list[Case]:
    """Every engine that can be had here, on the cores with as many workers as cores, and on the device."""
    cases = []
    for name in names:
        spec = PreprocessSpec(detect_longest_seconds=0.01, **ENGINES[name])  # type: ignore[arg-type]
        try:
            engines_of(spec, weights_dir)
        except WeightsError as error:
            print(f"left out: {name}: {error}")
            continue
        cases.append(Case(name, spec, None, workers[0]))
        cases += [Case(name, spec, device, number) for number in workers]
    return cases


def pipeline_figures(
    cases: list[Case], folder: Path, num_frames: int, videos_a_worker: int, weights_dir: Path | None
) -> list[Figures]:
    """Each case on files of the same pictures."""
    video = folder / "bench.mp4"
    make_video(video, num_frames, height=360)
    most = max(case.num_workers for case in cases)
    videos = copies(video, folder / "videos", videos_a_worker * most)
    figures = []
    for case in cases:
        some = videos[: videos_a_worker * case.num_workers]
        figures.append(pipeline.measure(case, some, folder / "store", weights_dir))
        newest = figures[-1]
        where = case.device or "the cores"
        print(
            f"{case.name}, networks on {where}, {case.num_workers} workers: "
            f"{newest.frames_per_second:,.0f} frames/s; limit: {newest.bottleneck}",
            flush=True,
        )
    return figures


def copies(video: Path, folder: Path, count: int) -> list[Path]:
    """So many files with the same pictures and different content: each ends with a free box of its own."""
    folder.mkdir()
    data = video.read_bytes()
    paths = [folder / f"{number}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(data + (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big"))
    return paths


def training_figures(device: Device, store: Path | None, folder: Path) -> list[TrainingFigures]:
    """Each shipped recipe."""
    store = store or make_store(folder)
    recipes = [training.recipe_of(name, device) for name in SHIPPED]
    return [training.measure(recipe, store, folder / recipe.name) for recipe in recipes]


def machine(device: Device) -> str:
    """For the page."""
    gpus = torch.cuda.device_count() if device != CPU else 0
    name = device_name(torch.device(device))
    return f"{gpus} x {name}, {usable_cores()} cores" if gpus else f"{usable_cores()} cores of {name}, no GPU"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = usable_cores()
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--device", default=FIRST_GPU if torch.cuda.is_available() else CPU)
    parser.add_argument("--engines", default=";".join(ENGINES), help="some of them, with ; between")
    parser.add_argument("--workers", default=f"{cores},{2 * cores}", help="how many, each is measured")
    parser.add_argument("--frames", type=int, default=1500, help="of a video")
    parser.add_argument("--videos-a-worker", type=int, default=5)
    parser.add_argument("--weights-dir", type=Path, help="by default $VIDEOFER_WEIGHTS, or the test data")
    parser.add_argument("--store", type=Path, help="of training: a labelled one, instead of a synthetic one")
    parser.add_argument("--write", nargs="?", type=Path, const=PAGE, help="a page, by default the benchmarks")
    given = parser.parse_args(arguments)
    parts, names = given.parts.split(","), given.engines.split(";")
    if not set(parts) <= set(PARTS):
        parser.error(f"--parts must be of {', '.join(PARTS)}, not {given.parts}")
    if not set(names) <= set(ENGINES):
        parser.error(f"--engines must be of {'; '.join(ENGINES)}, not {given.engines}")
    workers = [int(number) for number in given.workers.split(",")]
    weights_dir = given.weights_dir
    if weights_dir is None and "VIDEOFER_WEIGHTS" not in os.environ:
        weights_dir = test_data("weights")
    print(machine(given.device), flush=True)
    figures: list[Figures] = []
    trained: list[TrainingFigures] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "pipeline" in parts:
            cases = cases_of(names, given.device, workers, weights_dir)
            figures = pipeline_figures(cases, folder, given.frames, given.videos_a_worker, weights_dir)
        if "training" in parts:
            trained = training_figures(given.device, given.store, folder)
    text = page_text(machine(given.device), figures, trained)
    print(f"\n{text}")
    if given.write == PAGE and given.device == CPU:
        print(f"\nno GPU: {PAGE.name} stays as it is")
    elif given.write is not None:
        write_into(given.write, text)


if __name__ == "__main__":
    main()
