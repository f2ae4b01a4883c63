import re
from dataclasses import replace
from math import cos, radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.hands import GestureTable, HandResult, count, finger_states
from handheld.hands.gestures import Gesture
from handheld.media import Rect

BENT, STRAIGHT, HOOKED = (70.0, 80.0, 50.0), (5.0, 5.0, 5.0), (10.0, 80.0, 40.0)
BASES = {"index": (-0.25, 0.95), "middle": (0.0, 1.0), "ring": (0.2, 0.95), "pinky": (0.4, 0.85)}


def shape(fingers, *, thumb="out", thumb_up=0.0):
    """A hand from joint angles: fingers bend towards the camera (-z); ``fingers`` is a letter for
    each: s, b or h.

    The thumb lies across the palm ("across"), stands off ("out"), or touches a finger's tip (that
    finger's name).
    """
    points = np.zeros((21, 3))
    for number, (name, letter) in enumerate(zip(BASES, fingers, strict=True)):
        x, y = BASES[name]
        first = 5 + 4 * number
        points[first] = x, -y, 0
        bend = 0.0
        for joint, angle in enumerate({"s": STRAIGHT, "b": BENT, "h": HOOKED}[letter]):
            bend += radians(angle)
            length = (0.45, 0.28, 0.22)[joint]
            points[first + joint + 1] = points[first + joint] + length * np.array(
                [0, -cos(bend), -sin(bend)]
            )
    points[1], points[2] = (-0.25, -0.2, 0), (-0.45, -0.45, 0)
    if thumb == "out":
        points[3], points[4] = (-0.62, -0.65, 0), (-0.78, -0.82, 0)
    elif thumb == "across":
        points[3], points[4] = (-0.3, -0.65, -0.15), (-0.02, -0.72, -0.2)
    else:
        tip = points[8 + 4 * list(BASES).index(thumb)]
        points[3], points[4] = (points[2] + tip) / 2, tip + np.array([0.02, 0.05, 0])
    c, s = cos(thumb_up), sin(thumb_up)
    points[:, :2] = points[:, :2] @ np.array([[c, s], [-s, c]])
    return points.astype(np.float32) * 100


def result(points):
    return HandResult(id=0, roi=Rect(0, 0, 1, 1), score=1.0, landmarks=points, world=points / 1000)


@pytest.mark.parametrize(
    ("table", "fingers", "thumb", "expected"),
    [
        ("signs", "ssss", "out", "open palm"),
        ("signs", "bbbb", "across", "closed fist"),
        ("signs", "ssbb", "across", "victory"),
        ("signs", "sbbb", "across", "pointing"),
        ("signs", "sbbs", "across", "rock"),
        ("signs", "sbbs", "out", "spiderman"),
        ("signs", "bbbs", "out", "call"),
        ("signs", "bsss", "index", "ok"),
        ("signs", "ssbb", "out", None),
        ("american", "sbbb", "across", "one"),
        ("american", "ssbb", "across", "two"),
        ("american", "sssb", "across", "three"),
        ("american", "ssbb", "out", "three"),
        ("american", "ssss", "across", "four"),
        ("american", "ssss", "out", "five"),
        ("american", "sssb", "pinky", "six"),
        ("american", "ssbs", "ring", "seven"),
        ("american", "sbss", "middle", "eight"),
        ("american", "bsss", "index", "nine"),
        ("american", "bbbb", "across", "zero"),
        ("european", "bbbb", "out", "one"),
        ("european", "sbbb", "out", "two"),
        ("european", "ssbb", "out", "three"),
        ("european", "sssb", "out", "four"),
        ("european", "ssss", "out", "five"),
        ("european", "bbbb", "across", "zero"),
        ("chinese", "sbbb", "across", "one"),
        ("chinese", "ssss", "across", "four"),
        ("chinese", "bbbs", "out", "six"),
        ("chinese", "sbbb", "out", "eight"),
        ("chinese", "hbbb", "across", "nine"),
        ("chinese", "bbbb", "across", "ten"),
    ],
)
def test_tables(table, fingers, thumb, expected):
    assert GestureTable.load(table).recognise(result(shape(fingers, thumb=thumb))) == expected


