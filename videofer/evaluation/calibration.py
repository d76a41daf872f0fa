"""What turns a model's log-probabilities into probabilities that can be believed, and how it is applied.

Fitted by `videofer.training.calibration` on validation subjects. Letters in shapes: B samples, n classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

HEADS = ("face", "body", "fused")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What is applied to a model's log-probabilities. The default changes nothing."""

    temperatures: Mapping[str, float]
    """Per head of HEADS, positive: log-probabilities are divided by it and normalised again."""
    fusion_weights: tuple[float, float] | None = None
    """Weights of the face's and the body's log-probabilities in the fused head, for samples that have both;
    with one modality the fused head is that modality. None: the model's own fusion, with its temperature."""

    def __post_init__(self) -> None:
        if set(self.temperatures) != set(HEADS):
            raise ValueError(
                f"temperatures must be given for {', '.join(HEADS)}, not {sorted(self.temperatures)}"
            )
        positive = (*self.temperatures.values(), *(self.fusion_weights or ()))
        if not all(math.isfinite(value) and value > 0 for value in positive):
            raise ValueError(f"temperatures and fusion weights must be positive numbers, not {positive}")

    def apply(self, outputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Calibrated log-probabilities (B, n) float32 of "face", "body" and "fused".

        `outputs` is what EmotionModel.forward returns, see `complete`. A head without its modality is
        uniform; so is "fused" with neither.
        """
        outputs = complete(outputs)
        has_face, has_body = outputs["has_face"][:, None], outputs["has_body"][:, None]
        scaled = {head: scale(outputs[head], self.temperatures[head]) for head in HEADS}
        uniform = torch.full_like(scaled["fused"], -math.log(scaled["fused"].shape[1]))
        face = torch.where(has_face, scaled["face"], uniform)
        body = torch.where(has_body, scaled["body"], uniform)
        if self.fusion_weights is None:
            fused = torch.where(has_face | has_body, scaled["fused"], uniform)
        else:
            both = mix(outputs["face"], outputs["body"], *self.fusion_weights)
            fused = torch.where(has_face & has_body, both, torch.where(has_face, face, body))
        return {"face": face, "body": body, "fused": fused}

    def to_json(self) -> dict[str, Any]:
        """What calibration.json holds of it."""
        weights = self.fusion_weights
        return {
            "temperatures": dict(self.temperatures),
            "fusion_weights": None if weights is None else {"face": weights[0], "body": weights[1]},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_json`; further keys are ignored. ValueError where one is missing."""
        try:
            weights = values["fusion_weights"]
            return cls(
                temperatures={head: float(t) for head, t in values["temperatures"].items()},
                fusion_weights=None if weights is None else (float(weights["face"]), float(weights["body"])),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a calibration: {error!r}") from None


def complete(outputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """The log-probabilities (B, n) float32 of all HEADS, and "has_face", "has_body" (B,) bool, of any model.

    A model of one modality has no fused head: its only head is its answer, so it is "fused" as well. The
    modality that it does not know is missing everywhere.
    """
    heads = [head for head in HEADS if head in outputs]
    answer: Tensor = outputs[heads[-1]].float()
    nowhere = torch.zeros(len(answer), dtype=torch.bool, device=answer.device)
    full = {head: outputs[head].float() if head in outputs else torch.zeros_like(answer) for head in HEADS}
    full["fused"] = answer
    return {**full, **{name: outputs.get(name, nowhere) for name in ("has_face", "has_body")}}


IDENTITY = Calibration(temperatures=dict.fromkeys(HEADS, 1.0))


def scale(logp: Tensor, temperature: float | Tensor) -> Tensor:
    """(B, n) log-probabilities, divided by a temperature and normalised."""
    return F.log_softmax(logp / temperature, dim=1)


def mix(face: Tensor, body: Tensor, w_face: float | Tensor, w_body: float | Tensor) -> Tensor:
    """(B, n) log-probabilities, weighted, summed and normalised."""
    return F.log_softmax(w_face * face + w_body * body, dim=1)
