"""mmpose through the whole stage: the joints of a video reach the store, and what made them as well."""

from __future__ import annotations

import logging
from pathlib import Path

import av
import numpy as np
import pytest

from cache.reader import StoreReader
from cache.schema import State
from cache.store import Store
from cache.verify import verify
from preprocessing.skeletons.mmpose_config import locate_config
from preprocessing.skeletons.mmpose_network import MmposeNetwork
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from preprocessing.weights import sha256_of
from tests.mmpose.spot_net import COLOUR_OF_JOINT, spots, write_config, write_weights

pytestmark = pytest.mark.mmpose

RTMPOSE = "rtmpose-t_8xb256-420e_coco-256x192"
NUM_FRAMES = 40
START = np.array([[150.0, 60.0], [200.0, 130.0], [170.0, 200.0]])
STEP = np.array([1.5, -0.5])  # pixels a frame


def write_moving_spots(path: Path) -> Path:
    """A red, a green and a blue spot that move together, as a person would."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 400, 256, "yuv420p"
        for index in range(NUM_FRAMES):
            picture = spots(START + index * STEP, width=400, height=256)
            frame = av.VideoFrame.from_ndarray(picture.rgb_patch(0, 0, 400, 256), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_joints_of_a_video_reach_the_store(tmp_path: Path) -> None:
    config = write_config(tmp_path / "spot.py")
    checkpoint = write_weights(config, tmp_path / "spot.pth")
    video = write_moving_spots(tmp_path / "spots.mp4")
    spec = PreprocessSpec(faces="precropped", pose=f"mmpose:{config},{checkpoint}", pose_interval_frames=1)
    report = preprocess([video], tmp_path / "store", spec)
    assert report.failures == []
    assert verify(Store.open(tmp_path / "store"), deep=True) == []
    reader = StoreReader(tmp_path / "store")
    (stored,) = reader.videos()
    (person,) = stored.persons
    track = reader.track(stored.key, person.id)
    assert track.keypoints.shape == (NUM_FRAMES, 17, 3)
    truth = START[COLOUR_OF_JOINT] + np.arange(NUM_FRAMES)[:, None, None] * STEP  # (T, 17, 2)
    followed = track.body_state == State.OK
    assert followed.sum() >= NUM_FRAMES - 2  # not where a body is found anew, in the whole picture
    error = np.linalg.norm(track.keypoints[..., :2] - truth, axis=2)[followed]
    assert np.median(error) < 1.0 and error.max() < 3.0
    engine = stored.provenance["skeletons"]
    assert engine["name"] == "mmpose:spot"
    assert engine["weights"]["checkpoint"] == {"file": "spot.pth", "sha256": sha256_of(checkpoint)}
    assert {"mmpose", "mmcv"} <= set(stored.provenance["versions"])


def test_rtmpose_on_real_footage(tmp_path: Path, shared_data: Path, shared_weights: Path) -> None:
    """No trained weights are to be had here: the network is real, its joints are not."""
    import torch

    config = locate_config(RTMPOSE)
    checkpoint = tmp_path / "untrained.pth"
    torch.save({"state_dict": MmposeNetwork(config, None)._model.state_dict()}, checkpoint)
    spec = PreprocessSpec(pose=f"mmpose:{RTMPOSE},{checkpoint},yolox_nano.onnx", pose_interval_frames=10)
    video = shared_data / "videos" / "asl" / "book.mkv"
    report = preprocess([video], tmp_path / "store", spec, weights_dir=shared_weights)
    assert report.failures == []
    reader = StoreReader(tmp_path / "store")
    (stored,) = reader.videos()
    tracks = [reader.track(stored.key, person.id) for person in stored.persons]
    with_bodies = [track for track in tracks if (track.keypoints[..., 2] > 0).any()]
    assert with_bodies and all(track.layout == "coco17" for track in with_bodies)
    for track in with_bodies:
        seen = track.keypoints[track.keypoints[..., 2] > 0]
        assert np.isfinite(seen).all() and (seen[:, 2] <= 1).all()
    assert set(stored.provenance["skeletons"]["weights"]) == {"config", "checkpoint", "person"}


def test_random_weights_are_loud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = write_moving_spots(tmp_path / "spots.mp4")
    spec = PreprocessSpec(faces="precropped", pose=f"mmpose:{RTMPOSE},random", pose_interval_frames=20)
    with caplog.at_level(logging.WARNING):
        report = preprocess([video], tmp_path / "store", spec)
    assert report.failures == [] and "RANDOM WEIGHTS" in caplog.text
    (stored,) = StoreReader(tmp_path / "store").videos()
    assert "RANDOM WEIGHTS" in stored.provenance["skeletons"]["reason"]
