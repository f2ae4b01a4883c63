"""Cards as pictures: a score of 1 is a bar of 320 pixels that begins at column 200."""

import numpy as np
import pytest

from handheld.hands.packs import load_pack
from handheld.hands.training.card_picture import (
    ScoreBar,
    draw_card,
    draw_cards,
    learned,
    score_bars,
)
from handheld.media import PALETTE

BLUE = PALETTE[1]
ORANGE = PALETTE[0]


def card(**scores):
    return {
        "title": "Hand landmarks",
        "licence": "Apache-2.0",
        "parameters": 1_234_567,
        "labels": "photos: a teacher's",
        "plan": {"steps": 100, "learn": {"seed": 3}},
        "test_scores": scores,
    }


def widths(picture, colour):
    """Pixels of a colour in each row of a picture that has some, in the columns of bars."""
    is_colour = (picture[:, 200:520] == colour).all(axis=2)
    counts = is_colour.sum(axis=1)
    return sorted(set(counts[counts > 0].tolist()))


def test_bars_are_as_long_as_scores_are_large():
    picture = draw_card(card(present=0.75, handedness=1.0, mean=0.125))
    assert widths(picture, BLUE) == [240, 320]
    assert widths(picture, ORANGE) == [40]


@pytest.mark.parametrize(("value", "width"), [(7.0, [320]), (0.0, [])])
def test_a_bar_ends_where_its_track_does(value, width):
    assert widths(draw_card(card(false_alarms=value)), ORANGE) == width


def test_counts_and_what_was_not_measured_have_no_bar():
    scores = {"ap": 0.5, "palms": 323, "recall": None, "groups": {"digits": 0.06, "ti1k": None}}
    assert score_bars(scores) == [
        ScoreBar("ap", 0.5, is_error=False),
        ScoreBar("mean, digits", 0.06, is_error=True),
    ]


def test_the_errors_of_keypoints_are_circles_as_large_as_they_are():
    def spread(error):
        errors = [error, *[None] * 20]
        # The wrist's alone, 130 pixels a palm length; nothing else right of the bars is orange.
        right = draw_card(card(points=errors))[:, 640:]
        columns = np.flatnonzero((right == ORANGE).all(axis=2).any(axis=0))
        return np.ptp(columns)

    assert spread(0.4) == pytest.approx(2 * 0.4 * 130, abs=3)
    assert spread(0.2) == pytest.approx(2 * 0.2 * 130, abs=3)


def test_the_pack_that_ships_is_drawn_from_its_own_files():
    pack = load_pack("handheld")
    both = draw_cards([pack.palm, pack.landmark])
    alone = draw_cards([pack.palm])
    np.testing.assert_array_equal(both[: len(alone)], alone)
    assert both.shape[1] == 960
    assert (pack.palm.parent / "card.png").is_file()


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("", "0 steps, seed 3"),
        ("handheld", "0 steps, seed 3, from handheld"),
        (
            {"handheld": 0.3, "mine/palm.tflite": 0.7},
            "0 steps, seed 3, from 0.3 handheld + 0.7 mine/palm.tflite",
        ),
    ],
)
def test_a_card_says_what_a_network_learned_from(start, words):
    assert learned({"steps": 0, "learn": {"seed": 3, "start": start}}) == words
