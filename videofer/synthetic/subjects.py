"""Simulated subjects: the one photographed face made into many people.

A subject differs from another by the shape of the face, skin, hair, brows, beard, glasses, hat, clothing
and by a personal style of expressing. All of it is drawn from a seed and independent of any label.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from videofer.synthetic.photo import (
    EYE_PIXELS,
    MOUTH_V,
    Array,
    Head,
    bump,
    face_grid,
    neutral_head,
    sample,
    soft_polygon,
    soft_strokes,
    to_canvas,
)

Colour = tuple[float, float, float]

# Gains on the photographed skin and mean colours of hair, RGB.
_SKINS: tuple[Colour, ...] = (
    (1.00, 0.99, 1.00),
    (1.02, 0.94, 0.88),
    (0.93, 0.84, 0.74),
    (0.82, 0.70, 0.60),
    (0.68, 0.55, 0.46),
    (0.54, 0.43, 0.36),
)
_HAIRS: tuple[Colour, ...] = (
    (38, 32, 30),
    (66, 46, 34),
    (104, 72, 44),
    (126, 62, 32),
    (176, 140, 88),
    (150, 148, 146),
)
_CLOTHES: tuple[Colour, ...] = (
    (52, 84, 140),
    (140, 52, 56),
    (58, 116, 82),
    (210, 200, 180),
    (60, 60, 66),
    (214, 150, 60),
    (120, 84, 140),
    (96, 150, 160),
)
CLOTH_PATTERNS = ("plain", "stripes", "checks", "dots", "knit")


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """What a subject wears in one take."""

    colour: Colour
    second_colour: Colour
    pattern: str  # one of CLOTH_PATTERNS
    long_sleeves: bool
    v_neck: bool


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One simulated person. Lengths are face units, gains are factors around 1."""

    name: str
    seed: int  # for textures
    skin_gain: Colour
    hair_colour: Colour
    hair_volume: float  # 1: as photographed, less: flatter
    long_hair: bool
    face_width: float
    jaw_width: float
    eye_size: float
    nose_width: float
    mouth_width: float
    lip_redness: float
    brow_thickness: float
    brow_offset: float
    beard: float  # opacity; 0: none
    glasses: bool
    hat_colour: Colour | None
    wardrobe: tuple[Outfit, Outfit]
    expressiveness: float  # gain of every expression and gesture
    tempo: float  # gain of onset speed and rhythm
    asymmetry: float  # positive: the image's right side moves more
    arms_clasped: bool  # habit at rest

    @property
    def skin_colour(self) -> Colour:
        """Mean skin colour, for neck and hands."""
        r, g, b = self.skin_gain
        return (212 * r, 164 * g, 138 * b)


def draw_subject(index: int, seed: int) -> Subject:
    """Subject number `index` of the population `seed`."""
    rng = np.random.default_rng([seed, 11, index])

    def outfit() -> Outfit:
        first, second = rng.choice(len(_CLOTHES), 2, replace=False)
        return Outfit(
            colour=_CLOTHES[first],
            second_colour=_CLOTHES[second],
            pattern=CLOTH_PATTERNS[rng.integers(len(CLOTH_PATTERNS))],
            long_sleeves=bool(rng.random() < 0.6),
            v_neck=bool(rng.random() < 0.5),
        )

    # Skin and accessories go round, so that a handful of subjects already shows the whole range.
    skin = _SKINS[(index * 5 + int(np.random.default_rng([seed, 12]).integers(6))) % len(_SKINS)]
    dark = skin[0] < 0.9
    hair = _HAIRS[rng.choice([0, 1, 2, 5] if dark else len(_HAIRS))]
    bearded = index % 3 == 1
    return Subject(
        name=f"s{index:02d}",
        seed=int(rng.integers(2**31)),
        skin_gain=skin,
        hair_colour=hair,
        hair_volume=float(rng.uniform(0.25, 0.5) if bearded else rng.uniform(0.35, 1.0)),
        long_hair=bool(not bearded and rng.random() < 0.45),
        face_width=float(rng.uniform(0.93, 1.07)),
        jaw_width=float(rng.uniform(1.0, 1.12) if bearded else rng.uniform(0.9, 1.05)),
        eye_size=float(rng.uniform(0.92, 1.15)),
        nose_width=float(rng.uniform(0.9, 1.2)),
        mouth_width=float(rng.uniform(0.9, 1.12)),
        lip_redness=float(rng.uniform(0.05, 0.2) if bearded else rng.uniform(0.15, 0.6)),
        brow_thickness=float(rng.uniform(0.085, 0.12) if bearded else rng.uniform(0.06, 0.1)),
        brow_offset=float(rng.uniform(-0.03, 0.03)),
        beard=float(rng.uniform(0.35, 0.75)) if bearded else 0.0,
        glasses=index % 4 == 2,
        hat_colour=_CLOTHES[rng.integers(len(_CLOTHES))] if index % 5 == 4 else None,
        wardrobe=(outfit(), outfit()),
        expressiveness=float(rng.uniform(0.8, 1.15)),
        tempo=float(rng.uniform(0.85, 1.2)),
        asymmetry=float(rng.uniform(-0.15, 0.15)),
        arms_clasped=bool(rng.random() < 0.5),
    )


