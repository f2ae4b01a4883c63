"""The hand's own joints: how a pose of finger and wrist angles turns each bone of the mesh.

Angles are in radians. A finger's bend is absolute: zero has the bone in line
with the one before it.
"""

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np

from handheld.hands.training.render.mesh import HandMesh, Integers
from handheld.hands.training.render.skinning import Doubles, forward, relative, rotation

FINGERS = ("finger1", "finger2", "finger3", "finger4", "finger5")
# Of the 21 keypoints.
_WRIST = 0
_MIDDLE_KNUCKLE = 9
_KNUCKLES = (5, 9, 13, 17)
_TIPS = (8, 12, 16, 20)
_THUMB_BASE = 1


@dataclass(frozen=True)
class HandPose:
    """The angles of one hand.

    ``bend`` (5, 3): thumb to little finger, first joint to last, towards the palm; the thumb's
    first joint counts from where the mesh rests. ``spread`` (5,): sideways at the first joint,
    towards the thumb's side, from where the mesh rests. ``opposition``: the thumb's swing in
    front of the palm. ``wrist``: (flexion towards the palm, deviation towards the thumb).
    ``elbow``: 0 with a straight arm.
    """

    bend: Doubles
    spread: Doubles
    opposition: float = 0.0
    wrist: tuple[float, float] = (0.0, 0.0)
    elbow: float = 0.0


@dataclass(frozen=True)
class Rig:
    """What a pose needs to know of one shaped mesh.

    ``heads`` and ``tails`` (B, 3): joints in metres. ``frame`` (3, 3), rows: across the palm, along
    the hand from wrist to middle knuckle, and out of the palm, right-handed for either hand;
    ``thumbward``: which way along ``across`` the thumb lies, 1 or -1. ``fingers`` (5, 3): bones;
    ``flexion`` and ``sideways`` (5, 3): each finger's unit axes; ``rest_bend`` (5, 3): radians;
    ``elbow_axis`` (3,) and ``rest_elbow``: the same of the elbow. ``size``: wrist to middle knuckle
    in metres.
    """

    mesh: HandMesh
    heads: Doubles
    tails: Doubles
    frame: Doubles
    thumbward: float
    fingers: Integers
    flexion: Doubles
    sideways: Doubles
    rest_bend: Doubles
    elbow_axis: Doubles
    rest_elbow: float
    size: float

    @property
    def wrist(self) -> int:
        """The bone of the palm, which begins at the wrist."""
        return self.mesh.bones.index("wrist.R")


def rig_of(mesh: HandMesh) -> Rig:
    """Measure joints, palm frame and bending axes of a mesh at rest."""
    vertices = mesh.vertices.astype(np.float64)
    heads = mesh.heads @ vertices
    tails = mesh.tails @ vertices
    bone, end = mesh.keypoints.T
    keypoints = np.stack([heads, tails])[end, bone]
    frame, thumbward = _palm_frame(keypoints)
    directions = _unit(tails - heads)
    axes = _FingerAxes.of(mesh, directions, _inward(keypoints, frame), frame[2])
    elbow_axis, rest_elbow = _elbow(mesh, directions)
    return Rig(
        mesh=mesh,
        heads=heads,
        tails=tails,
        frame=frame,
        thumbward=thumbward,
        fingers=axes.bones,
        flexion=axes.flexion,
        sideways=axes.sideways,
        rest_bend=axes.rest_bend,
        elbow_axis=elbow_axis,
        rest_elbow=rest_elbow,
        size=_distance(keypoints[_MIDDLE_KNUCKLE], keypoints[_WRIST]),
    )


def _distance(point: Doubles, other: Doubles) -> float:
    return float(np.linalg.norm(point - other))


@dataclass(frozen=True, eq=False)
class _FingerAxes:
    """How the fingers of a resting mesh bend, as ``Rig`` has it."""

    bones: Integers
    flexion: Doubles
    sideways: Doubles
    rest_bend: Doubles

    @classmethod
    def of(cls, mesh: HandMesh, directions: Doubles, inward: Doubles, out: Doubles) -> Self:
        """Measure the axes.

        Args:
            mesh: at rest.
            directions: (B, 3) unit vectors along the bones.
            inward: (5, 3) where each finger bends to.
            out: (3,) of the palm.
        """
        bones = _finger_bones(mesh)
        first = bones[:, 0]
        vertices = mesh.vertices.astype(np.float64)
        corners = (mesh.planes @ vertices)[first]
        flexion = _flexion_axes(corners, directions[first], inward)
        before = directions[mesh.parents[bones]]
        rest_bend = _signed_angle(before, directions[bones], flexion[:, None])
        # The wrist's bone is no line that a thumb could be straight with: its first joint counts
        # from the rest.
        rest_bend[0, 0] = 0
        sideways = _unit(out - _along(out, flexion))
        # A thumb spreads in the plane of the palm, whichever way it bends.
        sideways[0] = out
        return cls(bones, flexion, sideways, rest_bend)


def _elbow(mesh: HandMesh, directions: Doubles) -> tuple[Doubles, float]:
    """Return the axis (3,) about which an elbow bends, and by how much it is bent at rest."""
    upper = directions[mesh.bones.index("upperarm02.R")]
    lower = directions[mesh.bones.index("lowerarm01.R")]
    # The arm rests a little bent: a straight one would not tell the axis.
    axis = _unit(np.cross(upper, lower))
    return axis, float(_signed_angle(upper, lower, axis))


