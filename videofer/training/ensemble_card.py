"""The card of an ensemble: what it is, what its figures are worth, and where its members say more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from videofer.ensembles.recipe import Combine, Ensemble
from videofer.training.card import INTENDED_USE, calibration_table, figures_table, shown

_CARD = """\
# {name}

{description}

## What it says
Calibrated probabilities of {classes}: the *perceived expression*, that is, what people who watch the video or
look at the picture would call it. It does not say what anybody feels.

{intended_use}

## Members
{num_members} models, {num_parameters:,} parameters together, answer as one: {combine}.
Figures are those of the validation intervals.

| member | recipe | parameters | WAR | UAR | NLL | ECE |
|---|---|---|---|---|---|---|
{members}

Each has its own card, `members/NAME/README.md`, and its own recipe.

## Training
Labelled intervals: {num_train}. Input: {contract}.

## Figures
### Validation intervals
Intervals: {num_val}, on none of which a member was trained. {note}: on new people expect less.
`videofer evaluate` measures that.

{figures}

Guessing evenly would have a UAR of {chance:.3f}.

## Calibration
Temperatures were fitted on {fitted_on}.

{fits}

## Limits
An ensemble is wrong where its members share an error, and then it is sure of it: with faces that differ from
the training data in age, skin, culture, pose, light or occlusion, say. No figure above measures that.
"""

_HOW: dict[Combine, str] = {
    "mean": "the mean of their calibrated probabilities",
    "linear": "a linear layer on their calibrated logits, fitted on the validation intervals with a prior "
    "around their geometric mean",
}


def ensemble_card(
    ensemble: Ensemble,
    contract: Mapping[str, Any],
    metrics: Mapping[str, Any],
    calibration: Mapping[str, Any],
) -> str:
    """Markdown text, from the contents of the files beside it."""
    recipe, first = ensemble.recipe, ensemble.first
    validation, note = metrics["validation"], metrics["validation_note"]
    return _CARD.format(
        name=recipe.name,
        description=recipe.description.strip() or "An ensemble trained by videofer.",
        classes=", ".join(first.data.classes),
        intended_use=INTENDED_USE,
        num_members=len(metrics["members"]),
        num_parameters=metrics["num_parameters"],
        combine=_HOW[recipe.combine],
        members="\n".join(_row(name, member) for name, member in metrics["members"].items()),
        num_train=metrics["num_train"],
        contract=", ".join(f"{name} {value}" for name, value in sorted(contract.items())),
        num_val=metrics["num_val"],
        note=note[:1].upper() + note[1:],
        figures=figures_table(validation),
        chance=1 / len(first.data.classes),
        fitted_on=calibration["fitted_on"]["note"],
        fits=calibration_table(calibration),
    )


def _row(name: str, member: Mapping[str, Any]) -> str:
    figures = " | ".join(shown(member[key]) for key in ("war", "uar", "nll", "ece"))
    return f"| {name} | {member['recipe']} | {member['num_parameters']:,} | {figures} |"
