import json
import os

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.hands.training.coco import coco_of
from handheld.hands.training.examples.corrections import (
    append_correction,
    corrections_file,
    read_corrections,
    read_records,
)
from handheld.hands.training.examples.digests import data_digests
from handheld.hands.training.examples.labelling import pseudo_label, read_labels
from handheld.hands.training.examples.photo_hands import read_photo_hands
from handheld.hands.training.page.desk import (
    HandEdit,
    LabelDesk,
    PhotoEdit,
    StaleVersionError,
    opened_desk,
    shown_hand,
)


def edit_of(desk, index, *, reviewed=False, **changes):
    """What the page sends if it changes nothing but what is named, of the first hand."""
    record = desk.record(index)
    hands = []
    for number, hand in enumerate(record["hands"]):
        shown = shown_hand(hand) | (changes if number == 0 else {})
        shown.pop("source")
        points = [point and tuple(point) for point in shown.pop("keypoints")]
        hands.append(HandEdit(tuple(points), tuple(shown.pop("visible")), **shown))
    return PhotoEdit(record.get("version", 0), reviewed, tuple(hands))


def exported(path):
    return coco_of(read_records(path), path)


def moved(desk, index, keypoint, to):
    points = shown_hand(desk.record(index)["hands"][0])["keypoints"]
    points[keypoint] = to
    return points


def test_the_least_sure_come_first(labels):
    desk = LabelDesk(labels)
    assert desk.names == ["set/b.png", "set/c.png", "set/a.png"]
    assert desk.scores == pytest.approx([0.3, 0.1, 0.02])
    assert desk.record(1)["photo"] == "set/c.png"


def test_labels_without_scores_stay_in_their_order(tmp_path, make_line):
    path = tmp_path / "labels.jsonl"
    lines = [make_line(f"{number}.png", 0.0) for number in (3, 1, 2)]
    for entry in lines:
        del entry["hands"][0]["spread"]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    desk = LabelDesk(path)
    assert desk.names == ["3.png", "1.png", "2.png"]
    assert desk.scores == [None, None, None]


def test_a_moved_keypoint_is_a_persons_and_loses_what_a_model_said_of_it(labels):
    before = labels.read_bytes()
    desk = LabelDesk(labels)
    desk.save(0, edit_of(desk, 0, keypoints=moved(desk, 0, 8, [12.345, 20])))
    (hand,) = desk.record(0)["hands"]
    assert hand["keypoints"][8] == [12.35, 20, None]
    assert hand["keypoints"][7][2] == -7
    assert hand["source"] == "corrected"
    assert hand["world"] is None
    assert hand["right"] == 0.7
    assert desk.state(0) == "changed"
    assert labels.read_bytes() == before
    (known,) = read_labels(labels)["set/b.png"]
    assert known.source == "true"
    assert known.keypoints[8, :2].tolist() == pytest.approx([12.35, 20])
    assert known.disagreement == 0
    (other,) = read_labels(labels)["set/a.png"]
    assert other.source == "teacher"


def test_the_wrist_keeps_its_depth_from_which_that_of_the_others_counts(labels):
    desk = LabelDesk(labels)
    desk.save(0, edit_of(desk, 0, keypoints=moved(desk, 0, 0, [1, 2])))
    assert desk.record(0)["hands"][0]["keypoints"][0] == [1, 2, 0]


def test_what_is_accepted_counts_as_true_and_keeps_what_the_model_said(labels):
    desk = LabelDesk(labels)
    desk.save(0, edit_of(desk, 0, reviewed=True))
    (hand,) = desk.record(0)["hands"]
    assert (hand["source"], hand["right"]) == ("corrected", 1.0)
    assert hand["world"][3] == [0.03, 0, 0]
    assert desk.state(0) == "reviewed"
    (known,) = read_labels(labels)["set/b.png"]
    assert (known.source, known.certainty) == ("true", 1.0)


def test_undone_labels_are_the_teachers_again(labels):
    desk = LabelDesk(labels)
    before = edit_of(desk, 0).hands
    desk.save(0, edit_of(desk, 0, handedness="Left"))
    assert desk.record(0)["hands"][0]["right"] == 0.0
    desk.save(0, PhotoEdit(1, False, before))
    (hand,) = desk.record(0)["hands"]
    assert "source" not in hand
    assert hand["right"] == 0.7


def test_what_is_hidden_unknown_or_dropped_reaches_the_training(labels):
    desk = LabelDesk(labels)
    visible = [number != 4 for number in range(21)]
    points = moved(desk, 0, 20, None)
    desk.save(0, edit_of(desk, 0, visible=visible, keypoints=points))
    desk.save(1, edit_of(desk, 1, dropped=True))
    (known,) = read_labels(labels)["set/b.png"]
    assert np.flatnonzero(~known.visible).tolist() == [4]
    assert np.isnan(known.keypoints[20]).all()
    (dropped,) = read_labels(labels)["set/c.png"]
    assert dropped.dropped
    assert dropped.source == "teacher"


