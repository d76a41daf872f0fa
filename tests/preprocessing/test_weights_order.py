"""What users may name, under which licences files come, and the registry itself."""

from __future__ import annotations

import re

import pytest

from preprocessing.weights import REGISTRY, Registry, Weight, WeightsError
from preprocessing.weights.order import check_licences, from_address, is_plain_name, wanted
from preprocessing.weights.transfer import check_address

ADDRESS = "https://example.org/models/"


def names(weights: list[Weight]) -> list[str]:
    return [weight.name for weight in weights]


def test_names_files_engines_and_addresses() -> None:
    assert names(wanted(["sfd", "2DFAN4-11f355bf06.pth.tar", "sfd"], REGISTRY)) == ["sfd", "fan"]
    assert names(wanted(["rtmlib:body-balanced"], REGISTRY)) == ["yolox-m", "rtmpose-m"]
    assert names(wanted(["face-alignment:blazeface"], REGISTRY)) == ["blazeface", "blazeface-anchors"]
    (own,) = wanted([ADDRESS + "my%20model.onnx?download=1"], REGISTRY)
    assert own.file == "my model.onnx" and own.sha256 is None and not own.commercial


def test_a_known_file_at_another_address_is_held_to_what_is_known() -> None:
    (sfd,) = wanted([ADDRESS + "s3fd-619a316812.pth"], REGISTRY)
    known = REGISTRY.find("sfd")
    assert known is not None and sfd.url == ADDRESS + "s3fd-619a316812.pth"
    assert (sfd.name, sfd.sha256, sfd.licence) == ("sfd", known.sha256, known.licence)
    (scrfd,) = wanted([ADDRESS + "det_2.5g.onnx"], REGISTRY)
    assert not scrfd.commercial and scrfd.mirror is None


def test_an_engine_leaves_out_what_cannot_be_fetched() -> None:
    assert names(wanted(["yunet"], REGISTRY)) == ["yunet"]
    assert names(wanted(["mesh"], REGISTRY)) == ["facemesh"]  # there is nothing else: fetching it says so
    assert names(wanted(["yunet-dynamic"], REGISTRY)) == ["yunet-dynamic"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sdf", "unknown weights 'sdf'"),
        ("http://example.org/a.onnx", "by https only"),
        (ADDRESS, "does not end with the name of a file"),
        (ADDRESS + "..", "does not end with the name of a file"),
        (ADDRESS + "a%2Fb.onnx", "does not end with the name of a file"),
        (ADDRESS + ".hidden", "does not end with the name of a file"),
        (ADDRESS + "a.onnx.json", "does not end with the name of a file"),
    ],
)
def test_other_names_are_refused(name: str, said: str) -> None:
    with pytest.raises(WeightsError, match=re.escape(said)):
        wanted([name], REGISTRY)


@pytest.mark.parametrize(
    ("file", "digits"),
    [
        ("resnet18-f37072fd.pth", "f37072fd"),
        ("2DFAN4-11f355bf06.pth.tar", "11f355bf06"),
        ("rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.pth", "e48f03d0"),
        ("rtmdet_m_8xb32-300e_coco_20220719_112220-229f527c.pth", "229f527c"),
        ("model-20230504.pth", None),  # a date
        ("rtmpose-m-e48f03d0_20230504.zip", None),  # of the checkpoint that was exported, not of the zip
        ("model.pth", None),
    ],
)
def test_digits_of_a_hash_in_a_name(file: str, digits: str | None) -> None:
    assert from_address(ADDRESS + file).sha256 == digits


def test_a_hash_of_the_user_comes_first() -> None:
    assert from_address(ADDRESS + "a-f37072fd.pth", "0" * 64).sha256 == "0" * 64
    (own,) = wanted([ADDRESS + "a-f37072fd.pth"], REGISTRY, "1" * 64)
    assert own.sha256 == "1" * 64
    with pytest.raises(WeightsError, match="a SHA-256 has 64 digits"):
        from_address(ADDRESS + "a.pth", "f37072fd")
    for several in ([], ["sfd"], [ADDRESS + "a.pth", ADDRESS + "b.pth"]):
        with pytest.raises(WeightsError, match="--sha256 goes with exactly one address"):
            wanted(several, REGISTRY, "1" * 64)


def test_licences_that_do_not_allow_every_use_are_accepted_or_refused() -> None:
    weights = wanted(["sfd", "scrfd", ADDRESS + "a.onnx"], REGISTRY)
    with pytest.raises(WeightsError) as error:
        check_licences(weights, accepted=False)
    assert str(error.value) == (
        "not for every use: det_2.5g.onnx (InsightFace models: non-commercial research only), "
        "a.onnx (not known here: see where it is published); if that allows yours, say --accept-license"
    )
    check_licences(weights, accepted=True)
    check_licences(wanted(["sfd"], REGISTRY), accepted=False)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "/a", "C:a", ".a", "a\n", "a\0", "a" * 201, "a.partial"]
)
def test_names_that_are_more_than_names(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("weight", list(REGISTRY), ids=lambda weight: weight.name)
def test_an_entry_of_the_registry_is_complete(weight: Weight) -> None:
    assert is_plain_name(weight.file) and re.fullmatch("[a-z0-9-]+", weight.name)
    assert weight.purpose and weight.engines and weight.licence and weight.citation
    assert weight.sha256 is None or re.fullmatch("[0-9a-f]{8,64}", weight.sha256)
    assert weight.sha256 is None or not weight.hash_is_whole or len(weight.sha256) == 64
    assert weight.num_bytes is None or weight.num_bytes > 0
    for url in filter(None, (weight.url, weight.mirror)):
        check_address(url)
    assert weight.member is None or (weight.url is not None and weight.url.endswith(".zip"))
    if weight.url is None:
        assert weight.hash_is_whole  # what somebody brings by hand can be told from anything else


def test_no_two_entries_have_a_name_or_a_file_in_common() -> None:
    weights = list(REGISTRY)
    assert len({weight.name for weight in weights}) == len(weights)
    assert len({weight.file for weight in weights}) == len(weights)


def test_the_registry_refuses_doubles() -> None:
    first = next(iter(REGISTRY))
    with pytest.raises(AssertionError):
        Registry([first, first])
