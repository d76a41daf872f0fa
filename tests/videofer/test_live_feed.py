"""Frames out of files, pipes and sockets: the same ones, and what is lost is known."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.errors import UserError
from preprocessing.decode.frames import BlindFrame
from preprocessing.decode.live_engine import LiveStream
from preprocessing.spec import PreprocessSpec
from preprocessing.types import InputError, Probe
from tests.videos import write_video
from videofer.live.feed import FileFeed, LiveFeed, open_feed
from videofer.live.frame_queue import Fed, FrameQueue, Splice

SPEC = PreprocessSpec(faces="mtcnn")
FACTS = Probe(
    width=64, height=48, rotation=0, mirrored=False, stream_index=0, time_base=Fraction(1, 1000),
    presentation_start=Fraction(0), duration=None, codec="h264", pixel_format="yuv420p",
)  # fmt: skip


@pytest.fixture(scope="module")
def transport(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MPEG transport stream of 40 frames, its times far from 0."""
    path = tmp_path_factory.mktemp("feed") / "stream.ts"
    options = {"bf": "2", "g": "10", "preset": "ultrafast"}
    pts = [90_000 * 100 + 3600 * n for n in range(40)]
    return write_video(path, pts=pts, time_base=Fraction(1, 90_000), codec_options=options)


def seen(feed: Any) -> list[tuple[int, int, bytes]]:
    """Index, media time in microseconds from the first frame, and colours, of every frame."""
    frames = list(feed.frames())
    first = frames[0].frame.pts
    return [
        (
            fed.source_index,
            round((fed.frame.pts - first) * feed.facts.time_base * 1_000_000),
            fed.frame.reduced_rgb((8, 6)).tobytes(),
        )
        for fed in frames
    ]


def serve(payloads: list[bytes], pause_seconds: float = 0.0) -> str:
    """The address of a socket that gives each connection the next payload."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server:
            for payload in payloads:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(payload)
                time.sleep(pause_seconds)

    threading.Thread(target=run, daemon=True).start()
    return f"tcp://127.0.0.1:{server.getsockname()[1]}"


def test_a_pipe_gives_the_frames_of_the_file(transport: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(transport.read_bytes()))
    writer.start()
    piped = open_feed(str(fifo), SPEC)
    reference = FileFeed(transport, SPEC)
    assert piped.is_live and not reference.is_live
    for name in ("width", "height", "time_base", "presentation_start", "rotation", "stream_start"):
        assert getattr(piped.facts, name) == getattr(reference.facts, name), name
    assert seen(piped) == seen(reference)
    writer.join()
    assert piped.num_dropped == 0


def test_a_socket_gives_the_frames_of_the_file(transport: Path) -> None:
    feed = open_feed(serve([transport.read_bytes()]), SPEC)
    assert seen(feed) == seen(FileFeed(transport, SPEC))


PUBLISHER = """
import sys, av, numpy as np
rng = np.random.default_rng(0)
with av.open(sys.argv[1] + "?listen=1", "w", format="mpegts", options={"flush_packets": "1"}) as container:
    options = {"preset": "ultrafast", "tune": "zerolatency"}
    stream = container.add_stream("libx264", rate=25, options=options)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(100):
        if number == 80:
            sys.stdin.readline()
        picture = rng.integers(0, 256, (48, 64, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode(None))
"""


def test_a_publisher_is_followed_while_it_sends() -> None:
    """PyAV publishes, as a camera's gateway would; the first frames are here before the last are made."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, address], stdin=subprocess.PIPE, text=True
    ) as publisher:
        feed = _patiently(lambda: open_feed(address, SPEC))
        frames = feed.frames()
        early = [next(frames) for _ in range(20)]
        publisher.communicate("go on\n")
        rest = list(frames)
    assert publisher.returncode == 0
    assert len(early) + len(rest) == 100
    times = [float(fed.frame.pts * feed.facts.time_base) for fed in [*early, *rest]]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-4)


def _patiently(connect: Callable[[], Any]) -> Any:
    """The publisher's socket may not be open yet."""
    for _ in range(100):
        try:
            return connect()
        except InputError:
            time.sleep(0.05)
    raise AssertionError("nobody publishes")


