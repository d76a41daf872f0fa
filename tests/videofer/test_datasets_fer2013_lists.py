"""The lists as a manifest and in a store: who is on which side, copies, the labels, and training on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fer2013_set import make_set, small_recipe, write_csv
from typer.testing import CliRunner

from cache.reader import StoreReader
from cache.store import Store
from preprocessing.spec import PreprocessSpec
from preprocessing.weights import WeightsError
from videofer.cli import app
from videofer.datasets.fer2013 import Fer2013, Fer2013Error, read_fer2013
from videofer.datasets.fer2013_lists import make_lists
from videofer.datasets.fer2013_store import AS_IT_IS, aligned_spec, import_fer2013, stills_of
from videofer.datasets.ferplus import EMOTIONS
from videofer.datasets.manifest import normalise
from videofer.emotions import BASIC
from videofer.training.split import prepare


def with_copies() -> Fer2013:
    """Pictures 0 and 1 of Training are the first two of PublicTest and 2 the first of PrivateTest; 3 and 4 of
    Training are equal and called differently; the last two of PublicTest are equal."""
    data = make_set(70, 14, 14)
    images, label = data.images.copy(), data.label.copy()
    for place, source in ((70, 0), (71, 1), (84, 2), (4, 3), (83, 82)):
        images[place] = images[source]
    label[3], label[4] = 3, 4
    return replace(data, images=images, label=label)


@pytest.fixture(scope="module")
def data() -> Fer2013:
    return with_copies()


def test_who_is_on_which_side(data: Fer2013) -> None:
    lists = make_lists(data)
    table = lists.table
    assert lists.num_dropped == 2
    assert {"fer2013/training/00000", "fer2013/training/00001"}.isdisjoint(table["name"])
    counts = table["split"].value_counts()
    assert counts["test"] == 14 and counts["train"] + counts["val"] == 68 and 5 <= counts["val"] <= 9
    assert set(table.loc[table["split"] == "test", "usage"]) == {"publictest"}
    assert "privatetest" not in set(table["usage"])  # in no split: nothing may be chosen by it
    np.testing.assert_array_equal(
        data.images[lists.place[table["split"] == "test"]], data.of("publictest").images
    )
    copies = table.loc[table["copy"], "name"].tolist()
    assert copies == ["fer2013/publictest/00070", "fer2013/publictest/00071"]
    assert table.groupby("key")["split"].nunique().max() == 1
    assert table["subject"].isna().all() and table["row"].tolist() == data.row[lists.place].tolist()


def test_the_other_test_list(data: Fer2013) -> None:
    lists = make_lists(data, test="privatetest")
    assert lists.num_dropped == 1 and set(lists.table["usage"]) == {"training", "privatetest"}
    assert lists.table.loc[lists.table["copy"], "name"].tolist() == ["fer2013/privatetest/00084"]
    with pytest.raises(Fer2013Error, match="no pictures of Training or of publictest"):
        make_lists(data.of("privatetest"))


def test_the_official_lists_as_they_are(data: Fer2013) -> None:
    lists = make_lists(data, official_lists=True)
    table = lists.table
    assert lists.num_dropped == 0 and len(table) == 84 and table["copy"].sum() == 2
    sides = table.groupby("key")["split"].nunique()
    assert sides.max() == 1  # what is in both lists is two videos
    assert len({still.key for still in stills_of(data, lists)}) == 82


def test_without_training_copies_are_not_known(data: Fer2013) -> None:
    assert make_lists(data.of("publictest")).table["copy"].isna().all()


def test_validation_is_a_tenth_of_each_class_and_the_same_each_time() -> None:
    data = make_set(700, 7, 0)
    first = make_lists(data).table
    val = first[first["split"] == "val"]
    assert val["label"].value_counts().tolist() == [10] * 7
    order = np.random.default_rng(1).permutation(len(data))
    shuffled = Fer2013(
        images=data.images[order],
        label=data.label[order],
        usage=data.usage[order],
        row=data.row[order],
        names=[data.names[place] for place in order.tolist()],
    )
    again = make_lists(shuffled).table
    assert set(again.loc[again["split"] == "val", "name"]) == set(val["name"])


def test_labels_of_ferplus(data: Fer2013) -> None:
    table = make_lists(data, labels="ferplus").table
    soft = table[[f"p_{name}" for name in EMOTIONS]].to_numpy()
    known = ~np.isnan(soft).any(axis=1)
    assert known.any()
    np.testing.assert_allclose(soft[known].sum(axis=1), 1)
    assert (table["label"].isna() == table["ferplus"].isna()).all()
    has_majority = table["ferplus"].notna()
    best = np.array(EMOTIONS)[soft[has_majority].argmax(axis=1)]
    assert best.tolist() == table.loc[has_majority, "ferplus"].tolist()
    own = make_lists(data).table
    assert not [column for column in own if str(column).startswith("p_")]
    assert own["label"].tolist() == own["fer2013"].tolist() == table["fer2013"].tolist()
    with pytest.raises(Fer2013Error, match="need the votes"):
        make_lists(replace(data, votes=None), labels="ferplus")


def test_in_a_store_pixel_by_pixel(data: Fer2013, tmp_path: Path) -> None:
    lists = make_lists(data)
    report = import_fer2013(data, lists, tmp_path / "store", AS_IT_IS, num_workers=1)
    assert report.stills.num_stored == 80 and report.num_rows["test"] == 14
    reader = StoreReader(tmp_path / "store")
    for row, place in zip(lists.table.to_dict("records"), lists.place, strict=True):
        crop = reader.read_crops(reader.track(row["key"], 0), np.array([0]))
        assert (crop == data.images[place][None, ..., None]).all()
    assert reader.video(lists.table["key"].iloc[1]).names == [
        "fer2013/training/00003",
        "fer2013/training/00004",
    ]
    again = import_fer2013(data, lists, tmp_path / "store", AS_IT_IS, num_workers=1)
    assert again.stills.num_stored == 0 and again.stills.num_there_before == 80


def test_other_labels_on_the_same_store(data: Fer2013, tmp_path: Path) -> None:
    """Only the manifest changes; rows of other data stay in it."""
    out = tmp_path / "store"
    import_fer2013(data, make_lists(data), out, AS_IT_IS, num_workers=1)
    store = Store.open(out)
    manifest = store.manifest()
    assert manifest is not None
    store.write_manifest(pd.concat([manifest, pd.DataFrame({"name": ["own/x.png"], "label": ["fear"]})]))
    report = import_fer2013(data, make_lists(data, labels="ferplus"), out, AS_IT_IS, num_workers=1)
    assert report.stills.num_stored == 0
    changed = normalise(Store.open(out).manifest(), source="store")  # type: ignore[arg-type]
    assert changed["name"].iloc[0] == "own/x.png" and "p_contempt" in changed and len(changed) == 83


def test_a_store_of_other_rules_is_refused(data: Fer2013, tmp_path: Path) -> None:
    out = tmp_path / "store"
    import_fer2013(data, make_lists(data), out, AS_IT_IS, num_workers=1)
    with pytest.raises(Fer2013Error, match="holds another picture as fer2013/publictest/00070"):
        import_fer2013(data, make_lists(data, official_lists=True), out, AS_IT_IS, num_workers=1)


def test_the_two_contracts() -> None:
    assert AS_IT_IS.contract()["alignment"] == "precropped" and AS_IT_IS.contract()["crop_size"] == 48
    assert aligned_spec().contract() == PreprocessSpec().contract() == aligned_spec("mtcnn").contract()
    with pytest.raises(Fer2013Error, match="must be auto, yunet or mtcnn"):
        aligned_spec("precropped")


def test_training_takes_the_splits(data: Fer2013, tmp_path: Path) -> None:
    out = tmp_path / "store"
    lists = make_lists(data)
    import_fer2013(data, lists, out, AS_IT_IS, num_workers=1)
    prepared = prepare(small_recipe(BASIC), out, None)
    assert len(prepared.split.train) + len(prepared.split.val) == 68 and not prepared.unused
    names = dict(zip(lists.table["name"], lists.table["split"], strict=True))
    assert {names[example.name] for example in prepared.split.val} == {"val"}
    import_fer2013(data, make_lists(data, labels="ferplus"), out, AS_IT_IS, num_workers=1)
    soft = prepare(small_recipe(EMOTIONS), out, None)
    assert max(example.target.max() for example in soft.split.train) <= 1
    assert any(0 < example.target.max() < 1 for example in soft.split.train)


def test_the_command(data: Fer2013, tmp_path: Path) -> None:
    write_csv(data, tmp_path)
    arguments = ["datasets", "fer2013", str(tmp_path), "--out", str(tmp_path / "store")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "pictures: 80 stored, 0 were there" in result.output
    assert "rows of Training left out, as they are in the test split too: 2" in result.output
    result = CliRunner().invoke(app, [*arguments, "--labels", "ferplus", "--workers", "1"])
    assert "pictures: 0 stored, 80 were there" in result.output
    result = CliRunner().invoke(app, [*arguments, "--test", "privatetest"])
    assert "pictures: 13 stored, 69 were there" in result.output  # its copy is there, as one of Training
    assert "test split is empty" not in result.output
    write_csv(data.of("training", "publictest"), tmp_path / "few")
    few = [
        "datasets",
        "fer2013",
        str(tmp_path / "few"),
        "--out",
        str(tmp_path / "f"),
        "--test",
        "privatetest",
    ]
    result = CliRunner().invoke(app, few)
    assert "holds no picture of the list privatetest: the test split is empty" in result.output
    assert (
        CliRunner().invoke(app, [*arguments, "--faces", "yunet"]).exit_code == 2
    )  # not aligned: no detector
    assert CliRunner().invoke(app, ["datasets", "fer2013", "--help"]).exit_code == 0


def test_landmarks_without_their_weights_are_one_line(data: Fer2013, tmp_path: Path) -> None:
    write_csv(data, tmp_path)
    arguments = ["datasets", "fer2013", str(tmp_path), "--out", str(tmp_path / "store")]
    result = CliRunner().invoke(app, [*arguments, "--landmarks", "mesh"])
    assert isinstance(result.exception, WeightsError) and "facemesh_468.onnx" in str(result.exception)
    assert CliRunner().invoke(app, [*arguments, "--landmarks", "dlib"]).exit_code == 2
    assert not (tmp_path / "store").exists()


def test_landmarks_of_stripes(shared_weights: Path, tmp_path: Path) -> None:
    """There is no face in any of these pictures, and so the command says."""
    write_csv(make_set(14, 3, 0), tmp_path)
    arguments = ["datasets", "fer2013", str(tmp_path), "--out", str(tmp_path / "store"), "--workers", "1"]
    arguments += ["--landmarks", "mesh", "--weights-dir", str(shared_weights)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "landmarks: none found in 17 pictures" in result.output
    assert Store.open(tmp_path / "store").spec["landmarks"] == "mesh"


def test_the_real_lists(shared_fer2013: Path) -> None:
    """280 pictures of PublicTest are in Training bit for bit."""
    lists = make_lists(read_fer2013(shared_fer2013), labels="ferplus")
    table = lists.table
    assert table["copy"].sum() == 280 and lists.num_dropped == 351
    assert table["split"].value_counts().to_dict() == {"train": 25_513, "test": 3_589, "val": 2_845}
    majority = table.loc[table["split"] == "test", "ferplus"]
    assert majority.notna().sum() == 3_199
