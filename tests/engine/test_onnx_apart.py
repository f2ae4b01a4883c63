"""ONNX files of strangers, in a process of their own: whatever they do is an error, and this
process goes on.
"""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from handheld.engine import RunLimits
from handheld.engine import _sandbox as sandbox
from handheld.engine import onnx as engine_onnx
from handheld.engine.onnx import onnx_files, open_onnx
from handheld.errors import ModelError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, INT64, BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL
PICTURE = np.ones((1, 3, 8, 8), np.float32)
LIMITS = RunLimits(seconds=20, memory=2 << 30)


@pytest.fixture(params=["bubblewrap", "limits alone"], autouse=True)
def _wrapper(request, monkeypatch):
    if request.param == "limits alone":
        monkeypatch.setattr(sandbox, "bubblewrap", lambda: "")
    elif not sandbox.bubblewrap():
        pytest.skip("bubblewrap does not work here")


def save(path, nodes, weights=()):
    """Write a model of one picture."""
    given = helper.make_tensor_value_info("x", FLOAT, ["n", 3, 8, 8])
    graph = helper.make_graph(
        nodes, "g", [given], [helper.make_tensor_value_info("y", FLOAT, None)], list(weights)
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def numbers(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def loop(turns):
    """A loop that ends after so many turns."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["a", "a"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("turn", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("a", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", BOOL, []),
            helper.make_tensor_value_info("b", FLOAT, None),
        ],
    )
    weights = [
        helper.make_tensor("turns", INT64, [], [turns]),
        helper.make_tensor("always", BOOL, [], [True]),
    ]
    return [helper.make_node("Loop", ["turns", "always", "x"], ["y"], body=body)], weights


def relu():
    return [helper.make_node("Relu", ["x"], ["y"])], []


def bomb(kind):
    """A model of a few bytes that asks for 100 GB and more, or for 3, while it is opened or when it
    runs.
    """
    sides = numbers("sides", 1 << 12, 1 << 12, 1 << 11)
    if kind == "a constant that is computed":
        nodes = [helper.make_node("ConstantOfShape", ["sides"], ["y"])]
    elif kind == "expanded":
        sides = numbers("sides", 1 << 20, 3, 8, 8, 1 << 10)
        nodes = [
            helper.make_node("Unsqueeze", ["x", "last"], ["z"]),
            helper.make_node("Expand", ["z", "sides"], ["y"]),
        ]
        return nodes, [sides, numbers("last", 4)]
    elif kind == "tiled":
        nodes = [helper.make_node("Tile", ["x", "sides"], ["y"])]
        sides = numbers("sides", 1 << 20, 1, 1 << 5, 1 << 5)
    elif kind == "padded":
        nodes = [helper.make_node("Pad", ["x", "sides"], ["y"])]
        sides = numbers("sides", 0, 0, 1 << 18, 1 << 18, 0, 0, 0, 0)
    elif kind == "no more than the machine has":
        sides = numbers("sides", 3 << 28)  # 3 GB, of which the process may have 2
        nodes = [helper.make_node("ConstantOfShape", ["sides"], ["y"])]
    else:
        weight = onnx.TensorProto(name="sides", data_type=INT64, dims=[1 << 34])
        return [helper.make_node("Expand", ["x", "sides"], ["y"])], [weight]
    return nodes, [sides]


BOMBS = [
    "a constant that is computed",
    "expanded",
    "tiled",
    "padded",
    "no more than the machine has",
    "a weight of 128 GB without its bytes",
]


@pytest.mark.parametrize("kind", BOMBS)
def test_a_memory_bomb_is_an_error(tmp_path, kind):
    path = save(tmp_path / "m.onnx", *bomb(kind))
    assert path.stat().st_size < 1000
    with pytest.raises(ModelError, match=r"m\.onnx"):
        open_onnx(path, isolated=LIMITS)[0](PICTURE)


def test_a_run_without_an_end_is_stopped_with_its_process(tmp_path):
    run, _ = open_onnx(save(tmp_path / "m.onnx", *loop(1 << 62)), isolated=RunLimits(seconds=3))
    with pytest.raises(
        ModelError,
        match="took longer than 3 s and was stopped while it ran; nothing else was harmed",
    ):
        run(PICTURE)
    with pytest.raises(ModelError, match="open the model again"):
        run(PICTURE)


def test_it_answers_as_in_this_process(tmp_path):
    path = save(tmp_path / "m.onnx", *loop(3))
    here, apart = (open_onnx(path, isolated=isolated)[0](PICTURE) for isolated in (False, True))
    np.testing.assert_array_equal(here, 8 * PICTURE)
    np.testing.assert_array_equal(apart, here)
    assert apart.dtype == np.float32


def test_damaged_copies_run_or_are_refused(tmp_path):
    """Bytes of a convolution changed at random: each copy is answered."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=(4, 3, 3, 3)).astype(np.float32), "w"),
        numbers("shape", -1, 144),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "shape"], ["y"]),
    ]
    content = save(tmp_path / "m.onnx", nodes, weights).read_bytes()
    outcomes = {"ran": 0, "refused": 0}
    for _ in range(12):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(256)
        (tmp_path / "d.onnx").write_bytes(damaged)
        try:
            open_onnx(tmp_path / "d.onnx", threads=1, isolated=LIMITS)[0](PICTURE)
            outcomes["ran"] += 1
        except ModelError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 0, outcomes


