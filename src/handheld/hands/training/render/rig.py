"""The hand's own joints: how a pose of finger and wrist angles turns each bone of the mesh.

Angles are in radians. A finger's bend is absolute: zero has the bone in line
with the one before it.
"""

from dataclasses import dataclass
from itertools import product

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
    keypoints = np.stack([heads, tails])[mesh.keypoints[:, 1], mesh.keypoints[:, 0]]
    frame, thumbward = _palm_frame(keypoints)
    fingers = _finger_bones(mesh)
    directions = _unit(tails - heads)
    inward = _inward(keypoints, frame)
    corners = (mesh.planes @ vertices)[fingers[:, 0]]
    flexion = _flexion_axes(corners, directions[fingers[:, 0]], inward)
    before = directions[mesh.parents[fingers]]
    rest_bend = _signed_angle(before, directions[fingers], flexion[:, None])
    # The wrist's bone is no line that a thumb could be straight with: its first joint counts from
    # the rest.
    rest_bend[0, 0] = 0
    sideways = _unit(frame[2] - _along(frame[2], flexion))
    # A thumb spreads in the plane of the palm, whichever way it bends.
    sideways[0] = frame[2]
    elbow_axis, rest_elbow = _elbow(mesh, directions)
    return Rig(
        mesh=mesh,
        heads=heads,
        tails=tails,
        frame=frame,
        thumbward=thumbward,
        fingers=fingers,
        flexion=flexion,
        sideways=sideways,
        rest_bend=rest_bend,
        elbow_axis=elbow_axis,
        rest_elbow=rest_elbow,
        size=float(np.linalg.norm(keypoints[_MIDDLE_KNUCKLE] - keypoints[_WRIST])),
    )


def _elbow(mesh: HandMesh, directions: Doubles) -> tuple[Doubles, float]:
    """Return the axis (3,) about which an elbow bends, and by how much it is bent at rest."""
    upper = directions[mesh.bones.index("upperarm02.R")]
    lower = directions[mesh.bones.index("lowerarm01.R")]
    # The arm rests a little bent: a straight one would not tell the axis.
    axis = _unit(np.cross(upper, lower))
    return axis, float(_signed_angle(upper, lower, axis))


def _finger_bones(mesh: HandMesh) -> Integers:
    """Return the bones (5, 3) of the fingers, thumb to little, first phalanx to last."""
    names = [f"{finger}-{phalanx}.R" for finger, phalanx in product(FINGERS, (1, 2, 3))]
    return np.array([mesh.bones.index(name) for name in names]).reshape(-1, 3)


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
    axes = _unit(np.cross(corners[:, 0] - corners[:, 1], corners[:, 2] - corners[:, 1]))
    turn = np.cross(directions, inward)
    axes *= np.sign(np.sum(axes * turn, axis=1, keepdims=True))
    return axes


def _palm_frame(keypoints: Doubles) -> tuple[Doubles, float]:
    along = _unit(keypoints[_MIDDLE_KNUCKLE] - keypoints[_WRIST])
    thumbward = keypoints[_KNUCKLES[0]] - keypoints[_KNUCKLES[-1]]
    out = _unit(np.cross(thumbward, along))
    # Fingers at rest curl to the palm's side: that tells it from the back, on either hand.
    curl = (keypoints[list(_TIPS)] - keypoints[list(_KNUCKLES)]).mean(axis=0)
    out *= np.sign(out @ curl)
    across = np.cross(along, out)
    return np.stack([across, along, out]), float(np.sign(across @ thumbward))


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
    # A straight elbow keeps the upper arm, and the cut end of it, behind the forearm and out of
    # the picture.
    elbow = rotation(rig.elbow_axis, pose.elbow - rig.rest_elbow)
    turn[rig.mesh.bones.index("lowerarm01.R")] = elbow
    flexion, deviation = pose.wrist
    sideways = rotation(rig.frame[2], -rig.thumbward * deviation)
    turn[rig.wrist] = sideways @ rotation(rig.frame[0], flexion)
    return turn


def _swings(rig: Rig, pose: HandPose) -> Doubles:
    """Return how fingers turn sideways at their first joint, (5, 3, 3)."""
    swings = rotation(rig.sideways, -rig.thumbward * pose.spread)
    # The thumb alone also swings in front of the palm.
    swings[0] = rotation(rig.frame[1], -rig.thumbward * pose.opposition) @ swings[0]
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
