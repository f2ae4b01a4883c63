"""Other sizes, without Pillow."""

import numpy as np
from numpy.typing import NDArray


def resample(picture: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return a picture (rows, columns, channels) of another (height, width), unrounded.

    The filter is a triangle as wide as the reduction, which is what Pillow's bilinear one is too.
    """
    height, width = size
    rows = _triangles(picture.shape[0], height)
    columns = _triangles(picture.shape[1], width)
    # One axis after the other: the weights of a triangle are a product.
    narrowed = np.tensordot(picture, columns, axes=(1, 1))
    result: NDArray[np.float32] = np.tensordot(rows, narrowed, axes=(1, 0))
    return result.transpose(0, 2, 1)


def _triangles(before: int, after: int) -> NDArray[np.float32]:
    """Return (after, before) weights: row i averages what lies under pixel i."""
    scale = before / after
    reach = max(scale, 1.0)
    centres = (np.arange(after) + 0.5) * scale
    distances = np.abs(np.arange(before) + 0.5 - centres[:, None])
    weights = np.clip(1 - distances / reach, 0, None)
    # At the edges a part of the triangle lies outside.
    normalised = weights / weights.sum(axis=1, keepdims=True)
    return np.asarray(normalised, dtype=np.float32)