def build_head(subject: Subject) -> Head:
    """The subject's neutral head: shape, skin, hair, brows, lips, beard. Glasses and hat come later."""
    base = neutral_head()
    u, v = face_grid()
    source_u, source_v = _morph(subject, u, v)
    packed = np.dstack([base.rgb, base.alpha, base.skin, base.hair])
    warped = np.dstack([sample(packed[..., i : i + 3], source_u, source_v) for i in (0, 3)])
    rgb, alpha, skin, hair = warped[..., :3], warped[..., 3], warped[..., 4], warped[..., 5]
    rng = np.random.default_rng(subject.seed)
    rgb = _paint_brows(subject, rgb, rng)
    rgb = _paint_beard(subject, rgb, skin, rng)
    rgb = _paint_lips(subject, rgb)
    rgb = _tint(subject, rgb, skin, hair, u, v)
    return Head(np.clip(rgb, 0, 255).astype(np.float32), alpha, skin, hair)


def _morph(subject: Subject, u: Array, v: Array) -> tuple[Array, Array]:
    """Where to look in the photographed face for each point of the subject's face."""
    side = np.sign(u)
    far = np.abs(u) - 1.0  # hair stands beyond the face
    source_u = np.where(far > 0, side * (1.0 + far / subject.hair_volume), u)
    top = -v - 0.85
    height = 0.55 + 0.45 * subject.hair_volume
    source_v = np.where(top > 0, -(0.85 + top / height), v)
    jaw = 1 / (1 + np.exp(-(v - 0.75) / 0.15))
    source_u = source_u / (1 + (subject.jaw_width - 1) * jaw)
    for eye_u in (-0.5, 0.5):
        hill = bump(u, v, (eye_u, 0.0), (0.28, 0.17))
        gain = 1 - 1 / subject.eye_size
        source_u = source_u - gain * (u - eye_u) * hill
        source_v = source_v - gain * v * hill
    source_u = source_u - (1 - 1 / subject.nose_width) * u * bump(u, v, (0, 0.58), (0.3, 0.18))
    source_u = source_u - (1 - 1 / subject.mouth_width) * u * bump(u, v, (0, MOUTH_V), (0.5, 0.14))
    return source_u.astype(np.float32), source_v.astype(np.float32)


def _paint_brows(subject: Subject, rgb: Array, rng: np.random.Generator) -> Array:
    """Brows with body: the photographed ones are too thin to be read at small sizes."""
    lift = subject.brow_offset
    arcs = []
    for side in (-1, 1):
        arc = [(0.22, -0.235), (0.38, -0.30), (0.56, -0.325), (0.72, -0.28), (0.84, -0.20)]
        arcs.append([(side * x, y + lift) for x, y in arc])
    mask = soft_strokes(arcs, subject.brow_thickness, 1.3)
    hairs = cv2.GaussianBlur(rng.random(mask.shape, dtype=np.float32), (0, 0), 1.0)
    mask *= np.clip(0.72 + 1.6 * (hairs - 0.5), 0.45, 0.95)
    colour = np.asarray(subject.hair_colour, np.float32) * 0.55
    mixed: Array = rgb + mask[..., None] * (colour - rgb)
    return mixed


def _paint_beard(subject: Subject, rgb: Array, skin: Array, rng: np.random.Generator) -> Array:
    if not subject.beard:
        return rgb
    cheeks = [(-1.2, 0.45), (-0.75, 0.75), (-0.32, 0.78), (0, 0.74), (0.32, 0.78), (0.75, 0.75), (1.2, 0.45)]
    mask = soft_polygon([*cheeks, (1.1, 1.9), (-1.1, 1.9)], 3.0) * skin
    u, v = face_grid()
    mask *= 1 - bump(u, v, (0, MOUTH_V + 0.03), (0.26, 0.085))
    stubble = cv2.GaussianBlur(rng.random(mask.shape, dtype=np.float32), (0, 0), 1.0)
    mask *= np.clip(0.75 + 1.6 * (stubble - 0.5), 0.3, 1.0) * subject.beard
    colour = np.asarray(subject.hair_colour, np.float32) * 0.8
    mixed: Array = rgb + mask[..., None] * (colour - rgb)
    return mixed


