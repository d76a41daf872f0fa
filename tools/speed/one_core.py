"""One core: the whole preprocessing against decoding alone, and where a frame's time goes."""

from __future__ import annotations

from tools.speed.setting import Preprocessing, Setting, decode_only, every_fifth, in_turns, ratios, row

FLOOR = 0.6  # the aim


def measure(setting: Setting) -> None:
    """Prints the ratio, the same with the interval adapted to motion, and the share of each stage."""
    fifth = Preprocessing(setting, every_fifth())
    adaptive = Preprocessing(setting, every_fifth(detect_longest_seconds=0.4))
    names = ("decode only", "faces, every 5th frame searched", "faces, interval adapted to motion")
    runs = (lambda: decode_only(setting.video), fifth, adaptive)
    rates = in_turns(dict(zip(names, runs, strict=True)), setting.repeats)
    print(row(names[0], rates[names[0]]))
    for name in names[1:]:
        print(row(name, rates[name], ratios(rates[name], rates[names[0]])))
    print(f"aim: ratio {FLOOR} with every 5th frame searched")
    print_stages(fifth, rates[names[1]].wall[-1])


def print_stages(run: Preprocessing, frames_per_second: float) -> None:
    """Milliseconds a frame of the newest run by stage, as the meter of the worker counts them."""
    num_frames = run.setting.num_frames
    whole = 1000 / frames_per_second
    stages = {name: 1000 * seconds / num_frames for name, seconds in run.stage_seconds.items()}
    stages["all else"] = whole - sum(stages.values())
    print(f"a frame takes {whole:.3f} ms: " + ", ".join(f"{name} {ms:.3f}" for name, ms in stages.items()))
