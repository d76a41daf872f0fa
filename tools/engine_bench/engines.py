"""The engines of the table: their licences, and what people should know before they choose one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["decoder", "faces", "landmarks", "pose"]


@dataclass(frozen=True)
class Engine:
    """One row. `name` is what the command line takes; files are looked for in the folder of weights."""

    kind: Kind
    name: str
    licence: str  # of the code; that of each weight file stands in docs/weights.md
    advice: str


ENGINES = (
    Engine("decoder", "pyav", "BSD-3-Clause; FFmpeg: GPL", "unless there is a reason for another"),
    Engine("decoder", "decord", "Apache-2.0; FFmpeg: GPL", "to compare with systems that were built on it"),
    Engine("decoder", "torchcodec", "BSD-3-Clause; FFmpeg: the system's", "to use an FFmpeg of your own"),
    Engine(
        "decoder",
        "torchcodec:cuda",
        "BSD-3-Clause; FFmpeg: the system's",
        "few cores beside a GPU",
    ),
    Engine("faces", "yunet", "MIT", "ordinary footage; the fastest"),
    Engine("faces", "mtcnn", "MIT", "where nothing can be downloaded: its weights are in its package"),
    Engine("faces", "face-alignment:blazeface", "BSD-3-Clause", "one large face near the camera"),
    Engine("faces", "face-alignment:yunet", "BSD-3-Clause", "to compare with face-alignment's own"),
    Engine("faces", "face-alignment:sfd", "BSD-3-Clause", "small and turned faces, on a GPU"),
    Engine("faces", "face-alignment:retinaface", "BSD-3-Clause", "small faces, on a GPU"),
    Engine("faces", "face-alignment:scrfd", "MIT", "small faces in research; not for commercial use"),
    Engine("landmarks", "mesh", "Apache-2.0", "68 points on a processor; `mesh468`: all that it finds"),
    Engine("landmarks", "fan", "BSD-3-Clause", "68 points as the literature has them, on a GPU"),
    Engine(
        "landmarks", "fan3d", "BSD-3-Clause", "68 points that keep their place when the head turns, on a GPU"
    ),
    Engine(
        "pose",
        "onnx:tinypose_256x192.onnx,yolox_nano.onnx",
        "Apache-2.0",
        "body joints on a processor; any ONNX model of this kind",
    ),
    Engine(
        "pose",
        "onnx:tinypose_256x192.onnx,rtmdet_nano_person_end2end.onnx",
        "Apache-2.0",
        "the same with another search for people",
    ),
    Engine(
        "pose", "rtmlib:body-lightweight", "Apache-2.0", "body joints, better than tinypose, on a processor"
    ),
    Engine("pose", "rtmlib:body-balanced", "Apache-2.0", "body joints, on a GPU"),
    Engine("pose", "rtmlib:wholebody-balanced", "Apache-2.0", "hands and face beside the body, on a GPU"),
    Engine("pose", "rtmlib:rtmo-balanced", "Apache-2.0", "many people: the time does not grow with them"),
    Engine(
        "pose",
        "mmpose:rtmpose-s_8xb256-420e_coco-256x192",
        "Apache-2.0",
        "a checkpoint or config that only mmpose can run",
    ),
)
