"""Pictures and tiny ONNX models for tests of skeletons: models that find bright or coloured spots."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from preprocessing.decode.frames import PixelFrame
from tests.onnx_models import node, save_model

FLOAT_TYPE = 1  # of ONNX's tensors
MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # by which pose models normalise pictures
STD = np.array([58.395, 57.12, 57.375], np.float32)


class ArrayFrame:
    """A frame whose pixels are in memory; counts what is asked of it."""

    def __init__(self, rgb: np.ndarray) -> None:
        self.rgb = rgb
        self.height, self.width = rgb.shape[:2]
        self.pts, self.duration_pts = 0, 0
        self.num_reduced = 0

    def reduced_rgb(self, size_wh: tuple[int, int]) -> np.ndarray:
        self.num_reduced += 1
        return np.asarray(cv2.resize(self.rgb, size_wh, interpolation=cv2.INTER_AREA))

    def rgb_patch(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        raise AssertionError("not asked for here")

    def aligned_rgb(
        self, warp: np.ndarray, size_wh: tuple[int, int], *, black_outside: bool = False
    ) -> np.ndarray:
        assert black_outside, "bodies are cut out as in training"
        return PixelFrame(self.rgb, 0, 1).aligned_rgb(warp, size_wh, black_outside=True)

    def luma_thumbnail(self) -> np.ndarray:
        raise AssertionError("not asked for here")


def spot(x: float, y: float, width: int = 640, height: int = 480, sigma: float = 4.0) -> ArrayFrame:
    """A dark picture with one bright blob centred at (x, y), in continuous coordinates."""
    rows, cols = np.mgrid[:height, :width] + 0.5
    blob = 255 * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return ArrayFrame(np.repeat(blob[..., None], 3, axis=2).astype(np.uint8))


def heatmap_model(
    path: Path, *, joints: int = 17, input_shape: tuple[int | str, ...] = ("N", 3, 256, 192)
) -> Path:
    """Heatmaps (N, joints, H/4, W/4): the brightness of the pixel with index 4 i, in [0, 1]."""
    kernel = np.full((joints, 3, 1, 1), 1 / 3 / 2.4, np.float32)
    return save_model(
        path,
        input_shape=input_shape,
        outputs={"maps": ("N", joints, 64, 48)},
        nodes=[node("Conv", ["image", "kernel"], ["maps"], strides=[4, 4])],
        constants={"kernel": kernel},
    )


def simcc_model(path: Path, *, joints: int = 17, declared: int | str | None = None) -> Path:
    """SimCC at one bin a pixel: the brightest column and the brightest row.

    declared: how many joints the file says it has, if not so many.
    """
    named = joints if declared is None else declared
    return save_model(
        path,
        input_shape=("N", 3, 256, 192),
        outputs={"simcc_x": ("N", named, 192), "simcc_y": ("N", named, 256)},
        nodes=[
            node("Conv", ["image", "kernel"], ["maps"]),
            node("ReduceMax", ["maps"], ["simcc_x"], axes=[2], keepdims=0),
            node("ReduceMax", ["maps"], ["simcc_y"], axes=[3], keepdims=0),
        ],
        constants={"kernel": np.full((joints, 3, 1, 1), 1 / 3 / 2.4, np.float32)},
    )


def rtmdet_model(path: Path, dets: list[list[float]], labels: list[int]) -> Path:
    """Finds the same boxes in every picture."""
    return save_model(
        path,
        input_shape=("N", 3, "height", "width"),
        outputs={"dets": (1, len(dets), 5), "labels": (1, len(dets))},
        nodes=[node("Identity", ["d"], ["dets"]), node("Identity", ["l"], ["labels"])],
        constants={
            "d": np.array([dets], np.float32).reshape(1, -1, 5),
            "l": np.array([labels], np.int64).reshape(1, -1),
        },
    )


def yolox_model(path: Path, cells: dict[int, list[float]], side: int = 64) -> Path:
    """Raw YOLOX output, the same for every picture: x, y, log w, log h, objectness, person, other class."""
    num_cells = sum((side // stride) ** 2 for stride in (8, 16, 32))
    raw = np.zeros((1, num_cells, 7), np.float32)
    for cell, values in cells.items():
        raw[0, cell] = values
    return save_model(
        path,
        input_shape=(1, 3, side, side),
        outputs={"output": raw.shape},
        nodes=[node("Identity", ["raw"], ["output"])],
        constants={"raw": raw},
    )


def colours(joints: int) -> np.ndarray:
    """(J, 3) in [0, 1]: as far from one another as so many directions of equal length can be."""
    turn = np.arange(joints) * (np.sqrt(5) - 1) / 2 % 1 * np.pi / 2  # a spiral over an eighth of the sphere
    z = (np.arange(joints) + 0.5) / joints
    side = np.sqrt(1 - z**2)
    return np.stack([side * np.cos(turn), side * np.sin(turn), z], axis=1).astype(np.float32)


def colour_model(path: Path, *, joints: int = 17, simcc: bool = False) -> Path:
    """Joint j is where its colour is brightest: heatmaps at a quarter of 192x256, or SimCC, a bin a pixel."""
    stride = 1 if simcc else 4
    mix = [  # how bright in this colour, much less where another colour is brighter
        node("Conv", ["image", "kernel", "black"], ["bright"], strides=[stride, stride]),
        node("ReduceMax", ["bright"], ["brightest"], axes=[1], keepdims=1),
        node("Sub", ["bright", "brightest"], ["behind"]),
        node("Mul", ["behind", "twenty"], ["much_behind"]),
        node("Add", ["bright", "much_behind"], ["maps"]),
    ]
    along = [
        node("ReduceMax", ["maps"], ["simcc_x"], axes=[2], keepdims=0),
        node("ReduceMax", ["maps"], ["simcc_y"], axes=[3], keepdims=0),
    ]
    kernel = (colours(joints) * STD / 255).reshape(joints, 3, 1, 1)
    black = colours(joints) @ MEAN / 255
    return save_model(
        path,
        input_shape=("N", 3, 256, 192),
        outputs={"simcc_x": ("N", joints, 192), "simcc_y": ("N", joints, 256)}
        if simcc
        else {"maps": ("N", joints, 64, 48)},
        nodes=[*mix, *along] if simcc else mix,
        constants={"kernel": kernel.astype(np.float32), "black": black, "twenty": np.array([20], np.float32)},
    )


def coloured_body(places_xy: np.ndarray, size_wh: tuple[int, int], sigma: float = 5.0) -> np.ndarray:
    """(h, w, 3) uint8: a spot of its joint's colour at each of the places (J, 2), continuous coordinates."""
    rows, cols = np.mgrid[: size_wh[1], : size_wh[0]] + 0.5
    squares = np.stack([(cols - x) ** 2 + (rows - y) ** 2 for x, y in places_xy])  # (J, h, w)
    light = 255 * np.exp(-squares.min(axis=0) / (2 * sigma**2))  # a pixel has the colour of the nearest spot
    return (
        np.asarray(light[..., None] * colours(len(places_xy))[squares.argmin(axis=0)])
        .round()
        .astype(np.uint8)
    )


