"""Layouts of dense facial landmarks: how many points, their mirror images, and the face mesh as 68 points.

Left and right are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Line = tuple[int, ...]


@dataclass(frozen=True)
class LandmarkLayout:
    """The points of a face, in the order in which they are stored."""

    name: str
    num_points: int
    lines: dict[str, Line]
    """Parts of the face as points one behind the other; what a picture of the landmarks draws."""
    closed: tuple[str, ...]
    """Those of the lines whose last point is joined to the first."""


def _run(first: int, last: int) -> Line:
    return tuple(range(first, last + 1))


# fmt: off
# The 68 points of Multi-PIE and 300-W (Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013), as
# dlib and face-alignment give them, counted from 0.
IBUG68 = LandmarkLayout(
    name="ibug68",
    num_points=68,
    lines={
        "jaw": _run(0, 16), "right brow": _run(17, 21), "left brow": _run(22, 26),
        "nose bridge": _run(27, 30), "nostrils": _run(31, 35),
        "right eye": _run(36, 41), "left eye": _run(42, 47),
        "outer lips": _run(48, 59), "inner lips": _run(60, 67),
    },
    closed=("right eye", "left eye", "outer lips", "inner lips"),
)
LEFT_RIGHT_PAIRS_68 = (
    (16, 0), (15, 1), (14, 2), (13, 3), (12, 4), (11, 5), (10, 6), (9, 7),
    (26, 17), (25, 18), (24, 19), (23, 20), (22, 21), (35, 31), (34, 32),
    (45, 36), (44, 37), (43, 38), (42, 39), (47, 40), (46, 41),
    (54, 48), (53, 49), (52, 50), (55, 59), (56, 58), (64, 60), (63, 61), (65, 67),
)

# MediaPipe's face mesh (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile
# GPUs", CVPRW 2019): the vertices of its canonical face model, lines as in its `face_mesh_connections`.
MESH468 = LandmarkLayout(
    name="mesh468",
    num_points=468,
    lines={
        "oval": (
            10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
            152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
        ),
        "right brow": (70, 63, 105, 66, 107), "left brow": (336, 296, 334, 293, 300),
        "nose bridge": (168, 6, 197, 195, 5, 4, 1),
        "right eye": (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
        "left eye": (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382),
        "outer lips": (
            61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
        ),
        "inner lips": (
            78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
        ),
    },
    closed=("oval", "right eye", "left eye", "outer lips", "inner lips"),
)

# Entry p is the vertices of the mesh whose mean stands for point p of IBUG68. Brows, eyes, nose and lips are
# those of Peizhi Yan's correspondence (github.com/PeizhiYan/Mediapipe_2_Dlib_Landmarks). What we changed: the
# jaw, where his two sides differ; ours lie evenly along the mesh's oval and mirror one another.
IBUG68_FROM_MESH468: tuple[tuple[int, ...], ...] = (
    (127,), (234,), (93, 132), (132, 58), (58, 172), (136,), (150, 149), (176, 148),
    (152,),
    (400, 377), (379, 378), (365,), (288, 397), (361, 288), (323, 361), (454,), (356,),
    (70,), (63,), (105,), (66,), (107,), (336,), (296,), (334,), (293,), (300,),
    (168, 6), (197, 195), (5,), (4,),
    (98,), (97,), (2,), (326,), (327,),
    (33,), (160,), (158,), (133,), (153,), (144,),
    (362,), (385,), (387,), (263,), (373,), (380,),
    (61,), (39,), (37,), (0,), (267,), (269,), (291,), (321,), (314,), (17,), (84,), (91,),
    (78,), (82,), (13,), (312,), (308,), (317,), (14,), (87,),
)
# fmt: on

LANDMARK_LAYOUTS: dict[str, LandmarkLayout] = {layout.name: layout for layout in (IBUG68, MESH468)}

_TWINS = {a: b for pair in LEFT_RIGHT_PAIRS_68 for a, b in (pair, pair[::-1])}
MIRRORED_68 = tuple(_TWINS.get(point, point) for point in range(IBUG68.num_points))
"""Entry p is the point of IBUG68 that stands at point p's place after a left-right flip of the picture."""

# As two picks and one mean: a vertex that stands alone is picked twice.
_FIRST = np.array([vertices[0] for vertices in IBUG68_FROM_MESH468])
_SECOND = np.array([vertices[-1] for vertices in IBUG68_FROM_MESH468])


_EYES_68 = (IBUG68.lines["right eye"], IBUG68.lines["left eye"])
_NOSE_TIP_68, _MOUTH_CORNERS_68 = 30, (48, 54)


def five_of_68(points_xy: np.ndarray) -> np.ndarray:
    """Points (..., 68, 2) of IBUG68 -> (..., 5, 2), the landmarks of face detectors.

    The middle of each eye's outline, the tip of the nose, the outer corners of the mouth; the image's left
    first, in an upright face.
    """
    eyes = np.stack([points_xy[..., line, :].mean(axis=-2) for line in _EYES_68], axis=-2)
    rest = points_xy[..., (_NOSE_TIP_68, *_MOUTH_CORNERS_68), :]
    return np.concatenate([eyes, rest], axis=-2).astype(np.float32)


def five_by_dense(dense: np.ndarray, layout: str, five: np.ndarray) -> np.ndarray:
    """The five landmarks (n, 5, 2) that dense ones (n, P, 2) of a layout give; where those lack, `five`."""
    found = five_of_68(to_ibug68(dense, layout))
    is_there = np.isfinite(found).all(axis=(1, 2), keepdims=True)
    return np.asarray(np.where(is_there, found, five), np.float32)


def to_ibug68(points_xy: np.ndarray, layout: str) -> np.ndarray:
    """Points (..., P, 2) of a layout -> (..., 68, 2) of IBUG68, float32. ValueError for an unknown layout."""
    points_xy = np.asarray(points_xy, np.float32)
    if layout == IBUG68.name:
        return points_xy
    if layout == MESH468.name:
        return np.asarray((points_xy[..., _FIRST, :] + points_xy[..., _SECOND, :]) / 2)
    raise ValueError(f"unknown landmark layout {layout!r}; known: {', '.join(LANDMARK_LAYOUTS)}")
