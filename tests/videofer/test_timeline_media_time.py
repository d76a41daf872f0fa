"""A row lands on the right picture, whatever the times of the container: real files, numbers in the pictures.

The model of these tests reads the number of the picture in the middle of each row, and that is its label. It
is compared with how the file was made, and with what a browser shows when it is sent to that time.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from cache.reader import StoreReader
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from tests.browser import Browse
from tests.videofer.media_time_videos import NUM_PICTURES, VIDEOS, NumberedVideo, draw, read
from videofer.checkpoint import TrainedModel
from videofer.evaluation.calibration import Calibration, complete
from videofer.recipe import Recipe
from videofer.timeline.make import make_timeline
from videofer.timeline.settings import Smoothing, TimelineSettings
from videofer.timeline.timeline import Timeline

if TYPE_CHECKING:
    from playwright.sync_api import Page

SPEC = PreprocessSpec(faces="precropped", pose="none", crop_size=96, max_fps=120, detect_interval_frames=1)
HOP_SECONDS = 0.1
CLASSES = [f"picture {number}" for number in range(NUM_PICTURES)]
RAW = TimelineSettings(smoothing=Smoothing(method="none"))

PAGE = """<!doctype html><video muted preload="auto"></video><canvas width="24" height="24"></canvas><script>
const video = document.querySelector("video"), canvas = document.querySelector("canvas");
const bytes = Uint8Array.from(atob("%s"), letter => letter.charCodeAt(0));
// When the first picture is shown, by the clock of the player. Some players count from the container's zero.
const first = new Promise(done => video.requestVideoFrameCallback((now, frame) => done(frame.mediaTime)));
video.src = URL.createObjectURL(new Blob([bytes], {type: "%s"}));
async function seek(t) {
  await new Promise((done, failed) => {
    video.onseeked = done; video.onerror = () => failed(video.error.message); video.currentTime = t;
  });
}
function shown() {
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(video, 0, 0, 24, 24);
  return Array.from(context.getImageData(0, 0, 24, 24).data);
}
</script>"""


@dataclass(frozen=True, kw_only=True)
class NumberReader(TrainedModel):
    """Its windows are as long as a row and hold one picture, and it says which one that is."""

    @property
    def num_features(self) -> int:
        return 1

    def clip_features(self, frames: Tensor) -> Tensor:
        return torch.tensor([[float(read(clip[0]))] for clip in frames.numpy()])

    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        number = batch["clip_features"][:, 0, 0].long()
        logits = 20.0 * torch.nn.functional.one_hot(number, len(CLASSES))
        has_face = batch["clip_mask"].any(dim=1)
        return complete(
            {"face": logits.float().log_softmax(dim=1), "has_face": has_face, "has_body": ~has_face}
        )


@pytest.fixture(scope="module")
def model() -> NumberReader:
    recipe = Recipe.model_validate(
        {
            "name": "numbers",
            "data": {
                "classes": CLASSES, "num_clips": 1, "num_frames": 1, "clip_seconds": HOP_SECONDS,
                "window_seconds": HOP_SECONDS,
            },
            "model": {"face": {"width": 4, "input_size": 96}},
            "training": {"epochs": 1, "batch_size": 1, "lr": 0.1},
        }
    )  # fmt: skip
    return NumberReader(
        path=Path("numbers"), recipe=recipe, labels=tuple(CLASSES), contract=SPEC.contract(),
        calibration=Calibration(temperatures={"face": 1.0, "body": 1.0, "fused": 1.0}, fusion=None),
        used={}, device=torch.device("cpu"),
    )  # fmt: skip


@dataclass(frozen=True)
class Made:
    video: NumberedVideo
    timeline: Timeline
    reader: StoreReader


@pytest.fixture(scope="module")
def made(model: NumberReader, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """All videos through the whole of preprocessing and into timelines, once."""
    found: dict[str, Made] = {}

    def make(name: str) -> Made:
        if name not in found:
            folder = tmp_path_factory.mktemp(name)
            video = VIDEOS[name](folder)
            report = preprocess([video.path], folder / "store", SPEC)
            assert not report.failures
            reader = StoreReader(folder / "store")
            (record,) = reader.videos()
            found[name] = Made(video, make_timeline(model, reader, record.key, RAW), reader)
        return found[name]

    return make


def test_numbers_are_read_as_they_are_drawn() -> None:
    assert [read(draw(number)) for number in range(NUM_PICTURES)] == list(range(NUM_PICTURES))


@pytest.mark.parametrize("name", VIDEOS)
def test_every_row_says_the_picture_of_its_middle(made: Callable[[str], Made], name: str) -> None:
    video, timeline = made(name).video, made(name).timeline
    num_checked = 0
    for row in timeline.rows.to_dict("records"):
        middle = (row["t_start"] + row["t_end"]) / 2
        number = video.number_at(middle)
        if number is None:
            assert row["state"] == "no_person", row
        elif row["t_end"] - row["t_start"] > HOP_SECONDS - 1e-6:
            num_checked += 1
            assert row["label"] == f"picture {number}", row
    assert num_checked >= float(video.t_start[-1] - video.t_start[0]) / HOP_SECONDS - 2
    person = timeline.rows_of(0)
    assert person["t_start"].min() == float(video.t_start[0])
    assert 0 < timeline.duration_seconds - float(video.t_start[-1]) < 0.3


@pytest.mark.parametrize("name", VIDEOS)
def test_frames_of_the_track_start_when_their_pictures_do(made: Callable[[str], Made], name: str) -> None:
    one = made(name)
    track = one.reader.track(one.timeline.video.key, 0)
    assert track.t_start.tolist() == [float(t) for t in one.video.t_start]
    crops = one.reader.read_crops(track, np.arange(len(track)))
    assert [read(crop) for crop in crops] == one.video.numbers


@pytest.mark.browser
@pytest.mark.parametrize("name", VIDEOS)
def test_a_browser_shows_the_picture_that_the_row_says(
    made: Callable[[str], Made], browse: Browse, name: str, tmp_path: Path
) -> None:
    one = made(name)
    kind = "video/x-matroska" if one.video.path.suffix == ".mkv" else "video/mp4"
    page = tmp_path / "page.html"
    page.write_text(PAGE % (base64.b64encode(one.video.path.read_bytes()).decode(), kind))
    player = browse.open(page)
    offset = player.evaluate("first") - one.timeline.video.first_frame_seconds
    start = Fraction(*one.timeline.video.presentation_start)
    assert offset == pytest.approx(float(start), abs=1e-4)  # Chromium counts from the container's zero
    rows = [
        (row, middle)
        for row in one.timeline.rows_of(0).to_dict("records")
        if row["label"] in CLASSES
        and one.video.seconds_to_change(middle := (row["t_start"] + row["t_end"]) / 2) > 0.005
    ]
    assert len(rows) > 10
    for row, middle in rows[:: len(rows) // 10]:
        player.evaluate(f"seek({middle + offset})")
        for _ in range(40):  # on a busy machine the picture comes some time after the event that announces it
            if (label := shown_picture(player)) == row["label"]:
                break
            player.wait_for_timeout(50)
        player.wait_for_timeout(20)
        assert label == shown_picture(player) == row["label"], (row, middle)


def shown_picture(player: Page) -> str:
    """The label of the picture that the player shows."""
    pixels = np.array(player.evaluate("shown()"), np.uint8).reshape(24, 24, 4)
    return f"picture {read(pixels[..., :3])}"
