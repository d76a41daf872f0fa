"""The tables of a study: one tidy Parquet file of all rows, and one line for each video and person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cache.atomic import atomic_write
from cache.errors import UserError
from videofer.formats.tables import write_csv
from videofer.study.digest import labels_of, shares_of
from videofer.study.metadata import Described, Value

if TYPE_CHECKING:
    import pyarrow as pa

    from videofer.study.run import Done
    from videofer.study.spec import StudySpec

GROUP_ROWS = 1 << 17  # of a row group: what is in memory at once
OF_METADATA = "meta_"
"""Before the name of a column of metadata that a timeline has as well."""


def write_rows(path: Path, done: Sequence[Done], spec: StudySpec, about: Described, credit: str) -> Path:
    """All rows of all videos: `video`, the metadata, `person`, `person_name`, the columns of a timeline, and
    `model`, which is `credit`.

    One video after another is read and written, whatever their number.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic_write(path) as file:
        writer: pq.ParquetWriter | None = None
        waiting: list[pa.Table] = []
        try:
            for table in _row_tables(done, spec, about, credit):
                waiting.append(table if not waiting else table.cast(waiting[0].schema))
                if writer is None:
                    writer = pq.ParquetWriter(file, table.schema, compression="zstd")
                if sum(len(one) for one in waiting) >= GROUP_ROWS:
                    writer.write_table(pa.concat_tables(waiting), row_group_size=GROUP_ROWS)
                    waiting = [waiting[0].slice(0, 0)]
            assert writer is not None, "callers ask only where there are videos"
            writer.write_table(pa.concat_tables(waiting), row_group_size=GROUP_ROWS)
        finally:
            if writer is not None:
                writer.close()
    return path


def write_videos(path: Path, done: Sequence[Done], about: Described, credit: str) -> Path:
    """One line for each video and person; a video in which nobody is seen has one without a person."""
    with atomic_write(path) as file:
        write_csv(videos_table(done, about, credit), file)
    return path


def videos_table(done: Sequence[Done], about: Described, credit: str) -> pd.DataFrame:
    """The same as a table. Shares are of the time that the person is there, times in media seconds."""
    digests = [one.account.digest for one in done]
    labels = [*(digests[0]["classes"] if digests else []), *labels_of(digests)]
    classes = digests[0]["classes"] if digests else []
    lines = []
    for one, row, digest in zip(done, about.rows, digests, strict=True):
        video = {
            "video": one.task.name,
            **dict(zip(_names(about.columns, _OWN), row, strict=True)),
            "key": one.task.key,
            "duration_seconds": digest["duration_seconds"],
            "seconds_no_person": digest["seconds_no_person"],
            "seconds_not_decoded": digest["seconds_not_decoded"],
            "warnings": one.task.num_warnings,
        }
        persons = [_person_line(person, labels, classes) for person in digest["persons"]]
        lines += [{**video, **person} for person in persons or [{}]]
    table = pd.DataFrame(lines).assign(model=credit)
    counts = {"person", "segments", *(f"segments_{name}" for name in classes)}
    for column in table.columns:
        if column in counts:
            table[column] = table[column].astype("Int64")
        elif column in _names(about.columns, _OWN):
            table[column] = table[column].convert_dtypes()
    return table


_OWN = (
    "video", "key", "person", "person_name", "duration_seconds", "seconds", "warnings", "segments", "model",
)  # fmt: skip


def _person_line(person: dict[str, Any], labels: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    longest, shares = person["longest_segment"] or {}, shares_of(person)
    return {
        "person": person["person"],
        "person_name": person["name"],
        "seconds": person["seconds"],
        "seconds_predicted": person["seconds_predicted"],
        **{f"share_{label}": shares.get(label, 0.0) for label in labels},
        **{f"mean_p_{name}": person["mean_probability"].get(name) for name in classes},
        "mean_valence": person["mean_valence"],
        "mean_arousal": person["mean_arousal"],
        "segments": person["num_segments"],
        "segments_per_minute": person["segments_per_minute"],
        **{f"segments_{name}": person["num_segments_by_label"].get(name, 0) for name in classes},
        **{f"first_onset_{name}": person["first_onset"].get(name) for name in classes},
        "longest_label": longest.get("label"),
        "longest_onset": longest.get("onset"),
        "longest_seconds": longest.get("duration"),
    }


def _row_tables(done: Sequence[Done], spec: StudySpec, about: Described, credit: str) -> Iterator[pa.Table]:
    """The rows of each video with the columns that tell where they are from."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = [_type_of([row[place] for row in about.rows]) for place in range(len(about.columns))]
    for one, row in zip(done, about.rows, strict=True):
        path = spec.folder / f"{one.task.key}.parquet"
        try:
            rows = pq.read_table(path).replace_schema_metadata(None)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path} is damaged, remove it and run again: {error}") from None
        names = {person["person"]: person["name"] for person in one.account.digest["persons"]}
        named = [names.get(number) for number in rows.column("person").to_pylist()]
        columns = [pa.repeat(pa.scalar(one.task.name, pa.string()), len(rows))]
        for value, kind in zip(row, types, strict=True):
            if kind == pa.int64() and isinstance(value, float):
                value = int(value)
            columns.append(pa.repeat(pa.scalar(value, kind), len(rows)))
        rows = rows.append_column("model", pa.repeat(pa.scalar(credit, pa.string()), len(rows)))
        titles = ["video", *_names(about.columns, rows.column_names)]
        at = rows.column_names.index("person") + 1
        rows = rows.add_column(at, "person_name", pa.array(named, pa.string()))
        yield pa.table([*columns, *rows.columns], names=[*titles, *rows.column_names])


def _names(columns: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Names of columns of metadata beside others."""
    return [f"{OF_METADATA}{column}" if column in (*taken, "video") else column for column in columns]


def _type_of(values: Sequence[Value]) -> pa.DataType:
    import pyarrow as pa

    known = [value for value in values if value is not None]
    if known and all(isinstance(value, float) for value in known):
        return pa.int64() if all(float(value).is_integer() for value in known) else pa.float64()
    return pa.string()
