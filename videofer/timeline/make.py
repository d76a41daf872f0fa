"""Make the timeline of one video of a store: the model over windows, windows into rows, rows smoothed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cache.track import media_seconds
from videofer.timeline.circumplex import derived_affect
from videofer.timeline.facts import end_of, modalities_of, model_facts, persons_of, provenance_of, video_facts
from videofer.timeline.fuse import fuse_questions, fuse_values, fuse_windows
from videofer.timeline.rows import Spans, empty_rows, label_rows, nearest_boxes, parted, person_rows
from videofer.timeline.settings import Smoothing, TimelineSettings
from videofer.timeline.several import check_smoothing, paths_at, smooth_questions
from videofer.timeline.smoothing import smooth
from videofer.timeline.timeline import (
    BOX_COLUMNS,
    Timeline,
    TimelineError,
    affect_columns,
    probability_columns,
)
from videofer.timeline.windows import predict_windows

if TYPE_CHECKING:
    from cache.reader import StoreReader
    from cache.schema import VideoRecord
    from cache.track import PersonTrack
    from videofer.checkpoint import TrainedModel


def make_timeline(
    model: TrainedModel,
    reader: StoreReader,
    key: str,
    settings: TimelineSettings = TimelineSettings(),  # noqa: B008 (frozen)
    *,
    names: Mapping[int, str] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Timeline:
    """The timeline of one video of a store.

    names: of persons, by their number in the video; others are "person N". `on_progress` gets the share done.
    Raises StoreError where the store has no such video, CheckpointError where its input contract is not the
    model's, TimelineError where the model has no such modality or the video no such person.
    """
    video = reader.video(key)
    model.check_contract(reader.store.contract, f"store {reader.path}")
    if settings.modality is not None and settings.modality not in model.heads:
        raise TimelineError(
            f"modality is {settings.modality!r}, but the model {model.path} has {', '.join(model.heads)}"
        )
    if model.thresholds is not None:
        check_smoothing(settings.smoothing)
    persons = persons_of(video, names)
    report = on_progress or (lambda share: None)

    hop_seconds = model.spec.hop_seconds / settings.steps_per_hop
    holes = _not_decoded(video)
    parts, spans = [], []
    for done, person in enumerate(persons):
        track = reader.track(key, person.id)

        def report_part(share: float, done: int = done) -> None:
            report((done + share) / len(persons))

        parts.append(_rows_of(model, reader, track, settings, video.kind == "image", holes, report_part))
        whole = parted(float(track.t_start[0]), float(track.t_end[-1]), holes)
        spans += [(start, end) for start, end, known in whole if known]
    parts.append(_rows_of_nobody(model, empty_rows(spans, video.t_end, end_of(video), hop_seconds, holes)))
    report(1.0)

    rows = pd.concat([part for part in parts if len(part)] or parts[-1:], ignore_index=True)
    return Timeline(
        rows=rows.sort_values(["t_start", "person"], kind="stable", ignore_index=True),
        classes=model.labels,
        persons=persons,
        video=video_facts(video),
        model=model_facts(model),
        settings=settings,
        provenance=provenance_of(video),
    )


def _not_decoded(video: VideoRecord) -> Spans:
    """Media seconds of the holes in a video, half-open, rising."""
    edges = media_seconds(video, np.array(video.not_decoded, np.int64).reshape(-1)).reshape(-1, 2)
    return [(float(start), float(end)) for start, end in edges]


def _rows_of(
    model: TrainedModel,
    reader: StoreReader,
    track: PersonTrack,
    settings: TimelineSettings,
    is_still: bool,
    not_decoded: Spans,
    report: Callable[[float], None],
) -> pd.DataFrame:
    """All columns for one person."""
    windows = predict_windows(
        model, reader, track, steps_per_hop=settings.steps_per_hop, still=is_still, on_progress=report
    )
    rows = person_rows(
        track.person_id, track.t_start, track.t_end, track.face_state, track.body_state,
        model.spec.hop_seconds / settings.steps_per_hop, not_decoded,
    )  # fmt: skip
    t_start, t_end = rows["t_start"].to_numpy(), rows["t_end"].to_numpy()
    seconds, kernel = model.spec.window_seconds, settings.kernel
    fuse = fuse_windows if model.thresholds is None else fuse_questions
    fused = {
        head: fuse(
            windows.log_probs[head], windows.starts, windows.evidence[head], (t_start + t_end) / 2,
            seconds, kernel=kernel, pool=settings.pool,
        )
        for head in model.heads
    }  # fmt: skip
    modality = settings.modality or modalities_of(model)[-1]
    boxes = nearest_boxes(rows, track.t_start, track.t_end, track.face_boxes_xyxy)
    # A picture is one observation, however many rows show it: there is nothing to smooth.
    smoothing = Smoothing(method="none") if is_still else settings.smoothing
    if model.thresholds is None:
        smoothed = smooth(fused[modality], t_start, t_end, smoothing, window_seconds=seconds)
        probabilities, path, reaches = smoothed.probabilities, smoothed.path, None
    else:
        probabilities = smooth_questions(fused[modality], t_start, t_end, smoothing, window_seconds=seconds)
        path, reaches = paths_at(probabilities, np.array(model.thresholds))
    rows = label_rows(rows, probabilities, path, model.labels, modality, settings.min_confidence, reaches)
    affect = derived_affect(probabilities, model.labels, model.thresholds is not None)
    if modality in windows.dimensions:
        told = fuse_values(
            windows.dimensions[modality], windows.starts, windows.evidence[modality], (t_start + t_end) / 2,
            seconds, kernel=kernel,
        )  # fmt: skip
        by_time = (
            smoothing if smoothing.method == "none" else smoothing.model_copy(update={"method": "kernel"})
        )
        told = smooth(told, t_start, t_end, by_time, window_seconds=seconds).probabilities
        affect |= dict(zip(model.recipe.data.dimensions, told.T, strict=True))
    return _with_columns(model, rows, fused, boxes, affect)


def _rows_of_nobody(model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
    """All columns where nobody is seen or nothing is known."""
    nothing = np.full((len(rows), len(model.labels)), np.nan)
    rows = label_rows(rows, nothing, np.full(len(rows), -1), model.labels, "fused")
    boxes = np.full((len(rows), 4), np.nan, np.float32)
    unknown = np.full(len(rows), np.nan)
    affect = dict.fromkeys(affect_columns(tuple(model.recipe.data.dimensions)), unknown)
    return _with_columns(model, rows, dict.fromkeys(model.heads, nothing), boxes, affect)


def _with_columns(
    model: TrainedModel,
    rows: pd.DataFrame,
    fused: Mapping[str, np.ndarray],
    boxes_xyxy: np.ndarray,
    affect: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Labelled rows and what each modality says, face boxes (R, 4), valence, arousal and more, each (R,)."""
    tables = [
        pd.DataFrame(fused[head].astype(np.float32), columns=probability_columns(model.labels, head))
        for head in modalities_of(model)
    ]
    boxes = pd.DataFrame(boxes_xyxy, columns=list(BOX_COLUMNS))
    columns = affect_columns(tuple(model.recipe.data.dimensions))
    return pd.concat([rows, *tables, boxes, pd.DataFrame({name: affect[name] for name in columns})], axis=1)
