"""Buffers whose bytes lie behind the model, as the quantiser and converters of large models write them."""

import numpy as np

from handheld.engine._verify.flatbuffer import Table, fail

ALIGN = 16
"""Of a buffer's bytes in the file, by the schema; kernels read them with wide loads."""

OUTSIDE = 2
"""The least ``offset`` that means bytes behind the model, as in the runtime: 0 is the default, 1 a converter's placeholder."""


def fill_buffers(model: Table, file: bytes) -> None:
    """Give every buffer of a decoded ``Model`` table whose bytes lie elsewhere in the file its ``data``, a view of them."""
    everything = np.frombuffer(file, np.uint8)
    for i, buffer in enumerate(model["buffers"]):
        offset, size = buffer["offset"], buffer["size"]
        if offset < OUTSIDE:
            continue
        where = f"buffers[{i}]"
        if isinstance(buffer["data"], np.ndarray):
            fail(
                where,
                f"{len(buffer['data'])} bytes of its own and {size} at byte {offset}; expected one of them",
            )
        if not i or not size:
            fail(
                where,
                f"{size} bytes at byte {offset}; expected some, and none in the first buffer, that of empty tensors",
            )
        if offset + size > len(file):
            fail(
                where, f"{size} bytes from byte {offset} do not fit in the file's {len(file)} bytes"
            )
        if offset % ALIGN:
            fail(where, f"bytes from byte {offset}, which is no multiple of {ALIGN}")
        buffer["data"] = everything[offset : offset + size]
