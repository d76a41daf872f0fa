"""The whole command on one video, process start included, as a user waits for it."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tools.speed.setting import Setting

CEILING_SECONDS = 4.0  # the aim for the 472 frames of interview_one_face.mp4 on 4 cores


def measure(setting: Setting) -> None:
    """Prints seconds of `videofer preprocess FILE --out STORE`."""
    video = setting.command_video
    if video is None:
        print("no video given and no test data beside the checkout: left out (--video FILE)")
        return
    store = setting.folder / "command"
    program = Path(sys.executable).with_name("videofer")
    command: list[str | Path] = [program, "preprocess", video, "--out", store]
    if setting.weights_dir is not None:
        command += ["--weights-dir", setting.weights_dir]
    seconds = []
    for _ in range(setting.repeats):
        began = time.perf_counter()
        result = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | {"VIDEOFER_OFFLINE": "1"}
        )
        seconds.append(time.perf_counter() - began)
        shutil.rmtree(store)
    print(result.stdout.strip().splitlines()[0] if result.stdout.strip() else "")
    print(
        f"videofer preprocess {video.name}: {statistics.median(seconds):.2f} s (median of {len(seconds)}, "
        f"best {min(seconds):.2f} s); aim: under {CEILING_SECONDS:.0f} s"
    )
