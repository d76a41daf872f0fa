"""Writes the graphs of a run into a folder, checks them against the run, and measures both."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from cache.atomic import TEMP_SUFFIX, fsync_dir, fsync_file
from cache.reader import StoreReader
from videofer.builtin import BUILTIN, model_path
from videofer.checkpoint import RELEASE, LoadedModel, json_text, load_checkpoint
from videofer.ensembles.model import DESCRIPTION as ENSEMBLE
from videofer.ensembles.model import MEMBERS
from videofer.export.check import (
    TOLERANCE,
    ExportError,
    compare,
    latency,
    odd_batches,
    random_batch,
    store_batches,
)
from videofer.export.graphs import graphs_of
from videofer.export.model import DESCRIPTION, FORMAT_VERSION, SUFFIXES, ExportedModel, Format, load_model
from videofer.export.onnx_format import OPSET, write_onnx
from videofer.export.torch_format import write_program

_TEXTS = ("recipe.yaml", "contract.json", "labels.json", "calibration.json", "metrics.json", "README.md")

_USAGE = """
## Exported networks

Made from the run `{run}` as {kind}. Any size will do on an axis that has a name. Values are float32,
but for `frames` (uint8, RGB) and masks (bool).

| graph | inputs | outputs |
|---|---|---|
{rows}

`clip` once for each clip of aligned crops, `window` on the features of a window's clips, `body` on a window's
keypoints (x, y in pixels, score); `answer` then gives calibrated probabilities {heads} of {labels}.
`has_face`: some clip is there; `has_body`: `seen`, and at least half of the instants show the body.
Which frames make a clip, and how crops are aligned, is in `recipe.yaml` and `contract.json`.
In Python `videofer.export.load_model` opens this folder.

Compared with the run on {samples}: probabilities differ by {difference:.1g} at most. More in `export.json`.
"""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was exported, and how well."""

    path: Path
    description: Mapping[str, Any]  # what export.json holds


def export_model(
    run: str | Path, out: Path | None = None, *, format: Format, store: Path | None = None
) -> ExportReport:
    """Exports a run folder to `out` (RUN/<format> by default); an earlier export there is replaced.

    run: the folder, or the word "builtin", which then needs an `out` (nothing is written into videofer).

    Compared with the run on windows of the store, or on random ones without, and on ones of odd sizes.
    ExportError, CheckpointError or StoreError in one line; then nothing has changed at `out`.
    """
    if format not in SUFFIXES:
        raise ExportError(f"format must be {' or '.join(SUFFIXES)}, not {format!r}")
    if run == BUILTIN and out is None:
        raise ExportError("the built-in model is exported to a folder of your own: say --out")
    folder = model_path(run)
    if (folder / ENSEMBLE).is_file():
        raise ExportError(
            f"{folder} is an ensemble, which has no networks of its own: export its members, "
            f"{folder / MEMBERS}/*"
        )
    loaded = load_checkpoint(folder)
    face = loaded.recipe.model.face
    if face is not None and face.descriptor != "none":
        raise ExportError(
            f"{folder} has model.face.descriptor {face.descriptor}, which OpenCV computes and no exported "
            "graph can hold: only a model without it can be exported"
        )
    data = loaded.recipe.data
    if data.targets == "multi" or data.dimensions:
        what = "data.targets multi" if data.targets == "multi" else f"data.dimensions {data.dimensions}"
        raise ExportError(
            f"{folder} has {what}, which the exported graphs do not give: only a model of targets single "
            "without dimensions can be exported"
        )
    out = Path(out) if out is not None else loaded.path / format
    if out.exists() and not (out / DESCRIPTION).is_file():
        raise ExportError(f"{out} is there already, and is no earlier export: choose another folder")
    samples, batches = "random windows", [random_batch(loaded.spec, 8)]
    if store is not None:
        reader = StoreReader(Path(store))
        loaded.check_contract(reader.store.contract, f"store {store}")
        samples, batches = f"windows of {Path(store).name}", list(store_batches(reader, loaded.spec))

    temp = out.with_name(f".{uuid4().hex}{TEMP_SUFFIX}")
    temp.mkdir(parents=True)
    try:
        description = _write_graphs(loaded, temp, format)
        exported = load_model(temp, device="cpu")
        assert isinstance(exported, ExportedModel)
        vary_frames = loaded.spec.use_face and isinstance(exported.shapes["clip"]["frames"][1], str)
        batches += odd_batches(loaded.spec, vary_frames=vary_frames)
        agreement = compare(loaded, exported, batches)
        if agreement.probabilities > TOLERANCE:
            raise ExportError(
                f"the exported model is not that of {loaded.path}: a probability differs by "
                f"{agreement.probabilities:.2g}, allowed is {TOLERANCE:g}; nothing was written"
            )
        times = latency(loaded, exported)
        description |= {
            "check": {"samples": samples, "tolerance": TOLERANCE, **asdict(agreement)},
            "latency": times,
        }
        (temp / DESCRIPTION).write_text(json_text(description), encoding="utf-8")
        card = (loaded.path / "README.md").read_text(encoding="utf-8") + _usage(description, loaded)
        (temp / "README.md").write_text(card, encoding="utf-8")
        _publish(temp, out)
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    return ExportReport(path=out, description=description)


