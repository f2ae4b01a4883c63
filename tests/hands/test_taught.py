import json
import os
from dataclasses import replace

import numpy as np
import pytest
from made import open_hand

from handheld.errors import FileError, InputError
from handheld.hands import (
    HandResult,
    HandTracker,
    TaughtGesture,
    TaughtGestures,
    load_recogniser,
)
from handheld.hands.taught import (
    LEAST_EXAMPLES,
    MAX_EXAMPLES,
    common_shapes,
    distances,
    example_of,
)
from handheld.hands.teaching import without_strays
from handheld.media import Rect

RNG = np.random.default_rng(0)


def odd_hand(bend=1.0):
    """Middle and ring finger towards the camera, which nobody has a name for."""
    points = open_hand(300, 300).astype(np.float64)
    for first in (9, 13):
        for joint in (1, 2, 3):
            points[first + joint] = points[first] + (0, -8 * joint, -30 * joint * bend)
    return points


def result(points, handedness="Right"):
    points = points.astype(np.float32)
    return HandResult(
        0, Rect(0, 0, 1, 1), 1.0, handedness, 1.0, landmarks=points, world=points / 1000
    )


def examples(points, count=6, noise=1.0):
    shaken = [points + RNG.normal(0, noise, (21, 3)) for _ in range(count)]
    return np.array([example_of(result(one)) for one in shaken])


@pytest.fixture
def gestures():
    return TaughtGestures().taught("fork", examples(odd_hand()))


def test_a_taught_gesture_is_known_again_on_either_hand_however_it_is_turned(gestures):
    hand = odd_hand()
    assert gestures.recognise(result(hand)) == "fork"
    left = hand * (-1, 1, 1)
    assert gestures.recognise(result(left, "Left")) == "fork"
    assert gestures.recognise(result(left), mirrored=True) == "fork"
    upside_down = hand * (-1, -1, 1)
    assert gestures.recognise(result(upside_down)) == "fork"


def test_another_hand_is_named_by_the_table(gestures):
    assert gestures.recognise(result(open_hand(300, 300))) == "open palm"
    assert replace(gestures, extends="american").recognise(result(open_hand())) == "five"


def test_a_hand_halfway_to_another_one_is_refused(gestures):
    halfway = (odd_hand() + open_hand(300, 300)) / 2
    assert gestures.recognise(result(halfway)) != "fork"


def test_the_nearer_of_two_gestures_wins(gestures):
    # A little of the way to the open hand, beyond what the first gesture's examples differ.
    second = odd_hand() * 0.85 + open_hand(300, 300) * 0.15
    both = gestures.taught("spoon", examples(second))
    assert both.recognise(result(odd_hand())) == "fork"
    assert both.recognise(result(second)) == "spoon"


def test_a_gesture_of_the_table_can_be_taught_under_another_name():
    stop = TaughtGestures().taught("stop", examples(open_hand(300, 300).astype(float)))
    assert stop.recognise(result(open_hand(300, 300))) == "stop"


def test_nothing_from_fingers_that_are_not_seen(gestures):
    assert gestures.recognise(result(odd_hand()), size=(600, 600)) == "fork"
    assert gestures.recognise(result(odd_hand()), size=(600, 310)) is None


@pytest.mark.parametrize("number", [np.nan, np.inf, -1e30])
@pytest.mark.parametrize("fields", [("landmarks",), ("world",), ("landmarks", "world")])
@pytest.mark.parametrize("name", ["mine", "signs", "learned"])
def test_nothing_from_keypoints_that_are_no_numbers(gestures, number, fields, name):
    recogniser = gestures if name == "mine" else load_recogniser(name)
    hand = result(odd_hand())
    for field in fields:
        points = getattr(hand, field).copy()
        points[8] = number
        hand = replace(hand, **{field: points})
    assert recogniser.recognise(hand, size=(480, 640)) is None