@pytest.mark.parametrize(
    ("turn", "expected"), [(0.7, "thumb up"), (0.7 + np.pi, "thumb down"), (-0.8, None)]
)
def test_the_thumbs_direction(turn, expected):
    assert GestureTable.load("signs").recognise(result(shape("bbbb", thumb_up=turn))) == expected


def test_states_and_bends():
    states = finger_states(shape("sbhs"))
    assert states.states == {
        "thumb": "straight",
        "index": "straight",
        "middle": "bent",
        "ring": "hooked",
        "pinky": "straight",
    }
    assert states.bend["middle"] == pytest.approx(200, abs=1)
    assert states.bend["index"] == pytest.approx(15, abs=15)  # and the small angle at the wrist


@given(size=st.floats(0.3, 20), turn=st.floats(-np.pi, np.pi), mirror=st.booleans())
def test_bends_do_not_depend_on_size_rotation_or_side(size, turn, mirror):
    hand = shape("sbsb", thumb_up=turn) * np.float32(size)
    if mirror:
        hand = hand * np.array([-1, 1, 1], np.float32)
    assert finger_states(hand).states == finger_states(shape("sbsb")).states


@pytest.mark.parametrize(
    ("way", "hands", "expected"),
    [
        ("american", [("ssss", "out"), ("sssb", "across")], 8),
        ("european", [("ssss", "out"), ("ssss", "out")], 10),
        ("european", [("bbbb", "out")], 1),
        ("chinese", [("bbbs", "out")], 6),
        ("chinese", [("bbbb", "across")], 10),
        ("chinese", [("bbbb", "across"), ("ssss", "out")], None),  # fifteen
        ("american", [("sbbs", "out")], None),
        ("american", [], None),
    ],
)
def test_counting(way, hands, expected):
    assert count([result(shape(fingers, thumb=thumb)) for fingers, thumb in hands], way) == expected


def test_every_built_in_table_counts_to_ten_with_at_most_two_hands():
    for way in ("american", "european", "chinese"):
        numbers = {row.number for row in GestureTable.load(way).rows}
        assert numbers <= set(range(11))
        assert set(range(11)) <= numbers | {a + b for a in numbers for b in numbers}


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'extends = "signs"\n[[gesture]]\nname = "gun"\nthumb = "straight"\nindex = '
        '"straight"\nmiddle = ["bent", "hooked"]\n'
    )
    table = GestureTable.load(path)
    assert table.recognise(result(shape("sbbb"))) == "gun"
    assert table.recognise(result(shape("ssss"))) == "open palm"
    more = table.extended([Gesture("high five", {"pinky": ("straight",)})])
    assert more.recognise(result(shape("ssss"))) == "high five"


def test_a_table_extends_the_one_beside_it_from_wherever_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "base.toml").write_text('[[gesture]]\nname = "base"\n')
    path = tmp_path / "tables" / "mine.toml"
    path.write_text('extends = "base.toml"\n[[gesture]]\nname = "own"\n')
    monkeypatch.chdir(tmp_path)
    assert [row.name for row in GestureTable.load(path).rows] == ["own", "base"]


