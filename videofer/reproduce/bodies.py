"""Where a system's skeletons come from: files beside the videos if there are any, else our engine."""

from __future__ import annotations

from collections.abc import Collection

from preprocessing.discover import discover
from preprocessing.skeletons.layouts import COCO17, LAYOUTS
from videofer.datasets.adapter import Reading
from videofer.recipe import Recipe
from videofer.reproduce.systems import ReproduceError

_ENGINES = {
    COCO17.name: (COCO17.name, "rtmlib:body-balanced"),
    "wholebody133": ("wholebody133", "rtmlib:wholebody-balanced"),
    "openpose67": ("wholebody133", "rtmlib:wholebody-balanced"),
}
"""Layout that a model takes -> layout of the store, and the engine that gives it."""
_LOOKED_AT = 8  # of the videos


def body_keys(recipe: Recipe, reading: Reading, named: Collection[str]) -> list[str]:
    """Keys of the preprocessing spec: pose, and the layout that the recipe's model takes.

    named: keys that are given already, and not among the returned ones. ReproduceError where no engine of
    ours gives that layout.
    """
    layout = layout_of(recipe)
    names = reading.table["name"].drop_duplicates().head(_LOOKED_AT)
    sources, _ = discover([reading.root / name for name in names], sidecars=True, frames_fps=25.0)
    if any(source.sidecar is not None or source.kind == "keypoints" for source in sources):
        stored, pose = layout, "sidecar"
    elif layout in _ENGINES:
        stored, pose = _ENGINES[layout]
    elif "pose" in named:
        stored, pose = layout, ""
    else:
        raise ReproduceError(
            f"{reading.root}: joints of the layout {layout} come from keypoint files, and there are none "
            f"beside {names.iloc[0]}; name an engine by --set preprocess.pose=..."
        )
    keys = {"skeleton": stored, "pose": pose}
    return [f"{key}={value}" for key, value in keys.items() if key not in named]


def layout_of(recipe: Recipe) -> str:
    """The layout that the body model takes: the one that the recipe names, else by the number of joints."""
    assert recipe.model.body is not None
    named = recipe.data.skeleton or recipe.model.body.layout
    if named is not None:
        return named
    num_joints = recipe.model.body.num_joints
    return next((one.name for one in LAYOUTS.values() if one.num_joints == num_joints), COCO17.name)
