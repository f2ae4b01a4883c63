"""Moving a mesh with its bones: rotations become transforms, and the skin follows them.

Forward kinematics and linear blend skinning (Magnenat-Thalmann et al., "Joint-dependent local deformations
for hand animation and object grasping", 1988).
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.mesh import Floats, HandMesh

Doubles: TypeAlias = NDArray[np.float64]


def forward(mesh: HandMesh, heads: Doubles, turn: Doubles) -> Doubles:
    """Chain the bones' rotations (B, 3, 3) from the root on: (B, 3, 4) transforms of resting to posed metres."""
    local = np.concatenate([turn, (heads - np.einsum("bij,bj->bi", turn, heads))[..., None]], axis=2)
    chained = np.empty_like(local)
    for bone, parent in enumerate(mesh.parents):
        chained[bone] = local[bone] if parent < 0 else _compose(chained[parent], local[bone])
    return chained


def relative(transforms: Doubles, bone: int) -> Doubles:
    """Move everything (B, 3, 4) so that one bone is where it rests."""
    back = transforms[bone, :, :3].T
    moved: Doubles = back @ transforms
    moved[..., 3] -= back @ transforms[bone, :, 3]
    return moved


def skin(mesh: HandMesh, transforms: Doubles) -> Floats:
    """Move the drawn vertices with their bones: (drawn, 3) metres."""
    blended = np.einsum("vk,vkij->vij", mesh.weights, transforms.astype(np.float32)[mesh.influences])
    moved: Floats = np.einsum("vij,vj->vi", blended[..., :3], mesh.vertices[: mesh.drawn]) + blended[..., 3]
    return moved


def carry(transforms: Doubles, points: Doubles) -> Doubles:
    """Apply transforms (N, 3, 4) to points (N, 3), one each."""
    moved: Doubles = np.einsum("nij,nj->ni", transforms[..., :3], points) + transforms[..., 3]
    return moved


def rotation(axis: Doubles, angle: Doubles | float) -> Doubles:
    """Rotation matrices (..., 3, 3) about unit axes (..., 3), right-handed, in radians (Rodrigues' formula)."""
    axis, angle = np.broadcast_arrays(axis, np.asarray(angle, np.float64)[..., None])
    x = axis[..., 0]
    y = axis[..., 1]
    z = axis[..., 2]
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    sine, cosine = np.sin(angle[..., :1, None]), np.cos(angle[..., :1, None])
    turned: Doubles = np.eye(3) + sine * cross + (1 - cosine) * cross @ cross
    return turned


def cross(a: Doubles, b: Doubles) -> Doubles:
    """Return the cross product (3,) of two vectors; numpy's takes ten times as long for one pair."""
    x, y, z = a
    u, v, w = b
    return np.array([y * w - z * v, z * u - x * w, x * v - y * u])


def _compose(outer: Doubles, inner: Doubles) -> Doubles:
    moved: Doubles = outer[:, :3] @ inner
    moved[:, 3] += outer[:, 3]
    return moved