def _paint_lips(subject: Subject, rgb: Array) -> Array:
    half = 0.36 * subject.mouth_width
    outline = [(-half, MOUTH_V), (-0.5 * half, 0.895), (0, 0.885), (0.5 * half, 0.895), (half, MOUTH_V)]
    outline += [(0.6 * half, 1.055), (0, 1.085), (-0.6 * half, 1.055)]
    red = soft_polygon(outline, 1.2)[..., None] * (0.35 + 0.5 * subject.lip_redness)
    rgb = rgb * (1 - red) + red * rgb * np.array([1.02, 0.62, 0.62], np.float32)
    line = soft_strokes([[(-half, MOUTH_V + 0.005), (0, MOUTH_V), (half, MOUTH_V + 0.005)]], 0.025, 0.7)
    mixed: Array = rgb * (1 - 0.65 * line[..., None])
    return mixed


def _tint(subject: Subject, rgb: Array, skin: Array, hair: Array, u: Array, v: Array) -> Array:
    """Skin by a gain with its contrast kept, hair recoloured by its brightness; eyes stay white."""
    eyes = bump(u, v, (-0.5, 0.02), (0.2, 0.08)) + bump(u, v, (0.5, 0.02), (0.2, 0.08))
    gain = 1 + (np.asarray(subject.skin_gain, np.float32) - 1) * (1 - 0.7 * np.clip(eyes, 0, 1))[..., None]
    toned = rgb * gain
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    relief = np.clip(luma / 96.0, 0.12, 1.8)[..., None]
    dyed = np.asarray(subject.hair_colour, np.float32) * (0.35 + 0.65 * relief)
    mixed: Array = toned + hair[..., None] * (dyed - toned)
    return mixed


def accessories(subject: Subject) -> Array | None:
    """Glasses and hat as an RGBA layer (H, W, 4) float32 in [0, 255]; they do not move with the face."""
    if not subject.glasses and subject.hat_colour is None:
        return None
    layer = np.zeros((*neutral_head().alpha.shape, 4), np.float32)
    if subject.glasses:
        frame = np.zeros(layer.shape[:2], np.uint8)
        for side in (-1, 1):
            centre = to_canvas([(side * 0.51, 0.06)])[0]
            axes = (0.40 * EYE_PIXELS, 0.31 * EYE_PIXELS)
            cv2.ellipse(frame, (tuple(centre), (2 * axes[0], 2 * axes[1]), 0.0), 255, 2, cv2.LINE_AA)
            arm = np.rint(to_canvas([(side * 0.91, 0.0), (side * 1.06, -0.02)])).astype(np.int32)
            cv2.line(frame, tuple(map(int, arm[0])), tuple(map(int, arm[1])), 255, 2, cv2.LINE_AA)
        bridge = np.rint(to_canvas([(-0.11, 0.02), (0.11, 0.02)])).astype(np.int32)
        cv2.line(frame, tuple(map(int, bridge[0])), tuple(map(int, bridge[1])), 255, 2, cv2.LINE_AA)
        layer[..., :3] = 30
        layer[..., 3] = frame * 0.85
    if subject.hat_colour is not None:
        _draw_hat(layer, subject)
    return layer


def _draw_hat(layer: Array, subject: Subject) -> None:
    """A knitted cap that ends above the brows."""
    assert subject.hat_colour is not None
    half = 1.0 + 0.66 * subject.hair_volume
    crown = [(np.cos(a) * half, -0.66 - np.sin(a) * 1.2) for a in np.linspace(0, np.pi, 24)]
    mask = soft_polygon([*crown, (-half, -0.60), (0, -0.56), (half, -0.60)], 0.9)
    u, v = face_grid()
    ribs = 1 + 0.12 * np.sin(u * 32) + 0.05 * np.sin(v * 40)
    shade = ribs * (1 - 0.28 * (u / half) ** 2) * np.where(v > -0.86, 0.82, 1.0)
    cap = np.asarray(subject.hat_colour, np.float32) * shade[..., None]
    layer[..., :3] += mask[..., None] * (cap - layer[..., :3])
    layer[..., 3] = np.maximum(layer[..., 3], mask * 255)
