"""Random rotations.

Any vector looks like Gaussian noise afterwards, of which each number can be kept in a few bits.

Signs are turned at random, then the Walsh-Hadamard transform mixes all numbers of a block (Suresh
et al., "Distributed Mean Estimation with Limited Communication", arXiv 1611.00429). A block has
65,536 numbers, so that it stays in a processor's cache; what is left over is cut into smaller
powers of two.
"""

from collections.abc import Iterator

import numpy as np

from handheld.federated.updates import _kernels
from handheld.federated.updates.encoder import Floats, seed_of

_AGAIN = 4  # use of a seed, apart from that of the first rotation

LARGEST = 1 << 16
"""Numbers of a block."""

SMALLEST = 1 << 10
"""Numbers of the last block, which is filled up with zeros: at most 1,023 of them."""


def blocks(count: int) -> tuple[int, ...]:
    """Return the sizes of the blocks of so many numbers.

    >>> blocks(200_000)
    (65536, 65536, 65536, 2048, 1024, 1024)
    """
    sizes = [LARGEST] * (count // LARGEST)
    remaining = count % LARGEST
    size = LARGEST // 2
    while remaining > 0:
        if remaining >= size or size == SMALLEST:
            sizes.append(size)
            remaining -= size
        else:
            size //= 2
    return tuple(sizes)


def filled(x: Floats) -> Iterator[Floats]:
    """Yield the blocks of a vector, the last one filled up with zeros."""
    sizes = blocks(len(x))
    for block, size in zip(_cut(x, sizes), sizes, strict=True):
        # Only the last block lacks numbers; others are not copied.
        missing = size - len(block)
        if missing:
            block = np.append(block, np.zeros(missing, np.float32))
        yield block


def rotated(x: Floats, seed: int) -> Iterator[Floats]:
    """Yield the blocks of a vector, each rotated.

    Args:
        x: (n,) finite.
        seed: of the signs: who has it can rotate back.
    """
    for number, block in enumerate(filled(x)):
        yield _forth(block, seed_of(seed, number))


def rotated_again(block: Floats, seed: int, number: int) -> Floats:
    """Return a block that :func:`rotated` gave, rotated once more with other signs."""
    return _forth(block, seed_of(seed, number, _AGAIN))


def rotated_back_once(block: Floats, seed: int, number: int) -> Floats:
    """Return the block of which :func:`rotated_again` made another one."""
    return _back(block, seed_of(seed, number, _AGAIN))


def rotated_back(rotated_blocks: Iterator[Floats], count: int, seed: int) -> Floats:
    """Return the (count,) vector whose rotated blocks these are."""
    x = np.empty(count, np.float32)
    start = 0
    pairs = zip(blocks(count), rotated_blocks, strict=True)
    for number, (size, block) in enumerate(pairs):
        # The last block was filled up with zeros, which are cut off.
        plain = _back(block, seed_of(seed, number))
        x[start : start + size] = plain[: count - start]
        start += size
    return x


def mixed(x: Floats, seed: int) -> Floats:
    """Return a vector rotated, its blocks dealt out like cards, and rotated again.

    Each block holds as much of its length then. Its numbers, and zeros that fill up the last block,
    are as many as ``blocks`` says.
    """
    once = _joined(rotated(x, seed))
    # As many as blocks: each gets as much of every other.
    hands = max(1, len(blocks(len(x))))
    dealt = np.concatenate([once[hand::hands] for hand in range(hands)])
    return _joined(rotated(dealt, int(seed_of(seed, _AGAIN))))


def mixed_back(y: Floats, count: int, seed: int) -> Floats:
    """Return the (count,) vector of which :func:`mixed` made another one."""
    sizes = blocks(count)
    hands = max(1, len(sizes))
    once = np.empty(len(y), np.float32)
    dealt = rotated_back(_cut(y, blocks(len(y))), len(y), int(seed_of(seed, _AGAIN)))
    start = 0
    for hand in range(hands):
        end = start + len(once[hand::hands])
        once[hand::hands] = dealt[start:end]
        start = end
    return rotated_back(_cut(once, sizes), count, seed)


def _joined(some_blocks: Iterator[Floats]) -> Floats:
    """Return blocks one after another; of none, an empty vector."""
    return np.concatenate([np.empty(0, np.float32), *some_blocks])


def _cut(x: Floats, sizes: tuple[int, ...]) -> Iterator[Floats]:
    start = 0
    for size in sizes:
        yield x[start : start + size]
        start += size


def _forth(block: Floats, seed: np.uint64) -> Floats:
    """Rotate one block: signs are turned, then its numbers mixed."""
    turned = np.empty(len(block), np.float32)
    rotated_block = np.empty(len(block), np.float32)
    _kernels.flip(block, seed, _unit(block), turned)
    rows, columns = _sides(len(block))
    _kernels.walsh_hadamard(turned.reshape(rows, columns), rotated_block.reshape(columns, rows))
    return rotated_block


def _back(block: Floats, seed: np.uint64) -> Floats:
    """Rotate one block back: the sides change places, and signs are turned last."""
    # A copy, as the transform spoils what it reads.
    copy = np.array(block, np.float32)
    plain = np.empty(len(block), np.float32)
    rows, columns = _sides(len(block))
    _kernels.walsh_hadamard(copy.reshape(columns, rows), plain.reshape(rows, columns))
    _kernels.flip(plain, seed, _unit(block), plain)
    return plain


def _unit(block: Floats) -> np.float32:
    """Return by what the transform must be multiplied to keep lengths."""
    return np.float32(len(block) ** -0.5)


def _sides(size: int) -> tuple[int, int]:
    """Return the sides of the matrix as which a block is transformed: about as long."""
    rows = 1 << (size.bit_length() - 1) // 2
    return rows, size // rows
