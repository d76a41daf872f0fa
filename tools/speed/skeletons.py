"""One core: preprocessing with skeletons too, against decoding alone."""

from __future__ import annotations

from dataclasses import replace

from preprocessing.engines import resolve_engines
from tools.speed.one_core import print_stages
from tools.speed.setting import Preprocessing, Setting, decode_only, every_fifth, in_turns, ratios, row

FLOOR = 0.18  # the aim
POSE, PERSON = "tinypose_256x192.onnx", "rtmdet_nano_person_end2end.onnx"


def measure(setting: Setting) -> None:
    """Prints the ratio with a skeleton every 5th frame, the person detector every 25th, and the stages."""
    if setting.weights_dir is None or not all(
        (setting.weights_dir / name).is_file() for name in (POSE, PERSON)
    ):
        print(f"left out: {POSE} and {PERSON} are not in the folder of weights")
        return
    pose = f"onnx:{setting.weights_dir / POSE},{setting.weights_dir / PERSON}"
    choices = resolve_engines(decoder="pyav", faces_name="auto", pose=pose, weights_dir=setting.weights_dir)
    spec = every_fifth(pose=pose, pose_interval_frames=5, person_interval_seconds=1.0)
    run = Preprocessing(replace(setting, choices=choices), spec)
    names = ("decode only", "faces and skeletons")
    rates = in_turns({names[0]: lambda: decode_only(setting.video), names[1]: run}, setting.repeats)
    print(row(names[0], rates[names[0]]))
    print(row(names[1], rates[names[1]], ratios(rates[names[1]], rates[names[0]])))
    print(f"aim: ratio {FLOOR} with a skeleton every 5th frame, persons searched every 25th")
    print_stages(run, rates[names[1]].wall[-1])