def test_a_crash_is_an_error(tmp_path, monkeypatch):
    processes = []
    start = engine_onnx.IsolatedSession

    def remembered(*args, **more):
        processes.append(start(*args, **more))
        return processes[-1]

    monkeypatch.setattr(engine_onnx, "IsolatedSession", remembered)
    run, _ = open_onnx(save(tmp_path / "m.onnx", *relu()), isolated=True)
    os.kill(processes[0]._process._process.pid, signal.SIGKILL)

    def run_on():
        for _ in range(10_000):  # what is below the wrapper ends a moment after it
            run(PICTURE)

    with pytest.raises(ModelError, match=r"its process (crashed|ended).*nothing else was harmed"):
        run_on()


def test_an_interrupted_run_has_to_be_opened_again(tmp_path, monkeypatch):
    """Its answer, which comes all the same, is not that of the next run."""
    run, _ = open_onnx(save(tmp_path / "m.onnx", *relu()), isolated=True)

    def interrupt(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("handheld.engine._isolated.IsolatedProcess._answer", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(PICTURE)
    with pytest.raises(ModelError, match="its last run was interrupted; open the model again"):
        run(2 * PICTURE)


def outside(path: Path, name: str):
    """Write a model whose weights are in another file."""
    weight = onnx.TensorProto(
        name="w", data_type=FLOAT, dims=[3, 8, 8], data_location=onnx.TensorProto.EXTERNAL
    )
    weight.external_data.add(key="location", value=name)
    weight.external_data.add(key="length", value=str(3 * 64 * 4))
    return save(path, [helper.make_node("Add", ["x", "w"], ["y"])], [weight])


def test_it_sees_the_weights_beside_it_and_no_other_file(tmp_path):
    np.ones((3, 8, 8), np.float32).tofile(tmp_path / "m.weights")
    path = outside(tmp_path / "m.onnx", "m.weights")
    assert list(onnx_files(path).values()) == [path, tmp_path / "m.weights"]
    run, _ = open_onnx(path, isolated=True)
    np.testing.assert_array_equal(run(PICTURE), PICTURE + 1)


def test_a_cache_of_links_is_read(tmp_path):
    """As Hugging Face's: a folder of links beside a folder of contents."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    np.ones((3, 8, 8), np.float32).tofile(tmp_path / "blobs" / "a1")
    outside(tmp_path / "blobs" / "b2", "m.onnx_data")
    (tmp_path / "snapshot" / "m.onnx_data").symlink_to("../blobs/a1")
    (tmp_path / "snapshot" / "m.onnx").symlink_to("../blobs/b2")
    assert [file.name for file in onnx_files(tmp_path / "snapshot" / "m.onnx").values()] == [
        "b2",
        "a1",
    ]
    if sandbox.bubblewrap():  # elsewhere the runtime follows the links itself, and refuses them
        run, _ = open_onnx(tmp_path / "snapshot" / "m.onnx", isolated=True)
        np.testing.assert_array_equal(run(PICTURE), PICTURE + 1)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../secret", "not in its folder"),
        ("a/../../secret", "not in its folder"),
        ("/dev/zero", "not in its folder"),
        ("link", "leads out of its folder"),
        ("folder", "no file beside it"),
        ("pipe", "no file beside it"),
        ("", "no file beside it"),
        ("missing\0", "not in its folder"),
    ],
)
def test_weights_elsewhere_are_refused_before_the_runtime_sees_them(tmp_path, name, problem):
    (tmp_path / "secret").write_bytes(bytes(768))
    folder = tmp_path / "m"
    (folder / "folder").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    path = outside(folder / "m.onnx", name)
    for isolated in (True, False):
        with pytest.raises(ModelError, match=problem):
            open_onnx(path, isolated=isolated)


CHOICES = [
    (None, None, True),
    (None, "1", True),
    (None, "0", False),
    (False, "1", False),
    (True, "0", True),
    (LIMITS, None, True),
]


@pytest.mark.parametrize(("isolated", "variable", "is_apart"), CHOICES)
def test_the_caller_and_the_environment_say_where_it_runs(
    tmp_path, monkeypatch, isolated, variable, is_apart
):
    path = save(tmp_path / "m.onnx", *relu())
    limits = []

    class Recorded(engine_onnx.IsolatedSession):
        def __init__(self, *args, **more):
            limits.append(more["limits"])
            super().__init__(*args, **more)

    monkeypatch.setattr(engine_onnx, "IsolatedSession", Recorded)
    monkeypatch.delenv("HANDHELD_ISOLATED", raising=False)
    if variable is not None:
        monkeypatch.setenv("HANDHELD_ISOLATED", variable)
    open_onnx(path, isolated=isolated, seconds=7)
    assert bool(limits) == is_apart
    if isolated is LIMITS:
        assert limits == [LIMITS]
    elif is_apart:
        assert limits == [RunLimits(seconds=7, memory=RunLimits().memory + 3 * path.stat().st_size)]
