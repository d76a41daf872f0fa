"""`videofer store`: what a store holds, and whether it is whole. Its other commands stand beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videofer.cli import store_change, store_move
from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.store_shared import StorePath, counting, processes_for

if TYPE_CHECKING:
    from cache.schema import VideoRecord

app = typer.Typer(help="Look at a store, keep it whole, change what is in it.", no_args_is_help=True)
SHOWN = 10
SAMPLE = 3000  # intervals whose frames are read for the page


@app.command()
def info(
    store: StorePath,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for machines.")] = False,
    videos: Annotated[bool, typer.Option("--videos", help="List every video and failure as well.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the quality report, one page, to this file or folder.")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help=f"For --html: read the frames of so many intervals, by default {SAMPLE:,}."),
    ] = None,
) -> int:
    """Say in numbers what a store holds, or write a page with pictures to read before training."""
    from cache.info import info as list_videos
    from cache.store import Store
    from cache.summary import summarise

    if sample is not None and html is None:
        raise typer.BadParameter("--sample is for --html, the page with pictures")
    opened = Store.open(store)
    if html is not None:
        _write_page(store, html, sample or SAMPLE)
    records = opened.videos()
    facts = summarise(opened, records)
    if as_json:
        typer.echo(json.dumps({**facts, **(list_videos(opened) if videos else {})}, indent=2))
        return DONE
    for line in _summary_lines(facts):
        typer.echo(line)
    if videos:
        for video in records:
            for line in _video_lines(video):
                typer.echo(line)
        for failure in opened.failures():
            typer.echo(f"failed {failure.name!r}: {failure.stage}: {failure.reason}")
    return DONE


@app.command()
def verify(
    store: StorePath,
    deep: Annotated[bool, typer.Option("--deep", help="Also read every byte and check its sum.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> int:
    """Check that everything the records name is there and whole. Exit code 3 if it is not."""
    from cache.store import Store
    from cache.verify import verify as verify_store

    opened = Store.open(store)
    with counting("checking segments") as progress:
        problems = verify_store(
            opened, deep=deep, num_processes=processes_for(opened, workers), progress=progress
        )
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{store}: {len(problems)} problems" if problems else f"{store}: whole")
    return SOME_FAILED if problems else DONE


@app.command()
def repair(
    store: StorePath,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> int:
    """Set aside what is damaged; its videos are missing then, so the next preprocess does them again."""
    from cache.repair import apply, plan_repair
    from cache.store import Store

    opened = Store.open(store)
    with opened.lock():
        with counting("checking segments") as progress:
            plan = plan_repair(opened, num_processes=processes_for(opened, workers), progress=progress)
        if plan.nothing_to_do:
            typer.echo(f"{store}: whole, nothing to do")
            return DONE
        aside = None if dry_run else apply(opened, plan, note=typer.echo)
    would = "would be " if dry_run else ""
    for key, reason in plan.lost.items():
        names = ", ".join(map(repr, plan.names.get(key, []))) or f"key {key}, its name is lost"
        typer.echo(f"{names}: {would}taken out, to be done again: {reason}")
    for number, what in (
        (len(plan.shards), f"damaged shards {would}set aside"),
        (plan.num_saved, f"whole videos {would}copied out of them"),
        (len(plan.restored), f"records {would}restored from the index"),
        (len(plan.bad_records), f"records {would}set aside"),
        (len(plan.journals), f"journals with torn lines {would}mended"),
        (len(plan.leftovers), f"left-overs of dead runs {would}removed"),
        (len(plan.pending), f"unreadable pending segments {would}set aside"),
    ):
        if number:
            typer.echo(f"{number} {what}")
    if plan.bad_manifest:
        typer.echo(
            f"manifest.parquet is unreadable and {would}set aside: give the labels again (store relabel)"
        )
    if plan.unfinished_removal:
        typer.echo(f"a removal that was begun {would}finished")
    if aside is not None:
        typer.echo(f"set aside in {aside}; delete it when you need it no more")
    if plan.lost:
        done = "" if dry_run else f": run `videofer preprocess INPUT... --out {store}` again"
        typer.echo(f"{len(plan.lost)} videos have to be done again{done}")
    return SOME_FAILED if plan.lost else DONE


def _write_page(store: Path, html: Path, sample: int) -> None:
    from cache.atomic import atomic_write_text
    from cache.store import Store
    from videofer.quality.facts import gather
    from videofer.quality.page import quality_page

    opened = Store.open(store)
    if html.suffix.lower() not in (".html", ".htm"):
        html.mkdir(parents=True, exist_ok=True)
        html = html / "quality.html"
    html.parent.mkdir(parents=True, exist_ok=True)
    with counting("reading tracks") as progress:
        facts = gather(opened, max_measured=sample, progress=progress)
    atomic_write_text(html, quality_page(opened, facts))
    typer.echo(f"wrote {html}", err=True)


def _summary_lines(facts: dict[str, Any]) -> list[str]:
    """For people."""
    from preprocessing.quantities import as_count

    sizes, manifest = facts["bytes"], facts["manifest"]
    kinds = ", ".join(f"{number} {kind}" for kind, number in facts["kinds"].items())
    persons = ", ".join(
        f"{as_count(number, 'video')} with {n}" for n, number in facts["persons_per_video"].items()
    )
    lines = [
        f"{facts['path']}: {as_count(facts['num_videos'], 'video')}, "
        f"{as_count(facts['num_failures'], 'failure')}",
        f"videos     {facts['hours']:.2f} h, {facts['num_frames']} frames ({kinds or 'none'})",
        f"people     {facts['num_persons']} tracks, {facts['person_hours']:.2f} h; {persons or 'none'}",
        f"faces      {_counts(facts['face_states'])}",
        f"bodies     {_counts(facts['body_states'])}",
        f"on disk    {sum(sizes.values()) / 1e9:.3f} GB"
        + (f", {facts['bytes_per_hour'] / 1e9:.2f} GB an hour" if facts["bytes_per_hour"] else "")
        + f", crops as {facts['codec']}",
        f"contract   {facts['contract_hash']}: "
        + ", ".join(f"{k} {v}" for k, v in facts["contract"].items()),
    ]
    engines = ("decoder", "detector", "skeletons")
    lines += [f"{part:10} {_counts(facts['engines'][part])}" for part in engines]
    if manifest is None:
        lines.append("labels     none")
    else:
        lines.append(f"labels     {manifest['num_rows']} rows, {manifest.get('num_subjects', 0)} subjects")
        lines += [
            f"{name:10} {_counts(manifest[name])}" for name in ("labels", "splits") if manifest.get(name)
        ]
    if facts["num_removed"]:
        lines.append(f"removed    {facts['num_removed']} contents, for good")
    for group in facts["failures"][:SHOWN]:
        lines.append(
            f"failed     {group['num']}x {group['stage']}: {group['reason']} ({group['names'][0]!r})"
        )
    if len(facts["failures"]) > SHOWN:
        lines.append(f"           and {len(facts['failures']) - SHOWN} more reasons: --json, failures.jsonl")
    total = sum(facts["stage_seconds"].values())
    if total:
        shares = ", ".join(f"{name} {s / total:.0%}" for name, s in facts["stage_seconds"].items())
        lines.append(f"time       {shares}")
    return lines


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"


def _video_lines(video: VideoRecord) -> list[str]:
    lines = [
        f"{', '.join(map(repr, video.names))}: {video.width}x{video.height}, "
        f"{video.num_frames} frames, {video.t_start:.3f} to {video.t_end:.3f} s"
    ]
    lines += [f"  {warning}" for warning in video.provenance.get("warnings", [])]
    for person in video.persons:
        states = f"face {_counts(person.face_states)}; body {_counts(person.body_states)}"
        lines.append(
            f"  person {person.id}: {person.t_start:.3f} to {person.t_end:.3f} s, "
            f"{person.num_frames} frames, confidence {person.confidence:.2f}; {states}"
        )
    return lines


for module in (store_change, store_move):
    module.add_to(app)
