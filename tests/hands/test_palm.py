import numpy as np
import pytest

from handheld.errors import InputError
from handheld.hands.palm import PalmGeometry, anchor_centres, decode_palms, merge_palms
from handheld.hands.result import Palm
from handheld.media import Rect, letterbox

GEOMETRY = PalmGeometry()


def test_anchors_are_mediapipes():
    anchors = anchor_centres(GEOMETRY)
    assert anchors.shape == (2016, 2) == (GEOMETRY.anchors, 2)
    half = 0.5 / 24
    assert np.allclose(
        anchors[[0, 1, 2, 48]], [[half, half], [half, half], [3 * half, half], [half, 3 * half]]
    )
    assert np.allclose(
        anchors[[1152, 1157, 1158]], [[1 / 24, 1 / 24], [1 / 24, 1 / 24], [3 / 24, 1 / 24]]
    )
    assert np.allclose(anchors[-1], 1 - 1 / 24)


def raw_output(rows):
    raw, logits = np.zeros((2016, 18), np.float32), np.full(2016, -10, np.float32)
    for row, logit, values in rows:
        logits[row], raw[row] = logit, values
    return raw, logits


def test_decoding_by_hand():
    # Anchor 1152 lies at (1/24, 1/24) of the square, (8, 8) of 192; the square is 400 wide and
    # begins 50 above the picture.
    raw, logits = raw_output([(1152, 0.0, [8, 8, 48, 96, *[0, 0], *[4, -8], *[0] * 10])])
    (palm,) = decode_palms(raw, logits, anchor_centres(GEOMETRY), letterbox(300, 400), GEOMETRY)
    scale = 400 / 192
    assert palm.score == pytest.approx(0.5)
    assert (palm.rect.x, palm.rect.y) == pytest.approx((16 * scale, 16 * scale - 50))
    assert (palm.rect.width, palm.rect.height) == pytest.approx((100, 200))
    assert palm.keypoints[0] == pytest.approx([8 * scale, 8 * scale - 50])
    assert palm.keypoints[1] == pytest.approx([12 * scale, -50], abs=1e-4)


def test_best_first_and_nothing_below_the_score():
    raw, logits = raw_output([(5, 1.0, np.ones(18)), (9, 3.0, np.ones(18)), (7, -0.1, np.ones(18))])
    palms = decode_palms(raw, logits, anchor_centres(GEOMETRY), letterbox(192, 192), GEOMETRY)
    assert [round(palm.score, 3) for palm in palms] == [0.953, 0.731]
    assert (
        decode_palms(
            raw, np.full(2016, -9, np.float32), anchor_centres(GEOMETRY), letterbox(9, 9), GEOMETRY
        )
        == []
    )


def test_huge_logits_do_not_overflow():
    raw, logits = raw_output([(0, 1e6, np.ones(18))])
    (palm,) = decode_palms(raw, logits, anchor_centres(GEOMETRY), letterbox(10, 10), GEOMETRY)
    assert palm.score == 1.0


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, float("nan")])
def test_a_threshold_is_a_score(threshold):
    with pytest.raises(InputError, match=r"^threshold: expected a number in \(0, 1\), got "):
        decode_palms(
            *raw_output([]),
            anchor_centres(GEOMETRY),
            letterbox(1, 1),
            GEOMETRY,
            threshold=threshold,
        )


def palm(x, score, side=10.0):
    return Palm(Rect(x, 0, side, side), np.full((7, 2), x, np.float32), score)


def test_suppression_averages_by_score():
    merged = merge_palms([palm(0.0, 0.9), palm(1.0, 0.6), palm(50.0, 0.5)])
    assert [p.score for p in merged] == [0.9, 0.5]
    assert merged[0].rect.x == pytest.approx(0.6 / 1.5)
    assert merged[0].keypoints == pytest.approx(np.full((7, 2), 0.4))
    assert merged[1].rect.x == 50.0


def pointing(x, y, score):
    """A palm at 0, its middle knuckle ``x`` right of and ``y`` below its wrist."""
    return Palm(Rect(0, 0, 10, 10), np.array([[0, 0], [0, 0], [x, y]], np.float32), score)


def test_palms_of_hands_that_clasp_each_other_are_two():
    up, also_up, aside = pointing(0, -5, 0.9), pointing(1, -5, 0.6), pointing(5, -5, 0.8)
    merged = merge_palms([up, aside, also_up])
    assert [p.score for p in merged] == [0.9, 0.8]
    assert merged[0].keypoints[2] == pytest.approx([0.4, -5])
    assert merged[1].keypoints[2] == pytest.approx([5, -5])


def test_a_faint_palm_in_the_place_of_a_surer_one_is_no_other_hand():
    up, faint = pointing(0, -5, 0.9), pointing(5, -5, 0.25)
    assert len(merge_palms([up, faint])) == 1


def test_a_palm_that_points_down_is_one_whichever_way_round_its_angle_is_counted():
    assert len(merge_palms([pointing(0.1, 5, 0.9), pointing(-0.1, 5, 0.8)])) == 1


def test_suppression_of_an_empty_list_and_of_boxes_without_area():
    assert merge_palms([]) == []
    assert len(merge_palms([palm(0.0, 0.9, side=0.0), palm(0.0, 0.8, side=0.0)])) == 2
