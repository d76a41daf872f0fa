"""Make the timeline of one video of a store: a table with a row for each person and hop.

Columns: `person` (empty where nobody is seen), `t_start`, `t_end` (media seconds, half-open), `face_state`,
`body_state`, `p_<class>` for each class of the model, `label` and `confidence` (the likeliest class and its
probability), `state` (see `videofer.timeline.rows.STATES`). Where there is no prediction, the probabilities
are empty and `label` repeats the state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cache.track import media_seconds
from videofer.timeline.fuse import Kernel, Pool, fuse_windows
from videofer.timeline.plot import NUM_FACES, FaceSample, FaceStrips
from videofer.timeline.rows import empty_rows, label_rows, parted, person_rows
from videofer.timeline.windows import predict_windows

if TYPE_CHECKING:
    from cache.reader import StoreReader
    from videofer.checkpoint import TrainedModel

Modality = Literal["face", "body", "fused"]
SAME_END_SECONDS = 1e-3  # a video that ends this soon after its last frame was decoded to its end


def make_timeline(
    model: TrainedModel,
    reader: StoreReader,
    key: str,
    *,
    modality: Modality | None = None,
    steps_per_hop: int = 1,
    kernel: Kernel = "hann",
    pool: Pool = "probabilities",
    on_progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """The timeline of one video, rows in order of time; together they tile [0, duration).

    modality: whose probabilities count; the model's own answer by default. A row lasts one hop of the model
    (window length / clips), divided by `steps_per_hop`: more steps are finer and cost as much more.
    `attrs` of the table says video, key, duration, hop, window and modality.
    Raises StoreError where the store has no such video, CheckpointError where its input contract is not the
    model's, ValueError where the model has no such modality.
    """
    video = reader.video(key)
    model.check_contract(reader.store.contract, f"store {reader.path}")
    heads = model.heads
    chosen = heads[-1] if modality is None else modality
    if chosen not in heads:
        raise ValueError(f"modality is {chosen!r}, but the model {model.path} has {', '.join(heads)}")
    if steps_per_hop < 1:
        raise ValueError(f"steps_per_hop is {steps_per_hop}, must be at least 1")
    report = on_progress or (lambda share: None)

    spec = model.spec
    hop_seconds = spec.hop_seconds / steps_per_hop
    duration = video.duration if video.duration > video.t_end + SAME_END_SECONDS else video.t_end
    edges = media_seconds(video, np.array(video.not_decoded, np.int64).reshape(-1)).reshape(-1, 2)
    not_decoded = [(float(start), float(end)) for start, end in edges]
    parts, spans = [], []
    for done, person in enumerate(video.persons):
        track = reader.track(key, person.id)
        start = done / len(video.persons)
        windows = predict_windows(
            model, reader, track, steps_per_hop=steps_per_hop, still=video.kind == "image",
            on_progress=lambda share, start=start: report(start + share / len(video.persons)),  # type: ignore[misc]
        )  # fmt: skip
        rows = person_rows(
            person.id, track.t_start, track.t_end, track.face_state, track.body_state, hop_seconds,
            not_decoded,
        )  # fmt: skip
        probabilities = fuse_windows(
            windows.log_probs[chosen], windows.starts, windows.evidence[chosen],
            ((rows["t_start"] + rows["t_end"]) / 2).to_numpy(), spec.window_seconds,
            kernel=kernel, pool=pool,
        )  # fmt: skip
        parts.append(label_rows(rows, probabilities, model.labels, chosen))
        whole = parted(float(track.t_start[0]), float(track.t_end[-1]), not_decoded)
        spans += [(start, end) for start, end, known in whole if known]
    nobody = empty_rows(spans, video.t_end, duration, hop_seconds, not_decoded)
    parts.append(label_rows(nobody, None, model.labels, chosen))
    report(1.0)

    timeline = pd.concat([part for part in parts if len(part)] or parts[-1:], ignore_index=True)
    timeline = timeline.sort_values(["t_start", "person"], kind="stable", ignore_index=True)
    timeline.attrs = {
        "video": video.names[0],
        "key": key,
        "duration_seconds": duration,
        "hop_seconds": hop_seconds,
        "window_seconds": spec.window_seconds,
        "modality": chosen,
        "model": str(model.path),
    }
    return timeline


def face_strips(reader: StoreReader, key: str, duration: float, num_faces: int = NUM_FACES) -> FaceStrips:
    """Faces of every person for `plot_timeline`: of each of num_faces parts of [0, duration), the one nearest
    to the part's middle. `duration` is the end of the timeline.
    """
    strips = {}
    centres = (np.arange(num_faces) + 0.5) * duration / num_faces
    for person in reader.video(key).persons:
        track = reader.track(key, person.id)
        seen = np.flatnonzero(track.has_crop)
        if len(seen) == 0:
            continue
        middle = np.clip((track.t_start[seen] + track.t_end[seen]) / 2, 0, duration)
        nearest = [int(np.abs(middle - centre).argmin()) for centre in centres]
        half = duration / num_faces / 2
        # A long frame (a picture, a slow video) is shown in every part in which it is on screen.
        kept = [
            (float(centre), seen[i])
            for centre, i in zip(centres, nearest, strict=True)
            if track.t_start[seen[i]] < centre + half and track.t_end[seen[i]] > centre - half
        ]
        if kept:
            crops = reader.read_crops(track, np.array([row for _, row in kept]))
            strips[person.id] = [FaceSample(t, crop) for (t, _), crop in zip(kept, crops, strict=True)]
    return strips
