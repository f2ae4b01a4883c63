"""The hand's own joints: how a pose of finger and wrist angles turns each bone of the mesh.

Angles are in radians. A finger's bend is absolute: zero has the bone in line
with the one before it.
"""

from dataclasses import dataclass

import numpy as np

from handheld.hands.training.render.mesh import HandMesh, Integers
from handheld.hands.training.render.skinning import Doubles, forward, relative, rotation

FINGERS = ("finger1", "finger2", "finger3", "finger4", "finger5")
_WRIST, _MIDDLE_KNUCKLE, _KNUCKLES = 0, 9, (5, 9, 13, 17)
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

    ``heads`` and ``tails`` (B, 3): joints in metres. ``frame`` (3, 3), rows: across the palm,
    along the hand from wrist to middle knuckle, and out of the palm, right-handed for either
    hand; ``thumbward``: which way along ``across`` the thumb lies, 1 or -1. ``fingers`` (5, 3):
    bones; ``flexion`` and ``sideways`` (5, 3): each finger's unit axes; ``rest_bend`` (5, 3):
    radians; ``elbow_axis`` (3,) and ``rest_elbow``: the same of the elbow. ``size``: wrist to
    middle knuckle in metres.
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


def rig_of(mesh: HandMesh) -> Rig:
    """Measure joints, palm frame and bending axes of a mesh at rest."""
    vertices = mesh.vertices.astype(np.float64)
    heads, tails, planes = mesh.heads @ vertices, mesh.tails @ vertices, mesh.planes @ vertices
    keypoints = np.stack([heads, tails])[mesh.keypoints[:, 1], mesh.keypoints[:, 0]]
    frame, thumbward = _palm_frame(keypoints)
    fingers = np.array(
        [[mesh.bones.index(f"{finger}-{i}.R") for i in (1, 2, 3)] for finger in FINGERS]
    )
    directions = _unit(tails - heads)
    corner = planes[fingers[:, 0]]
    flexion = _unit(np.cross(corner[:, 0] - corner[:, 1], corner[:, 2] - corner[:, 1]))
    before = directions[mesh.parents[fingers]]
    # A mesh may rest with fingers that are bent back a little, so how it rests does not tell which way is
    # inward: fingers bend to where the palm looks, the thumb towards the little finger's knuckle.
    inward = np.tile(frame[2], (5, 1))
    inward[0] = keypoints[_KNUCKLES[-1]] - keypoints[_THUMB_BASE]
    turn = np.cross(directions[fingers[:, 0]], inward)
    flexion *= np.sign(np.sum(flexion * turn, axis=1, keepdims=True))
    rest_bend = _signed_angle(before, directions[fingers], flexion[:, None])
    # The wrist's bone is no line that a thumb could be straight with: its first joint counts from the rest.
    rest_bend[0, 0] = 0
    upper, lower = (directions[mesh.bones.index(bone)] for bone in ("upperarm02.R", "lowerarm01.R"))
    elbow_axis = _unit(np.cross(upper, lower))
    sideways = _unit(frame[2] - _along(frame[2], flexion))
    sideways[0] = frame[2]
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
        rest_elbow=float(_signed_angle(upper, lower, elbow_axis)),
        size=float(np.linalg.norm(keypoints[_MIDDLE_KNUCKLE] - keypoints[_WRIST])),
    )


def _palm_frame(keypoints: Doubles) -> tuple[Doubles, float]:
    along = _unit(keypoints[_MIDDLE_KNUCKLE] - keypoints[_WRIST])
    thumbward = keypoints[_KNUCKLES[0]] - keypoints[_KNUCKLES[-1]]
    out = _unit(np.cross(thumbward, along))
    curl = (keypoints[list(_TIPS)] - keypoints[list(_KNUCKLES)]).mean(axis=0)
    out *= np.sign(out @ curl)
    across = np.cross(along, out)
    return np.stack([across, along, out]), float(np.sign(across @ thumbward))


def posed(rig: Rig, pose: HandPose) -> Doubles:
    """Turn a pose into the bones' transforms (B, 3, 4), under which the forearm
    stays where the mesh rests.
    """
    transforms = forward(rig.mesh, rig.heads, _rotations(rig, pose))
    return relative(transforms, rig.mesh.bones.index("lowerarm02.R"))


def _rotations(rig: Rig, pose: HandPose) -> Doubles:
    turn = np.tile(np.eye(3), (len(rig.mesh.bones), 1, 1))
    turn[rig.fingers] = rotation(rig.flexion[:, None], pose.bend - rig.rest_bend)
    knuckles = rig.fingers[:, 0]
    swing = rotation(rig.sideways, -rig.thumbward * pose.spread)
    swing[0] = rotation(rig.frame[1], -rig.thumbward * pose.opposition) @ swing[0]
    turn[knuckles] = swing @ turn[knuckles]
    flexion, deviation = pose.wrist
    # A straight elbow keeps the upper arm, and the cut end of it, behind the forearm and out of the picture.
    turn[rig.mesh.bones.index("lowerarm01.R")] = rotation(
        rig.elbow_axis, pose.elbow - rig.rest_elbow
    )
    turn[rig.mesh.bones.index("wrist.R")] = rotation(
        rig.frame[2], -rig.thumbward * deviation
    ) @ rotation(rig.frame[0], flexion)
    return turn


def _unit(vector: Doubles) -> Doubles:
    scaled: Doubles = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
    return scaled


def _along(vector: Doubles, axis: Doubles) -> Doubles:
    part: Doubles = np.sum(vector * axis, axis=-1, keepdims=True) * axis
    return part


def _signed_angle(before: Doubles, after: Doubles, axis: Doubles) -> Doubles:
    """Angle about ``axis`` that turns ``before`` into ``after``, both seen along the axis."""
    before, after = before - _along(before, axis), after - _along(after, axis)
    sine = np.sum(np.cross(before, after) * axis, axis=-1)
    angle: Doubles = np.arctan2(sine, np.sum(before * after, axis=-1))
    return angle
