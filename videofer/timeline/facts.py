"""What a timeline says of its video, its model and its persons, from the store's record and the model."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cache.schema import VideoRecord
from videofer.timeline.settings import MODALITIES, Modality
from videofer.timeline.timeline import ModelFacts, Person, TimelineError, VideoFacts

if TYPE_CHECKING:
    from videofer.checkpoint import TrainedModel

SAME_END_SECONDS = 1e-3  # a video that ends this soon after its last frame was decoded to its end


def end_of(video: VideoRecord) -> float:
    """Media seconds where the timeline of a video ends."""
    return video.duration if video.duration > video.t_end + SAME_END_SECONDS else video.t_end


def video_facts(video: VideoRecord) -> VideoFacts:
    """What was watched, as the store has it."""
    return VideoFacts(
        name=video.names[0],
        key=video.key,
        kind=video.kind,
        width=video.width,
        height=video.height,
        duration_seconds=end_of(video),
        first_frame_seconds=video.t_start,
        time_base=video.time_base,
        presentation_start=video.presentation_start,
    )


def model_facts(model: TrainedModel) -> ModelFacts:
    """What watched it."""
    return ModelFacts(
        name=model.name,
        version=model.version,
        weights_sha256=model.weights_sha256,
        modalities=modalities_of(model),
        hop_seconds=model.spec.hop_seconds,
        window_seconds=model.spec.window_seconds,
        contract=dict(model.contract),
        calibration=model.calibration.to_json(),
        card=model.card,
        dimensions=tuple(model.recipe.data.dimensions),
    )


def modalities_of(model: TrainedModel) -> tuple[Modality, ...]:
    """What the model has answers of, its own answer last."""
    return tuple(one for one in MODALITIES if one in model.heads)


def persons_of(video: VideoRecord, names: Mapping[int, str] | None = None) -> tuple[Person, ...]:
    """The persons of a video by the names that the user gave. TimelineError for a name of nobody."""
    names = names or {}
    ids = [person.id for person in video.persons]
    for number, name in names.items():
        if number not in ids:
            known = f"it has {', '.join(map(str, ids))}" if ids else "nobody is seen in it"
            raise TimelineError(f"{video.names[0]} has no person {number} to be called {name!r}: {known}")
    return tuple(
        Person(id=person.id, name=names.get(person.id, f"person {person.id}"), certainty=person.confidence)
        for person in video.persons
    )


def provenance_of(video: VideoRecord) -> dict[str, Any]:
    """How the video was preprocessed, and by which videofer the timeline was made."""
    return {**video.provenance, "videofer": version("videofer")}