def _finger_bones(mesh: HandMesh) -> Integers:
    """Return the bones (5, 3) of the fingers, thumb to little, first phalanx to last."""
    numbers = []
    for finger, phalanx in product(FINGERS, (1, 2, 3)):
        numbers.append(mesh.bones.index(f"{finger}-{phalanx}.R"))
    return np.array(numbers).reshape(-1, 3)


def _inward(keypoints: Doubles, frame: Doubles) -> Doubles:
    """Return (5, 3): where each finger bends to.

    A mesh may rest with fingers that are bent back a little, so how it rests does not tell which
    way is inward: fingers bend to where the palm looks, the thumb towards the little finger's
    knuckle.
    """
    inward = np.tile(frame[2], (5, 1))
    inward[0] = keypoints[_KNUCKLES[-1]] - keypoints[_THUMB_BASE]
    return inward


def _flexion_axes(corners: Doubles, directions: Doubles, inward: Doubles) -> Doubles:
    """Return the unit axes (5, 3) about which fingers bend inward: normals of their planes.

    Args:
        corners: (5, 3, 3) three points of each finger's plane, the joint in the middle.
        directions: (5, 3) of the first phalanges.
        inward: (5, 3).
    """
    before, joint, after = corners.transpose(1, 0, 2)
    axes = _unit(np.cross(before - joint, after - joint))
    turn = np.cross(directions, inward)
    # A plane has two normals: the one about which the finger turns inward.
    agreement = np.sum(axes * turn, axis=1, keepdims=True)
    axes *= np.sign(agreement)
    return axes


def _palm_frame(keypoints: Doubles) -> tuple[Doubles, float]:
    """Return the palm's frame (3, 3), and which way across it the thumb lies, 1 or -1."""
    along = _unit(keypoints[_MIDDLE_KNUCKLE] - keypoints[_WRIST])
    thumbward = keypoints[_KNUCKLES[0]] - keypoints[_KNUCKLES[-1]]
    out = _unit(np.cross(thumbward, along))
    # Fingers at rest curl to the palm's side: that tells it from the back, on either hand.
    fingers = keypoints[list(_TIPS)] - keypoints[list(_KNUCKLES)]
    out *= np.sign(out @ fingers.mean(axis=0))
    across = np.cross(along, out)
    side = np.sign(across @ thumbward)
    return np.stack([across, along, out]), float(side)


def posed(rig: Rig, pose: HandPose) -> Doubles:
    """Turn a pose into the bones' transforms (B, 3, 4), under which the forearm stays where the
    mesh rests.
    """
    transforms = forward(rig.mesh, rig.heads, _rotations(rig, pose))
    return relative(transforms, rig.mesh.bones.index("lowerarm02.R"))


def _rotations(rig: Rig, pose: HandPose) -> Doubles:
    """Return by how much each bone turns against the one before it, (B, 3, 3)."""
    turn = np.tile(np.eye(3), (len(rig.mesh.bones), 1, 1))
    turn[rig.fingers] = rotation(rig.flexion[:, None], pose.bend - rig.rest_bend)
    knuckles = rig.fingers[:, 0]
    # Bent first, then swung: the axis of a bend goes with the finger.
    turn[knuckles] = _swings(rig, pose) @ turn[knuckles]
    elbow = rig.mesh.bones.index("lowerarm01.R")
    # A straight elbow keeps the upper arm, and the cut end of it, behind the forearm and out of
    # the picture.
    turn[elbow] = rotation(rig.elbow_axis, pose.elbow - rig.rest_elbow)
    turn[rig.wrist] = _wrist_turn(rig, *pose.wrist)
    return turn


def _wrist_turn(rig: Rig, flexion: float, deviation: float) -> Doubles:
    """Return how the palm turns against the forearm, (3, 3)."""
    sideways = rotation(rig.frame[2], -rig.thumbward * deviation)
    return sideways @ rotation(rig.frame[0], flexion)


def _swings(rig: Rig, pose: HandPose) -> Doubles:
    """Return how fingers turn sideways at their first joint, (5, 3, 3)."""
    swings = rotation(rig.sideways, -rig.thumbward * pose.spread)
    # The thumb alone also swings in front of the palm.
    opposed = rotation(rig.frame[1], -rig.thumbward * pose.opposition)
    swings[0] = opposed @ swings[0]
    return swings


def _unit(vector: Doubles) -> Doubles:
    scaled: Doubles = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
    return scaled


def _along(vector: Doubles, axis: Doubles) -> Doubles:
    """Return what of a vector (..., 3) lies along a unit axis (..., 3)."""
    projected: Doubles = np.sum(vector * axis, axis=-1, keepdims=True) * axis
    return projected


def _signed_angle(before: Doubles, after: Doubles, axis: Doubles) -> Doubles:
    """Angle about ``axis`` that turns ``before`` into ``after``, both seen along the axis."""
    before = before - _along(before, axis)
    after = after - _along(after, axis)
    # By both, not by the cosine alone: that has no sign, and is flat where the angle is small.
    sine = np.sum(np.cross(before, after) * axis, axis=-1)
    cosine = np.sum(before * after, axis=-1)
    angle: Doubles = np.arctan2(sine, cosine)
    return angle
