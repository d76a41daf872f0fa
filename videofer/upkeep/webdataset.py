"""Tracks with their crops to and from WebDataset shards: tar files whose members share names by sample.

A sample is one labelled interval of one person, or a whole track without a label:

    KEY.json            name, label, subject, split, size, time base, layout; times are seconds of media time
    KEY.npz             a row for each of T frames: times, states, boxes, landmarks, warps, quality,
                        keypoints, and dense landmarks where the store has any; and what follows from the
                        landmarks: `head_pose`, `eyes_open` (see `preprocessing.face_measures`)
    KEY.000017.jpg      the face of row 17, the bytes of the store; of a plain store `crops` is in the npz

`export.json` beside the shards has the spec and the input contract, so that the whole can be imported again.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np

from cache.atomic import atomic_write, atomic_write_text
from cache.codecs import decode_jpeg
from cache.errors import CorruptError
from cache.labels import labels_of
from cache.reader import StoreReader
from cache.schema import BodyBlock, FaceBlock, State, VideoRecord
from cache.store import Store, contract_hash
from cache.track import PersonTrack
from preprocessing.face_measures import measures_of
from videofer.quality.items import NO_LABEL, Item, make_items
from videofer.upkeep.importer import Importer, Sample
from videofer.upkeep.pyskl import FormatError

SAMPLES_A_SHARD = 1000
META = "export.json"
_FORMAT = "videofer-webdataset/1"
_COLUMNS = (
    "pts", "t_start", "t_end", "face_state", "body_state", "face_boxes_xyxy", "landmarks_xy", "warps",
    "face_scores", "quality", "body_boxes_xyxy", "keypoints", "body_scores", "has_crop",
)  # fmt: skip
_DENSE = "dense_landmarks"  # a further column of samples that have any
MAX_MEMBER_BYTES = 1 << 30


def export_webdataset(store: Store, out: Path, *, samples_a_shard: int = SAMPLES_A_SHARD) -> dict[str, int]:
    """Write shards `samples-000000.tar`, ... into a new folder; `num_written`, `num_shards`.

    Members have no times, owners or modes of their own, so the same store makes the same bytes.
    """
    if out.exists() and any(out.iterdir()):
        raise FormatError(f"{out} is there already and not empty")
    out.mkdir(parents=True, exist_ok=True)
    reader = StoreReader(store.path)
    videos = {video.key: video for video in store.videos()}
    items, _ = make_items(list(videos.values()), labels_of(store))
    items = [item for item in items if item.label != NO_LABEL] or items
    num_shards = -(-len(items) // samples_a_shard)
    for number in range(num_shards):
        part = items[number * samples_a_shard : (number + 1) * samples_a_shard]
        with (
            atomic_write(out / f"samples-{number:06d}.tar") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for item in part:
                _write(tar, reader, store, videos[item.key], item)
    header = {
        "format": _FORMAT,
        "codec": store.codec,
        "contract": store.contract,
        "spec": store.spec,
        "num_samples": len(items),
        "num_shards": num_shards,
    }
    atomic_write_text(out / META, json.dumps(header, indent=2) + "\n")  # last: before it, it is not whole
    return {"num_written": len(items), "num_shards": num_shards}


def import_webdataset(folder: Path, out: Path) -> Importer:
    """A new store of what `export_webdataset` wrote: every sample becomes a video. Raises FormatError.

    JPEG crops are decoded and encoded anew, everything else is as it was.
    """
    try:
        header = json.loads((folder / META).read_bytes())
        spec, contract, codec = header["spec"], header["contract"], header["codec"]
        if header["format"] != _FORMAT or codec not in ("jpeg", "plain"):
            raise ValueError
        contract_hash(contract)
        spec = {"jpeg_quality": 95, **spec}
        crop_size = int(contract["crop_size"])
        if crop_size < 1 or not 1 <= int(spec["jpeg_quality"]) <= 100:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise FormatError(f"{folder} has no {META} of this program: it is not a finished export") from None
    made_from = {"decoder": "import", "detector": {"name": "import"}, "skeletons": {"name": "import"}}
    provenance = {
        **made_from,
        "landmarks": {"name": str(spec.get("landmarks", "none"))},
        "imported": {"format": "webdataset", "folder": folder.absolute().name},
        "warnings": ["crops were decoded and encoded anew"] if codec == "jpeg" else [],
    }
    importer = Importer(out, spec=spec, contract=contract, codec=codec, provenance=provenance)
    with importer:
        for path in sorted(folder.glob("*.tar")):
            for key, members in _samples(path):
                try:
                    importer.add(_sample(members, crop_size, codec))
                except (
                    KeyError,
                    ValueError,
                    TypeError,
                    IndexError,
                    ArithmeticError,
                    CorruptError,
                    BadZipFile,
                    zlib.error,
                ) as error:
                    what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
                    raise FormatError(f"{path}, sample {key}: {what}") from None
        num_samples = importer.num_videos + importer.num_twice
        if num_samples != header["num_samples"]:
            said = f"{META} says {header['num_samples']}: shards are missing"
            raise FormatError(f"{folder} holds {num_samples} samples, {said}")
    return importer


def _write(tar: tarfile.TarFile, reader: StoreReader, store: Store, video: VideoRecord, item: Item) -> None:
    track = reader.track(item.key, item.person)
    rows = np.flatnonzero((track.t_end > item.t_start) & (track.t_start < item.t_end))
    key = f"{item.key}-{item.person}-{round(item.t_start * 1000):09d}"
    meta = {
        **asdict(item),
        "label": None if item.label == NO_LABEL else item.label,
        "kind": video.kind,
        "width": video.width,
        "height": video.height,
        "time_base": list(video.time_base),
        "presentation_start": list(video.presentation_start),
        "end_pts": _end_pts(video, track, rows),
        "layout": track.layout,
        "landmark_layout": track.landmark_layout,
        "crop_size": store.contract["crop_size"],
        "contract_hash": store.contract_hash,
        "num_frames": len(rows),
    }
    arrays = {name: getattr(track, name)[rows] for name in _COLUMNS}
    if track.landmark_layout:
        arrays[_DENSE] = track.dense_landmarks[rows]
    measures = measures_of(track)
    arrays.update(head_pose=measures.head_pose[rows], eyes_open=measures.eyes_open[rows])
    with_crop = rows[track.has_crop[rows]]
    if store.codec == "plain":
        arrays["crops"] = reader.read_crops(track, with_crop)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    _add(tar, f"{key}.json", json.dumps(meta).encode())
    _add(tar, f"{key}.npz", buffer.getvalue())
    if store.codec == "jpeg":
        places = (np.flatnonzero(track.has_crop[rows])).tolist()
        for place, data in zip(places, reader.read_jpegs(track, with_crop), strict=True):
            _add(tar, f"{key}.{place:06d}.jpg", data)


def _end_pts(video: VideoRecord, track: PersonTrack, rows: np.ndarray) -> int:
    """Where the last of these frames ends."""
    after = int(rows[-1]) + 1
    if after < len(track):
        return int(track.pts[after])
    seconds = Fraction(float(track.t_end[rows[-1]])) + Fraction(*video.presentation_start)
    return max(round(seconds / Fraction(*video.time_base)), int(track.pts[rows[-1]]) + 1)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    tar.addfile(info, io.BytesIO(data))


def _samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and members by extension: consecutive members whose names are the same up to the first dot."""
    key, members = "", dict[str, bytes]()
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for info in tar:
                if not info.isfile():
                    continue
                name, _, extension = info.name.rpartition("/")[2].partition(".")
                if name != key and members:
                    yield key, members
                    members = {}
                key = name
                members[extension] = _read(tar.extractfile(info), info.size)
    except (tarfile.TarError, EOFError) as error:
        raise FormatError(f"{path} is no tar file, or cut short: {error}") from None
    if members:
        yield key, members


