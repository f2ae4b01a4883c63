"""The custom operators that LiteRT 2.3 runs, and the options that each of them reads.

Four are registered; three more, of MediaPipe, are taken by the delegate. The registered ones'
kernels read a FlexBuffer map without a look, the delegate copies a plain structure of as many
bytes as the file has: a file without options, or with damaged ones, kills the process.
https://flatbuffers.dev/internals/ describes the format; only what these maps hold is accepted:
keys, and numbers or booleans that stand in the map itself.
"""

import math
from struct import unpack
from typing import NamedTuple

from handheld.engine._verify.flatbuffer import Table, fail, unsupported

_INT, _UINT, _FLOAT, _BOOL = 1, 2, 3, 26
_MAP = 9
_MOST = 1 << 12  # bytes; a real map has about 200


class _Custom(NamedTuple):
    inputs: range
    outputs: range
    options: dict[str, tuple[float, float]]  # of each that the kernel reads: its range


_CUSTOM = {
    "AudioSpectrogram": _Custom(
        range(1, 2),
        range(1, 2),
        {"window_size": (2, 1 << 16), "stride": (1, 1 << 16), "magnitude_squared": (0, 1)},
    ),
    "Mfcc": _Custom(
        range(2, 3),
        range(1, 2),
        {
            "upper_frequency_limit": (1, 1e6),
            "lower_frequency_limit": (0, 1e6),
            "filterbank_channel_count": (1, 4096),
            "dct_coefficient_count": (1, 4096),
        },
    ),
    "NumericVerify": _Custom(
        range(2, 3),
        range(1, 2),
        {"tolerance": (0, 1e9), "log_if_failed": (0, 1)},
    ),
    "TFLite_Detection_PostProcess": _Custom(
        range(3, 4),
        range(4, 5),
        {
            "max_detections": (1, 1 << 16),
            "max_classes_per_detection": (1, 1 << 12),
            "num_classes": (1, 1 << 16),
            "nms_score_threshold": (-1e9, 1e9),
            "nms_iou_threshold": (1e-9, 1),
            "x_scale": (1e-9, 1e9),
            "y_scale": (1e-9, 1e9),
            "w_scale": (1e-9, 1e9),
            "h_scale": (1e-9, 1e9),
        },
    ),
}
_OPTIONAL = {"detections_per_class": (1, 1 << 16), "use_regular_nms": (0, 1)}

TRANSPOSE_CONV_BIAS = "Convolution2DTransposeBias"
_POOLS = {"MaxPoolingWithArgmax2D": (1, 2), "MaxUnpooling2D": (2, 1)}
# Of TfLiteTransposeConvParams and TfLitePoolParams, up to what MediaPipe's files hold of them.
_CONV_NUMBERS = range(3, 4)
_POOL_NUMBERS = range(5, 11)
_MOST_STRIDE = 1 << 16


def check_custom(where: str, name: str, node: Table) -> None:
    """Check arity and options of a custom operator; refuse those that the runtime lacks."""
    if name == TRANSPOSE_CONV_BIAS:
        _check_structure(where, node, (3, 1), _CONV_NUMBERS)
        return
    if name in _POOLS:
        _check_structure(where, node, _POOLS[name], _POOL_NUMBERS)
        return
    custom = _CUSTOM.get(name)
    if custom is None:
        known = ", ".join(sorted([*_CUSTOM, *_POOLS, TRANSPOSE_CONV_BIAS]))
        unsupported(
            where,
            f"custom operator {name!r}; the runtime has {known}: export the model without it",
        )
    if len(node["inputs"]) not in custom.inputs or len(node["outputs"]) not in custom.outputs:
        fail(where, f"{len(node['inputs'])} inputs and {len(node['outputs'])} outputs of {name}")
    if -1 in node["inputs"]:
        fail(where, f"an input of {name} is absent")
    options = read_map(where, bytes(node["custom_options"]))
    for key, (low, high) in custom.options.items():
        if not low <= options.get(key, math.nan) <= high:
            fail(where, f"option {key} is {options.get(key)}, expected {low} to {high}")
    for key, (low, high) in _OPTIONAL.items():
        if not low <= options.get(key, low) <= high:
            fail(where, f"option {key} is {options[key]}, expected {low} to {high}")


