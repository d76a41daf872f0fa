"""What turns a model's log-probabilities into probabilities that can be believed, and how it is applied.

Fitted by `videofer.training.calibration` on subjects that the model was not trained on. Letters in shapes:
B samples, n classes; where both modalities stand side by side, the face comes first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from videofer.models.targets import Targets, ignorance, log_probs_of, logits_of

HEADS = ("face", "body", "fused")


@dataclass(frozen=True, kw_only=True)
class LogProbWeights:
    """Fusion by the weighted sum of log-probabilities. With one modality the answer is that, calibrated."""

    face: float
    body: float
    kind: Literal["log_prob"] = "log_prob"

    def __post_init__(self) -> None:
        _check_positive("fusion weights", (self.face, self.body))


@dataclass(frozen=True, kw_only=True)
class LinearLayer:
    """Fusion by a linear layer on the centred log-probabilities of face and body; a missing one is zero."""

    weight: tuple[tuple[float, ...], ...]  # (n, 2n)
    bias: tuple[float, ...]  # (n,)
    missing: tuple[tuple[float, ...], ...]  # (2, n): added where the face, the body is missing
    kind: Literal["linear"] = "linear"

    def __post_init__(self) -> None:
        n = len(self.bias)
        shapes = {
            f"weight must be {n} x {2 * n}": (self.weight, n, 2 * n),
            f"missing must be 2 x {n}": (self.missing, 2, n),
        }
        for message, (rows, num_rows, num_columns) in shapes.items():
            if len(rows) != num_rows or any(len(row) != num_columns for row in rows):
                raise ValueError(f"the linear fusion layer's {message}, as its bias has {n} values")
        values = (*self.bias, *(value for row in (*self.weight, *self.missing) for value in row))
        if not all(math.isfinite(value) for value in values):
            raise ValueError("the linear fusion layer has values that are no numbers")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What is applied to a model's log-probabilities. The default changes nothing."""

    temperatures: Mapping[str, float]
    """Per head of HEADS, positive: log-probabilities are divided by it and normalised again."""
    fusion: LogProbWeights | LinearLayer | None = None
    """Takes the place of the model's own fusion. None: the model's own, with its temperature."""
    targets: Targets = "single"
    """"multi": each class holds or not by itself; the fusion is then always the model's own."""
    thresholds: tuple[float, ...] | None = None
    """Multi: per class, in the order of the model's outputs, the least probability in (0, 1] by which the
    model's answer says that the class is there. None: one half."""

    def __post_init__(self) -> None:
        if self.targets == "multi" and self.fusion is not None:
            raise ValueError("a fusion is fitted for targets single only")
        if self.thresholds is not None and not all(0 < value <= 1 for value in self.thresholds):
            raise ValueError(f"thresholds must be in (0, 1], not {self.thresholds}")
        if set(self.temperatures) != set(HEADS):
            raise ValueError(
                f"temperatures must be given for {', '.join(HEADS)}, not {sorted(self.temperatures)}"
            )
        _check_positive("temperatures", tuple(self.temperatures.values()))

    def apply(self, outputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Calibrated log-probabilities (B, n) float32 of "face", "body" and "fused".

        `outputs` is what EmotionModel.forward returns, see `complete`. A head without its modality is
        uniform; so is "fused" with neither.
        """
        outputs = complete(outputs)
        has_face, has_body = outputs["has_face"][:, None], outputs["has_body"][:, None]
        scaled = {head: scale(outputs[head], self.temperatures[head], self.targets) for head in HEADS}
        uniform = torch.full_like(scaled["fused"], ignorance(scaled["fused"].shape[1], self.targets))
        face = torch.where(has_face, scaled["face"], uniform)
        body = torch.where(has_body, scaled["body"], uniform)
        match self.fusion:
            case None:
                fused = scaled["fused"]
            case LogProbWeights():
                both = mix(outputs["face"], outputs["body"], self.fusion.face, self.fusion.body)
                fused = torch.where(has_face & has_body, both, torch.where(has_face, face, body))
            case LinearLayer():
                like = {"dtype": uniform.dtype, "device": uniform.device}
                weight, bias, missing = (
                    torch.tensor(values, **like)  # type: ignore[arg-type]
                    for values in (self.fusion.weight, self.fusion.bias, self.fusion.missing)
                )
                inputs, absent = fusion_inputs(outputs)
                fused = F.log_softmax(inputs @ weight.T + bias + absent @ missing, dim=1)
        return {"face": face, "body": body, "fused": torch.where(has_face | has_body, fused, uniform)}

    def to_json(self) -> dict[str, Any]:
        """What calibration.json holds of it."""
        values = {
            "temperatures": dict(self.temperatures),
            "fusion": None if self.fusion is None else asdict(self.fusion),
        }
        if self.targets == "single":
            return values
        return {**values, "targets": self.targets, "thresholds": self.thresholds and list(self.thresholds)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_json`; further keys are ignored. ValueError where one is missing or wrong."""
        try:
            return cls(
                temperatures={head: float(t) for head, t in values["temperatures"].items()},
                fusion=_fusion_from_json(values["fusion"]),
                targets=_targets_from_json(values.get("targets", "single")),
                thresholds=_thresholds_from_json(values.get("thresholds")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a calibration: {error!r}") from None


def complete(outputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """The log-probabilities (B, n) float32 of all HEADS, and "has_face", "has_body" (B,) bool, of any model.

    A model of one modality has no fused head: its only head is its answer, so it is "fused" as well. The
    modality that it does not know is missing everywhere. Of a model with dimensions there are also
    "face_dimensions", "body_dimensions" and "fused_dimensions" (B, d), likewise. Where the face has its
    parts, there is "face_published" (B, n): the published mixture of them, normalised, with which the face
    can be compared.
    """
    heads = [head for head in HEADS if head in outputs]
    answer: Tensor = outputs[heads[-1]].float()
    nowhere = torch.zeros(answer.shape[0], dtype=torch.bool, device=answer.device)
    full = {head: outputs[head].float() if head in outputs else torch.zeros_like(answer) for head in HEADS}
    full["fused"] = answer
    if f"{heads[-1]}_dimensions" in outputs:
        dimensions: Tensor = outputs[f"{heads[-1]}_dimensions"]
        unknown = torch.zeros_like(dimensions)
        full |= {f"{head}_dimensions": outputs.get(f"{head}_dimensions", unknown) for head in HEADS}
        full["fused_dimensions"] = dimensions
    terms = outputs.get("face_terms", {})
    if "face_published" in outputs:
        full["face_published"] = outputs["face_published"]
    elif "published_score" in terms:
        full["face_published"] = terms["published_score"]
    return {**full, **{name: outputs.get(name, nowhere) for name in ("has_face", "has_body")}}


def scale(logp: Tensor, temperature: float | Tensor, targets: Targets = "single") -> Tensor:
    """(B, n) log-probabilities, whose logits are divided by a temperature."""
    return log_probs_of(logits_of(logp, targets) / temperature, targets)


def mix(face: Tensor, body: Tensor, w_face: float | Tensor, w_body: float | Tensor) -> Tensor:
    """(B, n) log-probabilities, weighted, summed and normalised."""
    return F.log_softmax(w_face * face + w_body * body, dim=1)


def fusion_inputs(outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """A linear fusion layer's inputs: (B, 2n) centred log-probabilities, 0 where missing; (B, 2) absence.

    Logits are known up to a constant a row; centring takes it out. `outputs` as `complete` gives them.
    """
    parts, absent = [], []
    for head in ("face", "body"):
        has = outputs[f"has_{head}"][:, None]
        logits = outputs[head] - outputs[head].mean(dim=1, keepdim=True)
        parts.append(torch.where(has, logits, 0.0))
        absent.append((~has).to(logits.dtype))
    return torch.cat(parts, dim=1), torch.cat(absent, dim=1)


def _fusion_from_json(values: Mapping[str, Any] | None) -> LogProbWeights | LinearLayer | None:
    if values is None:
        return None
    if values["kind"] == "log_prob":
        return LogProbWeights(face=float(values["face"]), body=float(values["body"]))
    if values["kind"] != "linear":
        raise ValueError(
            f"not a calibration: the fusion's kind is {values['kind']!r}, not log_prob or linear"
        )
    weight, missing = (_matrix(values[name]) for name in ("weight", "missing"))
    return LinearLayer(weight=weight, bias=_matrix([values["bias"]])[0], missing=missing)


def _targets_from_json(value: Any) -> Targets:
    if value == "single" or value == "multi":
        return value  # type: ignore[no-any-return]
    raise ValueError(f"not a calibration: targets is {value!r}, not single or multi")


def _thresholds_from_json(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in values)


def _matrix(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in rows)


def _check_positive(what: str, values: tuple[float, ...]) -> None:
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise ValueError(f"{what} must be positive numbers, not {values}")


IDENTITY = Calibration(temperatures=dict.fromkeys(HEADS, 1.0))


def identity(targets: Targets) -> Calibration:
    """What changes nothing about a model of these targets."""
    return IDENTITY if targets == "single" else replace(IDENTITY, targets=targets)
