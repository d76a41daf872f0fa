"""`videofer init`: a manifest and a recipe to start from, for a folder of one's own videos."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE

# From `body:` to the end of `fusion:` in the recipe to start from.
_BODY_SECTIONS = re.compile(r"  body:\n(?: {4}.*\n)+  fusion:\n(?: {4}.*\n)+")


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of videos.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> int:
    """Write FOLDER/manifest.csv, one row a video, and FOLDER/recipe.yaml."""
    import pandas as pd

    from cache.atomic import atomic_write_text
    from cache.errors import UserError
    from preprocessing.discover import discover
    from videofer import emotions
    from videofer.datasets.manifest import ManifestError, labels_from_folders
    from videofer.resources import config_path

    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder of videos")
    manifest, recipe = folder / "manifest.csv", folder / "recipe.yaml"
    for path in (manifest, recipe):
        if path.exists() and not force:
            raise UserError(f"{path} is there already; --force replaces it")
    sources, failures = discover([folder], sidecars=True, frames_fps=None)
    if not sources:
        reason = f": {failures[0].reason}" if failures else ""
        raise UserError(f"{folder}: no videos, images or keypoint files in it{reason}")
    try:
        found = labels_from_folders(sources)
        labels, subjects, splits = found["label"], found["subject"], found["split"]
    except ManifestError:
        labels = subjects = splits = pd.Series([None] * len(sources))
    table = pd.DataFrame(
        {
            "name": [source.name for source in sources],
            "label": labels,
            "subject": subjects,
            "start": None,
            "end": None,
            "split": splits,
        }
    )
    classes = emotions.in_order(labels.dropna()) if labels.notna().any() else list(emotions.BASIC)
    if len(classes) < 2:
        classes = list(emotions.BASIC)
    atomic_write_text(manifest, table.to_csv(index=False))
    has_keypoints = any(source.sidecar is not None or source.kind == "keypoints" for source in sources)
    text = config_path("train/start.yaml").read_text(encoding="utf-8")
    text = re.sub(r"classes: \[.*\]", f"classes: [{', '.join(classes)}]", text, count=1)
    if not has_keypoints:
        text = _BODY_SECTIONS.sub(
            "  body: null                # no keypoint files beside the videos\n  fusion: null\n", text
        )
    atomic_write_text(recipe, text)
    labelled = int(labels.notna().sum())
    typer.echo(
        f"{manifest}: {len(sources)} videos, {labelled} with a label from its folder; fill in the rest"
    )
    parts = "faces and bodies" if has_keypoints else "faces only, for there are no keypoint files"
    typer.echo(f"{recipe}: classes {', '.join(classes)}; {parts}")
    pose = " --pose sidecar" if has_keypoints else ""
    typer.echo(
        f"next: videofer preprocess {shlex.quote(str(folder))} --out store --manifest "
        f"{shlex.quote(str(manifest))}{pose}"
    )
    return DONE
