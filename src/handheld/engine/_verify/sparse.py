"""Constants that are stored sparse, which the runtime unpacks itself (TACO's format, 2018).

``traversal_order`` lists the tensor's sides, then its blocks' sides, in the order in which they
are walked; each is dense or compressed (segments and indices, as in CSR). The runtime's unpacking
follows every number without a look, so all of them are judged here.
"""

from collections.abc import Sequence

import numpy as np

from handheld.engine._verify.flatbuffer import Table, fail

_DENSE = 0  # the schema's DimensionType
_COMPRESSED = 1
# Five decimal orders above any real model: the product with the sides must not overflow.
_MOST_NUMBERS = 1 << 30


def check_sparse(path: str, tensor: Table, bits: int, data_bytes: int) -> None:
    """Check the sparsity of a constant of ``bits`` a value that has ``data_bytes`` in the file."""
    levels = tensor["sparsity"]["dim_metadata"]
    sizes = _walked_sizes(path, tensor["shape"], tensor["sparsity"])
    if len(levels) != len(sizes):
        fail(path, f"sparse with {len(levels)} sides, expected {len(sizes)}")
    nodes = 1  # leaves of the tree of walked sides so far
    for i, (level, size) in enumerate(zip(levels, sizes, strict=True)):
        nodes = _check_side(f"{path}.sparsity[{i}]", level, size, nodes)
    if bits not in (8, 16, 32, 64) or data_bytes != nodes * bits // 8:
        fail(path, f"{data_bytes} bytes of data for {nodes} sparse values of {bits} bits")


def _walked_sizes(path: str, shape: Sequence[int], sparsity: Table) -> list[int]:
    """Length of each side in the order in which it is walked, blocks last."""
    _check_order(path, len(shape), sparsity)
    rank = len(shape)
    order = sparsity["traversal_order"]
    levels = sparsity["dim_metadata"]
    outer = list(shape)
    inner = []
    for position, entry in enumerate(order[rank:], rank):
        side = sparsity["block_map"][entry - rank]
        size = 0
        if position < len(levels):
            size = levels[position]["dense_size"]
        if size < 1 or shape[side] % size:
            fail(path, f"sparse blocks of {size} on a side of {shape[side]}")
        outer[side] //= size
        inner.append(size)
    return [outer[side] for side in order[:rank]] + inner


def _check_order(path: str, rank: int, sparsity: Table) -> None:
    """Every side and every block is walked once, and the blocks after the sides."""
    order = sparsity["traversal_order"]
    blocks = sparsity["block_map"]
    if not rank or sorted(order) != list(range(rank + len(blocks))):
        problem = f"sparse traversal order {order} of {rank} sides"
        fail(path, f"{problem}, {len(blocks)} blocks")
    if set(blocks) - set(range(rank)) or len(set(blocks)) != len(blocks):
        fail(path, f"sparse block map {blocks} of {rank} sides")
    if sorted(order[:rank]) != list(range(rank)):
        fail(path, f"sparse traversal order {order} walks blocks before sides")


def _check_side(path: str, level: Table, size: int, nodes: int) -> int:
    """Check one walked side below ``nodes`` leaves; returns the leaves below it."""
    if level["format"] == _DENSE:
        if level["dense_size"] != size:
            fail(path, f"dense size {level['dense_size']}, expected {size}")
        return nodes * size
    if level["format"] != _COMPRESSED:
        fail(path, f"format {level['format']}, expected 0 or 1")
    segments = _numbers(path, level["array_segments"])
    indices = _numbers(path, level["array_indices"])
    count = len(indices)
    if len(segments) != nodes + 1 or segments[0] or segments[-1] != count:
        fail(path, f"{len(segments)} segments over {count} indices, expected {nodes + 1}")
    if (np.diff(segments) < 0).any():
        fail(path, "segments do not rise")
    if count and not 0 <= indices.min() <= indices.max() < size:
        fail(path, f"indices {indices.min()} to {indices.max()}, expected 0 to {size - 1}")
    return count


def _numbers(path: str, vector: Table | None) -> np.ndarray:
    values = None
    if vector:
        values = vector["values"]
    if values is None or len(values) > _MOST_NUMBERS:
        fail(path, "compressed, but without segments or indices")
    return np.asarray(values, np.int64)
