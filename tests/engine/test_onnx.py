"""ONNX models of other makers: what is read, in which order, and what is refused."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from handheld.engine.onnx import open_onnx
from handheld.errors import InputError, MissingDependencyError, ModelError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, FLOAT, UINT8 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8

NCHW, NHWC = ["n", 3, 8, 8], [1, 8, 8, 3]


def save(path, *, shape=NCHW, dtype=FLOAT, inputs=1, nodes=None, weights=()):
    """Write a model that gives its input, as float32; or of the nodes given."""
    names = [f"x{number}" for number in range(inputs)]
    nodes = nodes or [helper.make_node("Cast", [names[0]], ["y"], to=FLOAT)]
    given = [helper.make_tensor_value_info(name, dtype, shape) for name in names]
    graph = helper.make_graph(
        nodes, "g", given, [helper.make_tensor_value_info("y", FLOAT, None)], list(weights)
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def picture(channels=3, side=8):
    return (
        np.random.default_rng(0)
        .uniform(0, 255, (1, channels, side, side))
        .round()
        .astype(np.float32)
    )


@pytest.mark.parametrize(
    ("shape", "side"),
    [
        (NCHW, 8),
        (NHWC, 8),
        ([None, 3, None, None], 0),
        (["n", "h", "w", 3], 0),
        ([1, 3, "h", 8], 8),
    ],
    ids=["nchw", "nhwc", "any size", "any size, nhwc", "one side"],
)
@pytest.mark.parametrize("dtype", [FLOAT, UINT8], ids=["float32", "uint8"])
def test_a_picture_arrives_in_the_models_own_order(tmp_path, shape, side, dtype):
    run, found = open_onnx(save(tmp_path / "m.onnx", shape=shape, dtype=dtype), threads=1)
    assert found == side
    given = run(picture())
    assert given.dtype == np.float32
    expected = np.moveaxis(picture(), 1, -1) if shape[-1] == 3 else picture()
    np.testing.assert_array_equal(given, expected)


def test_logits_agree_with_the_network_that_was_exported(tmp_path):
    torch = pytest.importorskip("torch")
    from handheld.networks.zoo.pictures import PictureShape, make

    network = make("residual", PictureShape(3, 32, 32), 5, 4, seed=0).eval()
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that needs no further package
        torch.onnx.export(network, (pictures[:1],), str(tmp_path / "m.onnx"), dynamo=False)
    run, side = open_onnx(tmp_path / "m.onnx")
    assert side == 32
    with torch.inference_mode():
        expected = network(pictures).numpy()
    given = np.concatenate([run(one[None].numpy()) for one in pictures])
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)


def outside(path: Path, where: str):
    """Write a model whose weights are in another file."""
    weight = onnx.TensorProto(
        name="w", data_type=FLOAT, dims=[1, 3, 8, 8], data_location=onnx.TensorProto.EXTERNAL
    )
    for key, value in {"location": where, "length": str(3 * 64 * 4)}.items():
        weight.external_data.add(key=key, value=value)
    return save(path, nodes=[helper.make_node("Add", ["x0", "w"], ["y"])], weights=[weight])


def test_weights_beside_the_file_are_read(tmp_path):
    np.ones((3, 8, 8), np.float32).tofile(tmp_path / "m.bin")
    run, _ = open_onnx(outside(tmp_path / "m.onnx", "m.bin"))
    np.testing.assert_array_equal(run(picture()), picture() + 1)


@pytest.mark.parametrize("how", ["..", "absolute", "link", "missing", "device"])
def test_weights_elsewhere_are_refused(tmp_path, how):
    (tmp_path / "m").mkdir()
    secret = tmp_path / "secret.bin"
    np.ones((3, 8, 8), np.float32).tofile(secret)
    (tmp_path / "m" / "link.bin").symlink_to(secret)
    names = {
        "..": "../secret.bin",
        "absolute": str(secret),
        "link": "link.bin",
        "missing": "no.bin",
        "device": "/dev/zero",
    }
    with pytest.raises(ModelError, match=r"m\.onnx cannot be opened as an ONNX model: .*"):
        open_onnx(outside(tmp_path / "m" / "m.onnx", names[how]))


def cut(content):
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x80\x04cos\nsystem\n", cut],
    ids=["empty", "text", "pickle", "cut"],
)
def test_what_is_no_model_is_refused(tmp_path, content):
    path = save(tmp_path / "m.onnx")
    path.write_bytes(content if isinstance(content, bytes) else content(path.read_bytes()))
    with pytest.raises(ModelError, match="cannot be opened as an ONNX model"):
        open_onnx(path)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            {"inputs": 2, "nodes": [helper.make_node("Add", ["x0", "x1"], ["y"])]},
            "expected one picture input",
        ),
        ({"shape": ["n", 10]}, "expected one picture input of 4 axes, float or uint8, got x0"),
        ({"shape": NCHW, "dtype": onnx.TensorProto.INT64}, r"tensor\(int64\)"),
        ({"shape": [4, 3, 8, 8]}, "takes batches of 4"),
        ({"shape": ["n", 7, 8, 8]}, "expected 1 or 3 channels"),
        ({"nodes": [helper.make_node("Nonsense", ["x0"], ["y"])]}, "Nonsense"),
        ({"nodes": [helper.make_node("Evil", ["x0"], ["y"], domain="com.evil")]}, "com.evil"),
    ],
    ids=[
        "two inputs",
        "a table",
        "integers",
        "a batch",
        "no channels",
        "no operator",
        "an operator of others",
    ],
)
def test_what_takes_no_picture_is_refused(tmp_path, made, message):
    with pytest.raises(ModelError, match=message):
        open_onnx(save(tmp_path / "m.onnx", **made))


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        (NCHW, picture(1), r"expected a picture \(1, 3, height, width\)"),
        (NCHW, picture(side=9), "fails on a picture"),
        (NHWC, picture() - 300, "takes values of 0 to 255, got -299"),
    ],
    ids=["grey", "another size", "not pixels"],
)
def test_a_picture_that_does_not_fit_is_named(tmp_path, shape, given, message):
    run, _ = open_onnx(
        save(tmp_path / "m.onnx", shape=shape, dtype=UINT8 if shape == NHWC else FLOAT)
    )
    with pytest.raises(ModelError, match=message):
        run(given)


def test_a_missing_file_threads_and_package(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="no such file"):
        open_onnx(tmp_path / "no.onnx")
    for threads in (-1, "2"):
        with pytest.raises(InputError, match=f"threads: expected .*, got {threads!r}"):
            open_onnx(tmp_path / "no.onnx", threads=threads)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[onnx\]"):
        open_onnx(save(tmp_path / "m.onnx"))


def test_a_name_that_is_no_utf8_is_told(tmp_path):
    path = save(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(b"x0", b"\xff\xfe"))
    with pytest.raises(ModelError, match=r"m\.onnx.*(UTF-8|cannot be opened)"):
        open_onnx(path)


def test_a_run_without_an_end_is_stopped(tmp_path):
    """An ONNX loop of 2^62 turns, each of which passes a number on."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["a", "a"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("turn", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", FLOAT, None),
        ],
    )
    turns = helper.make_tensor("turns", onnx.TensorProto.INT64, [], [1 << 62])
    always = helper.make_tensor("always", onnx.TensorProto.BOOL, [], [True])
    nodes = [helper.make_node("Loop", ["turns", "always", "x0"], ["y"], body=body)]
    run, _ = open_onnx(
        save(tmp_path / "m.onnx", nodes=nodes, weights=[turns, always]), threads=1, seconds=0.5
    )
    with pytest.raises(ModelError, match=r"took longer than 0\.5 s and was stopped"):
        run(picture())
    for seconds in (0, -1, float("nan"), float("inf"), "1"):
        with pytest.raises(InputError, match="seconds: expected"):
            open_onnx(tmp_path / "m.onnx", seconds=seconds)
