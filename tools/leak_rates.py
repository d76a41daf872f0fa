"""How often copies of a recording are found, and how often takes that are none are called so.

    python -m tools.leak_rates --videos FOLDER --work DIR [--faces yunet] [--most 30]

Each video (one of more than 8 s in up to 6 pieces, which are takes of one person in one place) is copied in
nine ways: encoded anew, smaller, larger, without its margins, its ends or every second frame, brighter, and
several of these at once. Faces of all are stored; every copy is compared with its original, every original
with every other one. What WORK holds already is not made again.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from cache.reader import StoreReader
from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.assemble import assemble
from preprocessing.discover import content_key
from preprocessing.engines import build_engines, resolve_engines
from preprocessing.pipeline import process_segment
from preprocessing.spec import PreprocessSpec
from preprocessing.types import Source
from videofer.datasets.leaks_match import Footage, compare, footage
from videofer.datasets.leaks_prints import MAX_DISTANCE, Print, prints_of

Frames = list[np.ndarray]
_LONG_SECONDS, _MOST_PIECES = 8.0, 6


def resized(frames: Frames, factor: float) -> Frames:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return [cv2.resize(frame, None, fx=factor, fy=factor, interpolation=how) for frame in frames]


def without_margins(frames: Frames, share: float) -> Frames:
    height, width = frames[0].shape[:2]
    rows = slice(int(height * share), int(height * (1 - 0.6 * share)))
    columns = slice(int(0.7 * width * share), int(width * (1 - share)))
    return [frame[rows, columns] for frame in frames]


def without_ends(frames: Frames) -> Frames:
    return frames[int(len(frames) * 0.23) : int(len(frames) * 0.73)]


def brighter(frames: Frames) -> Frames:
    curve = (255 * 0.95 * (np.arange(256) / 255) ** 0.75).astype(np.uint8)
    return [cv2.LUT(frame, curve) for frame in frames]


Way = tuple[str, Callable[[Frames], Frames], float, str, dict[str, str]]
WAYS: tuple[Way, ...] = (
    ("H.264, crf 34", lambda frames: frames, 1, "mp4", {"crf": "34", "preset": "veryfast"}),
    ("MPEG-4", lambda frames: frames, 1, "avi", {"qmin": "8", "qmax": "8"}),
    ("half the size", lambda frames: resized(frames, 0.5), 1, "mp4", {"crf": "23"}),
    ("1.5 times the size", lambda frames: resized(frames, 1.5), 1, "mp4", {"crf": "23"}),
    ("brighter", brighter, 1, "mp4", {"crf": "23"}),
    ("every second frame", lambda frames: frames[::2], 0.5, "mp4", {"crf": "23"}),
    ("the middle half of its time", without_ends, 1, "mp4", {"crf": "23"}),
    ("a fifth of its margins cut off", lambda frames: without_margins(frames, 0.12), 1, "mp4", {"crf": "23"}),
    (
        "middle half, margins off, 0.6 times the size, crf 30",
        lambda frames: resized(without_margins(without_ends(frames), 0.1), 0.6),
        1, "mp4", {"crf": "30"},
    ),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--faces", default="yunet")
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--most", type=int, default=30, help="videos that are taken")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    copies = options.work / "copies"
    if not copies.is_dir():
        make_copies(options.videos, copies, options.most)
    store = options.work / "store"
    if not store.is_dir():
        store_faces(copies, store, options.faces, options.weights_dir)
    measure(store)


def make_copies(videos: Path, copies: Path, most: int) -> None:
    """COPIES/<video>__original.mp4 and <video>__<number of the way>."""
    copies.mkdir(parents=True)
    paths = sorted(
        path for path in videos.rglob("*") if path.suffix.lower() in (".mp4", ".mkv", ".mov", ".avi")
    )
    for path in paths[:: max(1, len(paths) // most)][:most]:
        frames, rate = read(path)
        pieces = _MOST_PIECES if len(frames) / rate > _LONG_SECONDS else 1
        for piece, part in enumerate(np.array_split(np.arange(len(frames)), pieces)):
            name = f"{'_'.join(path.relative_to(videos).with_suffix('').parts)}_{piece}"
            chosen = [frames[place] for place in part]
            write(copies / f"{name}__original.mp4", chosen, rate, {"crf": "18"})
            for number, (_, change, slower, suffix, how) in enumerate(WAYS):
                write(copies / f"{name}__{number}.{suffix}", change(chosen), rate * slower, how)
        print(f"{path.name}: copied", flush=True)


def read(path: Path) -> tuple[Frames, float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        rate = float(stream.average_rate or 25)
    return (resized(frames, 0.5) if max(frames[0].shape) > 1000 else frames), rate


def write(path: Path, frames: Sequence[np.ndarray], rate: float, how: dict[str, str]) -> None:
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    fps = Fraction(rate).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        codec = "mpeg4" if path.suffix == ".avi" else "libx264"
        stream: Any = container.add_stream(codec, rate=fps, options=how)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, picture in enumerate(frames):
            whole = np.ascontiguousarray(picture[:height, :width])
            frame = av.VideoFrame.from_ndarray(whole, format="rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def store_faces(videos: Path, folder: Path, faces: str, weights_dir: Path | None) -> None:
    engines = build_engines(resolve_engines(faces_name=faces, pose="none", weights_dir=weights_dir))
    spec = PreprocessSpec()
    store = Store.create(folder, spec={}, contract={"crop_size": spec.crop_size}, codec=spec.codec)
    writer = ShardWriter(folder, codec=spec.codec, crop_size=spec.crop_size)
    records = []
    for path in sorted(videos.iterdir()):
        source = Source(path, path.name, "video")
        key = content_key(source)
        outcome = process_segment(source, key, spec, engines, writer)
        records.append(assemble([source], key, [outcome], spec))
    writer.seal()
    for record in records:
        store.commit(record)


def measure(folder: Path) -> None:
    """Prints the rates, and the pairs of originals that are nearest to being called copies."""
    reader = StoreReader(folder)
    names = {video.key: Path(video.names[0]).stem for video in reader.videos()}
    longest: dict[str, Print] = {}
    for one in prints_of(reader, names)[0]:
        name = names[one.key]
        if name not in longest or len(longest[name].hashes) < len(one.hashes):
            longest[name] = one
    seen = {name: footage(reader, one.key, one.person_id) for name, one in longest.items()}
    originals = [name for name in seen if name.endswith("__original")]
    total = [0, 0]
    for number, (way, *_) in enumerate(WAYS):
        pairs = [(name, name.replace("__original", f"__{number}")) for name in originals]
        there = [(a, b) for a, b in pairs if b in seen]
        found = sum(is_found(longest[a], longest[b], seen[a], seen[b]) for a, b in there)
        total = [total[0] + found, total[1] + len(there)]
        print(f"| {way} | {found} of {len(there)} |")
    print(f"| all copies | {total[0]} of {total[1]} |")
    called, nearest = 0, []
    for a, b in itertools.combinations(originals, 2):
        match = compare(seen[a], seen[b])
        if match is not None:
            nearest.append((min(match.likeness / 0.9, match.motion / 0.78), match.is_copy, a, b))
        called += is_found(longest[a], longest[b], seen[a], seen[b])
    num_pairs = len(originals) * (len(originals) - 1) // 2
    print(f"| pairs of different originals, called copies | {called} of {num_pairs} |")
    for share, is_copy, a, b in sorted(nearest, reverse=True)[:5]:
        print(f"nearest: {a}, {b}: {share:.2f} of what is needed{', called a copy' if is_copy else ''}")


def is_found(first: Print, second: Print, a: Footage, b: Footage) -> bool:
    """Whether the check would call the two a copy: alike at some instant, and a match."""
    bits = min(
        int(np.bitwise_count(one.probes()[:, None] ^ other.hashes[None]).min())
        for one, other in ((first, second), (second, first))
    )
    if bits > MAX_DISTANCE:
        return False
    match = compare(a, b)
    return match is not None and match.is_copy


if __name__ == "__main__":
    main()
