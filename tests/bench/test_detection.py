import json

import numpy as np
import pytest

from handheld.bench import DetectionTask
from handheld.bench.detection import DetectedBoxes, _detected
from handheld.errors import InputError, ModelError

pytest.importorskip("faster_coco_eval")


def boxes(*corners, categories=None, scores=None):
    count = len(corners)
    return DetectedBoxes(
        np.array(corners, float).reshape(-1, 4),
        np.array(categories or [1] * count, np.int64),
        np.array(scores or [1.0] * count),
    )


LEFT = (0.1, 0.1, 0.5, 0.4)
RIGHT = (0.2, 0.5, 0.8, 0.9)


def task_of(*truth):
    sizes = np.full((len(truth), 2), 100)
    return DetectionTask(lambda number: np.zeros((4, 4, 3), np.uint8), list(truth), sizes)


def test_what_is_all_found_is_one():
    task = task_of(boxes(LEFT), boxes(LEFT, RIGHT))
    estimate = task.judge([boxes(LEFT), boxes(LEFT, RIGHT)])
    assert (estimate.value, estimate.count) == (pytest.approx(1.0), 2)


def test_what_was_not_reached_is_missed():
    task = task_of(boxes(LEFT), boxes(LEFT))
    # Half of the boxes are found, all with a right answer: precision 1 up to a recall of a half,
    # of COCO's 101 recalls 51.
    assert task.judge([boxes(LEFT), None]).value == pytest.approx(51 / 101)
    assert task.judge([None, None]).value == 0.0
    assert task.judge([boxes(LEFT)]).value == pytest.approx(1.0)


def test_a_box_of_another_category_is_wrong():
    task = task_of(boxes(LEFT))
    assert task.judge([boxes(LEFT, categories=[2])]).value == 0.0


def test_the_interval_holds_the_figure_and_stays_in_range():
    truth = [boxes(LEFT)] * 8
    answers = [boxes(LEFT)] * 5 + [boxes(RIGHT)] * 3
    estimate = task_of(*truth).judge(answers)
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    assert task_of(*truth).judge(answers) == estimate


def test_a_crowd_is_neither_missed_nor_wrongly_found():
    truth = DetectedBoxes(
        np.array([LEFT, RIGHT]), np.array([1, 1]), np.ones(2), crowds=np.array([False, True])
    )
    within = (0.3, 0.55, 0.5, 0.7)  # the surest box, and one of the crowd
    answer = boxes(within, LEFT, scores=[0.9, 0.8])
    assert task_of(truth).judge([answer]).value == pytest.approx(1.0)
    assert task_of(truth).judge([boxes(LEFT)]).value == pytest.approx(1.0)
    # without the flag the crowd is missed, and the surest box is wrong
    plain = task_of(boxes(LEFT, RIGHT))
    assert plain.judge([answer]).value == pytest.approx(51 / 101 / 2)


def test_a_crowd_alone_gives_nothing_to_find():
    crowd = DetectedBoxes(np.array([LEFT]), np.array([1]), np.ones(1), crowds=np.array([True]))
    assert task_of(crowd).judge([boxes(LEFT)]).value == 0.0
    with pytest.raises(InputError, match="1 boxes, but 2 say whether"):
        DetectedBoxes(np.array([LEFT]), np.array([1]), np.ones(1), crowds=np.array([True, False]))


def coco(folder, **changes):
    table = {
        "images": [{"id": 7, "file_name": "a.png", "width": 8, "height": 4}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [2, 1, 4, 2]}],
        "categories": [{"id": 3, "name": "cat"}],
    }
    (folder / "annotations.json").write_text(json.dumps(table | changes))
    return folder


def test_boxes_of_a_file(tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (8, 4)).save(tmp_path / "a.png")
    task = DetectionTask.of_folder(coco(tmp_path))
    # left 2, top 1, 4 wide, 2 high, of 8 x 4
    answer = boxes((0.25, 0.25, 0.75, 0.75), categories=[3])
    assert task.judge([answer]).value == pytest.approx(1.0)


