"""Stores to measure: face crops cut from a photograph, each shifted, lit and with its own noise."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from cache.schema import Codec, FaceBlock, PersonRecord, State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store

CROP_SIZE = 112
FPS = 25
BLOCK_FRAMES = 64  # appended at once


def key_of(number: int) -> str:
    """Key of the n-th video."""
    return f"{number:032x}"


def make_crops(rng: np.random.Generator, num_tracks: int, num_frames: int) -> np.ndarray:
    """(N, T, S, S, 3) uint8 RGB: a face that moves a little, under changing light, with camera noise."""
    import skimage.data

    face = np.ascontiguousarray(skimage.data.astronaut()[30:270, 110:350])  # type: ignore[no-untyped-call]
    noise = rng.normal(0, 3, (64, CROP_SIZE, CROP_SIZE, 3)).astype(np.float32)
    crops = np.empty((num_tracks, num_frames, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    scale = CROP_SIZE / face.shape[0]
    for track in crops:
        gain, phase = rng.uniform(0.7, 1.2), rng.uniform(0, 2 * np.pi)
        for frame, crop in enumerate(track):
            shift = 3 * np.sin(frame / 15 + phase)
            warp = np.array([[scale, 0, shift], [0, scale, shift / 2]], np.float32)
            image = cv2.warpAffine(face, warp, (CROP_SIZE, CROP_SIZE), borderMode=cv2.BORDER_REFLECT)
            crop[:] = np.clip(image * gain + noise[rng.integers(len(noise))], 0, 255)
    return crops


def write_store(path: Path, codec: Codec, tracks: Sequence[np.ndarray]) -> None:
    """A store of one video per track of crops (T, S, S, 3), with one face each."""
    store = Store.create(path, spec={}, contract={"crop_size": CROP_SIZE}, codec=codec)
    writer = ShardWriter(path, codec=codec, crop_size=CROP_SIZE)
    records = [_write_video(writer, key_of(number), track) for number, track in enumerate(tracks)]
    writer.seal()
    store.commit_all(records)


def _write_video(writer: ShardWriter, key: str, crops: np.ndarray) -> VideoRecord:
    num_frames = len(crops)
    segment = writer.begin_segment(key, 0, Fraction(1, FPS))
    segment.append_frames(np.arange(num_frames))
    local_id = segment.open_track("face", 0)
    for first in range(0, num_frames, BLOCK_FRAMES):
        block = crops[first : first + BLOCK_FRAMES]
        segment.append_faces(
            local_id,
            FaceBlock(
                boxes_xyxy=np.zeros((len(block), 4), np.float32),
                landmarks_xy=np.zeros((len(block), 5, 2), np.float32),
                warps=np.zeros((len(block), 2, 3), np.float32),
                scores=np.ones(len(block), np.float32),
                states=np.full(len(block), State.OK, np.uint8),
                quality=np.zeros((len(block), 3), np.float32),
                crops=block,
            ),
        )
    seconds = num_frames / FPS
    person = PersonRecord(0, [(0, local_id)], [], num_frames, 0.0, seconds, {"ok": num_frames}, {})
    return VideoRecord(
        key=key,
        names=[f"{key}.mp4"],
        kind="video",
        num_frames=num_frames,
        width=CROP_SIZE,
        height=CROP_SIZE,
        time_base=(1, FPS),
        presentation_start=(0, 1),
        t_start=0.0,
        t_end=seconds,
        duration=seconds,
        segments=[segment.finish(num_frames)],
        persons=[person],
    )


def evict(folder: Path) -> float:
    """Drop all files below a folder from the page cache; the share of their pages that stayed there.

    By posix_fadvise(DONTNEED), which drops what is written to the disk and mapped by nobody.
    """
    num_pages = num_resident = 0
    for path in (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            resident = _resident(descriptor)
        finally:
            os.close(descriptor)
        num_pages += len(resident)
        num_resident += int(resident.sum())
    return num_resident / max(num_pages, 1)


def _resident(descriptor: int) -> np.ndarray:
    """(pages,) bool of a file: is it in the page cache? By mincore."""
    size = os.fstat(descriptor).st_size
    pages = np.zeros(-(-size // mmap.PAGESIZE), np.uint8)
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) as mapped:
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        libc = ctypes.CDLL(None, use_errno=True)
        arguments = ctypes.c_void_p(address), ctypes.c_size_t(size), ctypes.c_void_p(pages.ctypes.data)
        if libc.mincore(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "mincore failed")
    return (pages & 1).astype(bool)
