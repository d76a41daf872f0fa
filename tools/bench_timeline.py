"""How right timelines are, on long synthetic videos of strangers with known truth; as Markdown tables.

    make demo; .venv/bin/python -m tools.bench_timeline --model RUN... [--work DIR] [--films 60] [--choose]

Makes films of persons whom no demo trains on (other seeds), preprocesses them, runs each model once, and
scores all its modalities with every method of smoothing: share of time right, segments of emotions found
again at an IoU of 0.5, onset errors, calibration error of the rows, accuracy against coverage of abstention,
and speed. --choose also tries all settings on the first half of the films and prints the best; what is
reported always comes from the second half. The models of the demo are RUN and RUN_single_frame; the second
is a weak one that flickers, so that no setting is chosen for strong models alone.

Everything made lies in DIR (default: a temporary folder) and is used again. Faces are found by the detector
that is there (YuNet with its weights, else MTCNN).
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from tools.timeline_bench.answers import Answer, answers_of, settled
from tools.timeline_bench.choose import Tried, segmentations, smoothings, try_all
from tools.timeline_bench.material import make_films
from tools.timeline_bench.scores import Case, coverage, score
from videofer.timeline.settings import Smoothing, TimelineSettings

METHODS = ("none", "kernel", "hmm", "viterbi")
FIRST_SEED = 3000
THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, nargs="+", required=True, help="folders of runs")
    parser.add_argument("--work", type=Path, help="folder for films and store; kept")
    parser.add_argument("--films", type=int, default=60, help="how many")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a film")
    parser.add_argument("--choose", action="store_true", help="try all settings on the first half")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _measure(arguments, arguments.work or Path(folder))


def _measure(arguments: argparse.Namespace, work: Path) -> None:
    films = make_films(
        work / "films", num_films=arguments.films, seconds=arguments.seconds, first_seed=FIRST_SEED
    )
    report = preprocess([work / "films"], work / "store", PreprocessSpec(pose="sidecar"))
    if report.failures:
        raise SystemExit(f"not all films went through: {report.failures}")
    answers = [answer for model in arguments.model for answer in answers_of(model, work / "store", films)]
    half = len(films) // 2
    chosen = {method: TimelineSettings(smoothing=Smoothing(method=method)) for method in METHODS}
    if arguments.choose:
        _choose([_part(answer, 0, half) for answer in answers])
    reported = [_part(answer, half, len(films)) for answer in answers]
    num_segments = sum(int((one.truth["label"] != "neutral").sum()) for one in reported[0].watched)
    print(
        f"\n{len(reported[0].watched)} films, {reported[0].seconds_watched / 60:.0f} min, "
        f"{num_segments} expressions\n"
    )
    _print_methods(reported, chosen)
    _print_lags(reported)
    _print_coverage(reported, chosen)
    _print_speed(reported, chosen)


def _part(answer: Answer, first: int, end: int) -> Answer:
    """Some of the films."""
    watched = answer.watched[first:end]
    seconds = sum(one.timeline.duration_seconds for one in watched)
    taken = answer.seconds_taken * seconds / answer.seconds_watched
    return dataclasses.replace(answer, watched=watched, seconds_watched=seconds, seconds_taken=taken)


def _cases(answer: Answer, settings: TimelineSettings) -> list[Case]:
    return [(settled(one.timeline, settings), one.truth) for one in answer.watched]


def _choose(answers: Sequence[Answer]) -> None:
    """Print the best settings of every method, and of segments after the default smoothing."""
    print("best on the first half: worth = accuracy + F1 - ECE, mean over the answers\n")
    for method in METHODS:
        tried = sorted(try_all(answers, smoothings(method)), key=lambda one: -one.worth)
        for one in tried[:4]:
            _print_tried(one, _smoothing_text(one.settings.smoothing))
    tried = try_all(answers, segmentations(TimelineSettings()))
    for one in sorted(tried, key=lambda one: -one.worth)[:4]:
        _print_tried(one, str(one.settings.segmentation))
    worths = [one.worth for one in tried]
    print(f"segments: from {min(worths):.3f} to {max(worths):.3f}\n")


def _smoothing_text(smoothing: Smoothing) -> str:
    match smoothing.method:
        case "none":
            return "none"
        case "kernel":
            return f"kernel {smoothing.kernel_seconds} s"
        case _:
            return (
                f"{smoothing.method} dwell {smoothing.dwell_seconds} s, "
                f"evidence {smoothing.evidence_seconds} s"
            )


def _print_tried(tried: Tried, name: str) -> None:
    mean = {
        key: float(np.mean([getattr(one, key) for one in tried.scores]))
        for key in ("accuracy", "f1", "ece", "log_loss")
    }
    figures = ", ".join(f"{key} {value:.3f}" for key, value in mean.items())
    print(f"  {tried.worth:.3f}  {name}: {figures}")


def _print_methods(answers: Sequence[Answer], chosen: dict[str, TimelineSettings]) -> None:
    print("| rows of | smoothing | time right | 0.2 s from changes | F1 | precision | recall "
          "| onset, median ms | of its size | ECE | log loss |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for answer in answers:
        for method, settings in chosen.items():
            s = score(_cases(answer, settings))
            print(
                f"| {answer.name} | {method} | {s.accuracy:.3f} ± {s.accuracy_spread:.3f} "
                f"| {s.accuracy_inside:.3f} | {s.f1:.3f} ± {s.f1_spread:.3f} | {s.precision:.3f} "
                f"| {s.recall:.3f} | {s.onset_median_ms:+.0f} | {s.onset_absolute_ms:.0f} "
                f"| {s.ece:.3f} | {s.log_loss:.3f} |"
            )


def _print_lags(answers: Sequence[Answer]) -> None:
    """What looking ahead is worth."""
    print("\n| rows of | look-ahead | time right | F1 | onset, median ms | ECE |")
    print("|---|---|---|---|---|---|")
    for answer in answers:
        for lag in (0.0, 0.5, None):
            s = score(_cases(answer, TimelineSettings(smoothing=Smoothing(lag_seconds=lag))))
            name = "all" if lag is None else f"{lag} s"
            print(
                f"| {answer.name} | {name} | {s.accuracy:.3f} | {s.f1:.3f} "
                f"| {s.onset_median_ms:+.0f} | {s.ece:.3f} |"
            )


def _print_coverage(answers: Sequence[Answer], chosen: dict[str, TimelineSettings]) -> None:
    print("\n| rows of | smoothing | " + " | ".join(f"from {t}" for t in THRESHOLDS) + " |")
    print("|---|---|" + "---|" * len(THRESHOLDS))
    for answer in answers:
        for method in ("none", "hmm"):
            lines = coverage(_cases(answer, chosen[method]), THRESHOLDS)
            cells = " | ".join(f"{accuracy:.3f} of {share:.0%}" for _, share, accuracy in lines)
            print(f"| {answer.name} | {method} | {cells} |")


def _print_speed(answers: Sequence[Answer], chosen: dict[str, TimelineSettings]) -> None:
    print("\nmicroseconds a row, and the model's speed as a multiple of real time, from the store:")
    answer = answers[0]
    num_rows = sum(len(one.timeline.rows) for one in answer.watched)
    for method, settings in chosen.items():
        began = time.perf_counter()
        _cases(answer, settings)
        print(f"  {method}: {1e6 * (time.perf_counter() - began) / num_rows:.0f}")
    for one in answers:
        print(f"  {one.name}: {one.seconds_watched / one.seconds_taken:.0f} x real time")


if __name__ == "__main__":
    main()
