"""Moving a mesh with its bones: rotations become transforms, and the skin follows them.

Forward kinematics and linear blend skinning (Magnenat-Thalmann et al., "Joint-dependent local
deformations for hand animation and object grasping", 1988).
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from handheld._kernels import kernel
from handheld.hands.training.render.mesh import Floats, HandMesh, Integers

Doubles: TypeAlias = NDArray[np.float64]


def forward(mesh: HandMesh, heads: Doubles, turn: Doubles) -> Doubles:
    """Chain the bones' rotations (B, 3, 3) from the root on: (B, 3, 4) transforms of resting to
    posed metres.
    """
    # About its head, where a bone hangs on the one before it: the head stays.
    shift = heads - np.einsum("bij,bj->bi", turn, heads)
    local = np.concatenate([turn, shift[..., None]], axis=2)
    chained = np.empty_like(local)
    _chain(local, mesh.parents, chained)
    return chained


@kernel()
def _chain(local: Doubles, parents: Integers, chained: Doubles) -> None:
    """Fill in the bones' transforms (B, 3, 4), each after its parent's."""
    # A parent is always before its child, so one pass is enough.
    for bone in range(len(local)):
        parent = parents[bone]
        for row in range(3):
            for column in range(4):
                if parent < 0:
                    chained[bone, row, column] = local[bone, row, column]
                    continue
                total = 0.0 if column < 3 else chained[parent, row, 3]
                for inner in range(3):
                    total += chained[parent, row, inner] * local[bone, inner, column]
                chained[bone, row, column] = total


def relative(transforms: Doubles, bone: int) -> Doubles:
    """Move everything (B, 3, 4) so that one bone is where it rests."""
    # A rotation's transpose undoes it.
    back = transforms[bone, :, :3].T
    moved: Doubles = back @ transforms
    moved[..., 3] -= back @ transforms[bone, :, 3]
    return moved


def skin(mesh: HandMesh, transforms: Doubles) -> Floats:
    """Move the drawn vertices with their bones: (drawn, 3) metres."""
    moved = np.empty((mesh.drawn, 3), np.float32)
    _skin(mesh.vertices, mesh.influences, mesh.weights, transforms.astype(np.float32), moved)
    return moved


@kernel()
def _skin(
    vertices: Floats,
    influences: Integers,
    weights: Floats,
    transforms: Floats,
    moved: Floats,
) -> None:
    """Fill in the moved vertices (drawn, 3): each by the mean of its bones' transforms."""
    blended = np.empty((3, 4), np.float32)
    for vertex in range(len(moved)):
        # Transforms are averaged, not the places that they give: one product a vertex, not four.
        blended[:] = 0
        for rank in range(influences.shape[1]):
            weight = weights[vertex, rank]
            transform = transforms[influences[vertex, rank]]
            for row in range(3):
                for column in range(4):
                    blended[row, column] += weight * transform[row, column]
        x, y, z = vertices[vertex]
        for row in range(3):
            rotated = blended[row, 0] * x + blended[row, 1] * y + blended[row, 2] * z
            moved[vertex, row] = rotated + blended[row, 3]


def carry(transforms: Doubles, points: Doubles) -> Doubles:
    """Apply transforms (N, 3, 4) to points (N, 3), one each."""
    moved: Doubles = np.einsum("nij,nj->ni", transforms[..., :3], points) + transforms[..., 3]
    return moved


def rotation(axis: Doubles, angle: Doubles | float) -> Doubles:
    """Rotation matrices (..., 3, 3) about unit axes (..., 3), right-handed, in radians (Rodrigues'
    formula).
    """
    shape = np.broadcast(axis[..., 0], angle).shape
    # Filled, as the kernel takes flat arrays, and a broadcast one cannot be reshaped in place.
    axes = np.empty((*shape, 3))
    axes[...] = axis
    angles = np.empty(shape)
    angles[...] = angle
    turned = np.empty((*shape, 3, 3))
    _rodrigues(axes.reshape(-1, 3), angles.reshape(-1), turned.reshape(-1, 3, 3))
    return turned


@kernel()
def _rodrigues(axes: Doubles, angles: Doubles, turned: Doubles) -> None:
    """Fill in the matrices (N, 3, 3)."""
    for index in range(len(axes)):
        x, y, z = axes[index]
        sine = np.sin(angles[index])
        versine = 1 - np.cos(angles[index])
        turned[index, 0, 0] = 1 + versine * (-z * z - y * y)
        turned[index, 0, 1] = -sine * z + versine * (x * y)
        turned[index, 0, 2] = sine * y + versine * (x * z)
        turned[index, 1, 0] = sine * z + versine * (x * y)
        turned[index, 1, 1] = 1 + versine * (-z * z - x * x)
        turned[index, 1, 2] = -sine * x + versine * (y * z)
        turned[index, 2, 0] = -sine * y + versine * (x * z)
        turned[index, 2, 1] = sine * x + versine * (y * z)
        turned[index, 2, 2] = 1 + versine * (-y * y - x * x)


def cross(a: Doubles, b: Doubles) -> Doubles:
    """Return the cross product (3,) of two vectors."""
    # numpy's takes ten times as long for one pair.
    x, y, z = a
    u, v, w = b
    return np.array([y * w - z * v, z * u - x * w, x * v - y * u])
