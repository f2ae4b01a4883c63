"""Frames and hands in recordings of a graph."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from handheld.errors import GraphRecordError
from handheld.graph import Graph, GraphConfig, Node, PassThrough
from handheld.graph.record import GraphRecording, replay
from handheld.graph.testing import first_difference
from handheld.hands import HandTracker
from handheld.hands.codecs import HAND_CODECS
from handheld.media import Frame

dtypes = st.sampled_from(["bool", "uint8", "int32", "int64", "float32", "float64"])


@given(dtypes.flatmap(lambda name: arrays.arrays(name, arrays.array_shapes(min_dims=0))))
def test_arrays_come_back_as_they_were(array):
    again = HAND_CODECS.decode(HAND_CODECS.encode(array))
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == np.ascontiguousarray(array).tobytes()
    assert again.flags.writeable


def test_views_and_other_byte_orders_come_back_as_values():
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    for array in (base[::2, ::-1], base.T, np.asfortranarray(base), base.astype(">f4")):
        again = HAND_CODECS.decode(HAND_CODECS.encode(array))
        np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "object"}, "array of object"),
        ({"shape": [2, 2]}, "bytes for an array"),
        ({"shape": [-1]}, "of the shape"),
        ({"shape": [2**40, 0]}, "bytes for an array"),
        ({"shape": [1] * 9}, "9 dimensions"),
        ({"shape": ["2"]}, "of the shape"),
    ],
)
def test_arrays_that_lie_are_refused(change, message):
    fields = {"dtype": "uint8", "shape": [3], "data": b"abc", **change}
    codec = HAND_CODECS.by_type[np.ndarray]
    with pytest.raises(Exception, match=message):
        codec.from_plain(fields)
    with pytest.raises(GraphRecordError, match="what array cannot record: an array of object"):
        HAND_CODECS.encode(np.array([object()]))


def test_a_run_of_the_tracker_is_recorded_and_replayed(tmp_path, tiny_pack):
    image = np.full((240, 320, 3), 30, np.uint8)
    image[90:150, 130:190] = 255
    paths = [tmp_path / "first.rec", tmp_path / "second.rec"]
    streams = ["frame", "hands"]
    first = record_and_replay(tiny_pack, image, paths, streams)
    assert first_difference(first, GraphRecording(paths[1], HAND_CODECS)) == ""
    assert len(first.packets("hands")) == 4


def record_and_replay(pack, image, paths, streams):
    with HandTracker(pack=pack) as tracker:
        config, side = tracker.config, tracker._side
        with Graph(config, side=side) as graph:
            graph.record(paths[0], streams, codecs=HAND_CODECS)
            for number in range(4):
                moved = np.roll(image, 3 * number, axis=1)
                graph.add("frame", Frame(moved, number * 33_333, number), number * 33_333)
            graph.wait()
        first = GraphRecording(paths[0], HAND_CODECS)
        assert [packet.payload.index for packet in first.packets("frame")] == [0, 1, 2, 3]
        with Graph(config, side=side) as graph:  # on a pool, the limiter may drop frames
            graph.record(paths[1], streams, codecs=HAND_CODECS)
            replay(graph, first)
            graph.wait()
    return first


def test_without_the_codecs_a_frame_is_told(tmp_path):
    config = GraphConfig(
        inputs={"frame": Frame}, nodes=[Node(PassThrough(), inputs="frame", outputs="out")]
    )
    image = np.zeros((2, 2, 3), np.uint8)
    with Graph(config) as graph:
        graph.record(tmp_path / "a.rec", ["frame"])
        with pytest.raises(GraphRecordError, match=r"no codec for .*Frame; add one"):
            graph.add("frame", Frame(image, 0, 0), 0)
