"""`videofer preprocess`: decode, follow, crop and store every video of folders or a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.options import RayAddress, WeightsDir
from videofer.cli.progress import StageProgress

if TYPE_CHECKING:
    import pandas as pd

    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.run import StageReport

SHOWN_FAILURES = 20


def preprocess(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Videos, images or folders.")],
    out: Annotated[Path, typer.Option(help="The store; made if it is not there, continued if it is.")],
    manifest: Annotated[
        Path | None, typer.Option(help="Table of labels: name, label, subject, start, end, split, ...")
    ] = None,
    labels_from_folders: Annotated[
        bool, typer.Option("--labels-from-folders", help="Take labels from folder names.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="configs/preprocess/*.yaml")] = None,
    decoder: Annotated[str | None, typer.Option(help="pyav or decord")] = None,
    faces: Annotated[str | None, typer.Option(help="auto, yunet, mtcnn or precropped")] = None,
    pose: Annotated[str | None, typer.Option(help="none, sidecar or onnx:POSE[,PERSON]")] = None,
    weights_dir: WeightsDir = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
    ray_address: RayAddress = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed inputs again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other key.")
    ] = None,
) -> int:
    """Decode, follow every person, crop faces, read skeletons, and store all of it."""
    from preprocessing.stage.run import preprocess as run_stage
    from videofer.datasets.manifest import labels_from_folders as from_folders
    from videofer.datasets.manifest import read_manifest

    if manifest is not None and labels_from_folders:
        raise typer.BadParameter("give either --manifest or --labels-from-folders")
    spec = load_spec(config, set_ or [], {"decoder": decoder, "faces": faces, "pose": pose})
    table = read_manifest(manifest) if manifest is not None else None
    if dry_run:
        return _dry_run(inputs, out, spec)
    with StageProgress() as progress:
        report = run_stage(
            inputs,
            out,
            spec,
            weights_dir=weights_dir,
            num_workers=workers,
            ray_address=ray_address,
            retry_failed=retry_failed,
            progress=progress,
        )
    if labels_from_folders:
        table = from_folders(report.sources)
    if table is not None:
        missing = save_manifest(out, table)
        for line in missing[:SHOWN_FAILURES]:
            typer.echo(f"manifest: {line}", err=True)
    summarise(report)
    return SOME_FAILED if report.failures else DONE


def load_spec(config: Path | None, overrides: list[str], options: dict[str, Any]) -> PreprocessSpec:
    """The spec from a file, `--set` and the options of the command line, the later ones winning."""
    import json

    from preprocessing.config_file import load_yaml, validate
    from preprocessing.spec import PreprocessSpec

    # JSON is YAML: quoting keeps a path with a colon a string
    given = [f"{key}={json.dumps(value)}" for key, value in options.items() if value is not None]
    if config is not None:
        return load_yaml(config, PreprocessSpec, [*overrides, *given])
    return validate({}, PreprocessSpec, source="the command line", overrides=[*overrides, *given])


def save_manifest(out: Path, table: pd.DataFrame) -> list[str]:
    """Join labels with the store and keep them there; rows of other videos stay. Returns what is missing."""
    import pandas as pd

    from cache.store import Store
    from videofer.datasets.manifest import join_store

    store = Store.open(out)
    joined, missing = join_store(table, store.videos())
    with store.lock():
        old = store.manifest()
        if old is not None and len(old):
            joined = pd.concat([old[~old["name"].isin(joined["name"])], joined], ignore_index=True)
        store.write_manifest(joined)
    return missing


def summarise(report: StageReport) -> None:
    """What was done, in a few lines; every failure with its reason."""
    totals, plan = report.totals, report.plan
    if report.nothing_to_do:
        typer.echo(f"nothing to do: {plan.num_stored} of {len(report.sources)} inputs are in the store")
    else:
        speed = totals.media_seconds / max(report.wall_seconds, 1e-9)
        typer.echo(
            f"stored {totals.num_done} videos ({totals.num_frames} frames, {totals.media_seconds:.1f} s) in "
            f"{report.wall_seconds:.1f} s: {speed:.1f} hours of video per hour; "
            f"{plan.num_stored} were in the store already"
        )
        if totals.num_workers_lost:
            typer.echo(f"workers lost and replaced: {totals.num_workers_lost}")
    if report.failures:
        typer.echo(f"failed: {len(report.failures)} (all in failures.jsonl of the store)")
        for failure in report.failures[:SHOWN_FAILURES]:
            typer.echo(f"  {failure.name!r}: {failure.stage}: {failure.reason}")


def _dry_run(inputs: list[Path], out: Path, spec: PreprocessSpec) -> int:
    from preprocessing.discover import discover
    from preprocessing.pipeline import limits_of
    from preprocessing.probe import probe
    from preprocessing.types import InputError

    sources, lost = discover(inputs, sidecars=spec.pose == "sidecar", frames_fps=spec.frames_fps)
    limits = limits_of(spec)
    seconds = 0.0
    for source in sources:
        try:
            facts = probe(source, limits)
        except InputError as error:
            typer.echo(f"{source.name!r}: would fail: {error.reason}")
            continue
        seconds += facts.duration or 0.0
        duration = "?" if facts.duration is None else f"{facts.duration:.2f}"
        typer.echo(
            f"{source.name!r}: {source.kind}, {facts.width}x{facts.height}, {facts.codec}, {duration} s"
        )
    for failure in lost:
        typer.echo(f"{failure.name!r}: would fail: {failure.reason}")
    typer.echo(f"{len(sources)} inputs, {seconds:.1f} s of known duration; nothing was written")
    return DONE
