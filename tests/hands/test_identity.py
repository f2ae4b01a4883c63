from dataclasses import replace

import pytest
from made import hand, open_hand

from handheld.hands.identity import Identities


def ids(hands):
    return [one.id for one in hands]


def test_followed_hands_keep_their_ids_in_any_order():
    names = Identities()
    first = names.assign([hand(open_hand(0, 0)), hand(open_hand(500, 0))], 0)
    assert ids(first) == [0, 1]
    again = [hand(open_hand(500, 0), track=1), hand(open_hand(0, 0), track=0)]
    assert ids(names.assign(again, 33_000)) == [1, 0]


@pytest.mark.parametrize(
    ("x", "t_us", "handedness", "expected"),
    [
        (50, 100_000, "Right", 0),  # near, soon, the same hand
        (2000, 100_000, "Right", 1),  # too far for a tenth of a second
        (1000, 1_000_000, "Right", 0),  # not too far for a second
        (50, 2_500_000, "Right", 1),  # forgotten
        (150, 100_000, "Left", 1),  # the other hand
    ],
)
def test_a_hand_that_returns(x, t_us, handedness, expected):
    names = Identities()
    names.assign([hand(open_hand(0, 0))], 0)
    assert ids(names.assign([], 33_000)) == []
    assert ids(names.assign([hand(open_hand(x, 0), handedness=handedness)], t_us)) == [expected]


def test_two_hands_that_return_are_told_apart_by_place_and_by_side():
    names = Identities()
    names.assign(
        [hand(open_hand(0, 0), handedness="Left"), hand(open_hand(300, 0), handedness="Right")], 0
    )
    back = [hand(open_hand(280, 0), handedness="Right"), hand(open_hand(20, 0), handedness="Left")]
    assert ids(names.assign(back, 200_000)) == [1, 0]


def test_no_id_is_given_twice():
    names = Identities()
    names.assign([hand(open_hand(0, 0))], 0)
    assert sorted(ids(names.assign([hand(open_hand(10, 0)), hand(open_hand(20, 0))], 50_000))) == [
        0,
        1,
    ]


def test_memory_does_not_grow():
    names = Identities(memory_s=0.1)
    for step in range(1000):
        names.assign([hand(open_hand(step * 5000, 0))], step * 33_000)
    assert len(names._past) <= 5


def test_one_frame_in_doubt_does_not_change_sides_but_a_lasting_change_does():
    names, sides = Identities(), []
    for step, seen in enumerate(["Right"] * 5 + ["Left"] + ["Right"] * 3 + ["Left"] * 6):
        (one,) = names.assign(
            [hand(open_hand(), track=0 if step else None, handedness=seen)], step * 33_000
        )
        sides.append(one.handedness)
        assert 0.5 <= one.handedness_score <= 0.9 + 1e-9
    assert sides[:9] == ["Right"] * 9
    assert sides[-1] == "Left"


def test_a_fist_that_may_be_of_either_hand_leaves_it_the_hand_that_it_was():
    """On the film of a hand that spells, 0.3 to 0.4 for two seconds in which it is closed."""
    names, sides = Identities(), []
    seen = [("Right", 0.99)] * 30 + [("Left", 0.65)] * 40
    for step, (side, score) in enumerate(seen):
        one = hand(open_hand(), track=0 if step else None, handedness=side)
        (named,) = names.assign([replace(one, handedness_score=score)], step * 33_000)
        sides.append((named.id, named.handedness))
    assert sides == [(0, "Right")] * 70


def test_what_is_sure_outweighs_a_first_frame_in_doubt():
    names = Identities()
    for step, (side, score) in enumerate([("Left", 0.55), ("Right", 0.8), ("Right", 0.85)]):
        one = hand(open_hand(), track=0 if step else None, handedness=side)
        (named,) = names.assign([replace(one, handedness_score=score)], step * 33_000)
    assert (named.id, named.handedness) == (0, "Right")
    assert named.handedness_score > 0.75


def test_frames_that_say_nothing_of_the_side_are_no_error():
    names = Identities()
    for step in range(3):
        one = replace(hand(open_hand(), track=0 if step else None), handedness_score=0.5)
        (named,) = names.assign([one], step * 33_000)
    assert named.handedness_score == 0.5


def test_an_id_does_not_come_back_with_the_other_hand_even_where_that_is_in_doubt():
    names = Identities()
    names.assign([hand(open_hand(0, 0), handedness="Left")], 0)
    names.assign([], 33_000)
    other = replace(hand(open_hand(20, 0), handedness="Right"), handedness_score=0.52)
    (one,) = names.assign([other], 66_000)
    assert (one.id, one.handedness) == (1, "Right")
    names.assign([], 100_000)
    back = replace(hand(open_hand(0, 0), handedness="Left"), handedness_score=0.6)
    assert ids(names.assign([back], 133_000)) == [0]


def test_an_id_does_not_go_on_with_the_other_hand_where_its_region_slid_there():
    names = Identities()
    sure = {"Left": 0.99, "Right": 0.97}
    named = []
    for step, side in enumerate(["Left"] * 5 + ["Right"] * 6):
        track = named[-1].id if named else None
        seen = replace(hand(open_hand(), track=track, handedness=side), handedness_score=sure[side])
        named += names.assign([seen], step * 33_000)
    assert ids(named) == [0] * 8 + [1] * 3
    assert [one.handedness for one in named] == ["Left"] * 8 + ["Right"] * 3


def test_a_hand_that_was_seen_once_gives_its_id_to_a_returning_one_last():
    names = Identities()
    for step in range(5):
        names.assign([hand(open_hand(0, 0), track=0 if step else None)], step * 33_000)
    names.assign([hand(open_hand(300, 0), handedness="Right")], 170_000)
    assert ids(names.assign([hand(open_hand(160, 0))], 340_000)) == [0]


def test_results_do_not_alias_what_is_remembered():
    names = Identities()
    (one,) = names.assign([hand(open_hand(0, 0))], 0)
    one.landmarks[:] = 1e6
    names.assign([], 33_000)
    assert ids(names.assign([hand(open_hand(10, 0))], 66_000)) == [0]
