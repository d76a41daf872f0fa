from __future__ import annotations

import cv2
import numpy as np
import torch

from videofer.models.grey import brightness


def test_brightness_is_that_of_opencv() -> None:
    pictures = torch.rand(3, 3, 8, 9)
    for picture, made in zip(pictures, brightness(pictures), strict=True):
        expected = cv2.cvtColor(np.ascontiguousarray(picture.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2GRAY)
        torch.testing.assert_close(made[0], torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_grey_stays_grey() -> None:
    grey = torch.rand(2, 1, 5, 5)
    torch.testing.assert_close(brightness(grey.expand(-1, 3, -1, -1)), grey)
