"""The timeline of one video, process start included, and the rate of the steady state.

Models are those of the shipped recipes with weights as they are drawn: they take as long as trained ones.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from preprocessing.spec import PreprocessSpec
from tools.speed.setting import FPS, Setting, make_video

CEILING_SECONDS = 6.0  # the aim for the 19.7 s of interview_one_face.mp4 on 4 cores
FLOOR_TIMES = 10.0  # the aim in the steady state: times real time for one person
RECIPES = ("builtin", "demo", "start", "fused")
LONG_FRAMES = 7500  # five minutes


def measure(setting: Setting) -> None:
    """Prints seconds of `videofer timeline FILE --formats csv`, and times real time in the steady state."""
    models = {name: untrained(name, setting.folder / "models") for name in RECIPES}
    long_video = setting.folder / "long.mp4"
    make_video(long_video, LONG_FRAMES)
    more_seconds = (LONG_FRAMES - setting.num_frames) / FPS
    for name, model in models.items():
        if setting.command_video is not None:
            seconds = [command_seconds(setting, setting.command_video, model) for _ in range(setting.repeats)]
            print(
                f"{name:7} videofer timeline {setting.command_video.name} --formats csv: "
                f"{statistics.median(seconds):.2f} s (median of {len(seconds)}, best {min(seconds):.2f} s); "
                f"aim: under {CEILING_SECONDS:.0f} s"
            )
        # What a longer video takes more is the steady state: the start is in both.
        pairs = [
            command_seconds(setting, long_video, model) - command_seconds(setting, setting.video, model)
            for _ in range(max(1, setting.repeats // 2))
        ]
        print(
            f"{name:7} steady state: {more_seconds / statistics.median(pairs):.1f} times real time "
            f"({more_seconds:.0f} s more of video in {statistics.median(pairs):.1f} s); "
            f"aim: {FLOOR_TIMES:.0f}"
        )


def command_seconds(setting: Setting, video: Path, model: Path) -> float:
    """Of the whole command, until the table is there."""
    out = setting.folder / "timeline"
    program = Path(sys.executable).with_name("videofer")
    command: list[str | Path] = [program, "timeline", video, "--model", model, "--out", out]
    command += ["--formats", "csv"]
    if setting.weights_dir is not None:
        command += ["--weights-dir", setting.weights_dir]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=environment | {"VIDEOFER_OFFLINE": "1"})
    seconds = time.perf_counter() - began
    assert next(out.glob("*.csv"), None) is not None
    shutil.rmtree(out)
    return seconds


def untrained(name: str, folder: Path) -> Path:
    """The folder of a model of the recipe configs/train/NAME.yaml, as it is before training."""
    import torch

    from videofer.checkpoint import save_checkpoint
    from videofer.models.model import EmotionModel
    from videofer.recipe import load_recipe
    from videofer.resources import config_path

    recipe = load_recipe(config_path(f"train/{name}.yaml"))
    torch.manual_seed(0)
    save_checkpoint(
        folder / name,
        weights=EmotionModel(recipe.emotion_model_config()).state_dict(),
        recipe=recipe,
        contract=PreprocessSpec(pose="sidecar").contract(),
        calibration={
            "temperatures": {"face": 1.0, "body": 1.0, "fused": 1.0},
            "fusion": {"kind": "log_prob", "face": 0.5, "body": 0.5},
        },
        metrics={"used": {"keys": {"train": [], "val": []}, "subjects": {"train": [], "val": []}}},
        card=f"# {name}, not trained\n",
    )
    return folder / name
