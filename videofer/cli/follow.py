"""`videofer timeline INPUT --follow`: rows of a video or stream as JSON lines, as soon as they are final."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cache.errors import UserError
from videofer.cli.errors import DONE, INTERRUPTED, SOME_FAILED
from videofer.cli.model_line import tell_model

if TYPE_CHECKING:
    from videofer.timeline.settings import TimelineSettings


def follow(
    source: str,
    *,
    model: str | Path,
    settings: TimelineSettings,
    faces: str = "auto",
    pose: str | None = None,
    weights_dir: Path | None = None,
) -> int:
    """Print the events of one source; returns the exit code. See `docs/streaming.md`.

    source: a file, `-` for standard input, a device (`/dev/video0`) or an address (`rtsp://...`). Ctrl-C ends
    a stream properly: what is seen so far is printed. Raises UserError where nothing can be followed.
    """
    from preprocessing.engines import build_engines, engines_of
    from preprocessing.stage.run import describe
    from preprocessing.types import InputError
    from videofer.export import load_model
    from videofer.live.engine import LiveEngine
    from videofer.live.feed import open_feed
    from videofer.timeline.prepare import spec_for

    loaded = load_model(model)
    tell_model(loaded)
    if settings.modality is not None and settings.modality not in loaded.heads:
        raise UserError(
            f"modality is {settings.modality!r}, but the model {model} has {', '.join(loaded.heads)}"
        )
    spec = spec_for(loaded, faces, pose)
    loaded.check_contract(spec.contract(), "this stream")
    choices = engines_of(spec, weights_dir)
    print(describe(choices), file=sys.stderr)
    engines = build_engines(choices)
    try:
        feed = open_feed(source, spec)
    except InputError as error:
        raise UserError(f"{source}: {error.reason}") from None
    engine = LiveEngine(loaded, settings, spec, engines, feed.source, feed.facts, feed.spans)
    damage: str | None = None
    try:
        with _Stop(feed.close) as stop:
            _print([{**engine.start(), "live": feed.is_live}])
            try:
                for fed in feed.frames():
                    _print(engine.push(fed.source_index, fed.frame, fed.holes))
                    if stop.is_asked:
                        break
            except InputError as error:
                damage = error.reason
            feed.close()
            counts = {"frames_dropped": feed.num_dropped, "reconnects": feed.num_reconnects}
            _print(engine.finish(damage, interrupted=stop.is_asked, **counts))
    except BrokenPipeError:  # whoever read has seen enough
        _print_nowhere()
        return DONE
    if damage is not None:
        print(f"failed {source!r}: {damage}", file=sys.stderr)
        return SOME_FAILED
    return INTERRUPTED if stop.is_asked and not feed.is_live else DONE


def _print(events: list[dict[str, Any]]) -> None:
    if events:
        lines = [json.dumps(event, ensure_ascii=False, allow_nan=False) for event in events]
        try:
            print("\n".join(lines), flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            _print_nowhere()
            raise UserError(f"standard output: {error.strerror}") from None


def _print_nowhere() -> None:
    """What is left in buffers must not fail once more when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Stop:
    """The first Ctrl-C or SIGTERM inside the block asks for an end, the second one interrupts."""

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self.is_asked = False
        self._on_stop = on_stop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # else signals are another's affair
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, _number: int, _frame: object) -> None:
        self.is_asked = True
        for number in self._before:
            signal.signal(number, signal.default_int_handler)
        self._on_stop()
