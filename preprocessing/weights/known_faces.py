"""Weights of face detectors and of facial landmarks."""

from __future__ import annotations

from preprocessing.weights.registry import Weight

_FAN = "https://www.adrianbulat.com/downloads/python-fan/"
_BLAZEFACE = "https://raw.githubusercontent.com/hollance/BlazeFace-PyTorch/master/"
_YUNET_PAPER = (
    "Wu, Peng, Yu: YuNet, a tiny millisecond-level face detector. MIR 2023. doi:10.1007/s11633-023-1423-y"
)
_FAN_PAPER = "Bulat, Tzimiropoulos: How far are we from solving the 2D & 3D face alignment problem? ICCV 2017"
_BLAZEFACE_PAPER = "Bazarevsky et al.: BlazeFace, sub-millisecond neural face detection on mobile GPUs. 2019"

FACES = (
    Weight(
        name="yunet",
        file="face_detection_yunet_2023mar.onnx",
        purpose="face detector",
        engines=("yunet", "face-alignment:yunet"),
        licence="MIT",
        commercial=True,
        citation=_YUNET_PAPER,
        url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/"
        "models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
        mirror="https://huggingface.co/opencv/face_detection_yunet/resolve/main/"
        "face_detection_yunet_2023mar.onnx",
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        num_bytes=232_589,
    ),
    Weight(
        name="yunet-dynamic",
        file="yunet_n_dynamic.onnx",
        purpose="face detector, any batch and picture size: twice as fast",
        engines=("yunet",),
        licence="Apache-2.0",
        commercial=True,
        citation=_YUNET_PAPER,
        sha256="104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
        num_bytes=322_906,
    ),
    Weight(
        name="blazeface",
        file="blazeface.pth",
        purpose="face detector",
        engines=("face-alignment:blazeface",),
        licence="Apache-2.0",
        commercial=True,
        citation=_BLAZEFACE_PAPER,
        url=_BLAZEFACE + "blazeface.pth",
        sha256="54ecff653feaaaf1f7d44b6aff28fd2fc50e483a4e847563b6dd261369c43ba4",
        num_bytes=420_224,
    ),
    Weight(
        name="blazeface-anchors",
        file="anchors.npy",
        purpose="where BlazeFace's boxes stand",
        engines=("face-alignment:blazeface",),
        licence="Apache-2.0",
        commercial=True,
        citation=_BLAZEFACE_PAPER,
        url=_BLAZEFACE + "anchors.npy",
        sha256="a10bb2fb93ab54ca426d6c750bfc3aad685028a16dcf231357d03694f261fd95",
        num_bytes=28_800,
    ),
    Weight(
        name="sfd",
        file="s3fd-619a316812.pth",
        purpose="face detector",
        engines=("face-alignment:sfd",),
        licence="BSD-3-Clause",
        commercial=True,
        citation="Zhang et al.: S3FD, single shot scale-invariant face detector. ICCV 2017",
        url=_FAN + "s3fd-619a316812.pth",
        sha256="619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
        num_bytes=89_843_225,
    ),
    Weight(
        name="retinaface",
        file="retinaface_mobilenet0.25.pth",
        purpose="face detector",
        engines=("face-alignment:retinaface",),
        licence="MIT",
        commercial=True,
        citation="Deng et al.: RetinaFace, single-shot multi-level face localisation in the wild. CVPR 2020",
        url=_FAN + "retinaface_mobilenet0.25.pth",
    ),
    Weight(
        name="scrfd",
        file="det_2.5g.onnx",
        purpose="face detector",
        engines=("face-alignment:scrfd",),
        licence="InsightFace models: non-commercial research only",
        commercial=False,
        citation="Guo et al.: Sample and computation redistribution for efficient face detection. ICLR 2022",
        url="https://github.com/yakhyo/facial-analysis/releases/download/v0.0.1/det_2.5g.onnx",
        mirror="https://huggingface.co/immich-app/buffalo_m/resolve/main/detection/model.onnx",
        sha256="041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9",
        num_bytes=3_292_009,
    ),
)

LANDMARKS = (
    Weight(
        name="facemesh",
        file="facemesh_468.onnx",
        purpose="468 points of a face",
        engines=("mesh", "mesh468"),
        licence="Apache-2.0",
        commercial=True,
        citation="Kartynnik et al.: Real-time facial surface geometry from monocular video. 2019",
        sha256="7063f3d06b0ac42dd6cd64d15c1a60da15e9d43b3e0d9ddec726c16584d25df2",
        num_bytes=2_429_069,
    ),
    Weight(
        name="fan",
        file="2DFAN4-11f355bf06.pth.tar",
        purpose="68 points of a face, in the picture",
        engines=("fan", "face-alignment:sfd"),
        licence="BSD-3-Clause",
        commercial=True,
        citation=_FAN_PAPER,
        url=_FAN + "2DFAN4-11f355bf06.pth.tar",
        sha256="11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
    ),
    Weight(
        name="fan3d",
        file="3DFAN4-7835d9f11d.pth.tar",
        purpose="68 points of a face, of its three-dimensional shape",
        engines=("fan3d",),
        licence="BSD-3-Clause",
        commercial=True,
        citation=_FAN_PAPER,
        url=_FAN + "3DFAN4-7835d9f11d.pth.tar",
        sha256="7835d9f11d",
    ),
    Weight(
        name="fan3d-depth",
        file="depth-2a464da4ea.pth.tar",
        purpose="how deep those 68 points lie",
        engines=("fan3d",),
        licence="BSD-3-Clause",
        commercial=True,
        citation=_FAN_PAPER,
        url=_FAN + "depth-2a464da4ea.pth.tar",
        sha256="2a464da4ea",
    ),
)
