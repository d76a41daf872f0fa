"""Options that mean the same in several commands, so that they read the same in each `--help`.

Imported when the program runs, not for type checkers only: typer reads the annotations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="One complete YAML file.")]
RecipeKeys = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any recipe key; repeatable.")
]
TrainingStore = Annotated[Path, typer.Option(help="The store to train on.")]
Labels = Annotated[Path | None, typer.Option(help="Labels, if not those kept in the store.")]
By = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Figures per value of this manifest column; repeatable."),
]
TestTimeAugmentation = Annotated[
    Literal["mirror", "shifts"] | None,
    typer.Option(help="Also measure answers averaged over views: mirrored, and moved a little as well."),
]
RayAddress = Annotated[str | None, typer.Option(help="Address of a running Ray cluster; else this machine.")]
Model = Annotated[
    str, typer.Option(help="Folder of a run or of an export, or builtin: the model that is included.")
]
Gpu = Annotated[bool, typer.Option("--gpu", help="Run all networks on the GPUs, for all workers.")]
WeightsDir = Annotated[Path | None, typer.Option(help="Folder of weights; else $VIDEOFER_WEIGHTS.")]
Faces = Annotated[
    str, typer.Option(help="How faces are found: auto, yunet, mtcnn, precropped or face-alignment:DETECTOR.")
]
Smooth = Annotated[str | None, typer.Option(help="Against flicker: hmm (default), viterbi, kernel or none.")]
MinConfidence = Annotated[float | None, typer.Option(help="Rows less sure than this are labelled uncertain.")]
TimelineKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any other setting, such as smoothing.dwell_seconds=1; repeatable."
    ),
]


def seeds_of(text: str) -> list[int]:
    """What `--seeds 0,1,2` means. BadParameter where it is anything else."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--seeds must be whole numbers like 0,1,2, not {text!r}") from None
