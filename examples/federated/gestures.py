"""Gestures of made-up people, each a device: hands of their own shape, seen from where they hold
the camera.

``hands.training`` poses the mesh of ``HANDHELD_DATA/hands/mesh``; the model sees 21 landmarks in
units of the palm, as ``HandTracker`` gives them. Half of each person's gestures are few: nobody
shows all of them alike.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from handheld.config import find
from handheld.data.users.partitions import from_indices
from handheld.federated.learning import Examples, Users
from handheld.hands.training.render.convention import keypoints_of
from handheld.hands.training.render.mesh import HandMesh, load_mesh, shaped
from handheld.hands.training.render.poses import GESTURES, blend
from handheld.hands.training.render.rig import posed, rig_of
from handheld.hands.training.render.skinning import rotation

PEOPLE, JUDGES, EACH = 60, 20, 30
_WRIST, _MIDDLE, _LOOSE, _GRAIN = 0, 9, 0.35, 0.02


def users() -> tuple[Users, Examples]:
    """Return sixty people with thirty examples each, and examples of twenty others to judge by."""
    mesh, rng = load_mesh(find("hands/mesh", Path())), np.random.default_rng(0)
    everybody = [person(mesh, rng) for _ in range(PEOPLE + JUDGES)]
    inputs, targets = (np.concatenate([one[part] for one in everybody]) for part in (0, 1))
    own = PEOPLE * EACH
    dealt = from_indices(
        [np.arange(number * EACH, (number + 1) * EACH) for number in range(PEOPLE)]
    )
    return Users(Examples(inputs[:own], targets[:own]), dealt), Examples(
        inputs[own:], targets[own:]
    )


def person(mesh: HandMesh, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (EACH, 63) landmarks of one person's hand, and which gesture each is."""
    kinds = [name for name in mesh.targets if name.startswith("macro/")]
    rig = rig_of(
        shaped(mesh, dict(zip(kinds, rng.dirichlet(np.full(len(kinds), 0.3)), strict=True)))
    )
    keypoints, poses = keypoints_of(rig), list(GESTURES.values())
    held = rng.normal(0, 0.4, 3)  # how this person turns the hand to the camera
    chosen = rng.choice(len(poses), EACH, p=rng.dirichlet(np.full(len(poses), 1.0)))
    found = []
    for gesture in chosen:
        pose = blend(poses[gesture], poses[rng.integers(len(poses))], rng.uniform(0, _LOOSE))
        points = keypoints.posed(posed(rig, pose))
        for axis, angle in zip(np.eye(3), held + rng.normal(0, 0.15, 3), strict=True):
            points = points @ rotation(axis, angle).T
        points = (points - points[_WRIST]) / np.linalg.norm(points[_MIDDLE] - points[_WRIST])
        found.append((points + rng.normal(0, _GRAIN, points.shape)).ravel())
    return np.array(found, np.float32), chosen.astype(np.int64)


def network(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return one hidden layer of 64."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(shape[0], 64), nn.ReLU(), nn.Linear(64, classes))
