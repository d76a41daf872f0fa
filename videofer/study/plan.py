"""From preprocessed inputs to tasks: which videos the study has, and what is left to do of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cache.reader import StoreReader
from preprocessing.discover import place
from videofer.formats.names import safe_stems
from videofer.study.inputs import names_in
from videofer.study.spec import Account, StudySpec, VideoTask, load_account, products_print, timeline_print

if TYPE_CHECKING:
    from preprocessing.stage.run import StageReport
    from videofer.checkpoint import TrainedModel


@dataclass(frozen=True)
class StudyPlan:
    """Tasks of all videos in order of their names, each content once, and of what is left to do."""

    videos: tuple[VideoTask, ...]
    to_do: tuple[VideoTask, ...]  # long videos first: none of them may end the run alone
    twice: tuple[
        tuple[str, str], ...
    ] = ()  # names of further files, and of the video whose content they have


def make_plan(model: TrainedModel, stage: StageReport, spec: StudySpec) -> StudyPlan:
    """Looks at what is there already; files that are out of date are removed. The caller holds the lock."""
    reader = StoreReader(spec.store)
    stored = reader.store.keys()
    found: dict[str, tuple[str, Path]] = {}
    twice = []
    for source in stage.sources:
        key = stage.plan.keys.get(place(source.path))
        if key in found:
            twice.append((source.name, found[key][0]))
        elif key in stored:
            found[key] = source.name, source.path
    stems = safe_stems(
        [name for name, _ in found.values()], names_in(spec.out, [source.path for source in stage.sources])
    )
    videos, to_do = [], []
    outdated: list[Account] = []
    for (key, (name, path)), stem in zip(found.items(), stems, strict=True):
        task = _task(model, reader, spec, key, name, path.absolute(), stem)
        videos.append(task)
        account = load_account(spec.folder, key)
        if account is None or not account.holds(task, spec):
            outdated += [account] if account is not None else []
            to_do.append(task)
        elif missing := _missing(spec.formats, account.formats):
            to_do.append(replace(task, formats=missing))
    for account in outdated:  # before any work: a name may have passed on to another video
        account.remove_files(spec.out)
    to_do.sort(key=lambda task: -task.duration_seconds)
    return StudyPlan(tuple(videos), tuple(to_do), tuple(twice))


def _task(
    model: TrainedModel, reader: StoreReader, spec: StudySpec, key: str, name: str, path: Path, stem: str
) -> VideoTask:
    video = reader.video(key)
    timeline = timeline_print(model, video, spec.settings)
    return VideoTask(
        key=key,
        name=name,
        stem=stem,
        media=path,
        duration_seconds=max(video.duration, video.t_end),
        timeline_print=timeline,
        products_print=products_print(timeline, name, stem, path, spec.options),
        formats=spec.formats,
        num_warnings=len(video.provenance.get("warnings") or ()),
    )


def _missing(wanted: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name not in there)
