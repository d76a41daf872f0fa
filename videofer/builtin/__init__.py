"""The model that comes with videofer: a folder of data beside this file, and the word that stands for it.

`model/` is a model folder as training leaves it, with its weights in half precision and a `release.json`,
which gives it name and version wherever it is copied. `tools/release_builtin.py` writes it; what it was
trained on, and what it is worth, its card says (`docs/builtin-model.md`).
"""

from __future__ import annotations

from pathlib import Path

from cache.errors import UserError

BUILTIN = "builtin"
"""What a user says instead of a folder."""

FOLDER = Path(__file__).parent / "model"


def model_path(model: str | Path) -> Path:
    """The folder of a model, by what a user said: the word "builtin", or a path.

    A folder of one's own that is called so is `./builtin`. UserError where this copy of videofer has lost its
    model.
    """
    if model != BUILTIN:
        return Path(model)
    if not (FOLDER / "model.safetensors").is_file():
        raise UserError(f"this copy of videofer has no built-in model at {FOLDER}: say --model RUN")
    return FOLDER
