"""The detector looks for a missing hand where something has changed, and only there."""

import numpy as np
import pytest

from handheld.graph import Graph, GraphConfig, Node
from handheld.hands.redetection import LOOK_ANYWAY, RedetectSchedule
from handheld.hands.result import Region
from handheld.hands.views import views_of_still, views_of_stream
from handheld.media import Frame, Rect

HAND = Region(Rect(80.0, 60.0, 60.0, 60.0), np.array([80.0, 60.0], np.float32), 20.0, track=1)


def decisions(images, followed, **options):
    """Return for each frame whether the detector would run."""
    schedule = RedetectSchedule(**{"max_hands": 2, "every": 1, "change": 8.0, **options})
    config = GraphConfig(
        nodes=[Node(schedule, inputs=["frame", "followed"], outputs="detect")],
        inputs={"frame": Frame, "followed": list[Region]},
        outputs=["detect"],
    )
    runs = []
    with Graph(config) as graph:
        reader = graph.output("detect")
        for index, (image, regions) in enumerate(zip(images, followed, strict=True)):
            graph.add("frame", Frame(image, 40_000 * index, index), 40_000 * index)
            graph.add("followed", regions, 40_000 * index)
            runs.append(next(reader).payload)
    return runs


def grey(level=100):
    return np.full((240, 320, 3), level, np.uint8)


def with_spot(x, y, level=200):
    image = grey()
    image[y - 15 : y + 15, x - 15 : x + 15] = level
    return image


def test_a_still_picture_is_looked_at_once_and_then_now_and_then():
    runs = decisions([grey()] * 25, [[HAND]] * 25)
    assert [index for index, run in enumerate(runs) if run] == [0, LOOK_ANYWAY, 2 * LOOK_ANYWAY]


def test_what_appears_is_looked_at_at_once():
    images = [grey()] * 4 + [with_spot(250, 180)] * 3
    assert decisions(images, [[HAND]] * 7) == [True, False, False, False, True, False, False]


def test_a_followed_hand_may_move_without_being_looked_for():
    images = [with_spot(70 + 5 * step, 60) for step in range(5)]
    assert decisions(images, [[HAND]] * 5) == [True, False, False, False, False]


def test_a_slow_change_adds_up():
    images = [grey(100 + 3 * step) for step in range(7)]
    # Compared with the picture that was last looked at, not with the frame before.
    assert decisions(images, [[HAND]] * 7) == [True, False, False, True, False, False, True]


def test_a_sensors_noise_is_no_change():
    random = np.random.default_rng(0)
    noise = [random.normal(100, 12, (480, 640, 3)).clip(0, 255).astype(np.uint8) for _ in range(6)]
    assert decisions(noise, [[HAND]] * 6) == [True] + 5 * [False]


def test_no_hand_or_a_lost_one_is_looked_for_in_every_frame():
    followed = [[], [], [HAND], [HAND], [HAND], []]
    assert decisions([grey()] * 6, followed) == [True, True, True, False, False, True]
    two = [[HAND, HAND], [HAND], [HAND], [HAND]]
    assert decisions([grey()] * 4, two) == [False, True, True, False]


def test_it_is_due_in_every_kth_frame_only():
    images = [with_spot(250, 180, level) for level in range(0, 250, 25)]
    runs = decisions(images, [[HAND]] * 10, every=3)
    assert [index for index, run in enumerate(runs) if run] == [2, 5, 8]


def test_without_a_change_to_wait_for_it_runs_always():
    assert decisions([grey()] * 4, [[HAND]] * 4, change=0.0) == [True] * 4


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 500, 3), (700, 3, 3)])
def test_pictures_of_any_shape_are_compared(shape):
    dark = np.zeros(shape, np.uint8)
    assert decisions([dark, dark, dark + 90], [[HAND]] * 3)[:2] == [True, False]


def test_a_view_of_a_mirrored_picture_is_compared():
    mirrored = [with_spot(250, 180)[:, ::-1], with_spot(250, 180)[:, ::-1], grey()[::-1]]
    assert decisions(mirrored, [[HAND]] * 3) == [True, False, True]


def test_another_size_is_another_picture():
    assert decisions([grey(), grey()[:100]], [[HAND]] * 2) == [True, True]


def views(images, followed, **options):
    """Return for each frame where the detector would look."""
    options = {"max_hands": 2, "every": 1, "change": 8.0, "closer": True, **options}
    config = GraphConfig(
        nodes=[
            Node(
                RedetectSchedule(**options),
                inputs=["frame", "followed"],
                outputs=["detect", "views"],
            )
        ],
        inputs={"frame": Frame, "followed": list[Region]},
        outputs=["detect", "views"],
    )
    seen = {}
    with Graph(config) as graph:
        graph.observe("views", lambda packet: seen.update({packet.timestamp: packet.payload}))
        for index, (image, regions) in enumerate(zip(images, followed, strict=True)):
            graph.add("frame", Frame(image, index, index), index)
            graph.add("followed", regions, index)
    return [seen.get(index, []) for index in range(len(images))]


def test_each_view_is_looked_at_once_and_then_where_something_changes():
    images = [grey()] * 8 + [with_spot(290, 210)] * 4
    seen = views(images, [[HAND]] * 12)
    whole, one, _, two, _, three, _, four = views_of_stream(240, 320)
    assert seen[:5] == [[whole], [one], [two], [three], [four]]
    assert seen[5:8] == [[], [], []]
    # The spot is in the whole picture and in the last of the closer looks.
    assert sorted(view.x for look in seen[8:10] for view in look) == sorted([whole.x, four.x])
    assert seen[10:] == [[], []]


def test_a_change_that_is_small_beside_the_hands_is_none():
    huge = Region(Rect(100.0, 100.0, 180.0, 180.0), np.array([100.0, 100.0], np.float32), 60.0, 1)
    small = with_spot(290, 210)
    assert decisions([grey(), small], [[huge]] * 2) == [True, False]
    large = grey()
    large[140:, 230:] = 200
    assert decisions([grey(), large], [[huge]] * 2) == [True, True]


def test_a_still_is_looked_at_in_all_its_views():
    assert views([grey()], [[]], still=True) == [views_of_still(240, 320)]
    assert len(views([grey()], [[]], still=True, closer=False)[0]) == 1


def test_a_view_in_which_nothing_changes_gets_its_turn_while_something_moves_elsewhere():
    images = [with_spot(290, 210, 100 + 50 * (index % 2)) for index in range(200)]
    looks = [view for look in views(images, [[HAND]] * 200) for view in look]
    for view in views_of_stream(240, 320):
        frames = [index for index, look in enumerate(looks) if look == view]
        assert len(frames) >= 2, view


def test_a_change_beside_hands_that_fill_the_picture_is_seen():
    huge = Region(Rect(190.0, 120.0, 220.0, 240.0), np.array([190.0, 120.0], np.float32), 90.0, 1)
    strip = grey()
    strip[:, :40] = 200
    assert decisions([grey(), strip], [[huge]] * 2) == [True, True]
