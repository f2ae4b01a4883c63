"""What is said of a job at once, before it is queued."""

import io
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from uploads import shapes, tar_gz_of, zip_of

from handheld.compress.serving import CompressLimits, form, job_kind
from handheld.compress.serving.form import target_list
from handheld.compress.settings import TECHNIQUES
from handheld.compress.targets import Target
from handheld.errors import InputError
from handheld.networks.zoo.pictures import NETWORKS

SMALL = zip_of(shapes(1))


def test_names_that_stand_here_because_torch_may_not():
    assert tuple(NETWORKS) == form.NETWORKS
    assert TECHNIQUES == form.TECHNIQUES


def test_what_a_form_becomes(prepare):
    _, spec = prepare(
        SMALL,
        targets=" 70KB; 94x smaller, 27x faster;plain, 5ms ",
        techniques="Students",
        side="32",
        trained="",
    )
    assert target_list(spec["targets"]) == [
        Target(size=70_000),
        Target(smaller=94.0, faster=27.0),
        Target(latency=0.005, kind="plain"),
    ]


def test_targets_may_be_a_number(prepare):
    assert prepare(SMALL, targets=" 6 ")[1]["targets"] == 6


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"targets": "70KB; 5 parsecs"}, "Targets: target '5 parsecs'"),
        ({"targets": "0"}, "expected one model or more"),
        ({"targets": "13"}, "Targets: this server takes at most 12, got 13"),
        ({"targets": "9" * 5000}, "at most 12"),
        ({"targets": "; ;"}, "Targets: expected texts such as"),
        ({"targets": "70KB;" * 13}, "at most 12, got 13"),
        ({"targets": "-5KB"}, "Targets: target '-5KB'"),
        ({"targets": "120%"}, r"accuracy: expected a number in \(0, 1\]"),
        ({"targets": "70KB, plain", "techniques": "joint"}, "needs the technique students"),
        ({"techniques": "joint, magic"}, "Techniques: no 'magic'"),
        ({"epochs": "51"}, r"Epochs: expected a number in \[0.1, 50"),
        ({"epochs": "nan"}, "Epochs: expected a number"),
        ({"width": "129"}, r"Width: expected a number in \[1, 128\]"),
        ({"width": "4.5"}, "Width: expected a whole number, got 4.5"),
        ({"side": "257"}, r"Side: expected a number in \[8, 256\]"),
        ({"seed": "-1"}, r"Seed: expected a number in \[0, 2147483647\]"),
        ({"network": "os:system"}, "Large network: expected one of residual, mobile, plain"),
        ({"trained": "on"}, "finished weights need a .safetensors file"),
    ],
)
def test_values_that_are_refused(prepare, values, message):
    with pytest.raises(InputError, match=message):
        prepare(SMALL, **({"techniques": "joint, students"} | values))


@pytest.mark.parametrize(
    "name", ["model.pt", "Model.PTH", "model.pkl", "model.ckpt", "pytorch_model.bin"]
)
def test_pickles_are_refused_by_name(name):
    with pytest.raises(
        InputError, match=r"is a pickle, which can run code .* safetensors.torch.save_file"
    ):
        job_kind().field("model").file_name(name)


@pytest.mark.parametrize("name", ["model.h5", "model", "model.onnx.exe"])
def test_other_models_are_refused_by_name(name):
    with pytest.raises(InputError, match=r"expected a file called \*.safetensors, \*.onnx"):
        job_kind().field("model").file_name(name)


def torch_file(**how):
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, buffer, **how)
    return buffer.getvalue()


def header(text):
    return struct.pack("<Q", len(text)) + text


WEIGHTS = save({"0.weight": np.zeros((2, 3), np.float32)})
BROKEN_WEIGHTS = {
    "pickle": (pickle.dumps({"a": 1}), "this is a pickle"),
    "what torch.save writes": (torch_file(), "this is a pickle"),
    "what it wrote once": (torch_file(_use_new_zipfile_serialization=False), "this is a pickle"),
    "nothing": (b"", "its header would have"),
    "a header longer than the file": (
        struct.pack("<Q", 1000) + b"{}",
        "its header would have 1000 bytes of the file's 10",
    ),
    "a huge header": (struct.pack("<Q", 2**63) + b"{}", "its header would have"),
    "no JSON": (header(b"{no json"), "no JSON object"),
    "a list": (header(b"[1, 2]"), "no JSON object"),
    "deep JSON": (header(b"[" * 200_000), "no JSON object"),
    "no tensors": (header(b'{"__metadata__": {}}'), "holds no tensors"),
    "a tensor outside": (
        header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'),
        "'a' lies outside",
    ),
    "a tensor before": (
        header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}'),
        "'a' lies outside",
    ),
    "no places": (header(b'{"a": {"dtype": "F32", "shape": [2]}}'), "'a' lies outside"),
    "cut short": (WEIGHTS[:-1], "'0.weight' lies outside"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN_WEIGHTS.values(), ids=BROKEN_WEIGHTS)
