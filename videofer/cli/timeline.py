"""`videofer timeline`: videos in, an emotion timeline for every person out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.options import WeightsDir
from videofer.cli.progress import StageProgress

if TYPE_CHECKING:
    from cache.reader import StoreReader
    from preprocessing.spec import PreprocessSpec
    from videofer.checkpoint import TrainedModel


def timeline(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Videos or folders.")],
    out: Annotated[Path, typer.Option(help="Folder for tables and pictures.")],
    model: Annotated[Path, typer.Option(help="Folder of a run or of an export.")],
    formats: Annotated[str, typer.Option(help="csv, jsonl, parquet and png, or all.")] = "all",
    pose: Annotated[
        str | None, typer.Option(help="none, sidecar or onnx:POSE[,PERSON]; as the model needs.")
    ] = None,
    faces: Annotated[str, typer.Option(help="auto, yunet, mtcnn or precropped")] = "auto",
    weights_dir: WeightsDir = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes for several videos.")] = None,
) -> int:
    """One table and one picture for each video; OUT/store keeps what was preprocessed."""
    from cache.errors import UserError
    from cache.reader import StoreReader
    from preprocessing.stage.run import preprocess
    from videofer.cli.preprocess import SHOWN_FAILURES
    from videofer.export import load_model
    from videofer.timeline.export import check_formats

    try:
        wanted = check_formats(formats.split(","))
    except ValueError as error:
        raise UserError(str(error)) from None
    loaded = load_model(model)
    spec = spec_for(loaded, faces, pose)
    store = out / "store"
    with StageProgress() as progress:
        report = preprocess(
            inputs, store, spec, weights_dir=weights_dir, num_workers=workers, progress=progress
        )
    names = {source.name for source in report.sources}
    reader = StoreReader(store)
    videos = [video for video in reader.videos() if names & set(video.names)]
    paths = write_timelines(loaded, reader, [video.key for video in videos], out, wanted)
    for path in paths:
        typer.echo(path)
    for failure in report.failures[:SHOWN_FAILURES]:
        typer.echo(f"failed {failure.name!r}: {failure.stage}: {failure.reason}", err=True)
    return SOME_FAILED if report.failures else DONE


def spec_for(model: TrainedModel, faces: str = "auto", pose: str | None = None) -> PreprocessSpec:
    """How videos must be preprocessed for a model: by its input contract."""
    from preprocessing.config_file import validate
    from preprocessing.spec import PreprocessSpec

    contract = model.contract
    if pose is None:
        pose = "none" if contract["skeleton"] == "none" else "sidecar"
    values = {
        "faces": "precropped" if contract["alignment"] == "precropped" else faces,
        "pose": pose,
        "crop_size": contract["crop_size"],
        "max_fps": contract["max_fps"],
    }
    if contract["skeleton"] != "none":
        values["skeleton"] = contract["skeleton"]
    return validate(values, PreprocessSpec, source="the command line")


def write_timelines(
    model: TrainedModel, reader: StoreReader, keys: Sequence[str], out: Path, formats: Sequence[str]
) -> list[Path]:
    """Timelines of videos of a store; returns the files written."""
    from videofer.timeline.export import safe_stems, write_timeline
    from videofer.timeline.make import face_strips, make_timeline

    stems = safe_stems([reader.video(key).names[0] for key in keys])
    paths: list[Path] = []
    for key, stem in zip(keys, stems, strict=True):
        table = make_timeline(model, reader, key)
        strips = face_strips(reader, key, table.attrs["duration_seconds"])
        paths += write_timeline(table, out, stem, formats, faces=strips)
    return paths
