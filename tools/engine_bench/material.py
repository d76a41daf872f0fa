"""The pictures that all engines see: a few of every test video, with how many faces and people they show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preprocessing.decode import decoder_for
from preprocessing.decode.frames import PixelFrame
from preprocessing.probe import probe
from preprocessing.types import Source


@dataclass(frozen=True)
class Footage:
    """A video as a pattern, and what was counted in it by eye. None: nobody counted."""

    pattern: str
    faces: int | None
    bodies: int | None
    faces_until_frame: int | None = None  # none behind it


FOOTAGE = (
    Footage("interview_one_face.mp4", faces=1, bodies=1),
    Footage("neutral_to_smile.mp4", faces=1, bodies=1),
    Footage("neutral_1080p.mp4", faces=1, bodies=1),
    Footage("face_then_none_vfr_hevc.mov", faces=1, bodies=None, faces_until_frame=72),
    Footage("four_faces_portrait.mp4", faces=4, bodies=None),
    Footage("asl/*.mkv", faces=1, bodies=1),
    Footage("no_face.mp4", faces=0, bodies=None),
    Footage("street_bodies.mp4", faces=0, bodies=None),
    Footage("people_walking_one_by_one.mp4", faces=None, bodies=None),
)


@dataclass(frozen=True)
class Picture:
    """One frame, upright, with what it shows."""

    rgb: np.ndarray  # (h, w, 3) uint8
    faces: int | None
    bodies: int | None

    @property
    def frame(self) -> PixelFrame:
        return PixelFrame(self.rgb, 0, 1)


def pictures(videos: Path, per_video: int) -> list[Picture]:
    """So many frames of each video, evenly over its length. SystemExit where there are no videos."""
    found = []
    for footage in FOOTAGE:
        for path in sorted(videos.glob(footage.pattern)):
            found += _of_video(path, footage, per_video)
    if not found:
        raise SystemExit(f"no test videos in {videos}")
    return found


def _of_video(path: Path, footage: Footage, count: int) -> list[Picture]:
    source = Source(path, path.name, "video")
    facts = probe(source)
    num_frames = sum(1 for _ in decoder_for("video").frames(source, facts))
    wanted = set(np.linspace(0, num_frames - 1, min(count, num_frames)).round().astype(int).tolist())
    result = []
    for number, frame in enumerate(decoder_for("video").frames(source, facts)):
        if number in wanted:
            is_behind = footage.faces_until_frame is not None and number >= footage.faces_until_frame
            faces = 0 if is_behind else footage.faces
            result.append(Picture(frame.rgb_patch(0, 0, frame.width, frame.height), faces, footage.bodies))
    return result
