from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cache.info import info
from cache.schema import FailureRecord
from tests.cache.parts import make_faces, make_store, stored_video


def test_info_is_complete_json(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    stored_video(store, "k", make_faces(np.random.default_rng(0), 4), ["a.mp4", "b.mp4"])
    store.record_failure(FailureRecord("c.mp4", "/c.mp4", None, "probe", "InputError", "empty file"))
    found = json.loads(json.dumps(info(store)))
    assert found == {
        "path": str(store.path),
        "schema_version": 2,
        "contract_hash": store.contract_hash,
        "codec": "plain",
        "videos": [
            {
                "key": "k",
                "names": ["a.mp4", "b.mp4"],
                "kind": "video",
                "num_frames": 4,
                "width": 640,
                "height": 480,
                "t_start": 0.0,
                "t_end": 0.16,
                "duration": 0.16,
                "decoder": "pyav",
                "detector": "yunet",
                "skeletons": "none",
                "tracks": [
                    {
                        "id": 0,
                        "num_frames": 4,
                        "t_start": 0.0,
                        "t_end": 0.16,
                        "confidence": 1.0,
                        "face_states": {"ok": 4},
                        "body_states": {},
                    }
                ],
                "warnings": [],
            }
        ],
        "failures": [{"name": "c.mp4", "stage": "probe", "reason": "empty file"}],
    }


def test_info_of_an_empty_store(tmp_path: Path) -> None:
    found = info(make_store(tmp_path / "store"))
    assert (found["videos"], found["failures"]) == ([], [])
