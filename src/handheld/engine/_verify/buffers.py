"""Buffers whose bytes lie behind the model, as converters of large models write them."""

import numpy as np

from handheld.engine._verify.flatbuffer import Table, fail

ALIGN = 16
"""Of a buffer's bytes in the file, by the schema; kernels read them with wide loads."""

OUTSIDE = 2
"""The least ``offset`` that means bytes behind the model, as in the runtime.

0 is the default, 1 a converter's placeholder.
"""


def fill_buffers(model: Table, file: bytes) -> None:
    """Give the buffers of a decoded ``Model`` table whose bytes lie elsewhere in the file ``data``.

    It is a view of ``file``, as that of the other buffers.
    """
    content = np.frombuffer(file, np.uint8)
    for i, buffer in enumerate(model["buffers"]):
        if buffer["offset"] < OUTSIDE:
            continue
        path = f"buffers[{i}]"
        size = buffer["size"]
        offset = buffer["offset"]
        if isinstance(buffer["data"], np.ndarray):
            both = f"{len(buffer['data'])} bytes of its own and {size} at byte {offset}"
            fail(path, f"{both}; expected one of them")
        # Buffer 0 is the one that tensors without values name.
        if not i or not size:
            problem = "expected some, and none in the first buffer, that of empty tensors"
            fail(path, f"{size} bytes at byte {offset}; {problem}")
        _check_range(path, buffer, len(file))
        buffer["data"] = content[offset : offset + size]


def _check_range(path: str, buffer: Table, file_size: int) -> None:
    offset = buffer["offset"]
    size = buffer["size"]
    if offset + size > file_size:
        problem = f"do not fit in the file's {file_size} bytes"
        fail(path, f"{size} bytes from byte {offset} {problem}")
    if offset % ALIGN:
        fail(path, f"bytes from byte {offset}, which is no multiple of {ALIGN}")
