import numpy as np
import pytest

from handheld.hands.training.palm.metrics import Detections, overlaps_of, palm_scores

pytest.importorskip("faster_coco_eval")


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def test_overlap_by_hand():
    # Two squares of 2 x 2, one moved by 1: they share 2 of 6.
    assert overlaps_of(boxes((1, 1, 2, 2)), boxes((2, 1, 2, 2), (9, 9, 1, 1))).tolist() == [
        [pytest.approx(1 / 3), 0.0]
    ]


def test_all_found_is_one_and_nothing_found_is_zero():
    there = boxes((0.3, 0.3, 0.2, 0.2), (0.7, 0.6, 0.1, 0.1))
    right = Detections(there, np.float32([0.9, 0.8]), there, boxes())
    scores = palm_scores([right])
    assert (scores.ap, scores.ap50, scores.recall, scores.false_alarms) == (1.0, 1.0, 1.0, 0.0)
    missed = Detections(boxes(), np.empty(0, np.float32), there, boxes())
    assert palm_scores([missed]).ap50 == 0


def test_a_false_alarm_before_the_right_answer_halves_the_precision():
    there = boxes((0.3, 0.3, 0.2, 0.2))
    answers = boxes((0.8, 0.8, 0.2, 0.2), (0.3, 0.3, 0.2, 0.2))
    picture = Detections(answers, np.float32([0.9, 0.8]), there, boxes())
    scores = palm_scores([picture])
    assert scores.ap50 == pytest.approx(0.5, abs=1e-3)
    assert scores.false_alarms == 1.0


def test_what_is_found_in_an_ignored_box_is_neither_right_nor_wrong():
    there = boxes((0.3, 0.3, 0.2, 0.2))
    answers = boxes((0.8, 0.8, 0.2, 0.2), (0.3, 0.3, 0.2, 0.2))
    picture = Detections(answers, np.float32([0.9, 0.8]), there, boxes((0.8, 0.8, 0.2, 0.2)))
    scores = palm_scores([picture])
    assert scores.ap50 == 1.0
    assert scores.false_alarms == 0.0
