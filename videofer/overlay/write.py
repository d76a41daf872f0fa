"""Write the annotated video: the pictures as they were, with what the timeline says of everybody in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from PIL import Image

from cache.errors import UserError
from videofer.overlay.ahead import ahead
from videofer.overlay.course import STATE_WORDS, course_of
from videofer.overlay.encode import Mp4Writer, view_of
from videofer.overlay.footage import Footage, Picture
from videofer.overlay.lettering import draw, shown, width_of
from videofer.overlay.marks import Figure, Marks
from videofer.overlay.motion import all_faces, from_rows, from_track
from videofer.overlay.paint import Stamp
from videofer.overlay.panel import MAX_LANES, Lane, Panel
from videofer.overlay.privacy import HiddenFaces, cover, is_covered
from videofer.overlay.second_look import detector_of, faces_seen
from videofer.timeline.compare import main_person
from videofer.timeline.timeline import Timeline

if TYPE_CHECKING:
    from cache.reader import StoreReader

Blur = Literal["none", "others", "all"]

MIN_WIDTH = 360  # narrower pictures are enlarged by a whole factor: letters need room
MAX_SIDE = 3840  # larger ones are reduced by a whole factor: browsers and H.264 levels end near here
UNIT_WIDTH = 640  # of a picture whose letters are 11 pixels high
MIN_UNIT = 0.75
LOOK_SHARE = 0.4  # of the time that a video with hidden faces takes: looking for them
AHEAD_PICTURES = 8  # decoded before they are drawn


def write_annotated(
    timeline: Timeline,
    media: Path,
    out: Path,
    *,
    reader: StoreReader | None = None,
    marks: bool = True,
    skeleton: bool = False,
    blur: Blur = "none",
    focus: int | None = None,
    weights_dir: Path | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Path:
    """An MP4 file (H.264, yuv420p, the sound of the original) in which everybody is marked; returns `out`.

    Its time is media time: every picture is shown when it was in the original. Below the picture each person
    has a lane with probabilities and labels; see `videofer.overlay.panel`.
    reader: the store that holds the video; boxes are then exact for every frame, else those of the rows.
    marks: False for the pictures alone, as large as they were: nothing is drawn, but faces may be blurred.
    skeleton: draw joints, where the store has them.
    blur: make faces unrecognisable, "all", or those of all "others" than the person `focus` (by default the
    one who is there longest): those of the store, which it needs, and what a second look at the pictures
    finds, with a detector whose weights may lie in `weights_dir`. Sound is not changed.
    on_progress: gets the share done, in [0, 1].
    Raises UserError, one line: no video or not the timeline's, no such person, blur without a store.
    """
    _check(timeline, media, out, reader, blur)
    known = [person.id for person in timeline.persons]
    if focus is not None and focus not in known:
        raise UserError(f"person {focus} is to be seen, but the persons of {timeline.video.name} are {known}")
    footage = Footage.open(media)
    if (footage.width, footage.height) != (timeline.video.width, timeline.video.height):
        raise UserError(
            f"{media} has pictures of {footage.width}x{footage.height} pixels, the video of the timeline, "
            f"{timeline.video.name}, of {timeline.video.width}x{timeline.video.height}: it is another one"
        )
    report = on_progress or (lambda share: None)
    hidden, looked = HiddenFaces(()), 0.0  # share of the work that is done then
    if blur != "none" and reader is not None:
        looked = LOOK_SHARE
        spared = None if blur == "all" else main_person(timeline.rows) if focus is None else focus
        hidden = _hidden_faces(
            timeline, reader, footage, spared, weights_dir, lambda share: report(looked * share)
        )
    scene = _Scene(timeline, footage, reader, marks=marks, skeleton=skeleton, hidden=hidden)
    duration = max(timeline.duration_seconds, 1e-3)
    out.parent.mkdir(parents=True, exist_ok=True)
    writer = Mp4Writer(out, width=scene.width, height=scene.height, footage=footage)
    with writer, ahead(_without_holes(footage, timeline), AHEAD_PICTURES) as pictures:
        for picture, is_lost in pictures:
            frame = writer.frame()
            scene.draw([view_of(plane) for plane in frame.planes], picture, is_lost)
            writer.write_frame(frame, picture.t_start, picture.t_end)
            report(looked + (1 - looked) * min(1.0, float(picture.t_end) / duration))
    report(1.0)
    return out


class _Scene:
    """Draws one output picture after the other."""

    def __init__(
        self,
        timeline: Timeline,
        footage: Footage,
        reader: StoreReader | None,
        *,
        marks: bool,
        skeleton: bool,
        hidden: HiddenFaces,
    ) -> None:
        scale = _scale(*footage.even_size)
        scale = scale if marks else min(scale, Fraction(1))
        self.width, self._picture_height = (_even(side * scale) for side in footage.even_size)
        unit = max(MIN_UNIT, self.width / UNIT_WIDTH)
        colours = footage.colours
        self._hidden = hidden
        self._panel: Panel | None = None
        self._marks: Marks | None = None
        self.height = self._picture_height
        if marks:
            figures = _figures(timeline, reader)
            lanes = _lanes(timeline, figures)
            more = max(0, len(figures) - len(lanes))
            note = f"{timeline.model.reports} · {shown(timeline.model.title, 'a model')}"
            self._panel = Panel(lanes, more, self.width, unit, timeline.duration_seconds, colours, note=note)
            self._marks = Marks(figures, float(scale), unit, colours, skeleton=skeleton)
            self.height += self._panel.height
        self._lost = _lost_stamp(self.width, self._picture_height, unit, footage)

    def draw(self, planes: Sequence[np.ndarray], picture: Picture, is_lost: bool) -> None:
        """Into y (height, width), u, v (half as many): the picture, the marks, the panel."""
        t = float(picture.t_start)
        for box in self._hidden.boxes_at(t):
            cover(picture.planes, box)
        if picture.y.shape != (self._picture_height, self.width):
            picture = picture.resized(self.width, self._picture_height)
        tops = [
            plane[: self._picture_height // reduced] for plane, reduced in zip(planes, (1, 2, 2), strict=True)
        ]
        bottoms = [
            plane[self._picture_height // reduced :] for plane, reduced in zip(planes, (1, 2, 2), strict=True)
        ]
        for plane, samples in zip(tops, picture.planes, strict=True):
            plane[...] = samples
        if is_lost:
            self._lost.put(tops, 0, 0)
        elif self._marks is not None:
            self._marks.draw(tops, t)
        if self._panel is not None:
            self._panel.draw(bottoms, t)


def _check(timeline: Timeline, media: Path, out: Path, reader: StoreReader | None, blur: Blur) -> None:
    """Raises UserError for what cannot be done."""
    if blur not in get_args(Blur):
        raise UserError(f"blur is {blur!r}, it can be {', '.join(get_args(Blur))}")
    if timeline.video.kind != "video":
        raise UserError(f"{media}: an annotated video is made of a video, and this is {timeline.video.kind}")
    if out.exists() and media.exists() and out.samefile(media):
        raise UserError(f"{out} is the video itself: the annotated one needs another name")
    if blur != "none" and reader is None:
        raise UserError(f"faces of {timeline.video.name} can be blurred only with the store that holds them")


def _hidden_faces(
    timeline: Timeline,
    reader: StoreReader,
    footage: Footage,
    spared: int | None,
    weights_dir: Path | None,
    report: Callable[[float], None],
) -> HiddenFaces:
    """All that the store holds and that a second look finds, but the face of `spared`."""
    key, duration = timeline.video.key, max(timeline.duration_seconds, 1e-3)
    sightings = faces_seen(
        footage,
        detector_of(weights_dir),
        spared=None if spared is None else from_track(reader.track(key, spared)),
        on_time=lambda t: report(min(1.0, t / duration)),
    )
    tracks = all_faces(reader, key, but_of=spared)
    followed = HiddenFaces(tracks)
    new = [s for s in sightings if not is_covered(s.values[0], followed.boxes_at(float(s.t[0])))]
    return HiddenFaces(tracks, new)


def _figures(timeline: Timeline, reader: StoreReader | None) -> list[Figure]:
    figures = []
    for person in timeline.persons:
        if reader is not None:
            whereabouts = from_track(reader.track(timeline.video.key, person.id))
        else:
            whereabouts = from_rows(timeline.rows_of(person.id))
        name = shown(person.name, f"person {person.id}")
        figures.append(Figure(person.id, name, course_of(timeline, person.id), whereabouts))
    return figures


def _lanes(timeline: Timeline, figures: Sequence[Figure]) -> list[Lane]:
    """Of those who are there longest, in order of their numbers."""
    longest = sorted(figures, key=lambda f: -float((f.course.t_end - f.course.t_start).sum()))[:MAX_LANES]
    chosen = [figure for figure in figures if figure in longest]
    return [Lane(figure.name, figure.course) for figure in chosen] or [Lane(None, course_of(timeline, None))]


def _without_holes(footage: Footage, timeline: Timeline) -> Iterator[tuple[Picture, bool]]:
    """All pictures, and one for each stretch that could not be decoded, marked as lost."""
    last: Picture | None = None
    for picture in footage.pictures():
        if last is not None and last.t_end < picture.t_start:
            yield replace(last, t_start=last.t_end, t_end=picture.t_start), True
        yield picture, False
        last = picture
    end = Fraction(timeline.duration_seconds)
    if last is not None and footage.broken_off is not None and end > last.t_end + footage.clock:
        yield replace(last, t_start=last.t_end, t_end=end), True


def _lost_stamp(width: int, height: int, unit: float, footage: Footage) -> Stamp:
    """What is shown where there is no picture: nothing of another one, in which a face may be seen."""
    text, size = STATE_WORDS["not_decoded"], max(11, round(18 * unit))
    image = Image.new("RGB", (width, height), (20, 22, 26))
    draw(image, ((width - width_of(text, size)) / 2, height / 2), text, size, (235, 238, 242))
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., :3] = np.asarray(image)
    return Stamp(rgba, footage.colours)


def _scale(width: int, height: int) -> Fraction:
    """A whole factor, or one by a whole number."""
    longest = max(width, height)
    enlarged = min(-(-MIN_WIDTH // width), MAX_SIDE // longest)  # a narrow one may be tall
    return Fraction(enlarged) if enlarged > 1 else Fraction(1, -(-longest // MAX_SIDE))


def _even(value: Fraction) -> int:
    return 2 * max(1, round(value / 2))
