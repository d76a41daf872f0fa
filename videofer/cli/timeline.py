"""`videofer timeline`: videos in, an emotion timeline for every person out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cache.errors import UserError
from videofer.builtin import BUILTIN, model_path
from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.model_line import tell_model
from videofer.cli.options import (
    Faces,
    Gpu,
    MinConfidence,
    Model,
    RayAddress,
    Smooth,
    TimelineKeys,
    WeightsDir,
)
from videofer.cli.progress import StageProgress
from videofer.cli.timeline_options import names_of, products_of, settings_of
from videofer.cli.timeline_progress import TimelineProgress
from videofer.study.spec import StudySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.run import StageReport
    from videofer.checkpoint import TrainedModel
    from videofer.study.metadata import Metadata
    from videofer.study.products import ProductOptions
    from videofer.timeline.settings import TimelineSettings

SHOWN_LINES = 20  # of failures and notes
SHOWN_WARNINGS = 5  # of one video
DEFAULT_FORMATS = "csv,parquet,html"


def timeline(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Videos or folders; with --follow one file, URL, device or -."
        ),
    ],
    model: Model = BUILTIN,
    out: Annotated[Path | None, typer.Option(help="Folder for what is made; not for --follow.")] = None,
    formats: Annotated[
        str,
        typer.Option(
            help="csv, parquet, jsonl, segments, summary, eaf, textgrid, vtt, srt, bids, openface, png, "
            "html, mp4, or all."
        ),
    ] = DEFAULT_FORMATS,
    faces: Faces = "auto",
    pose: Annotated[
        str | None,
        typer.Option(
            help="Skeletons: none, sidecar (a file beside the video), onnx:POSE[,PERSON], rtmlib:NAME or "
            "mmpose:CONFIG[,CHECKPOINT]; by default sidecar where the model needs them."
        ),
    ] = None,
    frames_fps: Annotated[
        float | None, typer.Option(help="Rate of folders of frames that do not say their own.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="Whose answer counts: face, body or fused; by default the model's own.")
    ] = None,
    smooth: Smooth = None,
    min_confidence: MinConfidence = None,
    set_: TimelineKeys = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER=NAME", help="What a person is called, such as 0=Anna; for one video; repeatable."
        ),
    ] = None,
    video: Annotated[
        str, typer.Option(help="How the report has its video: auto, link, embed, proxy or none.")
    ] = "auto",
    blur: Annotated[
        str, typer.Option(help="Faces that nobody may see in report and pictures: none, others or all.")
    ] = "none",
    focus: Annotated[
        int | None,
        typer.Option(min=0, help="Who is seen with --blur others; by default who is there longest."),
    ] = None,
    skeleton: Annotated[
        bool, typer.Option("--skeleton", help="Draw skeletons in the annotated video.")
    ] = False,
    metadata: Annotated[
        Path | None,
        typer.Option(help="Table about the videos: path, and any columns; for the index and the tables."),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of the metadata, or folder: its groups are compared."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print rows as JSON lines while the input comes in.")
    ] = False,
    weights_dir: WeightsDir = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes for several videos.")] = None,
    ray_address: RayAddress = None,
    gpu: Gpu = False,
) -> int:
    """Tables, a report and more for each video; of several videos also an index, and one table of all rows.

    OUT/store keeps what was preprocessed.
    """
    settings = settings_of(set_ or [], modality=modality, smooth=smooth, min_confidence=min_confidence)
    if follow:
        if len(inputs) != 1:
            raise typer.BadParameter(f"--follow takes one input, not {len(inputs)}")
        others = {
            "--out": out is not None,
            "--formats": formats != DEFAULT_FORMATS,
            "--name": bool(name),
            "--video": video != "auto",
            "--blur": blur != "none",
            "--focus": focus is not None,
            "--skeleton": skeleton,
            "--metadata": metadata is not None,
            "--group-by": group_by is not None,
        }
        for option, is_given in others.items():
            if is_given:
                raise typer.BadParameter(f"{option} is not for --follow, which writes no files")
        if gpu:
            raise typer.BadParameter("--gpu is not for --follow: one input is followed on a core")
        if workers is not None or ray_address is not None:
            raise typer.BadParameter(
                "--workers and --ray-address are not for --follow: it is one process here"
            )
        if frames_fps is not None:
            raise typer.BadParameter("--frames-fps is for folders of frames, which --follow does not take")
        from videofer.cli.follow import follow as follow_input

        return follow_input(
            inputs[0], model=model, settings=settings, faces=faces, pose=pose, weights_dir=weights_dir
        )
    if out is None:
        raise typer.BadParameter("--out is missing: the folder for what is made")
    wanted, options = products_of(
        formats, video=video, blur=blur, focus=focus, skeleton=skeleton, weights_dir=weights_dir
    )
    names = names_of(name or [])

    from preprocessing.device import CPU, FIRST_GPU
    from preprocessing.quantities import as_count
    from preprocessing.stage.run import preprocess
    from videofer.study.inputs import OwnFiles
    from videofer.study.metadata import read_metadata
    from videofer.timeline.prepare import LoadingModel, spec_for

    about = read_metadata(metadata, group_by)
    loading = LoadingModel(model)  # while a video is preprocessed
    if len(inputs) > 1 or not Path(inputs[0]).is_file():
        loading.result()  # hours of work are not begun for a model that cannot be opened
    own = OwnFiles(out)
    spec = spec_for(loading, faces, pose, frames_fps)
    if group_by is not None:
        check_group(about, [Path(text) for text in inputs], spec, OwnFiles(out))
    with StageProgress() as progress:
        stage = preprocess(
            [Path(text) for text in inputs],
            out / "store",
            spec,
            weights_dir=weights_dir,
            num_workers=workers,
            ray_address=ray_address,
            device=FIRST_GPU if gpu else None,
            progress=progress,
            skip=own,
        )
    if own.num_skipped:
        typer.echo(f"skipped {as_count(own.num_skipped, 'file')} that a run has written", err=True)
    tell_model(loading.result())
    is_single = len(stage.sources) == 1 and stage.sources[0].path == Path(inputs[0])
    if is_single and metadata is None and group_by is None:
        return _single(loading.result(), stage, out, settings, wanted, options, names)
    if names:
        raise UserError("--name is for one video: a number is another person in each of several")
    study = StudySpec(
        model=model_path(model),
        out=out,
        settings=settings,
        formats=wanted,
        options=options,
        device=loading.result().device.type if gpu else CPU,  # an export is on the CPU
    )
    return _study(loading.result(), stage, study, about, workers, ray_address)


def check_group(
    about: Metadata, inputs: list[Path], spec: PreprocessSpec, skip: Callable[[Path], bool]
) -> None:
    """UserError where the videos cannot be grouped as asked, hours before that would show."""
    from preprocessing.discover import discover
    from videofer.study.metadata import describe

    sidecars = spec.pose == "sidecar"
    sources, _ = discover(inputs, sidecars=sidecars, frames_fps=spec.frames_fps, skip=skip)
    if sources:  # else preprocessing says so
        describe(about, [source.name for source in sources])


def _single(
    model: TrainedModel,
    stage: StageReport,
    out: Path,
    settings: TimelineSettings,
    formats: tuple[str, ...],
    options: ProductOptions,
    names: Mapping[int, str],
) -> int:
    """The files of one video, made in this process."""
    from videofer.study.single import write_single

    with TimelineProgress() as bar:
        single = write_single(
            model, stage, out, settings, formats, options, names=names, on_progress=bar.video
        )
    tell_warnings(stage.sources[0].name, single.warnings)
    return _tell(single.paths, [f"{one.name!r}: {one.stage}: {one.reason}" for one in stage.failures])


def _study(
    model: TrainedModel,
    stage: StageReport,
    spec: StudySpec,
    metadata: Metadata,
    workers: int | None,
    ray_address: str | None,
) -> int:
    """The files of many videos, on Ray; then index and tables."""
    from preprocessing.quantities import as_count, as_time
    from videofer.study.run import VIDEOS, run_study

    with TimelineProgress() as bar:
        report = run_study(
            model,
            stage,
            spec,
            metadata=metadata,
            workers=workers,
            ray_address=ray_address,
            on_progress=bar.study,
        )
    for note in report.notes[:SHOWN_LINES]:
        typer.echo(note, err=True)
    up_to_date = report.num_videos - report.num_done - report.num_failed
    typer.echo(
        f"{as_count(report.num_done, 'video')} done in {as_time(report.wall_seconds)}, "
        f"{up_to_date} up to date, {len(report.failures)} failed"
    )
    if report.num_with_warnings:
        typer.echo(
            f"{as_count(report.num_with_warnings, 'video')} with warnings: see the reports, and the column "
            f"warnings of {VIDEOS}",
            err=True,
        )
    return _tell(report.paths, [str(failure) for failure in report.failures])


def tell_warnings(name: str, warnings: Sequence[str]) -> None:
    """What preprocessing warned of, of one video: a line each, of many only the first ones."""
    for warning in warnings[:SHOWN_WARNINGS]:
        typer.echo(f"warning {name!r}: {' '.join(warning.split())}", err=True)
    if len(warnings) > SHOWN_WARNINGS:
        typer.echo(f"and {len(warnings) - SHOWN_WARNINGS} more", err=True)


def _tell(paths: Sequence[Path], failures: Sequence[str]) -> int:
    """What was written, and what failed; returns the exit code."""
    for path in paths:
        typer.echo(path)
    for line in failures[:SHOWN_LINES]:
        typer.echo(f"failed {line}", err=True)
    if len(failures) > SHOWN_LINES:
        typer.echo(f"and {len(failures) - SHOWN_LINES} more failed", err=True)
    return SOME_FAILED if failures else DONE