def test_who_saw_an_older_version_does_not_write_over_a_newer_one(labels):
    desk = LabelDesk(labels)
    stale = edit_of(desk, 0, handedness="Left")
    desk.save(0, edit_of(desk, 0, keypoints=moved(desk, 0, 8, [1, 2])))
    with pytest.raises(StaleVersionError, match=r"set/b\.png was changed elsewhere"):
        desk.save(0, stale)
    assert desk.record(0)["hands"][0]["keypoints"][8][:2] == [1, 2]


def test_work_goes_on_and_half_a_line_is_none(labels):
    desk = LabelDesk(labels)
    desk.save(0, edit_of(desk, 0, reviewed=True))
    desk.save(1, edit_of(desk, 1, handedness="Left"))
    path = corrections_file(labels)
    # Killed while it wrote a third one.
    path.write_bytes(path.read_bytes() + b'{"photo":"set/b.png","ha')
    assert len(list(read_records(labels))) == 3
    again = LabelDesk(labels)
    assert [again.state(index) for index in range(3)] == ["reviewed", "changed", ""]
    again.save(2, edit_of(again, 2, reviewed=True))
    assert len(path.read_text().splitlines()) == 3
    assert LabelDesk(labels).state(2) == "reviewed"


def test_lines_that_later_ones_replace_are_gone_after_the_next_start(labels):
    desk = LabelDesk(labels)
    for step in range(5):
        desk.save(0, edit_of(desk, 0, keypoints=moved(desk, 0, 8, [step, 2])))
    path = corrections_file(labels)
    assert len(path.read_text().splitlines()) == 5
    again = LabelDesk(labels)
    assert len(path.read_text().splitlines()) == 1
    assert again.record(0)["version"] == 5


def test_labels_have_the_same_corrections_by_every_name(labels, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.jsonl"
    link.symlink_to(labels)
    desk = LabelDesk(link)
    desk.save(0, edit_of(desk, 0, reviewed=True))
    assert LabelDesk(labels).state(0) == "reviewed"
    assert corrections_file(labels).is_file()
    # A link that leads in a circle is no file, and no error here.
    circle = tmp_path / "circle.jsonl"
    circle.symlink_to(circle)
    assert corrections_file(circle).name == "circle.corrections.jsonl"


def test_in_place_corrections_become_the_labels(labels):
    with opened_desk(labels, in_place=True) as desk:
        desk.save(0, edit_of(desk, 0, reviewed=True))
    assert not corrections_file(labels).exists()
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert [line["photo"] for line in lines] == ["set/a.png", "set/b.png", "set/c.png"]
    assert lines[1]["hands"][0]["source"] == "corrected"
    with opened_desk(labels) as desk:
        assert desk.state(desk.names.index("set/b.png")) == "reviewed"


def test_in_place_takes_up_what_a_killed_run_left(labels):
    desk = LabelDesk(labels)
    desk.save(0, edit_of(desk, 0, reviewed=True))
    with opened_desk(labels, in_place=True):
        assert not corrections_file(labels).exists()


@pytest.mark.parametrize("how", ["shorter", "other photos", "no labels", "gone"])
def test_labels_that_were_written_anew_are_not_taken_for_those_before(labels, make_line, how):
    desk = LabelDesk(labels)
    edit = edit_of(desk, 0)
    lines = labels.read_text().splitlines(keepends=True)
    contents = {
        "shorter": lines[0],
        "other photos": "".join(lines).replace("set/", "new/"),
        "no labels": "".join(lines).replace("[", "{"),
        "gone": "",
    }
    labels.write_text(contents[how])
    if how == "gone":
        labels.unlink()
    for asked in (lambda: desk.record(0), lambda: desk.save(0, edit)):
        with pytest.raises(InputError, match="was written anew since it was opened"):
            asked()
    assert not corrections_file(labels).exists()


def test_labels_are_open_once(labels):
    with (
        opened_desk(labels),
        pytest.raises(InputError, match=r"another"),
        opened_desk(labels),
    ):
        pass


def test_what_writes_labels_waits_until_the_page_is_closed(labels):
    """They had a lock each: the page, at its end, put its labels in the place of the new ones."""
    before = labels.read_bytes()
    with (
        opened_desk(labels, in_place=True),
        pytest.raises(InputError, match="another process writes it"),
    ):
        pseudo_label([], None, labels)
    assert labels.read_bytes() == before


def test_a_full_disk_leaves_whole_lines(labels, monkeypatch):
    desk = LabelDesk(labels)
    desk.save(0, edit_of(desk, 0, reviewed=True))
    path = corrections_file(labels)
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:10]))
    with pytest.raises(OSError, match="No space left"):
        desk.save(1, edit_of(desk, 1, reviewed=True))
    assert path.read_bytes() == before
    assert desk.state(1) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no photo is labelled"),
        ("{}\n", "line 1: not a photo's labels"),
        ('{"photo": "a", "hands": [{"keypoints": [[1, 2, 3]]}]}\n', "expected 21 keypoints, got 1"),
        ('{"photo": "a", "hands": []}\n' * 2, "line 2: a is labelled twice"),
    ],
)
def test_labels_that_are_none_are_named(tmp_path, text, message):
    path = tmp_path / "labels.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        LabelDesk(path)


