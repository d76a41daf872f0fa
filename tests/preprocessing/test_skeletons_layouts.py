"""Joint layouts: names, twins and bones against independent tables; mappings between all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from preprocessing.skeletons.layouts import (
    BANDAI22,
    COCO17,
    EMILYA28,
    HALPE26,
    KINECT25,
    LAYOUTS,
    MEDIAPIPE33,
    OPENPOSE18,
    OPENPOSE25,
    OPENPOSE67,
    WHOLEBODY133,
    Layout,
    mapping,
    mirror_order,
)
from preprocessing.skeletons.layouts.mapping import MIDDLES

SIDED = [layout for layout in LAYOUTS.values() if layout.has_sides]


def side(joint: str) -> tuple[str, str]:
    """ "left", "right" or "", and the joint's name without it, as the layouts' sources write them."""
    for name in ("left", "right"):
        if joint.startswith(f"{name}_"):
            return name, joint.removeprefix(f"{name}_")
        if joint.endswith((f"_{name[0].upper()}", f"_{name}", name.title())):
            return name, joint[: -2 if joint.endswith(f"_{name[0].upper()}") else -len(name)]
    return "", joint


# --- the table ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_layout_is_consistent(layout: Layout) -> None:
    joints = layout.joints
    assert len(set(joints)) == len(set(layout.anatomy)) == layout.num_joints
    assert layout.name.endswith(str(layout.num_joints))
    assert LAYOUTS[layout.name] is layout
    assert set(layout.head) <= set(layout.core) <= set(range(layout.num_joints))
    assert len(set(layout.bones)) == len(layout.bones)
    for a, b in layout.bones:
        assert a != b


@pytest.mark.parametrize("layout", SIDED, ids=lambda layout: layout.name)
def test_mirror_exchanges_left_and_right(layout: Layout) -> None:
    joints, order = layout.joints, mirror_order(layout.name)
    assert order is not None
    for joint, twin in zip(joints, (joints[j] for j in order), strict=True):
        if joint.startswith("face-"):
            continue
        expected = {"left": "right", "right": "left", "": ""}[side(joint)[0]]
        assert side(twin) == (expected, side(joint)[1])
    assert [order[j] for j in order] == list(range(layout.num_joints))
    mirrored = {frozenset((order[a], order[b])) for a, b in layout.bones}
    assert mirrored == {frozenset(bone) for bone in layout.bones}
    assert {frozenset((order[j],)) for j in layout.head} == {frozenset((j,)) for j in layout.head}
    for left, right in layout.left_right_pairs:
        assert order[left] == right


def test_mirror_orders_of_old() -> None:
    """Stores and models of before hold these."""
    coco17 = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    assert mirror_order("coco17") == coco17
    assert mirror_order("bandai22") == (*range(6), 10, 11, 12, 13, 6, 7, 8, 9, 18, 19, 20, 21, 14, 15, 16, 17)
    assert mirror_order("none") is None


def test_joints_without_names_have_no_mirror() -> None:
    assert mirror_order("emilya28") is None
    assert EMILYA28.left_right_pairs == ()
    for other in LAYOUTS.values():
        if other is not EMILYA28:
            assert len(mapping(EMILYA28, other).missing) == other.num_joints


def test_whole_body_is_coco_s_own() -> None:
    """Places and twins as COCO-WholeBody's annotations have them; counted from 0."""
    joints = WHOLEBODY133.joints
    assert joints[:17] == COCO17.joints
    assert joints[17:23] == (
        "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel"
    )  # fmt: skip
    named = {23: "face-0", 90: "face-67", 91: "left_hand_root", 95: "left_thumb4", 96: "left_forefinger1",
             111: "left_pinky_finger4", 112: "right_hand_root", 132: "right_pinky_finger4"}  # fmt: skip
    assert {place: joints[place] for place in named} == named
    order = WHOLEBODY133.mirrored
    assert order is not None
    assert order[17:23] == (20, 21, 22, 17, 18, 19)
    assert order[23:40] == tuple(range(39, 22, -1))  # the jaw
    assert order[59] == 68 and order[71] == 77  # outer corners of the eyes, corners of the mouth
    assert order[91:112] == tuple(range(112, 133))
    assert len(WHOLEBODY133.core) == 23


