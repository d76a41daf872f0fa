"""Weights of skeleton engines: RTMPose, RTMW and RTMO with their person detectors, as their authors export
them to ONNX. Each is a zip with `end2end.onnx` and papers that nobody here needs.
"""

from __future__ import annotations

from preprocessing.weights.registry import Weight

_PROJECTS = "https://download.openmmlab.com/mmpose/v1/projects/"
_MIRROR = "https://huggingface.co/Tau-J/RTMPose/resolve/main/"
_YOLOX = "Ge et al.: YOLOX, exceeding YOLO series in 2021. arXiv:2107.08430"
_RTMPOSE = "Jiang et al.: RTMPose, real-time multi-person pose estimation based on MMPose. arXiv:2303.07399"
_RTMW = "Jiang, Xie, Li: RTMW, real-time multi-person 2D and 3D whole-body pose estimation. arXiv:2407.08634"
_RTMO = (
    "Lu et al.: RTMO, towards high-performance one-stage real-time multi-person pose estimation. CVPR 2024"
)


def _of_openmmlab(
    name: str,
    archive: str,
    purpose: str,
    models: tuple[str, ...],
    citation: str,
    *,
    sha256: str | None = None,
    num_bytes: int | None = None,
) -> Weight:
    """A network that OpenMMLab publishes. archive: its zip below the projects' address, without `.zip`."""
    return Weight(
        name=name,
        file=archive.rpartition("/")[2] + ".onnx",
        purpose=purpose,
        engines=tuple(f"rtmlib:{model}" for model in models),
        licence="Apache-2.0",
        commercial=True,
        citation=citation,
        url=f"{_PROJECTS}{archive}.zip",
        mirror=f"{_MIRROR}{archive}.zip",
        member="end2end.onnx",
        sha256=sha256,
        num_bytes=num_bytes,
    )


PERSONS = (
    Weight(
        name="yolox-nano",
        file="yolox_nano.onnx",
        purpose="person detector beside any pose model, 416 x 416",
        engines=("onnx:POSE,yolox_nano.onnx",),
        licence="Apache-2.0",
        commercial=True,
        citation=_YOLOX,
        url="https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
        sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
        num_bytes=3_659_407,
    ),
    _of_openmmlab(
        "yolox-tiny",
        "rtmposev1/onnx_sdk/yolox_tiny_8xb8-300e_humanart-6f3252f9",
        "person detector, 416 x 416",
        ("body-lightweight", "body26-lightweight", "wholebody-lightweight"),
        _YOLOX,
        sha256="ceb11c07298f95c50d7c5abeb906d03340c85f23aa79e3e66966e7fb6c307250",
    ),
    _of_openmmlab(
        "yolox-m",
        "rtmposev1/onnx_sdk/yolox_m_8xb8-300e_humanart-c2c7a14a",
        "person detector, 640 x 640",
        ("body-balanced", "body26-balanced", "wholebody-balanced", "wholebody-performance"),
        _YOLOX,
        sha256="3dea6513388889f0fff4b77bf7a26013600321b9eb9ceb0e9a400a82572f5f23",
        num_bytes=101_400_344,
    ),
    _of_openmmlab(
        "yolox-x",
        "rtmposev1/onnx_sdk/yolox_x_8xb8-300e_humanart-a39d44ed",
        "person detector, 640 x 640",
        ("body-performance", "body26-performance"),
        _YOLOX,
        sha256="8e9ea96a176bd48501eaaa77216e49ee30794d2f8ba80c7b9862beca4ea972da",
    ),
)

