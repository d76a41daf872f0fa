"""`videofer preprocess`: decode, follow, crop and store every video of folders or a manifest."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videofer.cli import dry_run as dry
from videofer.cli.errors import DONE, INTERRUPTED, SOME_FAILED
from videofer.cli.options import Gpu, RayAddress, WeightsDir
from videofer.cli.preprocess_labels import labels_in_folders, labels_of, others_than, save_manifest
from videofer.cli.progress import StageProgress

if TYPE_CHECKING:
    import pandas as pd

    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.report import RunReport

SHOWN_FAILURES = 20


def preprocess(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Videos, images or folders.")],
    out: Annotated[
        str, typer.Option(help="The store, a folder or a URL; made if it is not there, continued if it is.")
    ],
    manifest: Annotated[
        Path | None, typer.Option(help="Table of labels: name, label, subject, start, end, split, ...")
    ] = None,
    only_manifest: Annotated[
        bool, typer.Option("--only-manifest", help="Nothing but the videos that the manifest names.")
    ] = False,
    labels_from_folders: Annotated[
        bool, typer.Option("--labels-from-folders", help="Take labels from folder names.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="configs/preprocess/*.yaml")] = None,
    decoder: Annotated[str | None, typer.Option(help="auto, pyav, decord or torchcodec")] = None,
    faces: Annotated[
        str | None, typer.Option(help="auto, yunet, mtcnn, precropped or face-alignment:DETECTOR")
    ] = None,
    pose: Annotated[
        str | None,
        typer.Option(help="none, sidecar, onnx:POSE[,PERSON], rtmlib:NAME or mmpose:CONFIG[,CHECKPOINT]"),
    ] = None,
    landmarks: Annotated[
        str | None, typer.Option(help="none, mesh, mesh468 (by the face mesh), fan or fan3d: dense ones")
    ] = None,
    people: Annotated[str | None, typer.Option(help="all, main, or how many of the main ones.")] = None,
    weights_dir: WeightsDir = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
    ray_address: RayAddress = None,
    gpu: Gpu = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed inputs again.")] = False,
    local: Annotated[
        Path | None, typer.Option(help="Where a store at a URL is worked on; else in the user's cache.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write the run's report here; the measured rates of a dry run.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at a sample, say what a run would take, write nothing.")
    ] = False,
    dry_run_seconds: Annotated[
        float | None,
        typer.Option(min=1.0, help=f"Time for that look, by default {dry.SECONDS:g}; more makes it surer."),
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(help="Hours; a dry run says how many nodes that takes.")
    ] = None,
    cores_per_node: Annotated[
        int | None, typer.Option(min=1, help="Of a node, for the deadline; by default this machine's.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other key.")
    ] = None,
) -> int:
    """Decode, follow every person, crop faces, read skeletons, and store all of it."""
    from cache.remote import is_url
    from preprocessing.device import FIRST_GPU

    if manifest is not None and labels_from_folders:
        raise typer.BadParameter("give either --manifest or --labels-from-folders")
    if only_manifest and manifest is None:
        raise typer.BadParameter("--only-manifest needs --manifest")
    if local is not None and not is_url(out):
        raise typer.BadParameter(f"--local is for a store at a URL, and --out is {out}")
    if not dry_run and (deadline is not None or cores_per_node is not None):
        raise typer.BadParameter("--deadline and --cores-per-node are for --dry-run")
    if not dry_run and dry_run_seconds is not None:
        raise typer.BadParameter("--dry-run-seconds is for --dry-run")
    if dry_run and gpu:
        raise typer.BadParameter(
            "--dry-run times excerpts on single cores, which says nothing of --gpu: run some of the inputs "
            "with it, then `videofer plan ARCHIVE --rates STORE`"
        )
    if dry_run and ray_address is not None:
        raise typer.BadParameter(
            f"--dry-run times this machine, not the cluster at --ray-address {ray_address}: leave that out; "
            "--deadline and --cores-per-node tell of a cluster"
        )
    if dry_run and retry_failed:
        raise typer.BadParameter("--dry-run counts all inputs that are not stored: leave out --retry-failed")
    if deadline is not None and not deadline > 0:
        raise typer.BadParameter(f"--deadline is {deadline:g}; it must be above 0 hours")
    options = {
        "decoder": decoder,
        "faces": faces,
        "pose": pose,
        "landmarks": landmarks,
        "people": people,
    }
    spec = load_spec(config, set_ or [], options)
    named = labels_of(manifest)
    if report is not None:
        if report.is_dir():
            raise typer.BadParameter(f"--report {report} is a folder, not a file")
        report.parent.mkdir(parents=True, exist_ok=True)  # now, not when hours of work are done
    skip = others_than(named, inputs, manifest) if only_manifest else _nothing
    if dry_run:
        return dry.dry_run(
            inputs,
            local if is_url(out) else Path(out),
            spec,
            weights_dir=weights_dir,
            num_workers=workers,
            seconds=dry_run_seconds or dry.SECONDS,
            deadline_hours=deadline,
            cores_per_node=cores_per_node,
            report=report,
            skip=skip,
        )
    table = labels_in_folders(inputs, spec) if labels_from_folders else named
    try:
        return _run(
            inputs,
            out,
            local,
            spec,
            table,
            report,
            weights_dir=weights_dir,
            num_workers=workers,
            ray_address=ray_address,
            device=FIRST_GPU if gpu else None,
            retry_failed=retry_failed,
            skip=skip,
        )
    except KeyboardInterrupt:
        typer.echo(f"to go on: {shlex.join(['videofer', *sys.argv[1:]])}", err=True)
        return INTERRUPTED


def _run(
    inputs: list[Path],
    out: str,
    local: Path | None,
    spec: PreprocessSpec,
    table: pd.DataFrame | None,
    report_file: Path | None,
    **options: Any,
) -> int:
    """The stage, its report and its labels. Whatever ends it, the report is printed."""
    from preprocessing.stage.report import text_of
    from preprocessing.stage.run import preprocess as run_stage

    ended: list[RunReport] = []
    with store_folder(out, local) as folder:
        try:
            with StageProgress() as progress:
                result = run_stage(inputs, folder, spec, progress=progress, on_end=ended.append, **options)
        finally:
            for account in ended:
                typer.echo(text_of(account))
                if report_file is not None:
                    report_file.write_bytes(account.to_bytes())
        if table is not None:
            for line in save_manifest(folder, table)[:SHOWN_FAILURES]:
                typer.echo(f"manifest: {line}", err=True)
    return SOME_FAILED if result.failures else DONE


@contextlib.contextmanager
def store_folder(out: str, local: Path | None) -> Iterator[Path]:
    """The folder to work in: the store itself, or a copy here of one at a URL, which is pushed there."""
    from cache.remote import is_url, mirrored

    if not is_url(out):
        yield Path(out)
        return
    with mirrored(out, local, note=lambda text: typer.echo(text, err=True)) as folder:
        yield folder


def _nothing(_path: Path) -> bool:
    return False


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
