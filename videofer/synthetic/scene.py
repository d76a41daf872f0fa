"""Everything around the person, and the picture of one instant: background, light, place, noise.

All of it is nuisance, never drawn from the label. A session (one recording of a subject, with a take of every
class) shares background, light, clothes and camera, so that these tell nothing of the label even by heart;
place and movement are each take's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from videofer.synthetic.body import BodyPainter, Joints, Placement, solve
from videofer.synthetic.face import FaceRenderer
from videofer.synthetic.photo import EYE_PIXELS, ORIGIN_XY
from videofer.synthetic.script import Floats, wander
from videofer.synthetic.subjects import Subject

REFERENCE_WH = (320, 384)
_REFERENCE_EYE_PIXELS = 46.0
_MARGIN = 24  # the background drifts within it


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The circumstances of one take: of its session, and its own place and seed."""

    size_wh: tuple[int, int]
    outfit: int  # index into the subject's wardrobe
    x: float
    y: float
    scale: float
    noise_sigma: float
    gain: float
    tint: tuple[float, float, float]
    gradient: tuple[float, float]  # change of brightness from side to side and from top to bottom
    background_seed: int  # the session's
    seed: int  # the take's own: movement and noise


def draw_scene(size_wh: tuple[int, int], session: np.random.Generator, take: np.random.Generator) -> Scene:
    """Draws a scene in a fixed order of calls: what a session shares from `session`, the rest from `take`."""
    width, height = size_wh
    unit = min(width / REFERENCE_WH[0], height / REFERENCE_WH[1])
    return Scene(
        size_wh=size_wh,
        outfit=int(session.integers(2)),
        x=width / 2 + unit * float(take.uniform(-7, 7)),
        y=height * 0.30 + unit * float(take.uniform(-7, 9)),
        scale=unit * _REFERENCE_EYE_PIXELS * float(session.uniform(0.94, 1.03)),
        noise_sigma=float(session.uniform(0.5, 3.5)),
        gain=float(session.uniform(0.78, 1.15)),
        tint=(float(session.uniform(0.95, 1.07)), 1.0, float(session.uniform(0.91, 1.07))),
        gradient=(float(session.uniform(-0.22, 0.22)), float(session.uniform(-0.15, 0.15))),
        background_seed=int(session.integers(2**31)),
        seed=int(take.integers(2**31)),
    )


class Stage:
    """One subject in one scene, ready to be drawn at the instants of a take."""

    def __init__(self, subject: Subject, scene: Scene, face: FaceRenderer, t: Floats) -> None:
        """t (T,): the instants that will be drawn, in seconds."""
        rng = np.random.default_rng(scene.seed)
        self._subject, self._scene, self._face = subject, scene, face
        self._painter = BodyPainter(subject, subject.wardrobe[scene.outfit])
        self._background = _background(scene.size_wh, np.random.default_rng(scene.background_seed))
        self._light = _light(scene)
        width, height = scene.size_wh
        noise = np.abs(rng.normal(0, scene.noise_sigma, (2, height + 64, width + 64, 3)))
        self._noise = np.clip(noise, 0, 255).astype(np.uint8)
        self._noise_at = rng.integers(0, 64, (len(t), 2, 2))
        self._flicker = 1 + 0.015 * wander(t, rng, fast_hz=3.0)
        self._drift = np.clip(np.stack([6 * wander(t, rng), 4 * wander(t, rng)], 1), 1 - _MARGIN, _MARGIN - 1)
        roll = rng.uniform(-3, 3) + 1.5 * wander(t, rng)
        shear = rng.uniform(-0.03, 0.03) + 0.015 * wander(t, rng)
        aspect = subject.face_width * (1 + 0.012 * wander(t, rng))
        zoom = 1 + 0.008 * wander(t, rng)
        self.placements = [
            Placement(
                scene.x,
                scene.y,
                scene.scale * float(zoom[i]),
                float(roll[i]),
                float(shear[i]),
                float(aspect[i]),
            )
            for i in range(len(t))
        ]

    def joints(self, poses: Floats) -> list[Joints]:
        """The true joints of every instant. poses: (T, channels)."""
        return [solve(pose, place) for pose, place in zip(poses, self.placements, strict=True)]

    def draw(self, index: int, joints: Joints, actions: Floats) -> NDArray[np.uint8]:
        """The picture of instant number `index`: (H, W, 3) uint8 RGB."""
        width, height = self._scene.size_wh
        dx, dy = (round(value) + _MARGIN for value in self._drift[index])
        image = self._background[dy : dy + height, dx : dx + width].copy()
        self._painter.draw_legs(image, joints)
        self._painter.draw_behind(image, joints)
        _paste_head(image, self._face.render(actions), joints.head_affine)
        self._painter.draw_arms(image, joints)
        (y0, x0), (y1, x1) = self._noise_at[index]
        lit = cv2.multiply(image, self._light, scale=float(self._flicker[index]) / 128)
        lit = cv2.add(lit, self._noise[0, y0 : y0 + height, x0 : x0 + width])
        lit = cv2.subtract(lit, self._noise[1, y1 : y1 + height, x1 : x1 + width])
        return np.asarray(lit, np.uint8)