def structure(node: Table) -> tuple[int, ...]:
    """Options that are a structure of 32 bit numbers: padding (1: same), strides, and so on."""
    data = bytes(node["custom_options"])
    return unpack(f"<{len(data) // 4}i", data[: len(data) // 4 * 4])


def _check_structure(where: str, node: Table, arity: tuple[int, int], counts: range) -> None:
    if (len(node["inputs"]), len(node["outputs"])) != arity or -1 in node["inputs"]:
        counted = f"{len(node['inputs'])} inputs and {len(node['outputs'])} outputs"
        fail(where, f"{counted}, expected {arity[0]} and {arity[1]}")
    size = len(node["custom_options"])
    if size % 4 or size // 4 not in counts:
        limits = f"{4 * counts.start} to {4 * (counts.stop - 1)}"
        fail(where, f"{size} bytes of custom options, expected {limits}")
    padding, *steps = structure(node)[: counts.start]
    if padding not in (1, 2) or not all(1 <= step <= _MOST_STRIDE for step in steps):
        fail(where, f"padding {padding} and strides {steps} in the custom options")


def read_map(where: str, data: bytes) -> dict[str, float]:
    """The numbers of a FlexBuffer map, by key; every offset is judged before it is followed."""
    if not 6 <= len(data) <= _MOST:
        fail(where, f"{len(data)} bytes of custom options, expected 6 to {_MOST}")
    root_width, root_type = data[-1], data[-2]
    if root_type >> 2 != _MAP or root_width not in (1, 2, 4, 8):
        fail(where, f"custom options of type {root_type >> 2}, expected a map")
    width = 1 << (root_type & 3)
    values = _target(where, data, len(data) - 2 - root_width, root_width)
    count = _number(where, data, values - width, width)
    keys = _target(where, data, values - 3 * width, width)
    keys_width = _number(where, data, values - 2 * width, width)
    types = values + count * width
    if (
        keys_width not in (1, 2, 4, 8)
        or _number(where, data, keys - keys_width, keys_width) != count
    ):
        fail(where, "custom options have not as many keys as values")
    if types + count > len(data):
        fail(where, f"{count} custom options do not fit in {len(data)} bytes")
    options: dict[str, float] = {}
    for i in range(count):
        key = _text(where, data, _target(where, data, keys + i * keys_width, keys_width))
        options[key] = _scalar(where, data, values + i * width, width, data[types + i] >> 2)
    if sorted(options) != list(options) or len(options) != count:
        fail(where, "keys of custom options are not in order")  # the kernel searches by halves
    return options


def _number(where: str, data: bytes, at: int, width: int) -> int:
    if at < 0 or at + width > len(data):
        fail(where, f"custom options point to byte {at} of {len(data)}")
    return int.from_bytes(data[at : at + width], "little")


def _target(where: str, data: bytes, at: int, width: int) -> int:
    target = at - _number(where, data, at, width)
    if not 0 <= target < len(data):
        fail(where, f"custom options point to byte {target} of {len(data)}")
    return target


def _text(where: str, data: bytes, at: int) -> str:
    end = data.find(b"\0", at)
    if end < 0:
        fail(where, "a key of the custom options does not end")
    return data[at:end].decode("latin-1")


def _scalar(where: str, data: bytes, at: int, width: int, type_number: int) -> float:
    raw = _number(where, data, at, width).to_bytes(width, "little")
    if type_number in (_UINT, _BOOL):
        return int.from_bytes(raw, "little")
    if type_number == _INT:
        return int.from_bytes(raw, "little", signed=True)
    if type_number != _FLOAT or width < 4:
        fail(where, f"a custom option of type {type_number}, expected a number in the map itself")
    return float(unpack("<f" if width == 4 else "<d", raw)[0])
