"""The probes that import what they try. They run in a child process: a library may crash, hang or shout.

    python -m videofer.doctor.probes [--quick] SECTION/NAME...

writes one line of JSON a finding. Started by `videofer.doctor.children`, for people it is of no use.

Engines are chosen and built just as a run does it, by the `resolve` and `build` of their seam, with downloads
switched off: what a run would say is what the report says.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import UserError
from videofer.doctor.findings import Finding, speed

if TYPE_CHECKING:
    import numpy as np

SECONDS = 0.5  # for which an engine is timed
MIN_OVERLAP = 0.3  # intersection over union with the face that is there
MAX_MISS = 12.0  # pixels that a landmark may lie from where it is; the eyes are 53 apart
MAX_COLOUR_ERROR = 6.0  # mean difference of decoded pixels, in levels; wrong colours are 20 and more


def run(label: str, *, quick: bool) -> Finding:
    """One finding; `label` is SECTION/NAME as in `videofer.doctor.plan`."""
    from preprocessing.weights.check import OtherFileError

    section, _, name = label.partition("/")
    try:
        return PROBES[section](name, quick)
    except OtherFileError as error:  # a file of weights is there and is another one than it should be
        seen = str(error).rpartition("; ")[0]
        return Finding(name, "broken", seen, f"rm {shlex.quote(seen.partition(' is not ')[0])}")
    except UserError as error:  # the one line that a run would end with
        seen, mend = split_line(str(error))
        return Finding(name, "absent", seen, mend, {"line": str(error)})
    except ImportError as error:
        return Finding(name, "broken", str(error), _mend_import(error))
    except Exception as error:  # a library that is there and does not work, whatever it raises
        return Finding(name, "broken", f"{type(error).__name__}: {error}")


def split_line(line: str) -> tuple[str, str]:
    """What is wrong, and the command that mends it, from the line of an error.

    "REASON: `COMMAND` gets ..." or "REASON: pip install ..."; a line without a command stays whole.
    """
    line = line.removesuffix(" (see `videofer doctor`)")
    quoted = re.match(r"(.+?)[:;,]? (?:run )?`([^`]+)`", line)
    plain = re.match(r"(.+?): ((?:pip|apt-get|conda|make|put) .+)$", line)
    found = quoted or plain
    return (found[1], found[2]) if found else (line, "")


def _mend_import(error: ImportError) -> str:
    if "libGL" in str(error):
        return (
            "pip uninstall --yes opencv-python && "
            "pip install --force-reinstall --no-deps opencv-python-headless"
        )
    return ""


def _library(name: str, quick: bool) -> Finding:
    """Import it; Ray is started as well."""
    return {"PyTorch": _torch, "ONNX Runtime": _onnxruntime, "OpenCV": _opencv, "Ray": _ray}[name](quick)


def _torch(quick: bool) -> Finding:
    import torch
    import torchvision

    cuda = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    release, pair = (str(module.__version__).partition("+")[0] for module in (torch, torchvision))
    seen = f"{release}, torchvision {pair}, {cuda}"
    return Finding("PyTorch", "ok", seen, figures={"cuda": torch.version.cuda or ""})


def _onnxruntime(quick: bool) -> Finding:
    import onnxruntime

    names = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
    seen = f"{onnxruntime.__version__}, computes by {', '.join(names)}"
    return Finding("ONNX Runtime", "ok", seen, figures={"providers": ", ".join(names)})


def _opencv(quick: bool) -> Finding:
    import cv2

    return Finding("OpenCV", "ok", cv2.__version__)


def _ray(quick: bool) -> Finding:
    import ray

    if quick:
        return Finding("Ray", "ok", ray.__version__)
    from preprocessing.stage.cluster import running_ray

    start = time.perf_counter()
    with running_ray(None, num_cpus=1):
        ray.get(ray.put("an object"))
        seconds = time.perf_counter() - start
    seen = f"{ray.__version__}, started in {seconds:.1f} s"
    return Finding("Ray", "ok", seen, figures={"start_seconds": round(seconds, 2)})


def _gpu(name: str, quick: bool) -> Finding:
    """What torch computes on besides the processor."""
    from videofer.doctor.gpu import examine_gpu

    return examine_gpu(quick=quick)


def _decoder(name: str, quick: bool) -> Finding:
    import numpy as np

    from preprocessing.decode import DECODERS, decoder_for
    from preprocessing.probe import probe
    from preprocessing.types import Source
    from videofer.doctor.samples import NUM_FRAMES, SIZE_WH, photograph, shifted, write_video

    if (reason := DECODERS[name].usable()) is not None:
        raise UserError(reason)
    if quick:
        return Finding(name, "ok")
    picture = photograph()
    with tempfile.TemporaryDirectory() as folder:
        source = Source(write_video(Path(folder) / "clip.mp4", picture), "clip.mp4", "video")
        decoder = decoder_for("video", name)
        errors: list[float] = []
        start = time.perf_counter()
        for number, frame in enumerate(decoder.frames(source, probe(source))):
            image = frame.reduced_rgb(SIZE_WH)
            if number % 30 == 0:
                errors.append(float(np.abs(image.astype(int) - shifted(picture, number)).mean()))
        per_second = (number + 1) / (time.perf_counter() - start)
    if number + 1 != NUM_FRAMES:
        return Finding(name, "broken", f"delivers {number + 1} of {NUM_FRAMES} frames")
    if max(errors) > MAX_COLOUR_ERROR:
        return Finding(name, "broken", f"colours are {max(errors):.0f} levels off")
    return speed(name, per_second, "frames/s")


def _faces(name: str, quick: bool) -> Finding:
    from preprocessing import faces
    from videofer.doctor.samples import FACE_BOX, photograph

    choice = faces.resolve(name)
    if name == "auto":
        takes: dict[str, float | int | str] = {"takes": choice.name}
        if choice.name == "yunet":
            return Finding(name, "ok", "takes yunet", figures=takes)
        seen = f"takes {choice.name}, unless the weights of yunet, which is faster, can be downloaded"
        return Finding(name, "note", seen, "videofer weights fetch yunet", takes)
    if quick:
        return Finding(name, "ok")
    detector, picture = faces.build(choice), photograph()
    found = detector.detect([picture])[0]
    overlaps = [_overlap(box, FACE_BOX) for box in found.boxes_xyxy]
    if max(overlaps, default=0.0) < MIN_OVERLAP:
        return Finding(name, "broken", "does not find the face in a photograph")
    return speed(name, _rate(lambda: detector.detect([picture])), "pictures/s")


def _landmarks(name: str, quick: bool) -> Finding:
    import numpy as np

    from preprocessing import landmarks
    from preprocessing.decode.frames import PixelFrame
    from videofer.doctor.samples import FACE_BOX, FACE_LANDMARKS, photograph

    choice = landmarks.resolve(name)
    engine = landmarks.build(choice)
    assert engine is not None
    if quick:
        return Finding(name, "ok")
    frame = PixelFrame(photograph(), 0, 1)
    boxes = np.array([FACE_BOX], np.float32)
    points = np.array([FACE_LANDMARKS], np.float32)

    def locate() -> np.ndarray:
        return engine.locate([frame], boxes, points)

    found = locate()[0]
    misses = [float(np.linalg.norm(found - point, axis=1).min()) for point in FACE_LANDMARKS]
    if not max(misses) <= MAX_MISS:
        return Finding(name, "broken", f"landmarks lie {max(misses):.0f} pixels off")
    return speed(name, _rate(locate), "faces/s")


def _skeletons(name: str, quick: bool) -> Finding:
    from videofer.doctor.skeletons import try_skeletons

    return try_skeletons(name, _rate, quick=quick)


PROBES: dict[str, Callable[[str, bool], Finding]] = {
    "libraries": _library,
    "GPU": _gpu,
    "decoders": _decoder,
    "faces": _faces,
    "landmarks": _landmarks,
    "skeletons": _skeletons,
}


def _rate(work: Callable[[], object]) -> float:
    """Calls a second, after one call to warm up."""
    work()
    start, calls = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < SECONDS:
        work()
        calls += 1
    return calls / elapsed


def _overlap(box: np.ndarray, other: tuple[float, ...]) -> float:
    """Intersection over union."""
    width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return float(width * height / (areas - width * height))


def main(arguments: list[str]) -> None:
    """Findings go to what was standard output; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    quick = "--quick" in arguments
    for label in (a for a in arguments if a != "--quick"):
        finding = run(label, quick=quick)
        one_line = replace(finding, seen=" ".join(finding.seen.split())[:300])
        answers.write(json.dumps(asdict(one_line)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
