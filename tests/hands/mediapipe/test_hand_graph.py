"""The hand graph from texts, beside the tracker: the same hands, whatever the models."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hand_texts import hand_graph_text, registry_of_pack
from made import frame

from handheld.engine.store import is_stored
from handheld.errors import GraphTextError
from handheld.graph import Graph
from handheld.graph.record import GraphRecording
from handheld.graph.text import LIBRARY, check_file, load_graph
from handheld.hands import MEDIAPIPE_HANDS, HandTracker, load_pack, packs
from handheld.hands.mediapipe import MEDIAPIPE_CALCULATORS, NormalizedRect
from handheld.hands.mediapipe.codecs import MEDIAPIPE_CODECS
from handheld.media import open_source

DEMO = Path(packs.__file__).with_name("assets") / "demo.mp4"
GRAPHS = Path(os.environ.get("HANDHELD_DATA", "")) / "graphs" / "modules"
CLIP = Path(os.environ.get("HANDHELD_DATA", "")) / "hands" / "video" / "asl_hand.25fps.mp4"


def from_text(frames, pack, num_hands, threads=0):
    """Return the landmarks of each frame's hands in pixels, and how often each model ran."""
    config = load_graph(hand_graph_text(), registry_of_pack(pack))
    with Graph(config, side={"num_hands": num_hands}, threads=threads) as graph:
        packets = graph.output("hands")
        for one in frames:
            graph.add("image", one, one.t_us)
        graph.wait()
        # Where nothing is found and nothing is followed, there is no packet.
        sent = {packet.timestamp: packet.payload for packet in packets.drain()}
        nodes = graph.stats().nodes
    hands = [in_pixels(sent.get(one.t_us, []), one.image) for one in frames]
    # Less the call that closes each.
    names = ("palms/inference", "landmarks/inference")
    return hands, tuple(nodes[name].calls - 1 for name in names)


def in_pixels(hands, image):
    height, width = image.shape[:2]
    return [(hand * [width, height, width]).astype(np.float32) for hand in hands]


def from_tracker(frames, pack, max_hands):
    with HandTracker(pack=pack, max_hands=max_hands, smoothing=False, look_closer=False) as tracker:
        hands = [[hand.landmarks for hand in tracker.track(one)] for one in frames]
        return hands, tracker.stats().nodes["palm_detector"].calls


def assert_same(text_hands, tracker_hands):
    """Hands of a frame may come in another order: the tracker's followed ones come first."""
    assert list(map(len, text_hands)) == list(map(len, tracker_hands))
    for here, there in zip(text_hands, tracker_hands, strict=True):
        for one, other in zip(sorted(here, key=left), sorted(there, key=left), strict=True):
            assert np.allclose(one[:, :2], other[:, :2], atol=1e-4)
            assert np.allclose(one[:, 2] - one[0, 2], other[:, 2], atol=1e-3)


def left(hand):
    return hand[:, 0].mean()


@pytest.mark.parametrize("threads", [0, 2])
def test_one_hand_is_followed_lost_and_found_as_by_the_tracker(tiny_pack, threads):
    frames = [frame(index, (100 + 3 * index, 120)) for index in range(8)]
    frames += [frame(8), frame(9, (130, 120)), frame(10, (132, 120))]
    hands, (detector, landmarks) = from_text(frames, tiny_pack, 1, threads)
    expected, detector_of_tracker = from_tracker(frames, tiny_pack, 1)
    assert_same(hands, expected)
    # At first, at the frame after the one in which it was lost, and none besides.
    assert detector == detector_of_tracker
    assert landmarks == len(frames)


def test_two_hands_are_followed_by_mediapipes_own_rules(tiny_pack):
    frames = [frame(index, (70 + 2 * index, 120), (250, 120)) for index in range(6)]
    hands, (detector, landmarks) = from_text(frames, tiny_pack, 2)
    # The two best palms of the first frame are one hand's, and no more are looked at; the tracker
    # looks at two more.
    assert list(map(len, hands)) == [1, 2, 2, 2, 2, 2]
    assert detector == 2
    assert landmarks == 11
    # Of two that overlap the later one stays, here a worse palm: within a few pixels.
    for here, there in zip(hands[1:], from_tracker(frames, tiny_pack, 2)[0][1:], strict=True):
        for one, other in zip(sorted(here, key=left), sorted(there, key=left), strict=True):
            assert np.abs(one - other).max() < 10


def test_the_pack_that_ships_runs_with_options_of_its_own():
    pack = load_pack("handheld")
    with open_source(DEMO) as source:
        frames = [one for one, _ in zip(source, range(10), strict=False)]
    hands, _ = from_text(frames, pack, 1)
    assert list(map(len, hands)) == [1] * 10
    assert_same(hands, from_tracker(frames, pack, 1)[0])


def test_all_values_of_the_graph_can_be_recorded(tiny_pack, tmp_path):
    config = load_graph(hand_graph_text(), registry_of_pack(tiny_pack))
    streams = ["palms", "next_rois", "hands", "sides"]
    with Graph(config, side={"num_hands": 1}) as graph:
        graph.record(tmp_path / "a.rec", streams, codecs=MEDIAPIPE_CODECS)
        one = frame(0, (100, 120))
        graph.add("image", one.image, 0)
    recording = GraphRecording(tmp_path / "a.rec", codecs=MEDIAPIPE_CODECS)
    read = {name: [p.payload for p in recording.packets(name)] for name in streams}
    assert isinstance(read["next_rois"][0][0], NormalizedRect)
    assert read["palms"][0][0].scores[0] > 0.5
    assert read["hands"][0][0].shape == (21, 3)
    assert read["sides"][0][0][0].label in ("Left", "Right")


