"""The custom operators that LiteRT 2.3 runs, and the options that each of them reads.

Four are registered; three more, of MediaPipe, are taken by the delegate. The registered ones'
kernels read a FlexBuffer map without a look, the delegate copies a plain structure of as many
bytes as the file has: a file without options, or with damaged ones, kills the process.
"""

import math
from struct import unpack_from
from typing import NamedTuple

from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.flexbuffer import read_map

_MAX_SIDE = 1 << 16
_SCALE = (1e-9, 1e9)  # kernels divide by it


class _Registered(NamedTuple):
    """How many inputs and outputs the kernel has, and the range of each option that it reads."""

    arity: tuple[int, int]
    options: dict[str, tuple[float, float]]


_REGISTERED = {
    "AudioSpectrogram": _Registered(
        (1, 1),
        {
            "window_size": (2, _MAX_SIDE),
            "stride": (1, _MAX_SIDE),
            "magnitude_squared": (0, 1),
        },
    ),
    "Mfcc": _Registered(
        (2, 1),
        {
            "upper_frequency_limit": (1, 1e6),
            "lower_frequency_limit": (0, 1e6),
            "filterbank_channel_count": (1, 4096),
            "dct_coefficient_count": (1, 4096),
        },
    ),
    "NumericVerify": _Registered((2, 1), {"tolerance": (0, 1e9), "log_if_failed": (0, 1)}),
    "TFLite_Detection_PostProcess": _Registered(
        (3, 4),
        {
            "max_detections": (1, _MAX_SIDE),
            "max_classes_per_detection": (1, 1 << 12),
            "num_classes": (1, _MAX_SIDE),
            "nms_score_threshold": (-1e9, 1e9),
            "nms_iou_threshold": (1e-9, 1),
            "x_scale": _SCALE,
            "y_scale": _SCALE,
            "w_scale": _SCALE,
            "h_scale": _SCALE,
        },
    ),
}
_OPTIONAL = {"detections_per_class": (1, _MAX_SIDE), "use_regular_nms": (0, 1)}

TRANSPOSE_CONV_BIAS = "Convolution2DTransposeBias"
_POOLS = {"MaxPoolingWithArgmax2D": (1, 2), "MaxUnpooling2D": (2, 1)}
# Of TfLiteTransposeConvParams and TfLitePoolParams, up to what MediaPipe's files hold of them.
_CONV_NUMBERS = range(3, 4)
_POOL_NUMBERS = range(5, 11)
_PADDINGS = (1, 2)  # TfLitePadding: same, valid


def check_custom(path: str, name: str, node: Table) -> None:
    """Check arity and options of a custom operator; refuse those that the runtime lacks."""
    if name == TRANSPOSE_CONV_BIAS:
        _check_structure(path, node, (3, 1), _CONV_NUMBERS)
    elif name in _POOLS:
        _check_structure(path, node, _POOLS[name], _POOL_NUMBERS)
    elif name in _REGISTERED:
        _check_registered(path, name, node)
    else:
        known = ", ".join(sorted([*_REGISTERED, *_POOLS, TRANSPOSE_CONV_BIAS]))
        advice = f"the runtime has {known}: export the model without it"
        unsupported(path, f"custom operator {name!r}; {advice}")


def _check_registered(path: str, name: str, node: Table) -> None:
    arity, ranges = _REGISTERED[name]
    if _arity(node) != arity:
        fail(path, f"{_counted(node)} of {name}")
    if -1 in node["inputs"]:
        fail(path, f"an input of {name} is absent")
    options = read_map(path, bytes(node["custom_options"]))
    for key, (low, high) in ranges.items():
        # What is absent is NaN, which lies in no range.
        if not low <= options.get(key, math.nan) <= high:
            fail(path, f"option {key} is {options.get(key)}, expected {low} to {high}")
    for key, (low, high) in _OPTIONAL.items():
        if not low <= options.get(key, low) <= high:
            fail(path, f"option {key} is {options[key]}, expected {low} to {high}")


def _arity(node: Table) -> tuple[int, int]:
    return len(node["inputs"]), len(node["outputs"])


def _counted(node: Table) -> str:
    return f"{len(node['inputs'])} inputs and {len(node['outputs'])} outputs"


def structure(node: Table) -> tuple[int, ...]:
    """Options that are a structure of 32 bit numbers: padding (1: same), strides, and so on."""
    data = bytes(node["custom_options"])
    return unpack_from(f"<{len(data) // 4}i", data)


def _check_structure(path: str, node: Table, arity: tuple[int, int], counts: range) -> None:
    if _arity(node) != arity or -1 in node["inputs"]:
        fail(path, f"{_counted(node)}, expected {arity[0]} and {arity[1]}")
    size = len(node["custom_options"])
    if size % 4 or size // 4 not in counts:
        limits = f"{4 * counts.start} to {4 * (counts.stop - 1)}"
        fail(path, f"{size} bytes of custom options, expected {limits}")
    # The numbers that every file has are the padding, then strides and the window's sides.
    padding, *steps = structure(node)[: counts.start]
    steps_fit = 1 <= min(steps) <= max(steps) <= _MAX_SIDE
    if padding not in _PADDINGS or not steps_fit:
        fail(path, f"padding {padding} and strides {steps} in the custom options")
