"""A moving upper body whose joints are known: pose channels -> joints -> picture.

Lengths are face units (distance between the pupils) times a scale in pixels, angles are degrees from
hanging straight down, positive outwards from the body's midline. "Left" in the names of joints is the
person's left, which is at the right of the image; channels are per image side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from videofer.synthetic.subjects import Colour, Outfit, Subject

CHANNELS = (
    "lean",  # sideways shift of the torso
    "drop",  # downwards shift of the torso
    "tilt",  # roll of the shoulder line, degrees
    "turn",  # 0 frontal, 1 side on: narrows the shoulders
    "shrug",  # shoulders up
    "sink",  # head down into the shoulders
    "upper_0",  # arm at the image's left
    "fore_0",
    "upper_1",  # arm at the image's right
    "fore_1",
)
CHANNEL = {name: index for index, name in enumerate(CHANNELS)}

NUM_JOINTS = 17  # COCO
_SHOULDER_HALF, _UPPER_ARM, _FOREARM, _HIP_DROP, _HIP_HALF = 1.92, 1.55, 1.38, 3.9, 1.25
_NECK_V, _SHOULDER_V = 2.0, 2.42  # below the eye line
_ARM_HALF_WIDTHS = (0.40, 0.33, 0.25)  # shoulder, elbow, wrist
_HEAD_POINTS_UV = np.array([[0.0, 0.60], [0.5, 0.0], [-0.5, 0.0], [1.04, 0.32], [-1.04, 0.32]])  # COCO 0 to 4


@dataclass(frozen=True)
class Placement:
    """Where the person stands: x, y between the pupils in pixels, scale in pixels a face unit."""

    x: float
    y: float
    scale: float
    roll: float = 0.0  # of the head, degrees
    shear: float = 0.0  # of the head
    aspect: float = 1.0  # of the head: width over height


@dataclass(frozen=True)
class Joints:
    """Where everything is in one frame, in pixels."""

    head_affine: NDArray[np.float64]  # (2, 3): face units -> pixels
    neck_xy: NDArray[np.float64]
    hip_xy: NDArray[np.float64]
    shoulders: NDArray[np.float64]  # (2, 2): image's left, image's right
    elbows: NDArray[np.float64]
    wrists: NDArray[np.float64]
    hands: NDArray[np.float64]  # (2, 2) unit vectors along the forearms
    scale: float

    def coco17(self) -> NDArray[np.float64]:
        """(17, 2) in COCO order. Legs are extrapolated below the hips; they lie outside the picture."""
        head = _HEAD_POINTS_UV @ self.head_affine[:, :2].T + self.head_affine[:, 2]
        hips = np.stack([self.hip_xy + [side * _HIP_HALF * self.scale, 0] for side in (1, -1)])
        knees, ankles = hips + [0, 3.6 * self.scale], hips + [0, 7.0 * self.scale]
        arms = [pair[::-1] for pair in (self.shoulders, self.elbows, self.wrists)]
        return np.concatenate([head, *arms, hips, knees, ankles])


def solve(pose: NDArray[np.floating], place: Placement) -> Joints:
    """Forward kinematics of one pose (len(CHANNELS),)."""
    lean, drop, tilt, turn, shrug, sink = (float(value) for value in pose[:6])
    s = place.scale
    eyes = np.array([place.x + lean * s, place.y + (drop + sink) * s])
    roll = np.deg2rad(place.roll + 0.5 * tilt)
    linear = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    linear = linear @ np.array([[place.aspect, place.shear], [0, 1.0]]) * s
    body = np.array([place.x + lean * s, place.y + drop * s])
    angle = np.deg2rad(tilt)
    across = np.array([np.cos(angle), np.sin(angle)])
    half = _SHOULDER_HALF * (1 - 0.32 * turn)
    middle = body + [0, (_SHOULDER_V - shrug) * s]
    shoulders = np.stack([middle - across * half * s, middle + across * half * s])
    elbows, wrists, hands = np.empty((2, 2)), np.empty((2, 2)), np.empty((2, 2))
    for index, side in enumerate((-1, 1)):
        upper, fore = np.deg2rad(pose[6 + 2 * index : 8 + 2 * index])
        elbows[index] = shoulders[index] + _UPPER_ARM * s * np.array([side * np.sin(upper), np.cos(upper)])
        hands[index] = side * np.sin(fore), np.cos(fore)
        wrists[index] = elbows[index] + _FOREARM * s * hands[index]
    return Joints(
        head_affine=np.column_stack([linear, eyes]),
        neck_xy=body + [0, _NECK_V * s],
        hip_xy=np.array([place.x + 0.6 * lean * s, place.y + (_SHOULDER_V + _HIP_DROP) * s]),
        shoulders=shoulders,
        elbows=elbows,
        wrists=wrists,
        hands=hands,
        scale=s,
    )


class BodyPainter:
    """Draws one subject's body in one outfit."""

    def __init__(self, subject: Subject, outfit: Outfit) -> None:
        self._subject, self._outfit = subject, outfit
        self._cloth = _cloth_texture(outfit, np.random.default_rng(subject.seed + 1))

    def draw_behind(self, image: NDArray[np.uint8], joints: Joints) -> None:
        """Hair behind the neck, neck and torso: everything that the head covers. In place."""
        s, neck = joints.scale, joints.neck_xy
        eyes = joints.head_affine[:, 2]
        if self._subject.long_hair:
            half = (0.95 + 0.4 * self._subject.hair_volume) * s
            top, bottom = eyes[1] - 0.2 * s, neck[1] + 0.9 * s
            curtain = [
                (eyes[0] - half, top),
                (eyes[0] + half, top),
                (eyes[0] + 1.08 * half, bottom - 0.3 * s),
            ]
            curtain += [(eyes[0] + 0.5 * half, bottom), (eyes[0] - 0.5 * half, bottom)]
            curtain += [(eyes[0] - 1.08 * half, bottom - 0.3 * s)]
            _fill(image, _rounded(np.array(curtain)), _darker(self._subject.hair_colour, 0.62))
        skin = self._subject.skin_colour
        chin = eyes + [0, 1.3 * s]
        throat = np.array(
            [
                chin - [0.66 * s, 0],
                chin + [0.66 * s, 0],
                neck + [0.72 * s, 0.35 * s],
                neck + [0, 0.85 * s],
                neck - [0.72 * s, -0.35 * s],
            ]
        )
        _fill(image, throat, _darker(skin, 0.80))
        shadow = eyes + np.array([0, 1.58 * s])
        cv2.ellipse(image, (tuple(shadow), (1.36 * s, 0.74 * s), 0.0), _darker(skin, 0.62), -1, cv2.LINE_AA)
        self._draw_torso(image, joints)

    def _draw_torso(self, image: NDArray[np.uint8], joints: Joints) -> None:
        s, neck = joints.scale, joints.neck_xy
        left, right = joints.shoulders
        cap = np.array([0, -0.36 * s])
        depth = (0.62 if self._outfit.v_neck else 0.34) * s
        side = np.array([0.36 * s, 0])
        outline = [neck + [-0.66 * s, 0.06 * s], neck + [0, depth + 0.1 * s], neck + [0.66 * s, 0.06 * s]]
        outline += [
            right + cap * 0.95 - side * 0.4,
            right + side * 0.8 + cap * 0.2,
            right + side * 0.5 - cap * 2.5,
        ]
        outline += [joints.hip_xy + [1.5 * s, 0.8 * s], joints.hip_xy + [-1.5 * s, 0.8 * s]]
        outline += [
            left - side * 0.5 - cap * 2.5,
            left - side * 0.8 + cap * 0.2,
            left + cap * 0.95 + side * 0.4,
        ]
        mask = np.zeros(image.shape[:2], np.uint8)
        corners = np.rint(np.array(outline) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
        # The cloth moves with the torso: shoulder, shoulder and hip carry it.
        height, width = self._cloth.shape[:2]
        source = np.array([[0.2 * width, 40], [0.8 * width, 40], [0.5 * width, height - 10.0]], np.float32)
        target = np.stack([left, right, joints.hip_xy]).astype(np.float32)
        warp = cv2.getAffineTransform(source, target)
        top = max(0, int(corners[:, 1].min() / 16) - 1)
        warp[1, 2] -= top
        size = (image.shape[1], max(1, image.shape[0] - top))
        cloth = cv2.warpAffine(self._cloth, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        below = image[top:]
        cover = mask[top:, :, None].astype(np.float32) / 255
        below[...] = below + cover * (cloth[: len(below)].astype(np.float32) - below)
        edge = np.rint(np.array(outline[:3]) * 16).astype(np.int32)
        trim = _darker(self._outfit.colour, 0.6)
        cv2.polylines(image, [edge], False, trim, max(2, round(0.07 * s)), cv2.LINE_AA, 4)

    def draw_legs(self, image: NDArray[np.uint8], joints: Joints) -> None:
        """Trousers and shoes; nothing where the knees are outside the picture. In place.

        A leg begins further in than its hip joint stands, or it would be wider than the torso.
        """
        s = joints.scale
        hips, knees, ankles = joints.coco17()[11:].reshape(3, 2, 2)
        if knees[:, 1].min() >= image.shape[0]:
            return
        cloth = _darker(self._outfit.second_colour, 0.5)
        for joint, inwards in ((hips, 0.72), (knees, 0.84)):
            joint[:, 0] = joints.hip_xy[0] + inwards * (joint[:, 0] - joints.hip_xy[0])
        for hip, knee, ankle in zip(hips, knees, ankles, strict=True):
            toe = ankle + [0.28 * s * np.sign(ankle[0] - joints.hip_xy[0]), 0.42 * s]
            _limb(image, ankle + [0, 0.22 * s], toe, 0.34 * s, 0.30 * s, (38, 34, 32))
            for grow, tone in ((0.045 * s, 0.7), (0.0, 1.0)):
                _limb(image, knee, ankle, 0.48 * s + grow, 0.34 * s + grow, _darker(cloth, tone))
                _limb(image, hip, knee, 0.62 * s + grow, 0.48 * s + grow, _darker(cloth, tone))
        _limb(image, hips[0], hips[1], 0.62 * s, 0.62 * s, cloth)

    def draw_arms(self, image: NDArray[np.uint8], joints: Joints) -> None:
        """Sleeves, forearms and hands: in front of the torso and beside the head. In place."""
        cloth, skin, s = self._outfit.colour, self._subject.skin_colour, joints.scale
        a, b, c = (half * s for half in _ARM_HALF_WIDTHS)
        for index in range(2):
            shoulder, elbow, wrist = joints.shoulders[index], joints.elbows[index], joints.wrists[index]
            fore = cloth if self._outfit.long_sleeves else skin
            _hand(image, wrist, joints.hands[index], 1 if index else -1, skin, s)
            for grow, tone in ((0.045 * s, 0.66), (0.0, 0.9)):  # a dark rim, then the limb
                _limb(image, elbow, wrist, b * 0.94 + grow, c + grow, _darker(fore, tone))
                _limb(image, shoulder, elbow, a + grow, b + grow, _darker(cloth, tone * 1.04))
            _limb(image, shoulder, elbow, 0.35 * a, 0.3 * b, _darker(cloth, 1.08))
            _limb(image, elbow, wrist, 0.3 * b, 0.3 * c, _darker(fore, 1.06))


def _cloth_texture(outfit: Outfit, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(256, 256, 3) uint8, with the shading of a rounded torso."""
    y, x = np.mgrid[:256, :256].astype(np.float32)
    first, second = (np.asarray(c, np.float32) for c in (outfit.colour, outfit.second_colour))
    if outfit.pattern == "stripes":
        mix = (np.sin(y / 7) > 0.3).astype(np.float32) * 0.7
    elif outfit.pattern == "checks":
        mix = 0.35 * (np.sin(x / 6) > 0.2) + 0.35 * (np.sin(y / 6) > 0.2)
    elif outfit.pattern == "dots":
        mix = ((np.mod(x, 18) - 9) ** 2 + (np.mod(y + 9 * (np.floor(x / 18) % 2), 18) - 9) ** 2 < 12) * 0.8
    elif outfit.pattern == "knit":
        mix = 0.2 + 0.15 * np.sin(x / 1.6) * np.sin(y / 2.2)
    else:
        mix = np.zeros_like(x)
    colour = first + np.asarray(mix, np.float32)[..., None] * (second - first)
    folds = cv2.GaussianBlur(rng.normal(0, 1, (256, 256)).astype(np.float32), (0, 0), 9) * 1.6
    shade = 1.02 - 0.28 * np.abs((x - 128) / 128) ** 2.2 - 0.10 * y / 256 + folds
    cloth = cv2.GaussianBlur(colour, (0, 0), 0.8) * shade[..., None]
    return np.asarray(np.clip(cloth, 0, 255), np.uint8)


def _darker(colour: Colour, factor: float) -> Colour:
    r, g, b = (min(255.0, channel * factor) for channel in colour)
    return r, g, b


def _fill(image: NDArray[np.uint8], points: NDArray[np.float64], colour: Colour) -> None:
    cv2.fillPoly(image, [np.rint(points * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _rounded(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut the corners of a closed polygon twice (Chaikin)."""
    for _ in range(2):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1).reshape(-1, 2)
    return points


def _limb(
    image: NDArray[np.uint8],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    start_half: float,
    end_half: float,
    colour: Colour,
) -> None:
    """A tapered capsule."""
    along = end - start
    normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    sides = [start + normal * start_half, end + normal * end_half]
    sides += [end - normal * end_half, start - normal * start_half]
    _fill(image, np.array(sides), colour)
    for centre, half in ((start, start_half), (end, end_half)):
        xy = tuple(int(value) for value in np.rint(centre * 16))
        cv2.circle(image, xy, round(half * 16), colour, -1, cv2.LINE_AA, 4)


def _hand(
    image: NDArray[np.uint8],
    wrist: NDArray[np.float64],
    along: NDArray[np.float64],
    side: int,
    skin: Colour,
    s: float,
) -> None:
    """A palm, four fingers and a thumb that points towards the body."""
    normal = np.array([-along[1], along[0]])
    inwards = -side if normal[0] > 0 else side
    palm = wrist + along * 0.30 * s
    for spread in (-0.24, -0.08, 0.08, 0.24):
        root = palm + normal * spread * 0.9 * s
        _limb(
            image,
            root,
            root + (along + normal * spread * 0.9) * 0.42 * s,
            0.085 * s,
            0.07 * s,
            _darker(skin, 0.86),
        )
    thumb = palm + normal * inwards * 0.22 * s
    _limb(
        image,
        thumb,
        thumb + (along * 0.6 + normal * inwards) * 0.22 * s,
        0.09 * s,
        0.07 * s,
        _darker(skin, 0.84),
    )
    _limb(image, wrist, palm, 0.2 * s, 0.27 * s, _darker(skin, 0.92))
