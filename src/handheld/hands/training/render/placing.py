"""A person's hand before the camera: bent, turned, put somewhere, with its arm behind it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.hands.skeleton import PALM_POINTS
from handheld.hands.training.render.convention import FLESH
from handheld.hands.training.render.mesh import Floats, Handedness
from handheld.hands.training.render.people import RenderedPerson
from handheld.hands.training.render.rig import HandPose, Rig, posed
from handheld.hands.training.render.skinning import Doubles, carry, relative, skin

ARM_LENGTH = 0.5
"""Metres behind the wrist at which an arm ends that is only a sleeve."""
# Metres around the middle of the forearm in which nothing can be seen through it.
_ARM_GIRTH = 0.04
# Metres from the camera at which an elbow would fill the picture.
_NEAREST = 0.12
# Keypoints that the forearm may hide of a hand that is shown.
_HIDDEN_MOST = 2
# Points of a limb at which a line of sight is tested: closer together than the limb is thick.
_LIMB_POINTS = 24
# Of a limb from the wrist on: the wrist itself hides nothing of its hand.
_LIMB_BEGIN = 0.2


@dataclass(frozen=True, eq=False)
class PlacedHand:
    """One hand in the camera's axes (x right, y down, z away from it), metres.

    Attributes:
        person: whose it is.
        handedness: which of the two.
        transforms: (B, 3, 4) of the bones, within the resting mesh's axes; the
            palm lies as it rests.
        axes: (3, 3), rows: the palm's across, along and out as the camera's.
        wrist: (3,).
        keypoints: (21, 3).
        vertices: (drawn, 3).
    """

    person: RenderedPerson
    handedness: Handedness
    transforms: Doubles
    axes: Doubles
    wrist: Doubles
    keypoints: Doubles
    vertices: Floats

    @property
    def rig(self) -> Rig:
        """The rig that bends it."""
        return self.person.rigs[self.handedness]

    @property
    def centre(self) -> Doubles:
        """(3,) the middle of the palm."""
        middle: Doubles = self.keypoints[list(PALM_POINTS)].mean(axis=0)
        return middle

    @property
    def flesh(self) -> Doubles:
        """(21,) metres of skin before a keypoint that are its own."""
        depth: Doubles = self.rig.size * FLESH
        return depth

    @property
    def hand_vertices(self) -> Floats:
        """(N, 3): the hand without its arm."""
        arm = self.person.arms[self.handedness]
        hand: Floats = self.vertices[~arm.on_arm]
        return hand

    @property
    def shoulder(self) -> Doubles:
        """(3,) where the arm, or what stands for it, ends."""
        rig = self.rig
        if self.person.has_arm:
            # The root of the bones: a parent comes before its children.
            return self.joint(0, rig.heads[0])
        bone = rig.mesh.bones.index("lowerarm02.R")
        end = rig.heads[rig.wrist] - ARM_LENGTH * rig.frame[1]
        return self.joint(bone, end)

    def joint(self, bone: int, point: Doubles) -> Doubles:
        """Return where a point (3,) of the resting mesh is that moves with a bone, (3,)."""
        moved = carry(self.transforms[bone][None], point[None])
        end: Doubles = self.to_camera(moved)[0]
        return end

    def to_camera(self, points: Doubles | Floats) -> Doubles:
        """Bring points (N, 3) of the resting mesh, where they stay with the
        palm, before the camera.
        """
        return _to_camera(self.rig, self.axes, self.wrist, points)

    def with_forearm(self, points: Floats) -> Floats:
        """Bring points (N, 3) of the resting mesh before the camera, moved with the forearm."""
        bone = self.rig.mesh.bones.index("lowerarm02.R")
        transforms = np.broadcast_to(self.transforms[bone], (len(points), 3, 4))
        moved = carry(transforms, points.astype(np.float64))
        return self.to_camera(moved).astype(np.float32)


def place_hand(
    person: RenderedPerson,
    handedness: Handedness,
    pose: HandPose,
    axes: Doubles,
    centre: Doubles,
) -> PlacedHand:
    """Bend a hand and put the middle of its palm at ``centre`` (3,) metres, turned by ``axes``
    (3, 3).
    """
    rig = person.rigs[handedness]
    # The palm is what is aimed at the camera; it is the forearm that moves when the wrist bends.
    transforms = relative(posed(rig, pose), rig.wrist)
    keypoints = person.keypoints[handedness].posed(transforms)
    palm = keypoints[list(PALM_POINTS)].mean(axis=0)
    wrist = centre - (palm - rig.heads[rig.wrist]) @ rig.frame.T @ axes
    vertices = _to_camera(rig, axes, wrist, skin(rig.mesh, transforms))
    return PlacedHand(
        person=person,
        handedness=handedness,
        transforms=transforms,
        axes=axes,
        wrist=wrist,
        keypoints=_to_camera(rig, axes, wrist, keypoints),
        vertices=vertices.astype(np.float32),
    )


def _to_camera(rig: Rig, axes: Doubles, wrist: Doubles, points: Doubles | Floats) -> Doubles:
    moved: Doubles = (points - rig.heads[rig.wrist]) @ (rig.frame.T @ axes) + wrist
    return moved


def joints(hand: PlacedHand) -> Doubles:
    """Return the 21 joints in the middle of the fingers, (21, 3) metres, in the resting mesh's
    axes.
    """
    rig = hand.rig
    bone, end = rig.mesh.keypoints.T
    # Not the keypoints: those are where a person sees them, near the skin.
    resting = np.where((end == 0)[:, None], rig.heads[bone], rig.tails[bone])
    return carry(hand.transforms[bone], resting)


def is_shown(hand: PlacedHand) -> bool:
    """Whether a camera sees the hand past its own forearm, which does not reach up to the
    camera.
    """
    bone = hand.rig.mesh.bones.index("lowerarm01.R")
    elbow = hand.joint(bone, hand.rig.heads[bone])
    if elbow[2] < _NEAREST:
        return False
    hidden = _behind_limb(hand.keypoints, hand.wrist, elbow)
    return bool(hidden.sum() <= _HIDDEN_MOST)


def _behind_limb(points: Doubles, wrist: Doubles, elbow: Doubles) -> NDArray[np.bool_]:
    """Tell which points (N, 3) a camera at the origin sees only through a limb, its first part
    aside.
    """
    shares = np.linspace(_LIMB_BEGIN, 1, _LIMB_POINTS)
    limb = wrist + shares[:, None] * (elbow - wrist)
    distance = np.linalg.norm(points, axis=1)
    # How far along each line of sight a point of the limb is, and how far beside it.
    ray = points / distance[:, None]
    along = limb @ ray.T
    gaps = limb[:, None] - along[..., None] * ray
    beside = np.linalg.norm(gaps, axis=2)
    # Nearer than the point by more than the limb is thick: beside it, it hides nothing.
    hidden = (beside < _ARM_GIRTH) & (along < distance - _ARM_GIRTH)
    return np.asarray(hidden.any(axis=0))