def _paste_head(image: NDArray[np.uint8], head: NDArray[np.uint8], affine: NDArray[np.float64]) -> None:
    """Warp the head's canvas into the picture. In place."""
    to_face = np.array([[1, 0, -ORIGIN_XY[0]], [0, 1, -ORIGIN_XY[1]], [0, 0, EYE_PIXELS]]) / EYE_PIXELS
    warp = affine @ to_face
    canvas_h, canvas_w = head.shape[:2]
    corners = warp @ np.array([[0, canvas_w, 0, canvas_w], [0, 0, canvas_h, canvas_h], [1, 1, 1, 1.0]])
    height, width = image.shape[:2]
    x0, y0 = np.maximum(np.floor(corners.min(axis=1)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=1)).astype(int), (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    warp[:, 2] -= x0, y0
    layer = cv2.warpAffine(head, warp, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR)
    cover = layer[..., 3:].astype(np.float32) / 255
    region = image[y0:y1, x0:x1]
    region[...] = region + cover * (layer[..., :3].astype(np.float32) - region)


def _light(scene: Scene) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 gains in 1/128."""
    width, height = scene.size_wh
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    gain = scene.gain * (1 + scene.gradient[0] * x + scene.gradient[1] * y)
    return np.clip(gain * np.asarray(scene.tint, np.float32) * 128, 0, 255).astype(np.uint8)


def _background(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A room out of focus: wall, clouds, shelves or lights. Larger than the picture by the margin."""
    width, height = size_wh[0] + 2 * _MARGIN, size_wh[1] + 2 * _MARGIN
    base, other = _muted(rng.uniform(50, 215, (2, 3)))
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    wall = np.ascontiguousarray(np.broadcast_to(base + 0.4 * ramp * (other - base), (height, width, 3)))
    kind = rng.integers(4)
    for _ in range(int(rng.integers(4, 14))):
        colour = tuple(float(value) for value in _muted(rng.uniform(20, 240, 3)))
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = int(rng.integers(12, width // 2)), int(rng.integers(12, height // 2))
        if kind == 0:
            cv2.rectangle(wall, (x - w // 2, y - h // 2), (x + w // 2, y + h // 2), colour, -1)
        elif kind == 1:
            cv2.circle(wall, (x, y), 6 + w // 6, colour, -1)
        elif kind == 2:
            cv2.rectangle(wall, (x - w // 8, 0), (x + w // 8, height), colour, -1)
    blurred = np.asarray(cv2.GaussianBlur(wall, (0, 0), float(rng.uniform(2, 7))))
    coarse = rng.normal(0, 1, (height // 4 + 1, width // 4 + 1)).astype(np.float32)
    smooth = cv2.GaussianBlur(coarse, (0, 0), 2.5) * float(rng.uniform(8, 40))
    clouds = np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC))
    return np.asarray(np.clip(blurred + clouds[..., None], 0, 255), np.uint8)


def _muted(colours: NDArray[np.float64]) -> NDArray[np.float32]:
    """Take most of the saturation out of colours (..., 3): rooms are rarely neon."""
    grey = colours.mean(axis=-1, keepdims=True)
    return np.asarray(grey + 0.45 * (colours - grey), np.float32)
