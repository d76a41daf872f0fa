"""Non-maximum suppression: keep the best of boxes that overlap."""

from __future__ import annotations

import numpy as np


def nms(boxes_xyxy: np.ndarray, scores: np.ndarray, max_iou: float) -> np.ndarray:
    """Indices of the kept boxes, best score first. boxes (N, 4), scores (N,); ties keep their order."""
    order = np.argsort(-scores, kind="stable")
    x0, y0, x1, y1 = boxes_xyxy[order].T.astype(np.float64)
    areas = (x1 - x0) * (y1 - y0)
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if not alive[i]:
            continue
        rest = slice(i + 1, None)
        width = np.minimum(x1[i], x1[rest]) - np.maximum(x0[i], x0[rest])
        height = np.minimum(y1[i], y1[rest]) - np.maximum(y0[i], y0[rest])
        overlap = width.clip(min=0) * height.clip(min=0)
        alive[rest] &= overlap <= max_iou * (areas[i] + areas[rest] - overlap)
    return order[alive]
