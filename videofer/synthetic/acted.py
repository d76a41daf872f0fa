"""Writes a synthetic acted set in the layout of GEMEP: whole-body videos with known faces, gestures, joints.

    from videofer.synthetic.acted import make_acted
    acted = make_acted(Path("acted"), classes=12, seed=0)

OUT/GEMEP/video/01amusement_GEMEP.mp4, ...   a video a portrayal, with its .keypoints.npz
          all_face_label.csv, all_body_label.csv
          SYNTHETIC.txt     what it is, and the best that an observer can do
          shown.csv         what each portrayal shows: for analysis, never for training

Everything is determined by the arguments: the same seed gives the same files, for any number of workers, and
a portrayal does not depend on which others are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from videofer.emotions.label_sets import LABEL_SETS
from videofer.synthetic.acted_acting import Portrayal, body_poses, draw_portrayal, face_actions
from videofer.synthetic.acted_states import (
    MARKER,
    NUM_PERFORMERS,
    STATES,
    Modality,
    Shown,
    ceilings,
    draw_shown,
    portrays,
)
from videofer.synthetic.face import face_renderer
from videofer.synthetic.render import SyntheticError, check_new, encode, render_all, save_keypoints
from videofer.synthetic.scene import Scene, Stage, draw_scene
from videofer.synthetic.subjects import Subject, draw_subject

CLASSES = {7: LABEL_SETS["gemep7"].classes, 12: LABEL_SETS["gemep12"].classes, 17: STATES}
"""What --classes means."""
SIZE_WH = (320, 480)
FPS = 15
_SECONDS = 2.0
_OF_HALF_LENGTH = 0.60  # scale of a person seen whole, of that of one seen to the waist


@dataclass(frozen=True, kw_only=True)
class ActedVideo:
    """One portrayal to be made."""

    path: str  # relative to the data set's folder, posix
    subject: Subject
    portrayal: Portrayal
    scene: Scene
    seed: int  # of the simulated estimator of keypoints

    @property
    def num_frames(self) -> int:
        """At FPS frames a second."""
        return round(self.portrayal.duration * FPS)


@dataclass(frozen=True)
class ActedSet:
    """Where everything of the set lies."""

    root: Path  # what `videofer datasets inspect` takes
    videos: Path
    about: Path  # says that it is synthetic
    shown: Path
    num_videos: int
    ceilings: dict[str, dict[Modality, float]]  # label set -> accuracy of the best observer


def make_acted(
    out: Path,
    *,
    classes: int = 17,
    num_performers: int = NUM_PERFORMERS,
    seed: int = 0,
    size_wh: tuple[int, int] = SIZE_WH,
    num_workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ActedSet:
    """Make the set in folder `out`, which must be new or empty.

    classes: the states of the literature's seven (55 videos of ten performers) or twelve (120), or all of the
    core set (145). num_performers: 2 to 10. num_workers, progress: see `render.render_all`. SyntheticError
    for other numbers, or where `out` holds something already.
    """
    videos = plan_acted(classes=classes, num_performers=num_performers, seed=seed, size_wh=size_wh)
    check_new(out)
    render_all(render_acted, videos, out, num_workers, progress)
    home = out / "GEMEP"
    table = shown_table(videos)
    lines = [f"GEMEP/frame/{Path(one.path).name},{one.portrayal.shown.state}\n" for one in videos]
    for part in ("face", "body"):
        (home / f"all_{part}_label.csv").write_text("path,emotion\n" + "".join(lines), encoding="utf-8")
    table.to_csv(home / "shown.csv", index=False, lineterminator="\n")
    best = {
        name: ceilings([video.portrayal.shown for video in videos], LABEL_SETS[name].classes)
        for number, name in ((7, "gemep7"), (12, "gemep12"))
        if classes in (number, 17)
    }
    (home / MARKER).write_text(_about(videos, best, seed), encoding="utf-8")
    return ActedSet(out, home / "video", home / MARKER, home / "shown.csv", len(videos), best)


def plan_acted(
    *,
    classes: int = 17,
    num_performers: int = NUM_PERFORMERS,
    seed: int = 0,
    size_wh: tuple[int, int] = SIZE_WH,
) -> list[ActedVideo]:
    """All videos by path, that is by performer. SyntheticError as for `make_acted`."""
    if classes not in CLASSES:
        raise SyntheticError(f"classes is {classes}; there are sets of {', '.join(map(str, CLASSES))}")
    if not 2 <= num_performers <= NUM_PERFORMERS:
        raise SyntheticError(f"num_performers is {num_performers}; it must be 2 to {NUM_PERFORMERS}")
    videos = []
    for performer in range(1, num_performers + 1):
        subject = replace(draw_subject(performer - 1, seed), name=f"{performer:02d}")
        for number, state in enumerate(STATES):
            if state in CLASSES[classes] and portrays(performer, state):
                videos.append(_plan_video(performer, number, subject, seed, size_wh))
    return sorted(videos, key=lambda video: video.path)


def _plan_video(
    performer: int, number: int, subject: Subject, seed: int, size_wh: tuple[int, int]
) -> ActedVideo:
    state = STATES[number]
    rng = np.random.default_rng([seed, 41, performer, number])
    shown = draw_shown(state, rng)
    habit = np.random.default_rng([seed, 42, performer, number])
    session = np.random.default_rng([seed, 43, performer])  # all of a performer is recorded in one place
    scene = draw_scene(size_wh, session, rng)
    return ActedVideo(
        path=f"GEMEP/video/{subject.name}{state}_GEMEP.mp4",
        subject=subject,
        portrayal=draw_portrayal(shown, _SECONDS * float(rng.uniform(0.94, 1.06)), subject, habit, rng),
        scene=replace(scene, y=scene.y - 0.165 * size_wh[1], scale=_OF_HALF_LENGTH * scene.scale),
        seed=int(rng.integers(2**31)),
    )


def render_acted(video: ActedVideo, out: Path) -> None:
    """Draw and encode one portrayal to `out / video.path`, and write the sidecar beside it."""
    t = np.arange(video.num_frames) / FPS
    stage = Stage(video.subject, video.scene, face_renderer(video.subject), t)
    actions = face_actions(video.portrayal, t)
    joints = stage.joints(body_poses(video.portrayal, video.subject, t))
    pictures = (stage.draw(index, joints[index], actions[index]) for index in range(video.num_frames))
    encode(out / video.path, pictures, video.scene.size_wh, FPS)
    save_keypoints(out / video.path, joints, video.scene.size_wh, t, FPS, video.seed)


def shown_table(videos: list[ActedVideo]) -> pd.DataFrame:
    """One row a video: path, performer, state, and what its face and its body show."""
    rows = []
    for video in videos:
        shown: Shown = video.portrayal.shown
        own = {"path": video.path, "performer": video.subject.name, "state": shown.state}
        rows.append({**own, "face": shown.face, "gesture": shown.gesture})
    return pd.DataFrame(rows)


def _about(videos: list[ActedVideo], best: dict[str, dict[Modality, float]], seed: int) -> str:
    people = len({video.subject.name for video in videos})
    lines = [
        "This is not GEMEP. It is a synthetic set in GEMEP's layout, made by `videofer datasets acted` from",
        "one public-domain photograph (NASA, skimage.data.astronaut). Nobody in it exists or felt anything.",
        f"Seed {seed}; {len(videos)} portrayals by {people} simulated performers.",
        "",
        "No face and no gesture belongs to one state alone, but each pair does. A tenth of the faces stay",
        "neutral, and a tenth of the bodies. shown.csv says what each portrayal shows; it is for analysis",
        "and must not be trained on.",
        "",
        "Accuracy of the best possible observer of the face, of the body, and of both:",
    ]
    for name, figures in best.items():
        said = ", ".join(f"{modality} {value:.3f}" for modality, value in figures.items())
        lines.append(f"  {name}: {said}")
    return "\n".join(lines) + "\n"