def test_without_gestures_the_table_is_asked():
    assert TaughtGestures().recognise(result(open_hand())) == "open palm"


def test_distance_is_the_root_mean_square_with_half_the_depth():
    shapes = np.zeros((2, 21, 3))
    shapes[0] = (0.3, 0.4, 0)  # 0.5 everywhere
    shapes[1, 0] = (0, 0, 2)  # 1 at one of 21
    np.testing.assert_allclose(distances(shapes, np.zeros((21, 3))), [0.5, np.sqrt(1 / 21)])


def test_gestures_come_back_from_their_file(gestures, tmp_path):
    path = tmp_path / "my.gestures"
    two = gestures.taught("gabel ä", examples(odd_hand(0.5)))
    two.save(path)
    again = load_recogniser(path)
    assert again.names == ["fork", "gabel ä"]
    assert again.extends == "signs"
    assert again.recognise(result(odd_hand())) == "fork"
    # Written to a thousandth of a palm.
    np.testing.assert_allclose(
        again.gestures[0].examples, gestures.gestures[0].examples, atol=5.1e-4
    )


def test_teaching_twice_needs_to_be_meant(gestures):
    with pytest.raises(InputError, match=r"'fork' is known already, by 6 examples.*--more"):
        gestures.taught("fork", examples(odd_hand()))
    more = gestures.taught("fork", examples(odd_hand()), more=True)
    assert len(more.gestures[0].examples) == 12
    assert len(gestures.gestures[0].examples) == 6  # the first is as it was


def test_of_many_examples_some_are_kept(gestures):
    many = examples(odd_hand(), count=MAX_EXAMPLES * 3)
    (kept,) = TaughtGestures().taught("fork", many).gestures
    assert len(kept.examples) == MAX_EXAMPLES
    np.testing.assert_array_equal(kept.examples[[0, -1]], many[[0, -1]])


def test_forgetting(gestures):
    two = gestures.taught("spoon", examples(odd_hand(0.5)))
    assert two.forget("fork").names == ["spoon"]
    with pytest.raises(InputError, match="no gesture 'knife': expected fork, spoon"):
        two.forget("knife")


@pytest.mark.parametrize("name", ["", " fork", "a\nb", "x" * 65, "\ud83d"])
def test_a_name_that_cannot_be_printed_is_refused(name):
    with pytest.raises(InputError, match="name of a gesture: expected 1 to 64 letters"):
        TaughtGestures().taught(name, examples(odd_hand()))


def test_too_few_examples_are_refused():
    with pytest.raises(InputError, match=f"at least {LEAST_EXAMPLES} examples, got 2"):
        TaughtGestures().taught("fork", examples(odd_hand(), count=2))


def stored(**entries):
    row = {"name": "fork", "examples": [[0.0] * 63] * 3}
    return json.dumps({"format": "handheld gestures 1", "gestures": [row]} | entries)