BODIES = (
    _of_openmmlab(
        "rtmpose-s",
        "rtmposev1/onnx_sdk/rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504",
        "17 joints, 192 x 256",
        ("body-lightweight",),
        _RTMPOSE,
        sha256="9aeb635b83f86aea45cf45d85798f7eba1a162de8e0d721c44e54fe5eebaf47d",
        num_bytes=21_890_172,
    ),
    _of_openmmlab(
        "rtmpose-m",
        "rtmposev1/onnx_sdk/rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504",
        "17 joints, 192 x 256",
        ("body-balanced",),
        _RTMPOSE,
        sha256="5c0a4bf67953e6d2ac43ce15e77dc9d5d354ae18430a47d2c5963a7bc5683e3c",
        num_bytes=54_330_655,
    ),
    _of_openmmlab(
        "rtmpose-x",
        "rtmposev1/onnx_sdk/rtmpose-x_simcc-body7_pt-body7_700e-384x288-71d7b7e9_20230629",
        "17 joints, 288 x 384",
        ("body-performance",),
        _RTMPOSE,
        sha256="df0c0fa91e9870b1515dcaff741fd76cc753dcfb12786862f61b243bae81cd52",
    ),
    _of_openmmlab(
        "rtmpose-s-halpe26",
        "rtmposev1/onnx_sdk/rtmpose-s_simcc-body7_pt-body7-halpe26_700e-256x192-7f134165_20230605",
        "26 joints with feet, 192 x 256",
        ("body26-lightweight",),
        _RTMPOSE,
    ),
    _of_openmmlab(
        "rtmpose-m-halpe26",
        "rtmposev1/onnx_sdk/rtmpose-m_simcc-body7_pt-body7-halpe26_700e-256x192-4d3e73dd_20230605",
        "26 joints with feet, 192 x 256",
        ("body26-balanced",),
        _RTMPOSE,
        sha256="26f3a19e61304a600dfb82d1001d41d24343b89fc70a33ffc84657e0b0bf2ecf",
        num_bytes=55_685_444,
    ),
    _of_openmmlab(
        "rtmpose-x-halpe26",
        "rtmposev1/onnx_sdk/rtmpose-x_simcc-body7_pt-body7-halpe26_700e-384x288-7fb6e239_20230606",
        "26 joints with feet, 288 x 384",
        ("body26-performance",),
        _RTMPOSE,
    ),
    _of_openmmlab(
        "rtmw-m",
        "rtmw/onnx_sdk/rtmw-dw-l-m_simcc-cocktail14_270e-256x192_20231122",
        "133 points of body, hands and face, 192 x 256",
        ("wholebody-lightweight",),
        _RTMW,
    ),
    _of_openmmlab(
        "rtmw-l",
        "rtmw/onnx_sdk/rtmw-dw-x-l_simcc-cocktail14_270e-256x192_20231122",
        "133 points of body, hands and face, 192 x 256",
        ("wholebody-balanced",),
        _RTMW,
        sha256="9a9bc17c13ff0a1e37507f45a037a21bc410cd08374b0e664c57d0080843aa58",
        num_bytes=228_708_578,
    ),
    _of_openmmlab(
        "rtmw-l-384",
        "rtmw/onnx_sdk/rtmw-dw-x-l_simcc-cocktail14_270e-384x288_20231122",
        "133 points of body, hands and face, 288 x 384",
        ("wholebody-performance",),
        _RTMW,
    ),
    _of_openmmlab(
        "rtmo-s",
        "rtmo/onnx_sdk/rtmo-s_8xb32-600e_body7-640x640-dac2bf74_20231211",
        "17 joints of everybody in one pass, 640 x 640",
        ("rtmo-lightweight",),
        _RTMO,
    ),
    _of_openmmlab(
        "rtmo-m",
        "rtmo/onnx_sdk/rtmo-m_16xb16-600e_body7-640x640-39e78cc4_20231211",
        "17 joints of everybody in one pass, 640 x 640",
        ("rtmo-balanced",),
        _RTMO,
    ),
    _of_openmmlab(
        "rtmo-l",
        "rtmo/onnx_sdk/rtmo-l_16xb16-600e_body7-640x640-b37118ce_20231211",
        "17 joints of everybody in one pass, 640 x 640",
        ("rtmo-performance",),
        _RTMO,
    ),
)
