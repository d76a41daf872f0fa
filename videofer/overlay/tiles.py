"""A picture as long as the video, drawn in tiles as they come into view, of which a few exist at a time.

A view of it may begin at a fraction of a pixel, so that it glides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np

from videofer.overlay.footage import Colours
from videofer.overlay.paint import to_planes

TILE_WIDTH = 512  # pixels, even
MAX_TILES = 8  # kept


class Tiles:
    """A picture of any length, made tile by tile by `render(x0, width) -> (height, width, 3) RGB`."""

    def __init__(self, render: Callable[[int, int], np.ndarray], height: int, colours: Colours) -> None:
        self.height = height
        self._render = render
        self._colours = colours
        self._tiles: OrderedDict[int, list[np.ndarray]] = OrderedDict()

    def view(self, x: float, width: int) -> list[np.ndarray]:
        """Planes of the pixels [x, x + width), width even: y (h, w), u and v (h / 2, w / 2) uint8."""
        return [
            _slid(plane, x / reduced - first * (TILE_WIDTH // reduced), width // reduced)
            for (first, plane), reduced in zip(self._stretch(x, width), (1, 2, 2), strict=True)
        ]

    def _stretch(self, x: float, width: int) -> list[tuple[int, np.ndarray]]:
        first = int(x // TILE_WIDTH)
        last = int((x + width + 2) // TILE_WIDTH)  # one chroma sample beyond, to slide into
        tiles = [self._tile(number) for number in range(first, last + 1)]
        return [(first, np.concatenate(planes, axis=1)) for planes in zip(*tiles, strict=True)]

    def _tile(self, number: int) -> list[np.ndarray]:
        if number not in self._tiles:
            rgb = self._render(number * TILE_WIDTH, TILE_WIDTH)
            self._tiles[number] = to_planes(rgb, self._colours)
            if len(self._tiles) > MAX_TILES:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end(number)
        return self._tiles[number]


def _slid(plane: np.ndarray, x: float, width: int) -> np.ndarray:
    """Columns [x, x + width) of a plane; between two samples it is their mean by distance."""
    whole = int(np.floor(x))
    share = x - whole
    left = plane[:, whole : whole + width]
    if share < 1 / 512:
        return left
    right = plane[:, whole + 1 : whole + 1 + width]
    mixed: np.ndarray = cv2.addWeighted(left, 1 - share, right, share, 0)
    return mixed
