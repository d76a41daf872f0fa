"""Synthetic videos of several people who cross, hide each other, leave and come back, with known truth.

Subjects, clothes and movement are those of `videofer.synthetic`; here they only get paths and a depth. The
truth says for every frame where each face is and how much of it can be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from videofer.synthetic.acting import body_poses, face_actions
from videofer.synthetic.body import BodyPainter, Joints, Placement, solve
from videofer.synthetic.face import FaceRenderer
from videofer.synthetic.scene import _background, _paste_head
from videofer.synthetic.script import Script, wander
from videofer.synthetic.subjects import Subject, draw_subject

FPS = 25
WIDTH, HEIGHT = 640, 480
ENCODING = {"preset": "veryfast", "crf": "21", "g": "25"}  # a keyframe each second
MIN_VISIBLE = 0.6  # share of a face that can be seen, below which no tracker need find it
FACE_UV = np.array([-1.0, -0.75, 1.0, 1.75])  # truth box in face units, about as detectors draw it


@dataclass
class Actor:
    """One person of a case: where the point between the pupils is in each frame, NaN where away."""

    look: int  # number of the subject
    outfit: int
    path_xy: np.ndarray  # (T, 2)
    scale: float  # pixels between the pupils
    depth: int  # the larger, the nearer to the camera


@dataclass
class Case:
    """What happens in one video."""

    actors: list[Actor]
    scene: np.ndarray  # (T,) int: number of the background; a change is a cut

    @property
    def num_frames(self) -> int:
        return len(self.scene)


@dataclass
class Truth:
    """Who is where. Boxes and joints are NaN where a person is away."""

    face_boxes_xyxy: np.ndarray  # (P, T, 4)
    visible: np.ndarray  # (P, T) share of the face that can be seen
    joints: np.ndarray  # (P, T, 17, 2) COCO-17


def _line(num_frames: int, *points: tuple[float, float, float]) -> np.ndarray:
    """(T, 2) through points (second, x, y); NaN before the first and after the last; y + 9999: away."""
    t = np.arange(num_frames) / FPS
    at, x, y = np.array(points).T
    path = np.stack([np.interp(t, at, x), np.interp(t, at, y)], axis=1)
    path[(t < at[0] - 1e-9) | (t > at[-1] + 1e-9)] = np.nan
    return path


def cross(looks: list[int]) -> Case:
    """Two walk past each other; one face hides the other's whole."""
    T = 7 * FPS
    a = Actor(looks[0], 0, _line(T, (0, 90, 150), (7, 550, 150)), 34, 0)
    b = Actor(looks[1], 0, _line(T, (0, 540, 146), (7, 100, 146)), 40, 1)
    return Case([a, b], np.zeros(T, int))


def turn_back(looks: list[int]) -> Case:
    """Two walk towards each other, hide each other, and turn back: motion alone says that they crossed."""
    T = 7 * FPS
    a = Actor(looks[0], 0, _line(T, (0, 110, 150), (3.1, 318, 150), (3.9, 318, 150), (7, 110, 150)), 36, 0)
    b = Actor(looks[1], 0, _line(T, (0, 530, 146), (3.1, 322, 146), (3.9, 322, 146), (7, 530, 146)), 40, 1)
    return Case([a, b], np.zeros(T, int))


def three(looks: list[int]) -> Case:
    """One stands, two walk past in front of and behind it, and past each other."""
    T = 8 * FPS
    a = Actor(looks[0], 0, _line(T, (0, 80, 150), (7, 560, 150)), 32, 0)
    b = Actor(looks[1], 0, _line(T, (0, 320, 146), (7, 330, 146)), 35, 1)
    c = Actor(looks[2], 0, _line(T, (0, 570, 150), (8, 70, 150)), 39, 2)
    return Case([a, b, c], np.zeros(T, int))


def fast(looks: list[int]) -> Case:
    """Two run past each other, a third of a face's width each frame."""
    T = 5 * FPS
    a = Actor(looks[0], 0, _line(T, (0, 70, 150), (1, 90, 150), (1.8, 560, 150), (5, 540, 150)), 34, 0)
    b = Actor(looks[1], 0, _line(T, (0, 570, 145), (1, 550, 145), (1.8, 90, 145), (5, 110, 145)), 37, 1)
    return Case([a, b], np.zeros(T, int))


def relay(looks: list[int]) -> Case:
    """One steps out of the picture; half a second later another steps in where the first went."""
    T = 6 * FPS
    a = Actor(looks[0], 0, _line(T, (0, 400, 150), (2.2, 480, 150), (2.9, 680, 150)), 38, 0)
    b = Actor(looks[1], 0, _line(T, (3.1, 680, 148), (3.8, 480, 148), (6, 380, 148)), 38, 1)
    return Case([a, b], np.zeros(T, int))


def come_back(looks: list[int]) -> Case:
    """Both leave the picture, for longer than a gap may last, and come back on the other side."""
    T = 10 * FPS
    a_out = _line(T, (0, 200, 150), (2.0, -120, 150))
    a_in = _line(T, (5.0, 760, 150), (7, 430, 150), (10, 420, 150))
    b_out = _line(T, (0, 440, 146), (2.6, 760, 146))
    b_in = _line(T, (5.4, -120, 146), (7.6, 210, 146), (10, 220, 146))
    a = Actor(looks[0], 0, np.where(np.isnan(a_in), a_out, a_in), 38, 0)
    b = Actor(looks[1], 0, np.where(np.isnan(b_in), b_out, b_in), 38, 1)
    return Case([a, b], np.zeros(T, int))


