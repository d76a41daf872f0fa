"""Manifests: every form that is read, each mistake with its row, and finding the videos in a store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cache.schema import VideoRecord
from videofer.datasets.manifest import (
    ManifestError,
    join_store,
    labels_from_folders,
    normalise,
    read_manifest,
    soft_columns,
)

ROWS: list[dict[str, Any]] = [
    {"path": "a/x.mp4", "label": "Angry", "subject": "007", "start": 0.5, "end": 2, "split": "training",
     "fold": 3},
    {"path": 'b c/ü,"q".mp4', "label": "joy", "subject": "None", "start": None, "end": None, "split": "test"},
    {"path": "d.mp4", "label": None, "subject": None, "start": 1, "end": None, "split": None, "fold": 0},
]  # fmt: skip


@dataclass
class Named:
    name: str


def write(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    table = pd.DataFrame(rows)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        table.astype({"fold": "Int64"}).to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_reads_each_format(tmp_path: Path, suffix: str) -> None:
    table = read_manifest(write(tmp_path / f"m{suffix}"))
    assert table["name"].tolist() == ["a/x.mp4", 'b c/ü,"q".mp4', "d.mp4"]
    assert table["label"].tolist() == ["anger", "happiness", None]
    assert table["subject"].tolist() == ["007", "None", None]
    assert table["split"].tolist() == ["train", "test", None]
    np.testing.assert_array_equal(table["start"], [0.5, np.nan, 1.0])
    np.testing.assert_array_equal(table["end"], [2.0, np.nan, np.nan])
    assert table["fold"].tolist() == [3, pd.NA, 0] and table["person"].isna().all()


def test_further_columns_and_soft_labels_stay(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("File,p_happy,p_Sad,age,Actor\nx.mp4,0.75,,30,A\n\ny.mp4,,,?,B\n\n", encoding="utf-8-sig")
    table = read_manifest(path)
    assert soft_columns(table) == ["p_happiness", "p_sadness"]
    np.testing.assert_array_equal(table["p_happiness"], [0.75, np.nan])
    assert table["age"].tolist() == ["30", "?"] and table["subject"].tolist() == ["A", "B"]


def test_numbers_from_a_dataframe() -> None:
    table = normalise(pd.DataFrame({"name": ["x"], "subject": [3.0], "label": ["ha"]}), source="t")
    assert table["subject"].tolist() == ["3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\nx.mp4,hapiness\n",
         "m.csv, row 2: unknown emotion 'hapiness'; did you mean 'happiness'?"),
        ("path,label\nx.mp4,sad\n\n,sad\n", "m.csv, row 4: the path is empty"),
        ("path,start,end\nx.mp4,3,2\n", "m.csv, row 2: start 3 and end 2: must be 0 <= start < end"),
        ("path,start\nx.mp4,-1\n", "row 2: start -1"),
        ("path,end\nx.mp4,-1\n", "row 2: start 0 and end -1"),
        ("path,start\nx.mp4,abc\n", "row 2: start must be a number, not 'abc'"),
        ("path,end\nx.mp4,inf\n", "row 2: end must be finite"),
        ("path,split\nx.mp4,tset\n", "row 2: split must be one of train, val, test, not 'tset'"),
        ("path,fold\nx.mp4,1.5\n", "row 2: fold must be a whole number of at least 0, not 1.5"),
        ("path,p_sad\nx.mp4,-0.1\n", "row 2: p_sad must be a share of at least 0"),
        ("path,p_bad\nx.mp4,0.1\n", "column 'p_bad': unknown emotion 'bad'"),
        ("paht,label\nx.mp4,sad\n",
         "m.csv: no column 'path' or 'name'; did you mean 'paht'? (columns: paht, label)"),
        ("path,label\nx.mp4,sad,\n", "m.csv, row 2: 3 cells, but 2 columns"),
        ("path,path\nx.mp4,y\n", "a column stands twice"),
        ("path,p_sad,p_sadness\nx.mp4,1,1\n", "several columns are soft labels of one emotion"),
        ('path\n"x.mp4\n', "m.csv: not a table: "),
        ("", "m.csv: the file is empty"),
        ("path,label\n", "m.csv: there are no rows"),
    ],
)  # fmt: skip
def test_mistakes_name_file_and_row(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.jsonl", b'{"path": "x"}\n{"path"\n', "m.jsonl, row 2: not JSON"),
        ("m.jsonl", b"[1]\n", "row 1: not a JSON object"),
        ("m.jsonl", b'{"path": "x"}\n{"path": "y", "label": "qqqq"}\n', "row 2: unknown emotion 'qqqq'"),
        ("m.parquet", b"PAR1 no", "m.parquet: not a parquet table"),
        ("m.csv", b"path\n\xff\xfe\n", "m.csv: not a csv table"),
        ("m.xlsx", b"", "a table is a file in .csv, .tsv, .parquet, .jsonl, .ndjson, not .xlsx"),
    ],
)
def test_broken_files_fail(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        read_manifest(tmp_path / name)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file_fails(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "m.csv")


def test_labels_from_folders() -> None:
    names = ["train/Subject_3/angry/1.mp4", "sad/s03/2.mp4", "misc/x.mp4", "fear/happy/3.mp4", "happy.mp4"]
    table = labels_from_folders([Named(name) for name in names])
    assert table["name"].tolist() == names
    assert table["label"].tolist() == ["anger", "sadness", None, "happiness", None]
    assert table["subject"].tolist() == ["Subject_3", "s03", None, None, None]
    assert table["split"].tolist() == ["train", None, None, None, None]


def test_labels_from_folders_fails_without_any() -> None:
    with pytest.raises(ManifestError, match="no folder is called like an emotion"):
        labels_from_folders([Named("a/x.mp4")])


def video(key: str, *names: str) -> VideoRecord:
    return VideoRecord(
        key=key, names=list(names), kind="video", num_frames=10, width=8, height=8, time_base=(1, 10),
        presentation_start=(0, 1), t_start=0.0, t_end=1.0, duration=1.0, segments=[], persons=[],
    )  # fmt: skip


def test_join_by_name() -> None:
    store = [
        video("k1", "s1/anger/1.mp4"),
        video("k2", "s2/anger/1.mp4", "copy/of it.mp4"),
        video("k3", "1.mp4"),
        video("k4", "s3/fear.mp4"),
    ]
    table = normalise(
        pd.DataFrame(
            {"path": ["videos/s1/anger/1.mp4", "./s2/anger/1.mp4", "/data/copy/of it.mp4", "1.mp4",
                      "fear.mp4", "gone.mp4", "s4/fear.mp4", "xs3/fear.mp4"]}
        ),
        source="t",
    )  # fmt: skip
    joined, missing = join_store(table, store)
    assert joined["key"].tolist() == ["k1", "k2", "k2", "k3", "k4"]
    assert missing == [
        "gone.mp4: not in the store",
        "s4/fear.mp4: not in the store",
        "xs3/fear.mp4: not in the store",
    ]


def test_join_refuses_a_name_that_fits_two() -> None:
    store = [video("k1", "s1/1.mp4"), video("k2", "s2/1.mp4")]
    table = normalise(pd.DataFrame({"path": ["1.mp4"]}), source="t")
    with pytest.raises(ManifestError, match=r"'1\.mp4' fits 2 videos of the store"):
        join_store(table, store)