def test_weights_that_are_none(prepare, content, message):
    with pytest.raises(InputError, match=message):
        prepare(SMALL, model=("model.safetensors", content))


def test_weights_that_are_some(prepare):
    assert (
        prepare(SMALL, model=("model.safetensors", WEIGHTS), trained="on")[1]["model"]
        == "model.safetensors"
    )


def test_a_model_has_a_largest_size(prepare):
    with pytest.raises(InputError, match="Your model, bytes: this server takes at most 50"):
        prepare(SMALL, model=("model.safetensors", WEIGHTS), limits={"model_bytes": 50})


def onnx_model(*, external=None, depth=0):
    onnx = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    if external == "data":
        onnx.external_data_helper.set_external_data(weights, location="../../other/upload/data.zip")
        weights.ClearField("raw_data")
    elif external == "location":
        weights.data_location = onnx.TensorProto.EXTERNAL
    nodes, helper = [onnx.helper.make_node("Constant", [], ["w"], value=weights)], onnx.helper
    value = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 2])
    for level in range(depth):
        inner = helper.make_graph(nodes, f"g{level}", [], [value])
        nodes = [helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)][
            : 1 + (level >= 0)
        ]
    return helper.make_model(helper.make_graph(nodes, "g", [], [value])).SerializeToString()


def test_an_onnx_model_is_told(prepare):
    assert prepare(SMALL, model=("model.onnx", onnx_model(depth=2)))[1]["model"] == "model.onnx"


def keyed(key, content):
    """A protobuf field under any key, whose bits above 32 protobuf's own readers drop."""
    head = b""
    while key > 0x7F:
        head += bytes([key & 0x7F | 0x80])
        key >>= 7
    value = bytes([content]) if isinstance(content, int) else bytes([len(content)]) + content
    return head + bytes([key]) + value


def hidden_tensor(bit):
    """A model whose one tensor lies elsewhere (field 14, a number), told under a key with a high
    bit.
    """
    tensor = keyed(14 << 3 | 1 << bit, 1)
    return keyed(7 << 3 | 2, keyed(5 << 3 | 2, tensor))


BROKEN_ONNX = {
    **{
        f"tensors elsewhere, bit {bit}": (lambda bit=bit: hidden_tensor(bit), "no protobuf message")
        for bit in (32, 33, 34, 40, 63)
    },
    "a graph under a key that is too large": (
        lambda: keyed(7 << 3 | 2 | 1 << 32, b""),
        "no protobuf message",
    ),
    "nothing": (lambda: b"", "it is empty"),
    "text": (lambda: b"hello, this is no model", "no protobuf message|holds no graph"),
    "zeros": (lambda: bytes(1000), "no protobuf message"),
    "cut short": (lambda: onnx_model()[:-5], "no protobuf message"),
    "without a graph": (lambda: b"\x08\x07", "holds no graph"),
    "a pickle": (lambda: pickle.dumps([1]), "this is a pickle"),
    "tensors elsewhere": (lambda: onnx_model(external="data"), "keeps tensors in other files"),
    "tensors elsewhere, inside a branch": (
        lambda: onnx_model(external="data", depth=2),
        "keeps tensors in other files",
    ),
    "tensors said to be elsewhere": (
        lambda: onnx_model(external="location"),
        "keeps tensors in other files",
    ),
    "very many parts": (
        lambda: b"\x3a\x80\xea\x30" + b"\x08\x01" * 400_000,
        "more than 300,000 parts",
    ),
}


@pytest.mark.parametrize(("content", "message"), BROKEN_ONNX.values(), ids=BROKEN_ONNX)
def test_onnx_models_that_are_refused(prepare, content, message):
    with pytest.raises(InputError, match=message):
        prepare(SMALL, model=("model.onnx", content()))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.zip", b"hello"),
        ("data.zip", tar_gz_of([])),
        ("data.tar.gz", SMALL),
        ("data.tgz", b""),
        ("data.zip", b""),
    ],
)
def test_archives_are_told_by_content(prepare, name, content):
    with pytest.raises(
        InputError,
        match=r"Data: expected a \.(zip|tar\.gz|tgz) archive, got a file that is none inside",
    ):
        prepare(content, name=name)


def test_the_form_shows_the_limits_of_its_server():
    kind = job_kind(CompressLimits(epochs=5, width=16, pictures=1234))
    assert (kind.field("epochs").maximum, kind.field("epochs").default) == (5, "5")
    assert (kind.field("width").maximum, kind.field("width").default) == (16, "16")
    assert "1,234 pictures" in kind.field("data").help


def test_limits_are_positive():
    with pytest.raises(InputError, match=r"^side: expected a whole number of 1 or more, got 0"):
        CompressLimits(side=0)
