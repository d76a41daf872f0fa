"""Headers of good and of bad files."""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from preprocessing.decode.orientation import Orientation, from_display_matrix, from_exif
from preprocessing.discover import content_key
from preprocessing.probe import Limits, probe
from preprocessing.types import InputError, Source
from tests.videos import numbered_picture, truncate, write_audio, write_video


def video(path: Path) -> Source:
    return Source(path, path.name, "video")


def reason(source: Source, limits: Limits | None = None) -> str:
    """Why the probe refuses; one line, always."""
    with pytest.raises(InputError) as caught:
        probe(source, limits)
    assert caught.value.stage == "probe"
    assert "\n" not in caught.value.reason
    return caught.value.reason


def test_tells_what_the_container_says(tmp_path: Path) -> None:
    facts = probe(video(write_video(tmp_path / "a.mp4", size_wh=(80, 60), time_base=Fraction(1, 12800))))
    assert (facts.width, facts.height, facts.rotation, facts.mirrored) == (80, 60, 0, False)
    assert facts.time_base == Fraction(1, 12800)
    assert (facts.codec, facts.pixel_format) == ("h264", "yuv420p")
    assert facts.presentation_start == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_start_is_the_earliest_of_picture_and_sound(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", pts=range(250, 260), audio_start_seconds=Fraction(9))
    facts = probe(video(path))
    assert facts.stream_start == 10
    assert abs(facts.presentation_start - 9) < Fraction(15, 100)  # AAC adds one block of priming
    alone = probe(video(write_video(tmp_path / f"b{suffix}", pts=range(250, 260))))
    assert alone.presentation_start == alone.stream_start == 10
    assert alone.duration == pytest.approx(0.4)


def test_chooses_the_largest_of_two_streams(tmp_path: Path) -> None:
    path = write_video(tmp_path / "two.mp4", size_wh=(64, 48), second_size_wh=(96, 80))
    facts = probe(video(path))
    assert (facts.stream_index, facts.width, facts.height) == (1, 96, 80)
    path = write_video(tmp_path / "other.mp4", size_wh=(64, 48), second_size_wh=(32, 24))
    assert probe(video(path)).stream_index == 0


def test_chooses_the_best_of_real_streams(shared_data: Path) -> None:
    facts = probe(video(shared_data / "videos/container/tc_nasa_13013.mp4"))
    assert (facts.stream_index, facts.width, facts.height) == (3, 480, 270)


TURNS = {
    (0, False): (1, 0, 0, 1),
    (90, False): (0, 1, -1, 0),
    (180, False): (-1, 0, 0, -1),
    (270, False): (0, -1, 1, 0),
    (0, True): (-1, 0, 0, 1),
    (90, True): (0, 1, 1, 0),
    (180, True): (1, 0, 0, -1),
    (270, True): (0, -1, -1, 0),
}


@pytest.mark.parametrize(("turn", "matrix"), TURNS.items())
def test_display_matrix(tmp_path: Path, turn: tuple[int, bool], matrix: tuple[int, int, int, int]) -> None:
    a, b, c, d = (value << 16 for value in matrix)
    elements = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    assert from_display_matrix(struct.pack("=9i", *elements)) == Orientation(*turn)
    facts = probe(video(write_video(tmp_path / "a.mp4", display_matrix=elements)))
    assert (facts.rotation, facts.mirrored) == turn
    assert (facts.width, facts.height) == ((48, 64) if turn[0] in (90, 270) else (64, 48))


def test_display_matrix_of_a_skewed_turn_snaps() -> None:
    tilted = struct.pack("=9i", 65000, 5000, 0, -5000, 65000, 0, 0, 0, 1 << 30)
    assert from_display_matrix(tilted) == Orientation()
    assert from_display_matrix(b"short") == Orientation()
    assert from_exif(99) == Orientation()


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert reason(video(tmp_path / "a.mp4")) == "empty file"


def test_missing_file(tmp_path: Path) -> None:
    assert reason(video(tmp_path / "a.mp4")) == "no such file"


def test_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    assert reason(video(tmp_path / "a.mp4")) == "not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    path.chmod(0)
    assert "Permission denied" in reason(video(path))


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes(tmp_path: Path, seed: int) -> None:
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(seed).bytes(20_000))
    assert reason(video(tmp_path / "a.mp4")).startswith("not a video: ")


def test_text_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("time,label\n0.0,happy\n" * 100)
    assert reason(video(tmp_path / "a.mp4")).startswith("not a video: ")


def test_audio_only(tmp_path: Path) -> None:
    assert reason(video(write_audio(tmp_path / "a.m4a"))) == "no video stream"
    assert reason(video(write_audio(tmp_path / "a.mka"))) == "no video stream"


def test_real_audio_only(shared_data: Path) -> None:
    assert reason(video(shared_data / "videos/container/tc_nasa_13013.mp4.audio.mp3")) == "no video stream"


