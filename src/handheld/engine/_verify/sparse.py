"""Constants that are stored sparse, which the runtime unpacks itself (TACO's format, 2018).

``traversal_order`` lists the tensor's sides, then its blocks' sides, in the order in which they
are walked; each is dense or compressed (segments and indices, as in CSR). The runtime's unpacking
follows every number without a look, so all of them are judged here.
"""

import math
from collections.abc import Sequence

import numpy as np

from handheld.engine._verify.flatbuffer import Table, fail

_DENSE, _COMPRESSED = 0, 1


def check_sparse(where: str, tensor: Table, bits: int, data_bytes: int) -> None:
    """Check the sparsity of a constant of ``bits`` a value that has ``data_bytes`` in the file."""
    sparsity = tensor["sparsity"]
    sizes = _walked_sizes(where, tensor["shape"], sparsity)
    if len(sparsity["dim_metadata"]) != len(sizes):
        fail(where, f"sparse with {len(sparsity['dim_metadata'])} sides, expected {len(sizes)}")
    nodes = 1  # leaves of the tree of walked sides so far
    for i, (meta, size) in enumerate(zip(sparsity["dim_metadata"], sizes, strict=True)):
        nodes = _check_side(f"{where}.sparsity[{i}]", meta, size, nodes)
    if bits not in (8, 16, 32, 64) or data_bytes != nodes * bits // 8:
        fail(where, f"{data_bytes} bytes of data for {nodes} sparse values of {bits} bits")


def _walked_sizes(where: str, shape: Sequence[int], sparsity: Table) -> list[int]:
    """Length of each side in the order in which it is walked, blocks last."""
    order, blocks = sparsity["traversal_order"], sparsity["block_map"]
    sides = len(shape)
    if not sides or sorted(order) != list(range(sides + len(blocks))):
        fail(where, f"sparse traversal order {order} of {sides} sides, {len(blocks)} blocks")
    if any(not 0 <= side < sides for side in blocks) or len(set(blocks)) != len(blocks):
        fail(where, f"sparse block map {blocks} of {sides} sides")
    if sorted(order[:sides]) != list(range(sides)):
        fail(where, f"sparse traversal order {order} walks blocks before sides")
    outer = list(shape)
    inner = [0] * len(blocks)
    for position, entry in enumerate(order[sides:], sides):
        block = entry - sides
        size = (
            sparsity["dim_metadata"][position]["dense_size"]
            if position < len(sparsity["dim_metadata"])
            else 0
        )
        side = blocks[block]
        if size < 1 or shape[side] % size:
            fail(where, f"sparse blocks of {size} on a side of {shape[side]}")
        outer[side] //= size
        inner[block] = size
    return [*(outer[i] for i in order[:sides]), *(inner[i - sides] for i in order[sides:])]


def _check_side(where: str, meta: Table, size: int, nodes: int) -> int:
    """Check one walked side below ``nodes`` leaves; returns the leaves below it."""
    if meta["format"] == _DENSE:
        if meta["dense_size"] != size:
            fail(where, f"dense size {meta['dense_size']}, expected {size}")
        return nodes * size
    if meta["format"] != _COMPRESSED:
        fail(where, f"format {meta['format']}, expected 0 or 1")
    segments = _numbers(where, meta["array_segments"])
    indices = _numbers(where, meta["array_indices"])
    if len(segments) != nodes + 1 or segments[0] or segments[-1] != len(indices):
        fail(where, f"{len(segments)} segments over {len(indices)} indices, expected {nodes + 1}")
    if (np.diff(segments) < 0).any():
        fail(where, "segments do not rise")
    if len(indices) and not 0 <= indices.min() <= indices.max() < size:
        fail(where, f"indices {indices.min()} to {indices.max()}, expected 0 to {size - 1}")
    return len(indices)


def _numbers(where: str, vector: Table | None) -> np.ndarray:
    values = () if vector is None else vector["values"]
    array = np.asarray(values, np.int64)
    # Five decimal orders above any real model: the product with the sides must not overflow.
    if vector is None or array.size > math.pow(2, 30):
        fail(where, "compressed, but without segments or indices")
    return array