@pytest.mark.parametrize("table", [None, 5])
def test_what_names_no_table_is_refused(table):
    with pytest.raises(InputError, match=f"no gesture table '{table}'"):
        GestureTable.load(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected rows"),
        ("gesture = [", "cannot be read as a configuration: .*at end of document"),
        ('[[gesture]]\nindex = "straight"', r"gesture\[0\]: entry 'name' is missing"),
        ('[[gesture]]\nname = "x"\nindex = "curly"', "straight, hooked, curved, bent, folded"),
        ('[[gesture]]\nname = "x"\nindx = "bent"', "no entry 'indx'; expected index"),
        ('[[gesture]]\nname = "x"\nthumb_points = "left"', "up, down or side"),
        (
            '[[gesture]]\nname = "x"\ntouching = ["thumb"]',
            r"touching: expected some of index, .*, got \('thumb',\)",
        ),
        ('extends = "nothing"\n', "no gesture table"),
    ],
)
def test_a_wrong_table_is_explained(tmp_path, text, message):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        GestureTable.load(path)


def test_hands_without_landmarks_show_nothing():
    table = GestureTable.load("signs")
    assert table.recognise(HandResult(id=0, roi=Rect(0, 0, 1, 1), score=1.0)) is None
    assert table.recognise(result(np.zeros((21, 3), np.float32))) is None


WRONG_TABLES = {
    "gesture = 3": "gesture: expected a list, got 3",
    "gesture = [3]": "gesture[0]: expected a table, got 3",
    "extends = 3": "extends: expected a text, got 3",
    '[[gesture]]\nname = 3\nthumb = "bent"': "gesture[0].name: expected a text, got 3",
    '[[gesture]]\nname = ""\nthumb = "bent"': "gesture[0].name: expected 1 to 64",
    '[[gesture]]\nname = "\\u001b[2J"': "letters that can be printed, got '\\x1b[2J'",
    '[[gesture]]\nname = "x"\nthumb = 3': "gesture[0].thumb: expected a text or a list, got 3",
    '[[gesture]]\nname = "x"\nthumb = [3]': "gesture[0].thumb[0]: expected a text, got 3",
    '[[gesture]]\nname = "x"\nthumb = []': "gesture[0].thumb: expected some of straight, hooked",
    '[[gesture]]\nname = "x"\ntouching = 3': "gesture[0].touching: expected a list, got 3",
    '[[gesture]]\nname = "x"\ntouching = [3]': "gesture[0].touching[0]: expected a text, got 3",
    '[[gesture]]\nname = "x"\ntouching = ["thumb"]': "gesture[0].touching: expected some of index",
    '[[gesture]]\nname = "x"\nthumb_points = ["up"]': (
        "gesture[0].thumb_points: expected a text, got ['up']"
    ),
    '[[gesture]]\nname = "x"\nnumber = "eight"': "number: expected a whole number, got 'eight'",
    '[[gesture]]\nname = "x"\nnumber = 11': (
        "gesture[0].number: expected a whole number in [0, 10], got 11"
    ),
    '[[gesture]]\nname = "x"\nnumber = true': "number: expected a whole number, got True",
}


@pytest.mark.parametrize(("text", "message"), WRONG_TABLES.items())
def test_a_table_with_a_value_of_another_type_says_which(text, message, tmp_path):
    path = tmp_path / "table.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(message)):
        GestureTable.load(path)


def test_a_table_extends_the_file_beside_it(tmp_path, monkeypatch):
    row = '[[gesture]]\nname = "{}"\nthumb = "bent"\n'
    (tmp_path / "base.toml").write_text(row.format("base"), encoding="utf-8")
    (tmp_path / "mine.toml").write_text('extends = "base.toml"\n' + row.format("mine"), "utf-8")
    monkeypatch.chdir("/")  # not where the command runs
    assert [row.name for row in GestureTable.load(tmp_path / "mine.toml").rows] == ["mine", "base"]


def test_what_is_no_name_of_a_table_is_told():
    with pytest.raises(
        InputError, match=r"no gesture table '3': expected signs, american.*learned"
    ):
        GestureTable.load(3)