def test_a_broken_connection_is_made_again(transport: Path) -> None:
    data = transport.read_bytes()
    address = serve([data[: len(data) // 2], data])
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(0.6)

    feed = LiveFeed("camera", lambda: LiveStream(address), SPEC, may_drop=False, reconnects=1, wait=wait)
    with pytest.raises(InputError, match="cannot be opened"):  # nobody is there a third time
        frames: list[Fed] = []
        frames.extend(feed.frames())
    assert waits == [1.0, 1.0]
    assert feed.num_reconnects == 1
    pts = [fed.frame.pts for fed in frames]
    assert all(a < b for a, b in pairwise(pts))
    joint = next(n for n, fed in enumerate(frames) if fed.holes)
    assert [fed.source_index for fed in frames] == list(range(len(frames)))
    ((start, stop),) = frames[joint].holes
    assert start >= pts[joint - 1] and stop == pts[joint]
    assert (stop - start) * feed.facts.time_base >= Fraction(1, 2)
    assert len(frames) - joint == 40


def test_a_camera_that_comes_back_otherwise_is_another_one(transport: Path, tmp_path: Path) -> None:
    other = write_video(tmp_path / "other.ts", size_wh=(96, 64), time_base=Fraction(1, 25))
    address = serve([transport.read_bytes(), other.read_bytes()])
    feed = LiveFeed(
        "camera", lambda: LiveStream(address), SPEC, may_drop=False, reconnects=3, wait=lambda _: None
    )
    with pytest.raises(InputError, match="came back with 96x64 pixels, had 64x48"):
        list(feed.frames())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("concat://a|b", "no stream is read by concat://; there are rtsp"),
        ("file:///etc/passwd", "no stream is read by file://"),
        ("missing.mp4", "missing.mp4: "),
    ],
)
def test_what_is_no_stream_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_feed(text, SPEC)


def test_nobody_at_an_address_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(InputError, match="cannot be opened: ") as error:
        open_feed(f"tcp://127.0.0.1:{port}", SPEC)
    assert "\n" not in str(error.value)


def test_a_playlist_opens_no_file(tmp_path: Path, transport: Path) -> None:
    playlist = f"#EXTM3U\n#EXTINF:1,\nfile://{transport}\n".encode() * 50
    with pytest.raises(InputError):
        open_feed(serve([playlist]), SPEC)


def test_a_picture_cannot_be_followed(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "face.png"
    Image.new("RGB", (64, 64)).save(path)
    with pytest.raises(UserError, match="a picture has no time"):
        open_feed(str(path), SPEC)


def fed(pts: int, holes: list[tuple[int, int]] | None = None) -> Fed:
    return Fed(pts // 40, BlindFrame(pts, 40, 64, 48), holes or [])


def test_the_oldest_frames_are_dropped_and_leave_a_hole() -> None:
    queue = FrameQueue(4, may_drop=True, facts=FACTS)
    for n in range(30):
        assert queue.put(fed(40 * n))
    queue.end()
    got = list(queue)
    assert [one.frame.pts for one in got] == [1040, 1080, 1120, 1160]
    assert queue.num_dropped == 26
    assert got[0].holes == [(0, 1040)]
    assert [one.holes for one in got[1:]] == [[], [], []]


def test_a_short_loss_is_no_hole() -> None:
    queue = FrameQueue(4, may_drop=True, facts=FACTS)
    for n in range(8):
        queue.put(fed(40 * n))
    queue.end()
    got = list(queue)
    assert queue.num_dropped == 4 and [one.holes for one in got] == [[], [], [], []]


def test_holes_of_dropped_frames_are_kept() -> None:
    queue = FrameQueue(1, may_drop=True, facts=FACTS)
    queue.put(fed(2000, [(100, 2000)]))
    queue.put(fed(2040))
    queue.end()
    assert [one.holes for one in queue] == [[(100, 2000)]]


def test_where_nothing_may_be_lost_the_sender_waits() -> None:
    queue = FrameQueue(2, may_drop=False, facts=FACTS)
    sender = threading.Thread(target=lambda: [queue.put(fed(40 * n)) for n in range(20)] and queue.end())
    sender.start()
    assert [one.frame.pts for one in queue] == [40 * n for n in range(20)]
    sender.join()
    assert queue.num_dropped == 0


def test_a_reader_that_stops_frees_the_sender() -> None:
    queue = FrameQueue(1, may_drop=False, facts=FACTS)
    assert queue.put(fed(0))
    done: list[bool] = []
    sender = threading.Thread(target=lambda: done.append(queue.put(fed(40))))
    sender.start()
    queue.stop()
    sender.join(5)
    assert done == [False]
    assert list(queue) == []


def test_an_error_comes_behind_the_last_frame() -> None:
    queue = FrameQueue(4, may_drop=True, facts=FACTS)
    queue.put(fed(0))
    queue.fail(InputError("decode", "torn"))
    frames = iter(queue)
    assert next(frames).frame.pts == 0
    with pytest.raises(InputError, match="torn"):
        next(frames)


def test_times_go_on_by_the_clock_on_the_wall() -> None:
    now = iter([0.0, 0.04, 3.04, 3.08])
    splice = Splice(FACTS, lambda: next(now))
    assert splice.placed(0, BlindFrame(500, 40, 64, 48), []).frame.pts == 500
    assert splice.placed(1, BlindFrame(540, 40, 64, 48), []).frame.pts == 540
    splice.begin(dataclasses.replace(FACTS, time_base=Fraction(1, 90_000)))
    third = splice.placed(0, BlindFrame(7_000_000, 3600, 64, 48), [])
    assert (third.frame.pts, third.source_index, third.holes) == (3540, 2, [(580, 3540)])
    fourth = splice.placed(1, BlindFrame(7_003_600, 3600, 64, 48), [])
    assert (fourth.frame.pts, fourth.frame.duration_pts, fourth.source_index) == (3580, 40, 3)
