"""Checkpoints of mmpose: loaded as plain weights, never as programs, and only into the network they fit."""

from __future__ import annotations

import logging
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.skeletons.mmpose_config import first_line, joint_names
from preprocessing.weights import WeightsError

logger = logging.getLogger(__name__)

# What describes the data set in a checkpoint are small arrays of numbers.
ARRAY_DTYPES = tuple(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u1", "?"))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content: with `state_dict` (name -> tensor), and `meta` if its writer told of itself.

    WeightsError in one line where the file is no checkpoint, or holds objects that only a run of their own
    code could bring back: those of a training that went on.
    """
    import torch

    try:
        with torch.serialization.safe_globals(_makers_of_arrays()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        strange = re.search(r"(?:GLOBAL|class) ([\w.]+)", str(error))
        if strange is None:
            raise WeightsError(f"{path} is no checkpoint of torch") from error
        raise WeightsError(
            f"{path} holds more than weights ({strange[1]}) and is not loaded: "
            "mmpose's tools/misc/publish_model.py makes a file of weights of it"
        ) from error
    except Exception as error:  # a damaged file fails in any way
        raise WeightsError(f"{path} is no checkpoint of torch: {first_line(error)}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        return content
    if isinstance(content, dict) and any(isinstance(value, torch.Tensor) for value in content.values()):
        return {"state_dict": content}
    raise WeightsError(f"{path} is no checkpoint of mmpose: it has no state_dict")


def put_weights(model: Any, checkpoint: dict[str, Any], path: Path, joints: tuple[str, ...]) -> None:
    """Loads a checkpoint into mmpose's model.

    WeightsError in one line unless it fills every weight, and was trained on these joints if it says so.
    """
    trained_on = (checkpoint.get("meta") or {}).get("dataset_meta")
    if trained_on is not None and joint_names(trained_on) != joints:
        raise WeightsError(
            f"{path} does not fit the config: it finds the {trained_on['num_keypoints']} joints of "
            f"{trained_on.get('dataset_name', 'another data set')}, the config's data set has {len(joints)}"
        )
    weights = checkpoint["state_dict"]
    state = OrderedDict((name.removeprefix("module."), tensor) for name, tensor in weights.items())
    if hasattr(weights, "_metadata"):  # versions, by which mmpose knows which names are old ones
        state._metadata = weights._metadata  # type: ignore[attr-defined]
    try:
        keys = model.load_state_dict(state, strict=False)
    except RuntimeError as error:  # tensors of another shape
        lines = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        raise WeightsError(f"{path} does not fit the config: {(lines or [first_line(error)])[0]}") from error
    missing = [name for name in keys.missing_keys if not name.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(
            f"{path} does not fit the config: it lacks {len(missing)} of its tensors, {missing[0]} the first"
        )
    if keys.unexpected_keys:
        logger.warning(
            "%s has %d tensors that the config has no place for, %s the first",
            path.name,
            len(keys.unexpected_keys),
            keys.unexpected_keys[0],
        )


def _makers_of_arrays() -> list[Any]:
    """What pickled arrays and numbers of NumPy are made by, under the names of NumPy 2 and 1."""
    makers: list[Any] = [np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]]
    old = [(maker, f"numpy.core.multiarray.{maker.__name__}") for maker in makers]
    return [*makers, *old, np.ndarray, np.dtype, *ARRAY_DTYPES]