def _write_graphs(loaded: LoadedModel, folder: Path, format: Format) -> dict[str, Any]:
    """Writes the graphs and the texts; returns what export.json says so far."""
    write = write_onnx if format == "onnx" else write_program
    graphs = {}
    for graph in graphs_of(loaded):
        file = folder / f"{graph.name}{SUFFIXES[format]}"
        write(graph, file)
        graphs[graph.name] = {
            "file": file.name,
            "bytes": file.stat().st_size,
            "inputs": graph.shapes(),
            "outputs": list(graph.outputs),
            "note": graph.note,
        }
    for name in (*_TEXTS, *((RELEASE,) if loaded.release else ())):
        shutil.copyfile(loaded.path / name, folder / name)
    description: dict[str, Any] = {
        "format": format,
        "format_version": FORMAT_VERSION,
        "made_with": {name: version(name) for name in ("videofer", "torch", "onnxruntime")},
        "opset": OPSET if format == "onnx" else None,
        "num_features": loaded.num_features if loaded.model.face is not None else 0,
        "graphs": graphs,
    }
    (folder / DESCRIPTION).write_text(json_text(description), encoding="utf-8")
    return description


def _publish(temp: Path, out: Path) -> None:
    """Gives the finished folder its name; an earlier export of that name goes."""
    for path in temp.iterdir():
        fsync_file(path)
    fsync_dir(temp)
    earlier = out.with_name(f".{uuid4().hex}{TEMP_SUFFIX}")
    if out.exists():
        out.rename(earlier)
    temp.rename(out)
    fsync_dir(out.parent)
    shutil.rmtree(earlier, ignore_errors=True)


def _usage(description: Mapping[str, Any], loaded: LoadedModel) -> str:
    """The part of the card that says how to use the graphs."""
    rows = []
    for graph in description["graphs"].values():
        inputs = ", ".join(f"{key} ({', '.join(map(str, axes))})" for key, axes in graph["inputs"].items())
        rows.append(f"| `{graph['file']}` | {inputs} | {', '.join(graph['outputs'])} |")
    opset = description["opset"]
    return _USAGE.format(
        run=loaded.title,
        kind="programs of torch.export" if opset is None else f"ONNX models of opset {opset}",
        rows="\n".join(rows),
        labels=", ".join(loaded.labels),
        heads=", ".join(f"`p_{head}`" for head in loaded.heads),
        samples=description["check"]["samples"],
        difference=description["check"]["probabilities"],
    )