def rtmo_model(
    path: Path, *, side: int = 160, joints: int = 17, score: float = 0.9, declared: int | str | None = None
) -> Path:
    """One stage: one person about the brightest pixel, all joints there, and the same again, doubted.

    declared: how many joints the file says it has, if not so many.
    """
    offsets = np.array([[-30, -40, 30, 40, score]], np.float32)
    ones = np.array([1, 0, 1, 0, 0], np.float32), np.array([0, 1, 0, 1, 0], np.float32)
    joint = (
        np.array([1, 0, 0], np.float32),
        np.array([0, 1, 0], np.float32),
        np.array([0, 0, 1.2], np.float32),
    )
    doubt = np.array([1, 1, 1, 1, 0.5], np.float32)
    return save_model(
        path,
        input_shape=(1, 3, side, side),
        outputs={"dets": (1, "N", 5), "keypoints": (1, "N", joints if declared is None else declared, 3)},
        nodes=[
            node("Conv", ["image", "kernel"], ["grey"]),
            node("ReduceMax", ["grey"], ["over_rows"], axes=[1, 2], keepdims=0),
            node("ReduceMax", ["grey"], ["over_cols"], axes=[1, 3], keepdims=0),
            node("ArgMax", ["over_rows"], ["col"], axis=1, keepdims=1),
            node("ArgMax", ["over_cols"], ["row"], axis=1, keepdims=1),
            node("Cast", ["col"], ["x"], to=FLOAT_TYPE),
            node("Cast", ["row"], ["y"], to=FLOAT_TYPE),
            node("Mul", ["x", "on_x"], ["x_box"]),
            node("Mul", ["y", "on_y"], ["y_box"]),
            node("Sum", ["x_box", "y_box", "offsets"], ["box"]),
            node("Mul", ["box", "doubt"], ["doubted"]),
            node("Concat", ["box", "doubted"], ["boxes"], axis=0),
            node("Unsqueeze", ["boxes", "first"], ["dets"]),
            node("Mul", ["x", "joint_x"], ["x_joint"]),
            node("Mul", ["y", "joint_y"], ["y_joint"]),
            node("Sum", ["x_joint", "y_joint", "joint_score"], ["one"]),
            node("Concat", ["one"] * (2 * joints), ["all"], axis=0),
            node("Reshape", ["all", "shape"], ["keypoints"]),
        ],
        constants={
            "kernel": np.full((1, 3, 1, 1), 1 / 3, np.float32),
            "offsets": offsets,
            "on_x": ones[0][None],
            "on_y": ones[1][None],
            "doubt": doubt[None],
            "joint_x": joint[0][None],
            "joint_y": joint[1][None],
            "joint_score": joint[2][None],
            "first": np.array([0], np.int64),
            "shape": np.array([1, 2, joints, 3], np.int64),
        },
    )