def test_halpe_and_openpose_are_as_published() -> None:
    assert HALPE26.joints[17:] == (
        "head", "neck", "hip", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
        "left_heel", "right_heel",
    )  # fmt: skip
    # Where BODY_25 and the model of 18 joints have COCO's, by OpenPose's own documentation.
    body25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
    of18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
    for layout, places in ((OPENPOSE25, body25), (OPENPOSE18, of18)):
        assert [layout.joints[j] for j in places] == list(COCO17.joints)
        assert [tuple(shares) for shares in mapping(layout, COCO17).shares] == [(j,) for j in places]


def test_openpose_with_hands_is_its_three_arrays_end_to_end() -> None:
    """Pose, left hand, right hand; the hands in the order of its documentation, which is COCO-WholeBody's."""
    assert OPENPOSE67.joints[:25] == OPENPOSE25.joints
    assert OPENPOSE67.joints[25:46] == WHOLEBODY133.joints[91:112]
    assert OPENPOSE67.joints[46:] == WHOLEBODY133.joints[112:]
    named = {25: "left_hand_root", 29: "left_thumb4", 33: "left_forefinger4", 66: "right_pinky_finger4"}
    assert {place: OPENPOSE67.joints[place] for place in named} == named
    assert OPENPOSE67.core == tuple(range(25))
    assert mapping(WHOLEBODY133, OPENPOSE67).missing == ()


def test_bandai22_is_the_data_set_s_own_skeleton(shared_data: Path) -> None:
    path = shared_data / "skeleton" / "bandai_namco1_joints3d.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the shared data")
    with np.load(path, allow_pickle=False) as motion:
        assert tuple(motion["joint"].tolist()) == BANDAI22.joints
        of_body = {(int(a), joint) for joint, a in enumerate(motion["parent"]) if a > 0}
    assert set(BANDAI22.bones) == of_body


# --- mappings ----------------------------------------------------------------------------------------

PAIRS = st.tuples(st.sampled_from(list(LAYOUTS.values())), st.sampled_from(list(LAYOUTS.values())))


def bodies_of(layout: Layout) -> st.SearchStrategy[np.ndarray]:
    """Two bodies in three frames, some joints of them unseen."""
    places = hnp.arrays(np.float32, (3, 2, layout.num_joints, 2), elements=st.integers(-500, 4000))
    scores = hnp.arrays(np.float32, (3, 2, layout.num_joints, 1), elements=st.sampled_from([0, 0.25, 1]))
    return st.builds(lambda xy, score: np.concatenate([xy, score], axis=-1), places, scores)


@given(st.data())
def test_joints_return_from_a_layout_that_has_them(data: st.DataObject) -> None:
    source, target = data.draw(PAIRS)
    keypoints = data.draw(bodies_of(source))
    back = mapping(target, source)(mapping(source, target)(keypoints))
    shared = [j for j, part in enumerate(source.anatomy) if part in target.place]
    np.testing.assert_array_equal(back[..., shared, :], keypoints[..., shared, :])
    absent = ~np.isfinite(back[..., 0])
    assert (back[absent][:, 2] == 0).all()


@given(st.data())
def test_mirror_and_mapping_commute(data: st.DataObject) -> None:
    source, target = data.draw(PAIRS.filter(lambda pair: pair[0].has_sides and pair[1].has_sides))
    keypoints = data.draw(bodies_of(source))
    assert source.mirrored is not None and target.mirrored is not None
    change = mapping(source, target)
    first = change(keypoints[..., source.mirrored, :])
    np.testing.assert_allclose(first, change(keypoints)[..., target.mirrored, :], rtol=1e-6, atol=1e-4)


@given(PAIRS)
def test_shares_are_means(pair: tuple[Layout, Layout]) -> None:
    source, target = pair
    change = mapping(source, target)
    for joint, part in enumerate(target.anatomy):
        shares = change.shares[joint]
        assert shares == {} or sum(shares.values()) == pytest.approx(1)
        assert (shares == {}) == (target.joints[joint] in change.missing)
        if part in source.place:
            assert shares == {source.place[part]: 1.0}


