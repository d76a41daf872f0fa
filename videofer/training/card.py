"""The model card of a run: what the model is, what its figures are worth, what it is and is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from videofer.recipe import Recipe

_CARD = """\
# {name}

{description}

## What it says
From the face and body of one person over {window:g} s of video, calibrated probabilities of
{classes}: the *perceived expression*, that is, what people who watch the video would call it.
It does not say what anybody feels.

## Intended use
Research on expression in video whose subjects have agreed to it, on recordings like those it was trained on.
Not for decisions about people. Inferring emotions at work or in education is forbidden in the European Union
(AI Act, article 5) and restricted elsewhere.

## Training
Labelled intervals: {num_train}, subjects: {num_train_subjects}. Epochs: {num_epochs}, the best:
{best_epoch}. The complete recipe is `recipe.yaml`.
Input: {contract}.

## Figures
Validation intervals: {num_val}, subjects: {num_val_subjects}, none of whom was trained on. The best epoch and
the calibration were chosen on them, so on new subjects expect less: `videofer evaluate` measures that.

| | WAR | UAR | macro-F1 | ECE before | ECE after calibration |
|---|---|---|---|---|---|
{rows}

Guessing evenly would have a UAR of {chance:.3f}. {intervals_note}.

## Limits
Faces and bodies that differ from the training subjects in age, skin, culture, pose, light or occlusion may be
read worse; no figure above measures that. A missing face or body is left out, and the probabilities are then
those of the other one.
"""


def model_card(
    recipe: Recipe, contract: Mapping[str, Any], metrics: Mapping[str, Any], calibration: Mapping[str, Any]
) -> str:
    """Markdown text, from the contents of recipe.yaml, contract.json, metrics.json and calibration.json."""
    validation = metrics["validation"]
    fits = calibration["fit_on_validation"]
    rows = [
        f"| {head} | {_figure(values['war'])} | {_figure(values['uar'])} | {_figure(values['macro_f1'])} "
        f"| {_figure(fit.get('ece_before'))} | {_figure(fit.get('ece_after'))} |"
        for head, values, fit in ((head, values, fits.get(head, {})) for head, values in validation.items())
    ]
    answer = list(validation.values())[-1]
    subjects = metrics["used"]["subjects"]
    return _CARD.format(
        name=recipe.name,
        description=recipe.description.strip() or "A model trained by videofer.",
        window=recipe.data.window_seconds,
        classes=", ".join(recipe.data.classes),
        num_train=metrics["num_train"],
        num_train_subjects=len(subjects["train"]),
        num_epochs=metrics["num_epochs"],
        best_epoch=metrics["best_epoch"],
        contract=", ".join(f"{name} {value}" for name, value in sorted(contract.items())),
        num_val=metrics["num_val"],
        num_val_subjects=len(subjects["val"]),
        rows="\n".join(rows),
        chance=answer["chance"],
        intervals_note=answer["intervals_note"][:1].upper() + answer["intervals_note"][1:],
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