def _read(file: IO[bytes] | None, size: int) -> bytes:
    if file is None or size > MAX_MEMBER_BYTES:
        raise tarfile.TarError(f"a member of {size} bytes")
    return file.read()


def _sample(members: dict[str, bytes], crop_size: int, codec: str) -> Sample:
    meta: dict[str, Any] = json.loads(members["json"])
    with np.load(io.BytesIO(members["npz"]), allow_pickle=False) as archive:
        if sum(info.file_size for info in archive.zip.infolist()) > MAX_MEMBER_BYTES:
            raise ValueError("its npz unfolds to more than a sample may hold")
        arrays: dict[str, np.ndarray] = {name: archive[name] for name in archive.files}
    num = len(arrays["pts"])
    for name in (*_COLUMNS, *({_DENSE} & arrays.keys())):
        if len(arrays[name]) != num or not num:
            raise ValueError(f"{name} has {len(arrays[name])} rows, pts {num}")
    seen = arrays["has_crop"].astype(bool)
    crops = (
        arrays["crops"] if codec == "plain" else _decode(members, np.flatnonzero(seen).tolist(), crop_size)
    )
    digest = hashlib.sha256(members["npz"] + members["json"])
    for extension in sorted(set(members) - {"npz", "json"}):
        digest.update(members[extension])
    stem, dot, suffix = str(meta["name"]).rpartition(".")
    return Sample(
        key=digest.hexdigest()[:32],
        name=f"{stem or suffix}#{meta['person']}@{float(meta['t_start']):.3f}{dot}{suffix if stem else ''}",
        kind=meta["kind"],
        width=int(meta["width"]),
        height=int(meta["height"]),
        time_base=Fraction(*meta["time_base"]),
        presentation_start=Fraction(*meta["presentation_start"]),
        pts=arrays["pts"].astype(np.int64),
        end_pts=int(meta["end_pts"]),
        faces=[_face(arrays, crops)],
        bodies=[_body(arrays)],
        layout=str(meta["layout"]),
        landmark_layout=str(meta["landmark_layout"]) if _DENSE in arrays else "",
        row={name: meta[name] or None for name in ("label", "subject", "split")},
    )


def _decode(members: dict[str, bytes], rows: Sequence[int], side: int) -> np.ndarray:
    crops = np.empty((len(rows), side, side, 3), np.uint8)
    for crop, row in zip(crops, rows, strict=True):
        decode_jpeg(np.frombuffer(members[f"{row:06d}.jpg"], np.uint8), crop)
    return crops


def _face(arrays: dict[str, np.ndarray], crops: np.ndarray) -> FaceBlock | None:
    if not arrays["has_crop"].any():
        return None
    return FaceBlock(
        boxes_xyxy=arrays["face_boxes_xyxy"],
        landmarks_xy=arrays["landmarks_xy"],
        warps=arrays["warps"],
        scores=arrays["face_scores"],
        states=arrays["face_state"],
        quality=arrays["quality"],
        crops=crops,
        dense_landmarks=arrays.get(_DENSE),
    )


def _body(arrays: dict[str, np.ndarray]) -> BodyBlock | None:
    if arrays["keypoints"].shape[1] == 0 or not np.any(arrays["body_state"] != State.ABSENT):
        return None
    return BodyBlock(
        boxes_xyxy=arrays["body_boxes_xyxy"],
        keypoints=arrays["keypoints"],
        scores=arrays["body_scores"],
        states=arrays["body_state"],
    )
