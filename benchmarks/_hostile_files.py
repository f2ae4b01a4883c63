"""What ``hostile_uploads`` sends: archives and models that are small and mean."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np

Archive = tuple[str, bytes]


def zipped(files: Mapping[str, bytes]) -> Archive:
    """A ZIP of files by name, as an upload."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return "data.zip", buffer.getvalue()


def table(text: str) -> Archive:
    """A table of texts."""
    return zipped({"d.tsv": text.encode()})


def arrays(**named: np.ndarray) -> Archive:
    """An ``.npz``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named)
    return zipped({"a.npz": buffer.getvalue()})


def pictures(count: int = 12, side: int = 8) -> Archive:
    """Two classes of pictures that can be told apart."""
    from PIL import Image

    files = {}
    for number in range(count):
        for name, light in (("dark", 20), ("light", 220)):
            noise = np.random.default_rng(number).integers(-20, 20, (side, side, 3))
            buffer = io.BytesIO()
            Image.fromarray((light + noise).astype(np.uint8)).save(buffer, "png")
            files[f"p/{name}/{number}.png"] = buffer.getvalue()
    return zipped(files)


def huge_picture() -> Archive:
    """A PNG of a few kB that has 176 million pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (13_300, 13_300)).save(buffer, "png")
    return zipped({"p/a/1.png": buffer.getvalue(), "p/b/1.png": buffer.getvalue()})


def postscript() -> Archive:
    """EPS under the name of a photo: Pillow would start Ghostscript for it."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    return zipped({"p/a/photo.jpg": eps, "p/b/photo.jpg": eps})


def weights(extra: str) -> bytes:
    """The weights of the network that is asked for, and a tensor of another name beside them."""
    import torch
    from safetensors.torch import save

    from handheld.networks.zoo.pictures import PictureShape, make

    network = make("residual", PictureShape(3, 8, 8), 2, 4, seed=0)
    return save({**network.state_dict(), extra: torch.zeros(1)})


def onnx_model(kind: str) -> bytes:
    """An ONNX model of one picture that is what ``kind`` says."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    name = "x" * 1_200_000 if kind == "long name" else "x"
    nodes = [helper.make_node("Flatten", [name], ["y"])]
    constants = []
    if kind == "endless":
        nodes, constants = _endless(helper, TensorProto)
    elif kind == "bomb":
        constants = [numpy_helper.from_array(np.array([3 << 30]), "sides")]
        nodes = [helper.make_node("ConstantOfShape", ["sides"], ["y"])]
    elif kind == "foreign operator":
        nodes = [helper.make_node("Evil", [name], ["y"], domain="com.evil")]
    elif kind == "elsewhere":
        constants = [_elsewhere(onnx, "../../../jobs.sqlite")]
        nodes = [helper.make_node("Add", [name, "w"], ["y"])]
    picture = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 8, 8])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [picture], [answer], constants)
    return bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )


def hidden_tensor() -> bytes:
    """An ONNX graph of one tensor that lies elsewhere, told under a key whose highest bit protobuf
    drops.
    """
    tensor = b"\xf0\x80\x80\x80\x10\x01"  # field 14, a number, with bit 32 set: 1
    initialiser = bytes([5 << 3 | 2, len(tensor)]) + tensor
    return bytes([7 << 3 | 2, len(initialiser)]) + initialiser


def _endless(helper, types):
    """A loop of 2^62 turns."""
    turn = helper.make_tensor_value_info("turn", types.INT64, [])
    go = helper.make_tensor_value_info("go", types.BOOL, [])
    on = helper.make_tensor_value_info("on", types.BOOL, [])
    value = helper.make_tensor_value_info("a", types.FLOAT, None)
    more = helper.make_tensor_value_info("b", types.FLOAT, None)
    steps = [
        helper.make_node("Identity", ["go"], ["on"]),
        helper.make_node("Add", ["a", "a"], ["b"]),
    ]
    body = helper.make_graph(steps, "body", [turn, go, value], [on, more])
    constants = [
        helper.make_tensor("turns", types.INT64, [], [1 << 62]),
        helper.make_tensor("always", types.BOOL, [], [True]),
    ]
    return [helper.make_node("Loop", ["turns", "always", "x"], ["y"], body=body)], constants


def _elsewhere(onnx, location):
    """A tensor that lies in another file."""
    tensor = onnx.TensorProto(
        name="w", data_type=1, dims=[1, 3, 8, 8], data_location=onnx.TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=location)
    return tensor
