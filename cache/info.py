"""What a store holds, as one JSON-able dictionary: `videofer store info --json`."""

from __future__ import annotations

from typing import Any

from cache.schema import SCHEMA_VERSION, VideoRecord
from cache.store import Store


def info(store: Store) -> dict[str, Any]:
    """Header, videos with their tracks, failures. Times are seconds of media time."""
    return {
        "path": str(store.path),
        "schema_version": SCHEMA_VERSION,
        "contract_hash": store.contract_hash,
        "codec": store.codec,
        "videos": [_video(video) for video in store.videos()],
        "failures": [
            {"name": failure.name, "stage": failure.stage, "reason": failure.reason}
            for failure in store.failures()
        ],
    }


def _video(video: VideoRecord) -> dict[str, Any]:
    provenance = video.provenance
    return {
        "key": video.key,
        "names": video.names,
        "kind": video.kind,
        "num_frames": video.num_frames,
        "width": video.width,
        "height": video.height,
        "t_start": video.t_start,
        "t_end": video.t_end,
        "duration": video.duration,
        "decoder": provenance.get("decoder"),
        "detector": provenance.get("detector", {}).get("name"),
        "skeletons": provenance.get("skeletons", {}).get("name"),
        "tracks": [
            {
                "id": person.id,
                "num_frames": person.num_frames,
                "t_start": person.t_start,
                "t_end": person.t_end,
                "confidence": person.confidence,
                "face_states": person.face_states,
                "body_states": person.body_states,
            }
            for person in video.persons
        ],
        "warnings": provenance.get("warnings", []),
    }