def test_playlists_cannot_name_other_files(tmp_path: Path) -> None:
    secret = write_video(tmp_path / "secret.mp4")
    lists = {
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "a.txt": f"ffconcat version 1.0\nfile '{secret}'\n",
        "b.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "a.mpd": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{secret}</BaseURL></MPD>',
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        assert reason(video(tmp_path / name)).startswith("not a video: ")


def test_mp4_cut_before_its_index_says_so(tmp_path: Path) -> None:
    cut = truncate(write_video(tmp_path / "a.mp4", pts=range(100)), 0.5, tmp_path / "cut.mp4")
    assert reason(video(cut)) == "not a video: its index (moov box) is missing and the file is cut off"


def test_absurd_picture_size_in_the_header(tmp_path: Path) -> None:
    """MPEG-4 in AVI: the decoder believes the container's size."""
    path = write_video(tmp_path / "a.avi", codec="rawvideo", pix_fmt="yuv420p")
    data = path.read_bytes()
    for width, height in [(60_000, 60_000), (0, 0)]:
        patched = data.replace(struct.pack("<II", 64, 48), struct.pack("<II", width, height))
        assert patched != data
        (tmp_path / "b.avi").write_bytes(patched)
        assert "pixels" in reason(video(tmp_path / "b.avi")) or "not a video" in reason(
            video(tmp_path / "b.avi")
        )


def test_absurd_picture_size_in_an_mp4_header(tmp_path: Path) -> None:
    """The width and height of the sample entry are 16 bits each."""
    data = write_video(tmp_path / "a.mp4", codec="mpeg4").read_bytes()
    assert data.count(struct.pack(">HH", 64, 48)) == 1
    (tmp_path / "b.mp4").write_bytes(
        data.replace(struct.pack(">HH", 64, 48), struct.pack(">HH", 65535, 65535))
    )
    facts_or_error: object
    try:
        facts_or_error = probe(video(tmp_path / "b.mp4"))
    except InputError as error:
        facts_or_error = error.reason
        assert "pixels" in error.reason
    else:  # the stream itself knows better
        assert (facts_or_error.width, facts_or_error.height) == (64, 48)


def test_limits_name_the_value_and_the_limit(tmp_path: Path) -> None:
    source = video(write_video(tmp_path / "a.mp4", pts=range(50)))
    assert reason(source, Limits(max_pixels=1000)) == "picture of 64x48 pixels; the limit is 1000 pixels"
    assert reason(source, Limits(max_duration_seconds=1)) == "duration of 2 s; the limit is 1 s"
    assert reason(source, Limits(max_bytes=100)).endswith("bytes; the limit is 100")


def test_image(tmp_path: Path) -> None:
    Image.fromarray(numbered_picture(0)).save(tmp_path / "a.png")
    facts = probe(Source(tmp_path / "a.png", "a.png", "image"))
    assert (facts.width, facts.height, facts.codec, facts.time_base) == (64, 48, "png", Fraction(1, 10**6))
    assert facts.duration == 1.0


def test_image_fails(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    assert reason(Source(tmp_path / "a.png", "a.png", "image")) == "not an image, or a damaged one"
    Image.fromarray(numbered_picture(0)).save(tmp_path / "b.png")
    assert "64x48" in reason(Source(tmp_path / "b.png", "b.png", "image"), Limits(max_pixels=100))


def test_image_bomb(tmp_path: Path) -> None:
    """A PNG header of 50,000 x 50,000 pixels."""
    Image.fromarray(numbered_picture(0)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = struct.pack(">II", 50_000, 50_000)
    (tmp_path / "a.png").write_bytes(data)
    assert reason(Source(tmp_path / "a.png", "a.png", "image"))


def test_keypoints(tmp_path: Path) -> None:
    path = tmp_path / "a.keypoints.npz"
    keypoints = np.zeros((3, 1, 17, 3), np.float32)
    np.savez(path, keypoints=keypoints, t_seconds=[2.0, 2.5, 3.5], size_wh=[640, 480])
    facts = probe(Source(path, "a", "keypoints"))
    assert (facts.width, facts.height, float(facts.stream_start)) == (640, 480, 2.0)
    assert facts.duration == pytest.approx(2.25)  # the last row lasts as long as is usual


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"other": np.zeros(3)}, "no array 'keypoints'"),
        ({"keypoints": np.zeros((2, 1, 17, 3))}, "need 't_seconds' or a frame rate"),
        ({"keypoints": np.zeros((2, 1, 17, 3)), "t_seconds": [1.0, 1.0]}, "does not increase"),
        ({"keypoints": np.zeros((2, 1, 17, 3)), "t_seconds": [1.0, np.nan]}, "no times"),
        ({"keypoints": np.zeros((2, 1, 17, 3)), "t_seconds": [1.0]}, "2 rows"),
        ({"keypoints": np.array([{}], dtype=object)}, "not a keypoint file"),
        ({"keypoints": np.zeros((0, 1, 17, 3)), "fps": 25.0}, "no keypoints"),
        ({"keypoints": np.zeros((2, 1, 17, 3)), "fps": "fast"}, "not a keypoint file"),
    ],
)
def test_keypoints_fail(tmp_path: Path, arrays: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "a.keypoints.npz"
    np.savez(path, **arrays)
    assert complaint in reason(Source(path, "a", "keypoints"))


def test_keypoints_of_random_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(np.random.default_rng(0).bytes(1000))
    assert reason(Source(tmp_path / "a.npz", "a", "keypoints")).startswith("not a keypoint file")


def test_a_picture_that_claims_no_size_keeps_the_header_s(tmp_path: Path) -> None:
    """VP8 tells the size in every keyframe, and its decoder believes it before it fails."""
    path = write_video(tmp_path / "a.webm", codec="libvpx")
    data = path.read_bytes()
    place = data.index(b"\x9d\x01\x2a") + 3
    path.write_bytes(data[:place] + bytes(4) + data[place + 4 :])
    facts = probe(video(path))
    assert (facts.width, facts.height) == (64, 48)


def test_what_the_kernel_shows_as_an_empty_file(tmp_path: Path) -> None:
    """It says that it is a plain file, and reading it may wait for ever."""
    link = tmp_path / "a.ts"
    link.symlink_to("/proc/kmsg")
    assert reason(video(link)) == "empty file"
    assert len(content_key(video(link))) == 32


def test_terabytes_of_nothing_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.mp4").open("wb") as file:
        file.truncate(1 << 42)
    assert "the limit is" in reason(video(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="the limit is"):
        content_key(video(tmp_path / "a.mp4"))
