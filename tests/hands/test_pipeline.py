import threading

import numpy as np
import pytest
from made import frame

from handheld.errors import InputError
from handheld.graph import Graph, to_mermaid
from handheld.hands import GestureTable, HandOptions, hand_graph
from handheld.hands.calculators import run_on_crop

FRAMES = [frame(index, (60 + 2 * index, 120), (250, 120)) for index in range(12)]


@pytest.fixture
def side(tiny_pack):
    return {
        "pack": tiny_pack,
        "palm_model": tiny_pack.open_palm(),
        "landmark_model": tiny_pack.open_landmark(),
        "gestures": GestureTable.load("signs"),
    }


def run(side, threads):
    with Graph(hand_graph(), side=side, threads=threads) as graph:
        reader, results = graph.output("hands"), []
        for one in FRAMES:
            graph.add("frame", one, one.t_us)
            results.append(next(reader).payload)
    return results


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_pool_gives_what_the_calling_thread_gives(side, threads):
    for here, there in zip(run(side, 0), run(side, threads), strict=True):
        assert [hand.id for hand in here] == [hand.id for hand in there]
        assert all(
            np.array_equal(a.landmarks, b.landmarks) for a, b in zip(here, there, strict=True)
        )


def test_a_live_graph_drops_frames_that_it_has_no_time_for_and_counts_them(side, monkeypatch):
    """While the palm detector is held up by the first frame, nine more come: the newest waits,
    eight are dropped.
    """
    held, go = threading.Event(), threading.Event()

    def slow(*args, **kwargs):
        held.set()
        go.wait()
        return run_on_crop(*args, **kwargs)

    monkeypatch.setattr("handheld.hands.calculators.run_on_crop", slow)
    with Graph(hand_graph(), side=side, threads=2) as graph:
        hands = graph.output("hands")
        graph.add("frame", FRAMES[0], FRAMES[0].t_us)
        held.wait()
        for one in FRAMES[1:10]:
            graph.add("frame", one, one.t_us)
        while graph.stats().nodes["flow_limiter"].drops < 8:
            pass  # the other worker is at it
        go.set()
        assert [next(hands).timestamp, next(hands).timestamp] == [FRAMES[0].t_us, FRAMES[9].t_us]
        assert graph.stats().nodes["flow_limiter"].drops == 8


def test_palms_only_has_no_landmark_model(side):
    drawing = to_mermaid(hand_graph(HandOptions(palms_only=True)))
    assert "palm_detector" in drawing
    assert "landmark" not in drawing


@pytest.mark.parametrize(
    "options",
    [{"max_hands": 0}, {"redetect_every": -1}, {"min_hand_score": 2}, {"min_palm_score": 0}],
)
def test_options_are_checked(options):
    with pytest.raises(InputError):
        HandOptions(**options)
