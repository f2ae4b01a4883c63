import json

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.hands import load_pack
from handheld.hands.training.examples.labelling import (
    Teacher,
    TeacherHand,
    pseudo_label,
    read_labels,
    read_suspects,
)
from handheld.hands.training.examples.photos import read_photos
from handheld.media import Rect


class OneHand:
    """A teacher that finds the same hand everywhere, and counts how often it is asked."""

    name = "one hand"
    models = "0123"

    def __init__(self):
        self.asked = 0

    def label(self, image, boxes=None):
        self.asked += 1
        height, width = image.shape[:2]
        points = np.full((21, 3), (width / 2, height / 2, 0), np.float32)
        return [
            TeacherHand(points, points / 1000, np.zeros(21, np.float32), right=0.2, presence=0.9)
        ]

    def suspects(self, image, boxes=None):
        return [Rect(30, 40, 20, 10)]


def test_labelling_goes_on_where_it_was_stopped(world, tmp_path):
    photos = read_photos(world.data / "photos")
    path = tmp_path / "new.jsonl"
    pseudo_label(photos[:10], OneHand(), path)
    # A stop in the middle of a line: it is labelled again, and the file stays whole.
    path.write_bytes(path.read_bytes()[:-40])
    second = OneHand()
    pseudo_label(photos, second, path)
    assert second.asked == 24 - 9
    labels = read_labels(path)
    assert set(labels) == {photo.name for photo in photos}
    (hand,) = labels[photos[0].name]
    assert hand.handedness == "Left"
    assert hand.keypoints[3].tolist() == [80, 60, 0]
    assert read_suspects(path)[photos[0].name].tolist() == [[20, 35, 40, 45]]
    assert read_suspects(world.labels) == {}  # nobody looked for any


@pytest.mark.parametrize("boxes", [[[1, 2, 3]], [["a"] * 4], [[1, 2, 3, None]]])
def test_a_suspect_that_is_no_box_is_counted(tmp_path, boxes):
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps({"photo": "a", "hands": [], "suspects": boxes}) + "\n")
    with pytest.raises(InputError, match="line 1"):
        read_suspects(path)


def test_two_teachers_do_not_share_a_file(world, tmp_path):
    photos = read_photos(world.data / "photos")[:2]
    path = tmp_path / "new.jsonl"
    pseudo_label(photos, OneHand(), path)
    other = OneHand()
    other.name = "another"
    with pytest.raises(InputError, match="'one hand', not by 'another'"):
        pseudo_label(photos, other, path)


def test_a_teacher_whose_models_were_replaced_is_another(world, tmp_path):
    photos = read_photos(world.data / "photos")[:3]
    path = tmp_path / "new.jsonl"
    pseudo_label(photos[:2], OneHand(), path)
    other = OneHand()
    other.models = "4567"
    with pytest.raises(InputError, match="holds labels by other models of 'one hand'"):
        pseudo_label(photos, other, path)


def test_models_are_told_apart_by_what_they_hold():
    with Teacher(load_pack("handheld")) as one, Teacher(load_pack("handheld")) as same:
        assert one.models == same.models
        with Teacher(load_pack("handheld-lite")) as other:
            assert other.models != one.models


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("my important notes", "line 1: expected a JSON object"),
        ("\0" * 3000, "line 1: expected a JSON object"),
        ('{"photo": "a", "teacher": "another", "hands": []}', "'another', not by 'one hand'"),
    ],
)
def test_what_is_no_half_line_of_labels_is_not_thrown_away(world, tmp_path, content, message):
    path = tmp_path / "new.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        pseudo_label(read_photos(world.data / "photos"), OneHand(), path)
    assert path.read_text() == content


def test_a_whole_line_without_its_end_is_kept(world, tmp_path):
    photos = read_photos(world.data / "photos")[:3]
    path = tmp_path / "new.jsonl"
    pseudo_label(photos[:2], OneHand(), path)
    path.write_text(path.read_text().rstrip("\n"))
    teacher = OneHand()
    pseudo_label(photos, teacher, path)
    assert teacher.asked == 1
    assert set(read_labels(path)) == {photo.name for photo in photos}


def test_two_labellings_do_not_share_a_file(world, tmp_path):
    photos = read_photos(world.data / "photos")[:3]
    path = tmp_path / "new.jsonl"

    def label_too(done, hands):
        with pytest.raises(InputError, match=r"new\.jsonl: another process writes it"):
            pseudo_label(photos, OneHand(), path)

    pseudo_label(photos, OneHand(), path, on_photo=label_too)
    assert len(read_labels(path)) == 3


def test_a_line_that_is_no_label_is_counted(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text(
        json.dumps({"photo": "a", "hands": []}) + "\n" + json.dumps({"photo": "b"}) + "\n"
    )
    with pytest.raises(InputError, match="line 2"):
        read_labels(path)


@pytest.mark.parametrize("name", ["world", "spread", "right", "presence"])
def test_a_teacher_says_all_of_a_hand_a_person_need_not(tmp_path, name):
    points = np.zeros((21, 3), np.float32)
    hand = TeacherHand(points, points, np.zeros(21, np.float32), 0.2, 0.9).to_json() | {name: None}
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps({"photo": "a", "hands": [hand]}) + "\n")
    with pytest.raises(InputError, match=f"line 1: not a photo's labels: {name}: expected of a"):
        read_labels(path)
    path.write_text(json.dumps({"photo": "a", "hands": [hand | {"source": "true"}]}) + "\n")
    assert len(read_labels(path)["a"]) == 1
