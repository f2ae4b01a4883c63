"""Where the 21 keypoints sit on the mesh, by the mesh's own convention or brought to MediaPipe's.

The mesh has its keypoints in the bones' joints. MediaPipe's models put them where annotators saw
them: the wrist further up the hand, knuckles lower, fingertips inside the nail. The differences
were measured on open hands.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from handheld.hands.training.render.mesh import Integers, MeshFamily
from handheld.hands.training.render.poses import GESTURES
from handheld.hands.training.render.rig import Rig, posed
from handheld.hands.training.render.skinning import Doubles, carry

# Which end of its bone a keypoint is, in the mesh's table; the other end is the tail.
_HEAD = 0

MEDIAPIPE_OFFSETS = np.zeros((21, 2))
"""What to add to the mesh's keypoints of an open hand: (along it, towards its thumb's side), wrist
to knuckle = 1."""
MEDIAPIPE_OFFSETS[[0, 1, 2, 4]] = [
    (0.129, -0.028),
    (-0.045, 0.051),
    (0.077, 0.029),
    (-0.042, -0.020),
]
MEDIAPIPE_OFFSETS[[5, 9, 13, 17]] = np.linspace((-0.065, -0.027), (-0.054, 0.036), 4)
MEDIAPIPE_OFFSETS[[8, 12, 16, 20]] = (-0.05, 0)

WEBXR_OFFSETS = np.zeros((21, 2))
"""The same for the second mesh, whose joints lie deeper in the palm and in the wrist: medians of
what MediaPipe's full models answer on 85 rendered open hands, palms and backs.

Differences below 0.03 are left out: they are no larger than those between palms and backs.
"""
WEBXR_OFFSETS[[0, 2, 3]] = [(0.218, -0.032), (0.032, 0.031), (-0.045, 0)]
WEBXR_OFFSETS[[5, 9, 13, 17]] = [(0.094, 0), (0.07, -0.02), (0.077, -0.02), (0.066, 0)]
WEBXR_OFFSETS[[8, 12, 16, 20]] = (0.045, 0)

OFFSETS: Mapping[MeshFamily, Doubles] = {"makehuman": MEDIAPIPE_OFFSETS, "webxr": WEBXR_OFFSETS}

# Knuckle to tip: a finger gets thinner.
_FINGER = (0.29, 0.20, 0.17, 0.13)
FLESH = np.array([0.31, 0.35, 0.24, 0.18, 0.14, *_FINGER, *_FINGER, *_FINGER, *_FINGER])
"""How deep each keypoint lies under the skin at most, in the same unit: with more before it, it is
hidden."""


@dataclass(frozen=True)
class Keypoints:
    """21 points fixed to bones: ``bones`` (21,), and ``points`` (21, 3) in
    metres on the resting mesh.
    """

    bones: Integers
    points: Doubles

    def posed(self, transforms: Doubles) -> Doubles:
        """Move the points with the bones' transforms (B, 3, 4): (21, 3) metres."""
        return carry(transforms[self.bones], self.points)


def keypoints_of(rig: Rig, *, mediapipe: bool = True) -> Keypoints:
    """Fix the keypoints to the mesh, in MediaPipe's convention unless told to keep the mesh's own.

    The offsets are applied on an open hand and then ride with their bones: a bent finger's tip
    moves along it.
    """
    joints = _joints_of(rig)
    if not mediapipe:
        return joints
    opened = posed(rig, GESTURES["open_palm"])[joints.bones]
    in_hand = np.stack([rig.frame[1], rig.thumbward * rig.frame[0]])
    offsets = rig.size * (OFFSETS[rig.mesh.family] @ in_hand)
    moved = carry(opened, joints.points) + offsets
    # Back to the resting mesh: a rotation's transpose undoes it.
    resting = np.einsum("nji,nj->ni", opened[..., :3], moved - opened[..., 3])
    return Keypoints(joints.bones, resting)


def _joints_of(rig: Rig) -> Keypoints:
    """Return the keypoints where the mesh has them."""
    bone, end = rig.mesh.keypoints.T
    is_head = end == _HEAD
    points = np.where(is_head[:, None], rig.heads[bone], rig.tails[bone])
    # A head also ends the bone before it, which lies still when this bone bends, as does what is
    # seen of a knuckle. Not so the wrist and the thumb's base, whose flesh goes with the bone that
    # starts there.
    bones = np.where(is_head & (np.arange(21) > 1), rig.mesh.parents[bone], bone)
    return Keypoints(bones, points)