def test_tables_that_extend_each_other_in_a_circle_are_refused(tmp_path):
    row = '[[gesture]]\nname = "x"\nthumb = "bent"\n'
    (tmp_path / "a.toml").write_text(f'extends = "{tmp_path / "b.toml"}"\n{row}', encoding="utf-8")
    (tmp_path / "b.toml").write_text(f'extends = "{tmp_path / "a.toml"}"\n{row}', encoding="utf-8")
    with pytest.raises(InputError, match="extends itself"):
        GestureTable.load(tmp_path / "a.toml")


def moved(x, y):
    """A hand that shows an open palm, moved by pixels."""
    points = shape("ssss")
    points[:, :2] += (x, y)
    return result(points)


@pytest.mark.parametrize(
    ("finger", "joints"),
    [("index", (5, 6, 7, 8)), ("pinky", (17, 18, 19, 20)), ("thumb", (1, 2, 3, 4))],
)
@pytest.mark.parametrize("joint", range(4))
def test_a_finger_with_a_keypoint_outside_the_picture_is_unseen(finger, joints, joint):
    points = shape("ssss")
    points[:, :2] += 1 - points[:, :2].min(axis=0)
    width, height = (points[:, :2].max(axis=0) + 1).astype(int).tolist()
    assert finger_states(points, size=(height, width)).unseen == frozenset()
    points[joints[joint], 0] = width + 1
    assert finger_states(points, size=(height, width)).unseen == {finger}


def test_no_gesture_where_a_finger_that_decides_is_outside_the_picture():
    table = GestureTable.load("signs")
    hand = moved(0, 0)
    low = hand.landmarks[:, :2].min(axis=0)
    high = hand.landmarks[:, :2].max(axis=0)
    whole = moved(*(1 - low))
    size = tuple((high - low + 2).astype(int).tolist()[::-1])
    assert table.recognise(whole, size=size) == "open palm"
    assert (
        table.recognise(moved(*(1 - high)), size=size) is None
    )  # one corner is left in the picture
    assert (
        table.recognise(moved(*(1 - high))) == "open palm"
    )  # nobody said how large the picture is


def test_a_row_that_needs_no_hidden_finger_still_fits():
    row = Gesture("two up", {"index": ("straight",), "middle": ("straight",)})
    states = finger_states(shape("ssbb"))
    hidden = replace(states, unseen=frozenset({"pinky"}))
    assert row.fits(hidden) is True
    assert row.fits(replace(states, unseen=frozenset({"index"}))) is None
    assert (
        Gesture("fist", {"index": ("bent",), "pinky": ("bent",)}).fits(hidden) is False
    )  # the index tells


def test_a_row_after_one_that_is_not_known_is_not_tried():
    rows = (
        Gesture("ok", {}, touching=frozenset({"index"})),
        Gesture("three", {"middle": ("straight",)}),
    )
    table = GestureTable(rows)
    hand = result(shape("ssss"))
    low = hand.landmarks[:, :2].min(axis=0)
    points = hand.landmarks.copy()
    points[:, :2] += 1 - low
    width, height = (points[:, :2].max(axis=0) + 1).astype(int).tolist()
    assert table.recognise(result(points), size=(height, width)) == "three"
    points[4, 0] = -5  # the thumb's tip: whether it touches the index is not known
    assert table.recognise(result(points), size=(height, width)) is None


def test_no_gesture_rests_on_a_finger_that_the_model_doubts():
    table = GestureTable.load("signs")
    sure = np.full(21, 0.9, np.float32)
    hand = replace(result(shape("ssss")), confidence=sure)
    assert table.recognise(hand) == "open palm"
    doubtful = sure.copy()
    doubtful[16] = 0.1  # the ring finger's tip: behind something
    hidden = replace(hand, confidence=doubtful)
    assert finger_states(hidden.landmarks, confidence=doubtful).unseen == {"ring"}
    assert table.recognise(hidden) is None
    row = GestureTable((Gesture("two up", {"index": ("straight",), "middle": ("straight",)}),))
    assert row.recognise(hidden) == "two up"  # which needs no ring finger