def mediapipe_registry():
    registry = MEDIAPIPE_CALCULATORS | LIBRARY
    for folder in ("hand_landmark", "palm_detection"):
        registry = registry.with_subgraphs(*sorted((GRAPHS / folder).glob("*.pbtxt")))
    return registry


needs_graphs = pytest.mark.skipif(
    not GRAPHS.is_dir(), reason="HANDHELD_DATA is not set or has no graphs"
)
needs_models = pytest.mark.skipif(
    not is_stored(MEDIAPIPE_HANDS), reason="handheld models fetch mediapipe-hands"
)


@needs_graphs
@pytest.mark.parametrize(
    "name",
    [
        "hand_landmark/hand_landmark_cpu",
        "hand_landmark/hand_landmark_gpu",
        "hand_landmark/hand_landmark_landmarks_to_roi",
        "hand_landmark/hand_landmark_model_loader",
        "hand_landmark/hand_landmark_tracking_cpu",
        "hand_landmark/hand_landmark_tracking_cpu_image",
        "hand_landmark/hand_landmark_tracking_gpu",
        "hand_landmark/hand_landmark_tracking_gpu_image",
        "hand_landmark/palm_detection_detection_to_roi",
        "palm_detection/palm_detection_cpu",
        "palm_detection/palm_detection_gpu",
        "palm_detection/palm_detection_model_loader",
    ],
)
def test_all_of_mediapipes_hand_graphs_can_be_made(name):
    path = GRAPHS / f"{name}.pbtxt"
    load_graph(path, mediapipe_registry())
    check = check_file(path, mediapipe_registry())
    assert check.ok, check.findings
    assert not check.unregistered


@needs_graphs
def test_a_graph_without_its_subgraphs_names_them():
    path = GRAPHS / "hand_landmark" / "hand_landmark_tracking_cpu.pbtxt"
    with pytest.raises(GraphTextError, match=r"4 not registered: 'PalmDetectionCpu' \(line"):
        load_graph(path, MEDIAPIPE_CALCULATORS | LIBRARY)


@pytest.fixture(scope="module")
def clip():
    with open_source(CLIP) as source:
        return [one for one, _ in zip(source, range(12), strict=False)]


@needs_graphs
@needs_models
@pytest.mark.parametrize("name", ["tracking_cpu", "tracking_cpu_image", "tracking_gpu_image"])
def test_mediapipes_own_graph_finds_what_the_tracker_finds(clip, name):
    config = load_graph(
        GRAPHS / "hand_landmark" / f"hand_landmark_{name}.pbtxt", mediapipe_registry()
    )
    side = {"num_hands": 1, "model_complexity": 1, "use_prev_landmarks": True}
    hands = []
    with Graph(config, side=side) as graph:
        packets = graph.output("multi_hand_landmarks")
        for one in clip:
            graph.add("image", one.image, one.t_us)
            hands.append(in_pixels(next(packets).payload, one.image))
    assert_same(hands, from_tracker(clip, load_pack("mediapipe-full"), 1)[0])


@needs_graphs
@needs_models
def test_mediapipes_palm_and_landmark_graphs_run_alone(clip):
    registry = mediapipe_registry()
    image = clip[0].image
    palms = load_graph(
        GRAPHS / "palm_detection" / "palm_detection_cpu.pbtxt",
        registry,
        left_out=["MODEL_COMPLEXITY"],
    )
    with Graph(palms) as graph:
        packets = graph.output("detections")
        graph.add("image", image, 0)
        (palm,) = next(packets).payload
    assert palm.scores[0] > 0.9
    landmarks = load_graph(GRAPHS / "hand_landmark" / "hand_landmark_cpu.pbtxt", registry)
    with Graph(landmarks, side={"model_complexity": 0}) as graph:
        packets = graph.output("hand_landmarks")
        sides = graph.output("handedness")
        # Too small a region has no hand, and nothing is sent.
        for at, side in enumerate((0.01, 0.5)):
            roi = NormalizedRect(palm.rect.x, palm.rect.y - 0.04, side * 1080 / 620, side)
            graph.add("image", image, at)
            graph.add("hand_rect", roi, at)
        (packet,) = packets.drain()
        assert packet.timestamp == 1
        assert packet.payload.shape == (21, 3)
        assert [packet.payload[0].label for packet in sides.drain()] == ["Left"]


@needs_graphs
@needs_models
def test_without_the_last_landmarks_the_detector_runs_on_each_frame(clip):
    config = load_graph(
        GRAPHS / "hand_landmark" / "hand_landmark_tracking_cpu.pbtxt",
        mediapipe_registry(),
        left_out=["MODEL_COMPLEXITY"],
    )
    with Graph(config, side={"num_hands": 1, "use_prev_landmarks": False}) as graph:
        times = graph.output("palm_detections")
        for one in clip:
            graph.add("image", one.image, one.t_us)
        found = [packet.timestamp for packet in times.drain()]
    assert found == [one.t_us for one in clip]
    assert all(a < b for a, b in pairwise(found))
