"""What pose networks answer, read as joints: heatmaps and SimCC; and the warp that cuts a person out.

Coordinates are continuous: the centre of the first pixel lies at 0.5. Networks count from the centre of the
first pixel, so that half a pixel is added.
"""

from __future__ import annotations

import numpy as np

BOX_PADDING = 1.25  # the models are trained on boxes with this much room around the person


def box_warp(box_xyxy: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(2, 3): the padded box, enlarged to the model's aspect, onto the model's input."""
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    width, height = size_wh
    scale = min(width / max(x1 - x0, 1.0), height / max(y1 - y0, 1.0)) / BOX_PADDING
    shift = np.array([width, height]) / 2 - scale * np.array([x0 + x1, y0 + y1]) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def decode_heatmaps(heatmaps: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(J, h, w) -> (J, 3) x, y, score in input pixels.

    The maximum, moved a quarter cell towards its higher neighbour.
    """
    num_joints, height, width = heatmaps.shape
    row, col = np.divmod(heatmaps.reshape(num_joints, -1).argmax(axis=1), width)
    joint = np.arange(num_joints)
    left, right = heatmaps[joint, row, (col - 1).clip(0)], heatmaps[joint, row, (col + 1).clip(max=width - 1)]
    above, below = (
        heatmaps[joint, (row - 1).clip(0), col],
        heatmaps[joint, (row + 1).clip(max=height - 1), col],
    )
    x = col + 0.25 * np.sign(right - left) * ((col > 0) & (col < width - 1))
    y = row + 0.25 * np.sign(below - above) * ((row > 0) & (row < height - 1))
    score = heatmaps[joint, row, col].clip(0, 1)
    # Cell i stands for the input pixel with index i * stride, whose centre is half a pixel further.
    return np.stack([x * size_wh[0] / width + 0.5, y * size_wh[1] / height + 0.5, score], axis=1)


def decode_simcc(along_x: np.ndarray, along_y: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(J, bins) of x and of y -> (J, 3) x, y, score in input pixels.

    The score is the lesser of the two maxima, as in mmpose (rtmlib takes their mean).
    """
    x = along_x.argmax(axis=1) * size_wh[0] / along_x.shape[1] + 0.5
    y = along_y.argmax(axis=1) * size_wh[1] / along_y.shape[1] + 0.5
    score = np.minimum(along_x.max(axis=1), along_y.max(axis=1)).clip(0, 1)
    return np.stack([x, y, score], axis=1)