def shot_reverse(looks: list[int]) -> Case:
    """An interview cut back and forth: always one of two, at almost the same place."""
    T = 10 * FPS
    scene = (np.arange(T) // (2 * FPS)) % 2
    a_path, b_path = _line(T, (0, 300, 160), (10, 310, 160)), _line(T, (0, 335, 155), (10, 330, 155))
    a_path[scene == 1] = np.nan
    b_path[scene == 0] = np.nan
    return Case([Actor(looks[0], 0, a_path, 46, 0), Actor(looks[1], 0, b_path, 46, 1)], scene)


def side_by_side(looks: list[int]) -> Case:
    """Two sit with their heads together and sway; one leans over to the other."""
    T = 8 * FPS
    a = Actor(
        looks[0],
        0,
        _line(T, (0, 250, 150), (3, 262, 150), (4, 285, 140), (5, 262, 150), (8, 250, 150)),
        38,
        0,
    )
    b = Actor(looks[1], 0, _line(T, (0, 380, 150), (8, 370, 152)), 38, 1)
    return Case([a, b], np.zeros(T, int))


def lookalikes(looks: list[int]) -> Case:
    """As `come_back`, but both are one subject in the same clothes: nothing can tell who came back where."""
    return come_back([looks[0], looks[0]])


CASES: dict[str, tuple[Callable[[list[int]], Case], int]] = {
    "cross": (cross, 2),
    "turn back": (turn_back, 2),
    "three": (three, 3),
    "fast": (fast, 2),
    "relay": (relay, 2),
    "come back": (come_back, 2),
    "shot reverse": (shot_reverse, 2),
    "side by side": (side_by_side, 2),
    "lookalikes": (lookalikes, 2),
}
"""Name -> what happens, and how many people take part."""


def make_video(case: Case, path: Path, seed: int = 0) -> Truth:
    """Draws and encodes a case; deterministic for a seed."""
    rng = np.random.default_rng([seed, 77])
    people = [_Person(actor, case.num_frames, seed) for actor in case.actors]
    backgrounds = [_background((WIDTH, HEIGHT), rng) for _ in range(int(case.scene.max()) + 1)]
    shape = len(people), case.num_frames
    truth = Truth(np.full((*shape, 4), np.nan), np.zeros(shape), np.full((*shape, 17, 2), np.nan))
    order = sorted(range(len(people)), key=lambda p: case.actors[p].depth)
    with av.open(path, "w", options={"video_track_timescale": "12800"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=ENCODING)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in range(case.num_frames):
            image = backgrounds[case.scene[n]][:HEIGHT, :WIDTH].copy()
            owner = np.full((HEIGHT, WIDTH), -1, np.int8)
            for p in order:
                joints = people[p].joints[n]
                if joints is not None:
                    before = image.copy()
                    people[p].draw(image, joints, n)
                    owner[(image != before).any(axis=2)] = p
            for p in order:
                joints = people[p].joints[n]
                if joints is not None:
                    truth.face_boxes_xyxy[p, n], truth.visible[p, n] = _face(joints, owner == p)
                    truth.joints[p, n] = joints.coco17()
            noise = rng.normal(0, 2.0, (HEIGHT, WIDTH, 1))
            picture = np.clip(image + noise, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return truth


class _Person:
    """One actor, ready to be drawn."""

    def __init__(self, actor: Actor, num_frames: int, seed: int) -> None:
        subject: Subject = draw_subject(actor.look, 0)
        t = np.arange(num_frames) / FPS
        rng = np.random.default_rng([seed, actor.look, actor.depth])
        script = Script(duration=num_frames / FPS, episodes=(), seed=int(rng.integers(2**31)))
        self._actions = face_actions(script, t)
        self._face = FaceRenderer(subject)
        self._painter = BodyPainter(subject, subject.wardrobe[actor.outfit])
        poses = body_poses(script, subject, t)
        roll = 2.0 * wander(t, rng)
        self.joints: list[Joints | None] = [
            solve(pose, Placement(float(x), float(y), actor.scale, float(r), 0.0, subject.face_width))
            if np.isfinite(x)
            else None
            for pose, (x, y), r in zip(poses, actor.path_xy, roll, strict=True)
        ]

    def draw(self, image: np.ndarray, joints: Joints, n: int) -> None:
        self._painter.draw_behind(image, joints)
        _paste_head(image, self._face.render(self._actions[n]), joints.head_affine)
        self._painter.draw_arms(image, joints)


def _face(joints: Joints, own: np.ndarray) -> tuple[np.ndarray, float]:
    """Box of a face (4,) and the share of it that is seen, given the pixels (H, W) that its owner painted."""
    u0, v0, u1, v1 = FACE_UV
    corners = np.array([[u0, v0], [u1, v0], [u0, v1], [u1, v1]]) @ joints.head_affine[:, :2].T
    corners += joints.head_affine[:, 2]
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    grid = np.stack(np.meshgrid(np.linspace(-0.75, 0.75, 9), np.linspace(-0.3, 1.3, 9)), axis=-1).reshape(
        -1, 2
    )
    points = np.rint(grid @ joints.head_affine[:, :2].T + joints.head_affine[:, 2]).astype(int)
    inside = (points >= 0).all(axis=1) & (points < (WIDTH, HEIGHT)).all(axis=1)
    seen = own[points[inside, 1], points[inside, 0]].sum()
    return box, float(seen / len(grid))
