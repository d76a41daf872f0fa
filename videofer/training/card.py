"""The model card of a run: what the model is, what its figures are worth, what it is and is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from videofer.recipe import Recipe

INTENDED_USE = """\
## Intended use
Research on expression in video whose subjects have agreed to it, on recordings like those it was trained on.
Not for decisions about people. Inferring emotions at work or in education is forbidden in the European Union
(AI Act, article 5) and restricted elsewhere."""

_CARD = """\
# {name}

{description}

## What it says
From the face and body of one person over {window:g} s of video, calibrated probabilities of
{classes}: the *perceived expression*, that is, what people who watch the video would call it.
It does not say what anybody feels.

{intended_use}

## Training
Labelled intervals: {num_train}, subjects: {num_train_subjects}. Epochs: {num_epochs}, kept:
{kept_epoch}. The complete recipe is `recipe.yaml`.
Input: {contract}.

## Figures
### Validation subjects
Intervals: {num_val}, subjects: {num_val_subjects}, none of whom was trained on. {validation_note}:
where something was, expect less on new subjects. `videofer evaluate` measures that.

{validation}
{out_of_fold}
Guessing evenly would have a UAR of {chance:.3f}.
{dimensions}
## Calibration
Temperatures{fusion} were fitted on {fitted_on}.

{fits}
{thresholds}
`reliability.png` shows how often the model is right where it says that it is sure.

## Limits
Faces and bodies that differ from the training subjects in age, skin, culture, pose, light or occlusion may be
read worse; no figure above measures that. A missing face or body is left out, and the probabilities are then
those of the other one.
"""

_OF_MULTI = ("map", "mra", "macro_f1", "uar", "ece")

_OUT_OF_FOLD = """
### Everybody, by the inner folds
Figures {note}, so not of this one itself.
Intervals: {num_samples}, subjects: {num_groups}.

{table}
"""


def model_card(
    recipe: Recipe, contract: Mapping[str, Any], metrics: Mapping[str, Any], calibration: Mapping[str, Any]
) -> str:
    """Markdown text, from the contents of recipe.yaml, contract.json, metrics.json and calibration.json."""
    validation, subjects = metrics["validation"], metrics["used"]["subjects"]
    return _CARD.format(
        name=recipe.name,
        description=recipe.description.strip() or "A model trained by videofer.",
        intended_use=INTENDED_USE,
        window=recipe.data.window_seconds,
        classes=", ".join(recipe.data.classes),
        num_train=metrics["num_train"],
        num_train_subjects=len(subjects["train"]),
        num_epochs=metrics["num_epochs"],
        kept_epoch=metrics["kept_epoch"],
        contract=", ".join(f"{name} {value}" for name, value in sorted(contract.items())),
        num_val=metrics["num_val"],
        num_val_subjects=len(subjects["val"]),
        validation_note=_sentence(metrics["validation_note"]),
        validation=figures_table(validation),
        out_of_fold=_out_of_fold(metrics),
        dimensions=dimensions_table(validation),
        thresholds=_thresholds(calibration, recipe),
        chance=_answer(validation)["chance"],
        fusion="" if calibration["fusion"] is None else " and the fusion of face and body",
        fitted_on=calibration["fitted_on"]["note"],
        fits=calibration_table(calibration),
    )


def _out_of_fold(metrics: Mapping[str, Any]) -> str:
    if "out_of_fold" not in metrics:
        return ""
    figures = metrics["out_of_fold"]
    answer = _answer(figures)
    return _OUT_OF_FOLD.format(
        note=metrics["out_of_fold_note"],
        num_samples=answer["num_samples"],
        num_groups=answer["num_groups"],
        table=figures_table(figures),
    )


def figures_table(figures: Mapping[str, Any]) -> str:
    """A row per head, with its intervals where there are any, and why there are none."""
    rows = [
        f"| {head} | {' | '.join(_with_interval(values, name) for name in ('war', 'uar', 'macro_f1'))} "
        f"| {shown(values['ece'])} |"
        for head, values in figures.items()
    ]
    head = "| | WAR | UAR | macro-F1 | ECE |\n|---|---|---|---|---|\n"
    if "map" in _answer(figures):
        rows = [
            f"| {head} | {' | '.join(_with_interval(values, name) for name in _OF_MULTI)} |"
            for head, values in figures.items()
        ]
        head = "| | mAP | mRA | macro-F1 | UAR | ECE |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(rows) + f"\n\n{_sentence(_answer(figures)['intervals_note'])}."


def dimensions_table(figures: Mapping[str, Any]) -> str:
    """A row per head and dimension; empty for a model without."""
    rows = [
        f"| {head} | {name} | {dimensions['num_samples'][name]} | "
        f"{' | '.join(shown(dimensions[figure][name]) for figure in ('ccc', 'r2', 'rmse'))} |"
        for head, values in figures.items()
        if (dimensions := values.get("dimensions"))
        for name in dimensions["num_samples"]
    ]
    if not rows:
        return ""
    head = (
        "\nDimensions, in [-1, 1]:\n\n| | dimension | rated | CCC | R2 | RMSE |\n|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _thresholds(calibration: Mapping[str, Any], recipe: Recipe) -> str:
    """From which probability on each class is said to be there; empty for single targets."""
    if not calibration.get("thresholds"):
        return ""
    named = zip(recipe.data.classes, calibration["thresholds"], strict=True)
    shown_ones = ", ".join(f"{name} {value:.3f}" for name, value in named)
    return (
        "\nSeveral classes may hold at once, or none: probabilities do not sum to one. A class is said to be "
        f"there from these probabilities on, fitted for the largest F1 on the same intervals: {shown_ones}.\n"
    )


def calibration_table(calibration: Mapping[str, Any]) -> str:
    """A row per head: errors before and after."""
    head = "| | windows | ECE before | ECE after | NLL before | NLL after |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(_fit_row(head, fit) for head, fit in calibration["figures"].items())


def _answer(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the last head: it is the model's answer."""
    last: Mapping[str, Any] = list(figures.values())[-1]
    return last


def _fit_row(head: str, fit: Mapping[str, Any]) -> str:
    names = ("ece_before", "ece_after", "nll_before", "nll_after")
    return f"| {head} | {fit['num_windows']} | {' | '.join(shown(fit[name]) for name in names)} |"


def _with_interval(values: Mapping[str, Any], name: str) -> str:
    if not values["intervals"]:
        return shown(values[name])
    low, high = values["intervals"][name]
    return f"{shown(values[name])} [{low:.3f}, {high:.3f}]"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def shown(value: float | None) -> str:
    """A figure for people, a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"