def test_crowds_of_a_file(tmp_path):
    found = {"image_id": 7, "category_id": 3, "bbox": [2, 1, 4, 2], "iscrowd": 0}
    crowd = {"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": 1}
    task = DetectionTask.of_folder(coco(tmp_path, annotations=[found, crowd]))
    answer = boxes((0.25, 0.25, 0.75, 0.75), categories=[3])
    assert task.judge([answer]).value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [], "annotations": []}, "expected one picture or more"),
        ({"images": 3}, "expected COCO's images"),
        ({"annotations": [{"image_id": 8}]}, "expected COCO's images"),
        ({"annotations": [{"image_id": 7, "bbox": [1]}]}, "expected COCO's images"),
    ],
)
def test_files_that_are_something_else(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        DetectionTask.of_folder(coco(tmp_path, **changes))


def test_pictures_outside_of_the_folder_are_not_read(tmp_path):
    image = {"id": 7, "file_name": "../a.png", "width": 8, "height": 4}
    with pytest.raises(InputError, match="outside of its folder"):
        DetectionTask.of_folder(coco(tmp_path, images=[image]))


def test_no_annotations(tmp_path):
    with pytest.raises(InputError, match=r"annotations\.json: cannot be read"):
        DetectionTask.of_folder(tmp_path)


def outputs(corners, classes, scores, count):
    return [
        np.array([corners], np.float32),
        np.array([classes], np.float32),
        np.array([scores], np.float32),
        np.array([count], np.float32),
    ]


def test_outputs_become_boxes_the_best_first():
    detected = _detected(outputs([LEFT, RIGHT, LEFT], [0, 1, 2], [0.5, 0.9, 0.7], 2))
    assert detected.scores == pytest.approx([0.9, 0.5])
    assert detected.categories.tolist() == [2, 1]
    assert detected.corners == pytest.approx(np.array([RIGHT, LEFT]))


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"scores": [np.nan, 0.5]}, [0.5]),
        ({"scores": [np.inf, 0.5]}, [0.5]),
        ({"classes": [1e30, 0]}, [0.5]),
        ({"corners": [LEFT, (0, np.nan, 1, 1)]}, [0.9]),
        ({"corners": [(0, 0, 1, 1e9), RIGHT]}, [0.5]),
        ({"count": -3}, []),
        ({"count": 1e30}, [0.9, 0.5]),
        ({"count": np.nan}, [0.9, 0.5]),
    ],
)
def test_what_no_evaluation_can_take_is_no_box(change, kept):
    values = {"corners": [LEFT, RIGHT], "classes": [0, 0], "scores": [0.9, 0.5], "count": 2}
    detected = _detected(outputs(**(values | change)))
    assert detected.scores == pytest.approx(kept)
    assert task_of(boxes(LEFT)).judge([detected]).value >= 0


def test_a_flood_of_boxes_is_cut():
    detected = _detected(outputs([LEFT] * 5000, [0] * 5000, np.linspace(0, 1, 5000), 5000))
    assert len(detected.scores) == 1000
    assert detected.scores.min() > 0.79


def test_outputs_that_do_not_fit_together():
    good = outputs([LEFT], [0], [0.9], 1)
    for number in range(3):
        wrong = list(good)
        wrong[number] = np.zeros((1, 7), np.float32)
        with pytest.raises(ModelError, match="expected boxes"):
            _detected(wrong)
    with pytest.raises(ModelError, match="expected boxes"):
        _detected([*good[:3], np.zeros(0, np.float32)])


BOX = {"image_id": 7, "category_id": 3, "bbox": [2, 1, 4, 2]}
IMAGE = {"id": 7, "file_name": "a.png", "width": 8, "height": 4}


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        (
            "annotations",
            BOX | {"bbox": [float("nan"), 1, 4, 2]},
            r"annotations\[0\]\.bbox: expected",
        ),
        ("annotations", BOX | {"bbox": [2, 1, -4, 2]}, r"annotations\[0\]\.bbox: expected"),
        ("annotations", BOX | {"bbox": [2, 1, 1e308, 2]}, r"annotations\[0\]\.bbox: expected"),
        ("annotations", BOX | {"category_id": 0}, r"annotations\[0\]\.category_id: expected"),
        ("annotations", BOX | {"category_id": 1.5}, r"annotations\[0\]\.category_id: expected"),
        ("annotations", BOX | {"category_id": 10**20}, "COCO's images and annotations"),
        ("images", IMAGE | {"width": 10**20}, "COCO's images and annotations"),
        ("images", IMAGE | {"width": 0}, "a picture without a pixel"),
    ],
)
def test_boxes_that_nothing_could_find_are_told(tmp_path, name, entry, message):
    """Some were tracebacks; the others counted as missed, whatever a model found."""
    with pytest.raises(InputError, match=message):
        DetectionTask.of_folder(coco(tmp_path, **{name: [entry]}))


def test_a_picture_of_another_size_than_is_said_is_told(tmp_path):
    """Its boxes lay elsewhere, and counted as missed."""
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (4, 8)).save(tmp_path / "a.png")
    task = DetectionTask.of_folder(coco(tmp_path))
    with pytest.raises(InputError, match=r"a\.png: is of 8 x 4 pixels, upright, .* says 4 x 8"):
        task.picture(0)
