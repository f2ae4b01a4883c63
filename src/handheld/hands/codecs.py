"""How frames, palms, regions and hands stand in recordings of a graph."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph.record import Codecs, ValueCodec, dataclass_codec
from handheld.hands.result import HandResult, Palm, Region
from handheld.media import Frame, Rect

# Numbers alone: numpy unpickles an array of objects, and a pickle runs what it says.
_DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")
_MOST_DIMENSIONS = 8


def _array_to_plain(array: NDArray[Any]) -> dict[str, Any]:
    if array.dtype.name not in _DTYPES:
        raise InputError(f"an array of {array.dtype}: expected one of {', '.join(_DTYPES)}")
    data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data.tobytes()}


def _array_from_plain(fields: dict[str, Any]) -> NDArray[Any]:
    name, shape, data = fields["dtype"], fields["shape"], fields["data"]
    if name not in _DTYPES or len(shape) > _MOST_DIMENSIONS:
        raise InputError(f"an array of {name} and {len(shape)} dimensions")
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise InputError(f"an array of the shape {shape}")
    dtype = np.dtype(name).newbyteorder("<")
    if prod(shape) * dtype.itemsize != len(data):
        raise InputError(f"{len(data)} bytes for an array of {name} and shape {shape}")
    # A copy: what frombuffer gives may not be written to.
    return np.frombuffer(data, dtype).reshape(shape).astype(name)


HAND_CODECS = Codecs().add(
    ValueCodec("array", np.ndarray, _array_to_plain, _array_from_plain),
    dataclass_codec("frame", Frame),
    dataclass_codec("hand", HandResult),
    dataclass_codec("palm", Palm),
    dataclass_codec("rect", Rect),
    dataclass_codec("region", Region),
)
"""For ``Graph.record`` and :class:`~handheld.graph.record.GraphRecording`: plain values, arrays of
numpy, and what the streams of the hand graph carry."""