def test_means_have_the_least_score_and_need_all_their_joints() -> None:
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 5], keypoints[0, 6] = (100, 50, 0.9), (140, 54, 0.6)
    keypoints[0, 11], keypoints[0, 12] = (110, 200, 0.5), (130, 200, 0.0)
    openpose = mapping(COCO17, OPENPOSE25)(keypoints)[0]
    np.testing.assert_allclose(openpose[OPENPOSE25.place["neck"]], (120, 52, 0.6))
    assert np.isnan(openpose[OPENPOSE25.place["mid_hip"], :2]).all()  # one hip is not seen
    assert openpose[OPENPOSE25.place["mid_hip"], 2] == 0
    assert np.isnan(openpose[OPENPOSE25.place["left_heel"], :2]).all()  # COCO has none
    keypoints[0, 12, 2] = 1.0
    kinect = mapping(COCO17, KINECT25)(keypoints)[0]
    np.testing.assert_allclose(kinect[KINECT25.place["spine"]], (120, 126, 0.5))  # of four joints


@pytest.mark.parametrize(
    ("source", "target", "missing"),
    [
        (COCO17, OPENPOSE18, ()),
        (OPENPOSE25, COCO17, ()),
        (MEDIAPIPE33, COCO17, ()),
        (MEDIAPIPE33, OPENPOSE25, ("left_small_toe", "right_small_toe")),
        (WHOLEBODY133, MEDIAPIPE33, ()),
        (WHOLEBODY133, HALPE26, ("head",)),
        (WHOLEBODY133, KINECT25, ("Neck",)),
        (KINECT25, COCO17, ("nose", "left_eye", "right_eye", "left_ear", "right_ear")),
        (BANDAI22, KINECT25, ("Neck", "Head", "HandLeft", "HandRight", "HandTipLeft", "ThumbLeft",
                              "HandTipRight", "ThumbRight")),
    ],
    ids=lambda value: value.name if isinstance(value, Layout) else "",
)  # fmt: skip
def test_what_is_lost_is_named(source: Layout, target: Layout, missing: tuple[str, ...]) -> None:
    assert mapping(source, target).missing == missing


def test_corners_of_the_face_map_to_the_same_side() -> None:
    change = mapping(WHOLEBODY133, MEDIAPIPE33)
    by_name = {joint: WHOLEBODY133.joints[next(iter(change.shares[j]))]
               for j, joint in enumerate(MEDIAPIPE33.joints)}  # fmt: skip
    # Of the 68 points 36 and 45 are the outer, 39 and 42 the inner corners of the right and the left eye.
    assert by_name["right_eye_outer"] == "face-36" and by_name["left_eye_outer"] == "face-45"
    assert by_name["right_eye_inner"] == "face-39" and by_name["left_eye_inner"] == "face-42"
    assert by_name["mouth_right"] == "face-48" and by_name["mouth_left"] == "face-54"
    assert by_name["left_thumb"] == "left_thumb2" and by_name["right_index"] == "right_forefinger1"


def test_middles_name_parts_of_layouts() -> None:
    known = {part for layout in LAYOUTS.values() for part in layout.anatomy}
    assert set(MIDDLES) <= known
    assert {part for parts in MIDDLES.values() for part in parts} <= known


def table_of_mappings() -> str:
    """Markdown: how many joints of the column's layout the row's cannot tell."""
    layouts = [layout for layout in LAYOUTS.values() if layout.has_sides]
    lines = [
        "| | " + " | ".join(f"`{layout.name}`" for layout in layouts) + " |",
        "|---" * (len(layouts) + 1) + "|",
    ]
    for source in layouts:
        cells = [str(len(mapping(source, target).missing)) for target in layouts]
        lines.append(f"| `{source.name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_docs_show_the_mappings() -> None:
    text = (Path(__file__).parents[2] / "docs" / "engines.md").read_text("utf-8")
    shown = text.split("<!-- layouts -->")[1].split("<!-- /layouts -->")[0].strip()
    assert shown == table_of_mappings()
    for name in LAYOUTS:
        assert f"`{name}`" in text
