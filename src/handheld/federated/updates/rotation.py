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

_AGAIN = 4  # random numbers that are not those of the first rotation

LARGEST, SMALLEST = 1 << 16, 1 << 10
"""Numbers of a block. The last one is filled up with zeros: at most 1,023 of them."""


def blocks(count: int) -> tuple[int, ...]:
    """Return the sizes of the blocks of so many numbers.

    >>> blocks(200_000)
    (65536, 65536, 65536, 2048, 1024, 1024)
    """
    found, left = [LARGEST] * (count // LARGEST), count % LARGEST
    size = LARGEST // 2
    while left > 0:
        if left >= size or size == SMALLEST:
            found.append(size)
            left -= size
        else:
            size //= 2
    return tuple(found)


def filled(x: Floats) -> Iterator[Floats]:
    """Yield the blocks of a vector, the last one filled up with zeros."""
    sizes = blocks(len(x))
    for part, size in zip(_cut(x, sizes), sizes, strict=True):
        yield part if len(part) == size else np.append(part, np.zeros(size - len(part), np.float32))


def rotated(x: Floats, seed: int) -> Iterator[Floats]:
    """Yield the blocks of a vector, each rotated.

    Args:
        x: (n,) finite.
        seed: of the signs: who has it can rotate back.
    """
    for number, part in enumerate(filled(x)):
        yield _rotated(part, seed_of(seed, number), forth=True)


def rotated_again(part: Floats, seed: int, number: int) -> Floats:
    """Return a block that :func:`rotated` gave, rotated once more with other signs."""
    return _rotated(part, seed_of(seed, number, _AGAIN), forth=True)


def rotated_back_once(part: Floats, seed: int, number: int) -> Floats:
    """Return the block of which :func:`rotated_again` made another one."""
    return _rotated(part, seed_of(seed, number, _AGAIN), forth=False)


def rotated_back(parts: Iterator[Floats], count: int, seed: int) -> Floats:
    """Return the (count,) vector whose rotated blocks these are."""
    found, start = np.empty(count, np.float32), 0
    for number, (size, part) in enumerate(zip(blocks(count), parts, strict=True)):
        found[start : start + size] = _rotated(part, seed_of(seed, number), forth=False)[
            : count - start
        ]
        start += size
    return found


def mixed(x: Floats, seed: int) -> Floats:
    """Return a vector rotated, its blocks dealt out like cards, and rotated again.

    Each block holds as much of its length then.

    Its numbers, and zeros that fill up the last block, are as many as ``blocks`` says.
    """
    whole = np.concatenate([np.empty(0, np.float32), *rotated(x, seed)])
    hands = max(1, len(blocks(len(x))))
    dealt = np.concatenate([whole[hand::hands] for hand in range(hands)])
    return np.concatenate([np.empty(0, np.float32), *rotated(dealt, int(seed_of(seed, _AGAIN)))])


def mixed_back(y: Floats, count: int, seed: int) -> Floats:
    """Return the (count,) vector of which :func:`mixed` made another one."""
    sizes = blocks(count)
    hands, whole = max(1, len(sizes)), np.empty(len(y), np.float32)
    dealt = rotated_back(_cut(y, blocks(len(y))), len(y), int(seed_of(seed, _AGAIN)))
    start = 0
    for hand in range(hands):
        end = start + len(whole[hand::hands])
        whole[hand::hands] = dealt[start:end]
        start = end
    return rotated_back(_cut(whole, sizes), count, seed)


def _cut(x: Floats, sizes: tuple[int, ...]) -> Iterator[Floats]:
    start = 0
    for size in sizes:
        yield x[start : start + size]
        start += size


def _rotated(part: Floats, seed: np.uint64, *, forth: bool) -> Floats:
    """Rotate one block. Back, the sides change places and signs are turned last."""
    size = len(part)
    rows = 1 << (size.bit_length() - 1) // 2
    shape = (rows, size // rows) if forth else (size // rows, rows)
    mixed, found = np.empty(size, np.float32), np.empty(size, np.float32)
    factor = np.float32(size**-0.5)
    if forth:
        _kernels.flip(part, seed, factor, mixed)
    else:
        mixed[:] = part
    _kernels.walsh_hadamard(mixed.reshape(shape), found.reshape(shape[::-1]))
    if not forth:
        _kernels.flip(found, seed, factor, found)
    return found
