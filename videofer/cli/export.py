"""`videofer export`: a run's networks as files that need no videofer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE


def export(
    model: Annotated[str, typer.Option(help="Folder of a run, or builtin: the model that is included.")],
    format: Annotated[str, typer.Option(help="onnx or torch-export")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="Folder to write; RUN/<format> if not given.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Check on windows of this store, not on random ones.")
    ] = None,
) -> int:
    """Write the networks as ONNX or torch.export files; it fails where their numbers are not the run's."""
    from videofer.export import export_model

    report = export_model(model, out, format=format, store=store)  # type: ignore[arg-type]
    description = report.description
    for graph in description["graphs"].values():
        inputs = ", ".join(f"{name} ({', '.join(map(str, axes))})" for name, axes in graph["inputs"].items())
        typer.echo(f"{graph['file']}: {graph['bytes'] / 1e6:.2f} MB, {inputs}")
        if graph["note"]:
            typer.echo(f"  {graph['note']}")
    check, times = description["check"], description["latency"]
    features = ""
    if check["features"] is not None:
        features = f", features by {check['features']:.1g} of {check['largest_feature']:.1f}"
    typer.echo(
        f"compared on {check['samples']} and odd sizes ({check['num_windows']} in all): probabilities differ "
        f"by {check['probabilities']:.1g} at most{features}; same class in {check['same_label']:.1%}"
    )
    typer.echo(f"milliseconds (median, threads: {times['threads']}), run and export:")
    for name, seconds in times["eager_seconds"].items():
        exported = times["exported_seconds"][name]
        typer.echo(f"  {name.replace('_', ' ')}: {1000 * seconds:.2f} and {1000 * exported:.2f}")
    typer.echo(report.path)
    return DONE