WRONG = {
    "": "no gestures that can be read",
    "{": "no gestures that can be read",
    "[]": "expected a table",
    stored(format="other"): "format: expected 'handheld gestures 1', got 'other'",
    stored(extends="nope"): r"no gesture table '.*nope': expected signs, american",
    stored(extends="my.gestures"): "cannot be read as a configuration",
    stored(extends=""): "cannot be read as a configuration",
    stored(extends="a\0"): "no gesture table",
    stored(gestures=3): "gestures.gestures: expected a list, got 3",
    stored(more=1): "no entry 'more'",
    stored(gestures=[{"name": "x", "examples": [[1.0] * 62] * 3}]): "expected 63 numbers, got 62",
    stored(gestures=[{"name": "x", "examples": [[1.0] * 63]}]): "at least 3 examples, got 1",
    stored(gestures=[{"name": "x", "examples": [["a"] * 63] * 3}]): "expected a number",
    stored(gestures=[{"name": "x", "examples": [[float("nan")] * 63] * 3}]): "finite",
    stored(gestures=json.loads(stored())["gestures"] * 2): "'fork' is there twice",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_a_wrong_file_is_explained(text, message, tmp_path):
    (tmp_path / "my.gestures").write_text(text)
    with pytest.raises(InputError, match=f"my.gestures: .*{message}"):
        TaughtGestures.load(tmp_path / "my.gestures")


def test_a_table_that_cannot_be_read_is_told_when_gestures_are_opened(tiny_pack, tmp_path):
    (tmp_path / "my.gestures").write_text(stored(extends="tab.toml"))
    with pytest.raises(InputError, match=r"my\.gestures: no gesture table '.*tab\.toml'"):
        HandTracker(pack=tiny_pack, gestures=tmp_path / "my.gestures")
    with pytest.raises(InputError, match="no gesture table 'nope'"):
        TaughtGestures(extends="nope")


def test_a_file_extends_a_table_beside_it(tmp_path):
    row = '[[gesture]]\nname = "flat"\n' + "".join(
        f'{finger} = "straight"\n' for finger in ("index", "middle", "ring", "pinky")
    )
    (tmp_path / "tab.toml").write_text(row)
    path = tmp_path / "my.gestures"
    path.write_text(stored(extends="tab.toml"))
    gestures = load_recogniser(path)
    assert gestures.recognise(result(open_hand())) == "flat"
    # What is added to them keeps the table, by the name that it had.
    gestures.taught("spoon", examples(odd_hand())).forget("fork").save(path)
    again = load_recogniser(str(path))
    assert again.extends == "tab.toml"
    assert again.recognise(result(open_hand())) == "flat"
    # A copy in another folder finds it there.
    (tmp_path / "copies").mkdir()
    again.save(tmp_path / "copies" / "my.gestures")
    copy = load_recogniser(tmp_path / "copies" / "my.gestures")
    assert copy.extends == os.path.join("..", "tab.toml")
    assert copy.recognise(result(open_hand())) == "flat"
    # By way of a link to a folder, too.
    (tmp_path / "deep" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "folder")
    again.save(tmp_path / "link" / "my.gestures")
    assert (
        load_recogniser(tmp_path / "link" / "my.gestures").recognise(result(open_hand())) == "flat"
    )
    # A file that is named like a table that ships stays a file.
    (tmp_path / "american").write_text(row)
    path.write_text(stored(extends="./american"))
    load_recogniser(path).save(path)
    assert load_recogniser(path).recognise(result(open_hand())) == "flat"
    # A table named by its whole path stays so.
    whole = str(tmp_path / "tab.toml")
    replace(gestures, extends=whole).save(path)
    assert load_recogniser(path).extends == whole


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(
        InputError, match=r"my\.gestures: no gestures that can be read: No such file"
    ):
        TaughtGestures.load(tmp_path / "my.gestures")


def test_a_file_that_cannot_be_written_keeps_what_was_there(gestures, tmp_path):
    (tmp_path / "my.gestures").mkdir()
    with pytest.raises(FileError):
        gestures.save(tmp_path / "my.gestures")
    assert list(tmp_path.iterdir()) == [tmp_path / "my.gestures"]


def test_a_gesture_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"shape \(n, 21, 3\), got \(3, 21, 2\)"):
        TaughtGesture("fork", np.zeros((3, 21, 2)))


def test_strays_are_dropped_and_like_examples_are_not():
    alike = examples(odd_hand(), count=20, noise=2.0)
    on_the_way = examples(open_hand(300, 300).astype(float), count=3, noise=2.0)
    kept = without_strays(np.concatenate([on_the_way, alike]))
    np.testing.assert_array_equal(kept, alike)


def test_common_hands_are_of_many_kinds():
    shapes = common_shapes()
    assert shapes.shape[1:] == (21, 3)
    assert len(shapes) > 20
    np.testing.assert_allclose(np.linalg.norm(shapes[:, 9] - shapes[:, 0], axis=1), 1, atol=0.02)