NAN = float("nan")


@pytest.mark.parametrize("reading", [LabelDesk, read_labels, exported, read_corrections])
@pytest.mark.parametrize(
    ("of_photo", "of_hand", "message"),
    [
        ({"photo": 3}, {}, "expected an object with a photo's name"),
        ({"photo": "\ud800.png"}, {}, "photo: no file can have the name"),
        ({"version": NAN}, {}, "version: expected a whole number of 0 or more, got nan"),
        ({"size": 5}, {}, "size: expected 2 numbers, got 5"),
        ({"size": [240, NAN]}, {}, "size: expected a whole number of 1 or more, got nan"),
        ({"hands": {}}, {}, "hands: expected a list, got {}"),
        ({"hands": [None]}, {}, r"hands\[0\]: expected an object, got None"),
        ({}, {"keypoints": None}, r"hands\[0\].keypoints: expected 21 keypoints, got None"),
        ({}, {"keypoints": [[1, 2, 3]] * 20}, r"keypoints: expected 21 keypoints, got 20"),
        ({}, {"keypoints": [["1", 2, 3]] * 21}, r"keypoints\[0\]: expected a number"),
        ({}, {"keypoints": [[1e300, 2, 3]] * 21}, r"keypoints\[0\]: expected a number"),
        ({}, {"keypoints": [None] * 21}, r"keypoints\[0\]: expected x, y and z, got None"),
        ({}, {"right": "left"}, r"right: expected a number in \[0, 1\], got 'left'"),
        ({}, {"dropped": 1}, "dropped: expected True or False, got 1"),
        ({}, {"source": NAN}, "source: expected a text, got nan"),
        ({}, {"spread": [NAN] * 21}, "spread: expected a number"),
        ({}, {"visible": 5}, "visible: expected 21 numbers, got 5"),
        ({}, {"box": [0, 0, NAN, 1]}, "box: expected a number"),
    ],
)
def test_hostile_labels_end_all_that_reads_them(
    tmp_path, make_line, reading, of_photo, of_hand, message
):
    record = make_line("set/a.png", 0.1)
    record = record | {"hands": [record["hands"][0] | of_hand]} | of_photo
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(InputError, match=message):
        reading(path)


@pytest.mark.parametrize("reading", [LabelDesk, read_labels, exported, read_corrections])
def test_brackets_without_end_are_no_labels(tmp_path, reading):
    path = tmp_path / "labels.jsonl"
    path.write_text("[" * 100_000 + "\n")
    with pytest.raises(InputError, match=r"line 1.*brackets in brackets"):
        reading(path)


@pytest.mark.parametrize("reading", [LabelDesk, read_labels, exported])
def test_a_photo_that_is_labelled_twice_is_refused(labels, reading):
    lines = labels.read_text().splitlines(keepends=True)
    labels.write_text("".join([*lines, lines[0]]))
    number = len(lines) + 1
    with pytest.raises(InputError, match=rf"labels\.jsonl: line {number}: .* is labelled twice"):
        reading(labels)


def test_corrections_of_other_labels_are_refused(labels):
    append_correction(corrections_file(labels), {"photo": "other.png", "hands": []})
    for reading in (LabelDesk, read_labels):
        with pytest.raises(InputError, match=r"other\.png is not in .* move them away"):
            reading(labels)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keypoints": ((1.0, 2.0),) * 20}, "keypoints: length"),
        ({"visible": (True,) * 22}, "visible: length"),
        ({"keypoints": ((float("nan"), 2.0),) * 21}, "keypoints: expected"),
    ],
)
def test_an_edit_that_is_no_hand_is_refused(fields, message):
    whole = {"keypoints": (None,) * 21, "visible": (True,) * 21}
    with pytest.raises(InputError, match=message):
        HandEdit(**(whole | fields), handedness=None, dropped=False)


def test_a_training_learns_from_corrections_and_notices_new_ones(world):
    """The world's photos, of which one hand is dropped and one made a person's."""
    before = read_photo_hands(world.data, world.labels, world.cache)
    digest = data_digests(world.data, world.labels)["labels"]
    desk = LabelDesk(world.labels)
    train = [before.photos[entry.picture].name for entry in before.hands["train"]]
    first, second = desk.names.index(train[0]), desk.names.index(train[1])
    desk.save(first, edit_of(desk, first, dropped=True))
    desk.save(second, edit_of(desk, second, reviewed=True, keypoints=moved(desk, second, 8, None)))
    after = read_photo_hands(world.data, world.labels, world.cache)
    assert data_digests(world.data, world.labels)["labels"] != digest
    assert len(after.hands["train"]) == len(before.hands["train"]) - 1
    hand = after.hands["train"][0].hand
    assert hand.source == "true"
    assert hand.world is None
    assert np.isnan(hand.keypoints[8, 0])
    assert after.hands["train"][1].hand.source == "teacher"
