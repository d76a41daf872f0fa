"""Runs cases through probe, plan and decoder alone, in watched children with an address-space limit."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tools.fuzzing.corpus import Case

HANG_SECONDS = 60.0
SEGMENT_SECONDS = 1.0  # so that most of the small videos are cut


@dataclass(frozen=True)
class Result:
    """What became of a case."""

    outcome: str
    reason: str = ""
    num_frames: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0  # resident memory beyond what the process had before
    pts: tuple[int, ...] = ()


def run_decoding(
    cases: list[Case],
    *,
    num_workers: int,
    limit_bytes: int,
    decode: Callable[[Path], Result] | None = None,
) -> list[Result]:
    """One result a case. A child that hangs or dies is replaced, and its case is charged with it.

    `decode`: what is done with a case in the child, `decode_case` by default.
    """
    context = multiprocessing.get_context("spawn")
    results: list[Result | None] = [None] * len(cases)
    waiting = list(reversed(range(len(cases))))
    children: dict[Connection, tuple[Any, int | None, float]] = {}

    def start() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, limit_bytes, decode or decode_case), daemon=True
        )
        process.start()
        theirs.close()
        children[ours] = (process, None, time.monotonic())

    def feed(pipe: Connection) -> None:
        process, _, _ = children[pipe]
        if not waiting:
            children.pop(pipe)
            pipe.close()
            process.join()
            return
        index = waiting.pop()
        children[pipe] = (process, index, time.monotonic())
        pipe.send(cases[index].path)

    def replace(pipe: Connection, outcome: str, reason: str) -> None:
        process, index, began = children.pop(pipe)
        process.kill()
        process.join()
        pipe.close()
        if index is not None:
            results[index] = Result(outcome, reason, seconds=time.monotonic() - began)
        start()

    for _ in range(num_workers):
        start()
    while children:
        for pipe in wait(list(children), timeout=1.0):
            assert isinstance(pipe, Connection)
            try:
                message = pipe.recv()
            except EOFError:
                process = children[pipe][0]
                process.join(5)
                replace(pipe, "crash", f"the child ended with status {process.exitcode}")
                continue
            if isinstance(message, Result):
                index = children[pipe][1]
                assert index is not None
                results[index] = message
            feed(pipe)
        for pipe, (_, index, began) in list(children.items()):
            if index is not None and time.monotonic() - began > HANG_SECONDS:
                replace(pipe, "hang", f"nothing after {HANG_SECONDS:.0f} s")
    return [result or Result("lost") for result in results]


def decode_case(path: Path) -> Result:
    """Probe, plan and decode one file, with a pass from a cut as well; every picture is looked at."""
    from preprocessing.decode import decoder_for
    from preprocessing.decode.keyframes import plan_spans
    from preprocessing.decode.pyav_engine import PyAVDecoder
    from preprocessing.decode.still_engine import IMAGE_SUFFIXES
    from preprocessing.discover import KEYPOINT_SUFFIXES
    from preprocessing.probe import probe
    from preprocessing.types import InputError, Source

    kind: Any = "image" if path.suffix.lower() in IMAGE_SUFFIXES else "video"
    if path.name.endswith(KEYPOINT_SUFFIXES):
        kind = "keypoints"
    source = Source(path, path.name, kind)
    pts: list[int] = []
    try:
        facts = probe(source)
        decoder = decoder_for(kind)
        damage = ""
        try:
            for frame in decoder.frames(source, facts):
                pts.append(frame.pts)
                frame.luma_thumbnail()
                if len(pts) % 10 == 1 and kind != "keypoints":
                    frame.rgb_patch(-3, -3, 20, 20)
                    frame.reduced_rgb((64, 64))
        except InputError as error:
            if not pts:
                raise
            damage = error.reason
        spans = plan_spans(source, facts, SEGMENT_SECONDS)
        if len(spans) > 1 and isinstance(decoder, PyAVDecoder):
            sound = not (damage or decoder.warnings or decoder.not_decoded)
            complaint = _seams(source, facts, spans, pts if sound else None)
            if complaint:
                return Result("wrong", complaint, len(pts))
        gaps = getattr(decoder, "not_decoded", [])
    except InputError as error:
        return Result("refused", f"{error.stage}: {error.reason}")
    if any(after <= before for before, after in itertools.pairwise(pts)):
        return Result("wrong", "times do not increase", len(pts))
    if damage or gaps:
        return Result("stored in part", damage or f"not decoded: {gaps}", len(pts), pts=tuple(pts))
    return Result("stored whole", "; ".join(decoder.warnings), len(pts), pts=tuple(pts))


def _seams(source: Any, facts: Any, spans: list[Any], pts: list[int] | None) -> str:
    """What is wrong with the parts of a video that is cut; "" where they make up the whole.

    `pts` of the whole; None where it is damaged: a part may then begin better than the whole goes on.
    """
    from preprocessing.decode.pyav_engine import PyAVDecoder
    from preprocessing.types import InputError

    joined: list[int] = []
    for span in spans:
        frames = PyAVDecoder().frames(source, facts, span.start_pts)
        with contextlib.closing(frames), contextlib.suppress(InputError):  # type: ignore[type-var]
            for frame in frames:
                if span.stop_pts is not None and frame.pts >= span.stop_pts:
                    break
                joined.append(frame.pts)
    if len(set(joined)) != len(joined) or sorted(joined) != joined:
        return "frames twice or out of order in the parts"
    if pts is not None and joined != pts:
        missing, more = sorted(set(pts) - set(joined)), sorted(set(joined) - set(pts))
        return f"parts are not the whole: {len(missing)} missing {missing[:3]}, {len(more)} more {more[:3]}"
    return ""


def _serve(requests: Connection, limit_bytes: int, decode: Callable[[Path], Result]) -> None:
    """The child: says that it is ready, then answers paths with results until the pipe closes."""
    import cv2

    import preprocessing.decode  # noqa: F401  (before the limit)

    cv2.setNumThreads(1)
    used = _status_bytes("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (used + limit_bytes, used + limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests.send("ready")
    while True:
        try:
            path = requests.recv()
        except EOFError:
            return
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _status_bytes("VmRSS")
        began = time.monotonic()
        try:
            result = decode(path)
        except MemoryError:
            result = Result("over memory", "MemoryError")
        except Exception as error:
            result = Result("error", f"{type(error).__name__}: {error}"[:300])
        seconds, peak = time.monotonic() - began, _status_bytes("VmHWM") - before
        requests.send(Result(result.outcome, result.reason, result.num_frames, seconds, peak, result.pts))


def _status_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0
