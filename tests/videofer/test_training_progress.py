"""The progress line says what a person wants to know, and events pass through a file unharmed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videofer.training.progress import Event, append, follow, line, parse, print_progress

WITHIN = Event(
    epoch=2,
    num_epochs=30,
    samples_done=64,
    samples_in_epoch=256,
    samples_per_second=180.4,
    eta_seconds=75.2,
    train_loss=1.2345,
    learning_rate=1e-3,
)
END = replace(WITHIN, samples_done=256, val_loss=0.9, val_war=0.75, val_uar=0.7, is_best=True)


def test_lines() -> None:
    assert line(WITHIN) == "epoch  3/30   25%  loss 1.234  180 samples/s  1:15 left"
    ending = "epoch  3/30  loss 1.234  val loss 0.900 acc 0.750 uar 0.700*  180 samples/s  1:15 left"
    assert line(END) == ending
    assert line(replace(WITHIN, eta_seconds=3725)).endswith("1:02:05 left")
    assert line(replace(END, part="inner fold 2 of 5")) == "inner fold 2 of 5  " + ending


def test_only_whole_epochs_are_printed_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    print_progress(WITHIN)
    print_progress(END)
    assert capsys.readouterr().err == line(END) + "\n"


def test_events_are_followed_in_order_and_to_the_last_one(tmp_path: Path) -> None:
    seen: list[str] = []
    path = tmp_path / "events.jsonl"
    path.write_text("of an earlier start of the run\n")
    sent = [replace(END, epoch=i) for i in range(50)]
    with follow(path, seen.append):
        for event in sent:
            append(path, event)
    assert [parse(text) for text in seen] == sent


def test_follow_ends_where_nothing_is_ever_written(tmp_path: Path) -> None:
    with follow(tmp_path / "never.jsonl", lambda event: pytest.fail("no event was sent")):
        pass
