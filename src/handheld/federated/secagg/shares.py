"""Secrets in shares, of which a number together gives the secret and fewer give nothing.

Shamir, "How to share a secret" (CACM 1979), over the field of 65,537 elements: a secret is rows of
16-bit numbers, each the value at 0 of a polynomial of its own, with coefficients from the operating
system's generator. All polynomials of all secrets are one matrix product, which is exact: products
of two elements are below 2^33, so that a double holds the sum of 2^19 of them.
"""

import os

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import whole_in_range

PRIME = 65_537
MOST_SHARES = PRIME - 1
LIMB_BYTES = 2

# The largest multiple of the prime in 32 bits: words below it leave every rest equally often.
_FAIR = (1 << 32) // PRIME * PRIME


def split(secret: bytes, shares: int, threshold: int) -> NDArray[np.uint32]:
    """Split a secret.

    Args:
        secret: an even number of bytes, two or more.
        shares: how many, in [threshold, 65536].
        threshold: how many of them give the secret, 1 or more.

    Returns:
        (shares, limbs) field elements, row i being the polynomials' values at i + 1.

    Raises:
        InputError: values outside of these.
    """
    if not secret or len(secret) % LIMB_BYTES:
        raise InputError(f"expected a secret of an even number of bytes, got {len(secret)}")
    whole_in_range("threshold", threshold, low=1, high=MOST_SHARES)
    whole_in_range("shares", shares, low=threshold, high=MOST_SHARES)
    limbs = np.frombuffer(secret, "<u2").astype(np.int64)
    coefficients = np.vstack([limbs, _elements(threshold - 1, len(limbs))])
    # From 1 on: the share at 0 would be the secret.
    points = np.arange(1, shares + 1, dtype=np.int64)
    return _product(_powers(points, threshold), coefficients)


def join(points: NDArray[np.int64], shares: NDArray[np.uint32]) -> list[bytes]:
    """Return secrets from shares.

    Args:
        points: (threshold,) where the shares are values of the polynomials, different and in
            [1, 65536].
        shares: (threshold, secrets, limbs) field elements, at those points.

    Returns:
        The secrets; what comes of shares that do not belong together is some other secret.

    Raises:
        InputError: points or shares are none, or the shares are of no secret.
    """
    points = np.asarray(points, np.int64)
    _check_points(points)
    if shares.ndim != 3 or len(shares) != len(points):
        raise InputError(f"expected shares at {len(points)} points, got {shares.shape}")
    if shares.size and int(shares.max()) >= PRIME:
        raise InputError("expected shares below 65,537")
    rows = shares.reshape(len(points), -1)
    values = _product(_at_zero(points)[np.newaxis], rows.astype(np.int64))
    # A limb of a secret has 16 bits; 65,536 is the one element of the field that none is.
    if values.size and int(values.max()) >= MOST_SHARES:
        raise InputError("these shares are of no secret")
    limbs = values.reshape(shares.shape[1:]).astype("<u2")
    return [secret.tobytes() for secret in limbs]


def _check_points(points: NDArray[np.int64]) -> None:
    if points.ndim != 1 or not len(points):
        raise InputError("expected one point or more")
    if points.min() < 1 or points.max() > MOST_SHARES:
        raise InputError(f"expected points in [1, {MOST_SHARES}]")
    if len(np.unique(points)) != len(points):
        raise InputError("expected points that differ, got one twice")


def _elements(rows: int, columns: int) -> NDArray[np.int64]:
    """Return field elements from the operating system's generator, each equally likely."""
    missing = rows * columns
    drawn: list[NDArray[np.int64]] = []
    while missing:
        words = np.frombuffer(os.urandom(4 * missing), "<u4").astype(np.int64)
        words = words[words < _FAIR] % PRIME
        drawn.append(words)
        missing -= len(words)
    return np.concatenate([np.empty(0, np.int64), *drawn]).reshape(rows, columns)


def _powers(points: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return (points, count) powers of points, from the 0th on."""
    powers = np.ones((len(points), count), np.int64)
    for exponent in range(1, count):
        powers[:, exponent] = powers[:, exponent - 1] * points % PRIME
    return powers


def _product(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return a matrix product in the field."""
    # In doubles, for BLAS: numpy multiplies matrices of integers without it.
    exact = rows.astype(np.float64) @ columns.astype(np.float64)
    return (exact.astype(np.int64) % PRIME).astype(np.uint32)


def _at_zero(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return Lagrange's coefficients: a polynomial's value at 0 is the sum of these times its
    values at the points.
    """
    above = np.ones(len(points), np.int64)
    below = np.ones(len(points), np.int64)
    for point in points:
        differences = (point - points) % PRIME
        is_other = differences != 0
        above[is_other] = above[is_other] * point % PRIME
        below[is_other] = below[is_other] * differences[is_other] % PRIME
    inverses = [pow(int(value), -1, PRIME) for value in below]
    return above * np.array(inverses, np.int64) % PRIME
