"""Who the hands belong to: shapes and skins, mixed at random from the meshes' own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.convention import Keypoints, keypoints_of
from handheld.hands.training.render.mesh import (
    Floats,
    Handedness,
    HandMesh,
    mirrored,
    shaped,
)
from handheld.hands.training.render.props import ArmShape, arm_shape
from handheld.hands.training.render.rig import FINGERS, Rig, rig_of
from handheld.hands.training.render.shade import Picture
from handheld.hands.training.render.skinning import Doubles
from handheld.hands.training.render.sources import RenderSources, read_skin

_PEOPLES = ("african", "asian", "caucasian")
# Share of children: their hands differ most from all others.
_CHILD = 0.12
# Standard deviation of a local target's weight, of which 1 is the largest that was modelled.
_LOCAL_SPREAD = 0.45
# Shares of another skin in a person's.
_MIXTURES = (0.0, 0.35, 0.65)
# Of a skin's colour: more than 8 % looks false.
_TINT_SPREAD = 0.03
# Mean of the skin of a mesh that has none of its own, coloured by its vertices.
_PLAIN_SKIN = 215
SECOND_MESH = 0.3
"""Share of people with another mesh than the first, where there is one."""


@dataclass(frozen=True, eq=False)
class RenderedPerson:
    """Two hands and their skin.

    Attributes:
        name: for splits.
        rigs, keypoints, arms: of either hand.
        skin: (N, N, 3) RGB.
        tint: (3,) or (drawn, 3), what the skin's linear colour is multiplied by.
    """

    name: str
    rigs: Mapping[Handedness, Rig]
    keypoints: Mapping[Handedness, Keypoints]
    arms: Mapping[Handedness, ArmShape]
    skin: Picture
    tint: Floats

    @property
    def has_arm(self) -> bool:
        """Whether the mesh goes on behind the wrist."""
        return self.rigs["Right"].mesh.family == "makehuman"


def draw_person(
    sources: RenderSources,
    name: str,
    random: np.random.Generator,
    second_mesh: float = SECOND_MESH,
) -> RenderedPerson:
    """Make up a person.

    Args:
        sources: of meshes and skins.
        name: for splits.
        random: decides.
        second_mesh: share of people with another mesh than the first, where there is one.
    """
    arm = sources.meshes[0]
    number = int(random.integers(len(sources.skins)))
    skin_name = sources.skins[number]
    # One partner for each skin, so that all people share some thirty pictures.
    other = sources.skins[(number + len(sources.skins) // 2 + 1) % len(sources.skins)]
    share = _MIXTURES[int(random.integers(len(_MIXTURES)))]
    gain = np.exp(random.normal(0, _TINT_SPREAD, 3)).astype(np.float32)
    if len(sources.meshes) > 1 and random.random() < second_mesh:
        mesh = _stretched(sources.meshes[1], random)
        skin = _mottled(random)
        tint = _borrowed_colours(sources, skin_name, mesh) * gain
    else:
        mesh = replace(shaped(arm, draw_shape(arm, random)), targets={})
        skin = read_skin(sources.folder, skin_name, other, share)
        tint = gain
    rigs: dict[Handedness, Rig] = {"Right": rig_of(mesh), "Left": rig_of(mirrored(mesh))}
    keypoints = {side: keypoints_of(rig) for side, rig in rigs.items()}
    arms = {side: arm_shape(rig) for side, rig in rigs.items()}
    return RenderedPerson(name, rigs, keypoints, arms, skin, tint)


def draw_shape(mesh: HandMesh, random: np.random.Generator) -> dict[str, float]:
    """Return weights of shape targets for an adult or a child, for :func:`mesh.shaped`."""
    sex = str(random.choice(("female", "male")))
    child = random.uniform(0.3, 0.9) if random.random() < _CHILD else 0.0
    old = random.uniform(0, 1 - child) * float(random.random() < 0.4)
    ages = {"young": 1 - child - old, "old": old, "child": child}
    peoples = dict(zip(_PEOPLES, random.dirichlet((0.6, 0.6, 0.6)), strict=True))
    muscle = _graded("muscle", random.uniform(-1, 1))
    fat = _graded("weight", random.uniform(-1, 1))
    weights: dict[str, float] = {}
    for age, age_share in ages.items():
        for people, people_share in peoples.items():
            weights[f"macro/{people}-{sex}-{age}"] = age_share * people_share
        for (muscle_name, fat_name), share in _products(muscle, fat).items():
            weights[f"macro/universal-{sex}-{age}-{muscle_name}-{fat_name}"] = age_share * share
    weights |= _local_weights(sorted(mesh.targets), random)
    # The mean of muscle and of weight is the mesh itself, so that the files have no target for it.
    return {name: value for name, value in weights.items() if name in mesh.targets and value > 0}


def _graded(quantity: str, amount: float) -> dict[str, float]:
    """Return the shares of least, mean and most of a quantity that goes from -1 to 1."""
    extreme = f"max{quantity}" if amount > 0 else f"min{quantity}"
    return {extreme: abs(amount), f"average{quantity}": 1 - abs(amount)}


def _products(
    first: Mapping[str, float],
    second: Mapping[str, float],
) -> dict[tuple[str, str], float]:
    products = {}
    for name, share in first.items():
        for other, other_share in second.items():
            products[name, other] = share * other_share
    return products


def _local_weights(targets: Sequence[str], random: np.random.Generator) -> dict[str, float]:
    """Return a weight for one of each pair of opposed targets (``…-incr`` and ``…-decr``)."""
    opposites = {"incr": "decr", "out": "in"}
    weights = {}
    for name in targets:
        stem, _, end = name.rpartition("-")
        if not name.startswith("macro/") and end in opposites:
            amount = float(np.clip(random.normal(0, _LOCAL_SPREAD), -1, 1))
            weights[name if amount > 0 else f"{stem}-{opposites[end]}"] = abs(amount)
    return weights


def _stretched(mesh: HandMesh, random: np.random.Generator) -> HandMesh:
    """Vary a mesh that has no shape targets: longer or wider, as a whole."""
    along = random.normal(1, 0.05)
    stretch = np.array([random.normal(1, 0.07), along, random.normal(1, 0.07)], np.float32)
    return replace(mesh, vertices=mesh.vertices * stretch)


def _mottled(random: np.random.Generator, size: int = 64) -> Picture:
    """Return a skin (64, 64, 3) without colour, a little uneven as skin is."""
    grain = random.normal(0, 5, (size, size, 1)) + random.normal(0, 2, (size, size, 3))
    return np.clip(_PLAIN_SKIN + grain, 0, 255).astype(np.uint8)


def _borrowed_colours(sources: RenderSources, skin: str, mesh: HandMesh) -> Floats:
    """Return for each vertex of a mesh the linear colour that the arm has at
    the like place, (drawn, 3).

    A like place is on the same bone, as far along it and as far around it.
    """
    arm = sources.meshes[0]
    colours = _vertex_colours(arm, read_skin(sources.folder, skin))
    theirs = _bone_places(arm)
    ours = _bone_places(mesh)
    tint = np.empty((mesh.drawn, 3), np.float32)
    for bone in np.unique(ours.bone):
        mine = np.flatnonzero(ours.bone == bone)
        others = np.flatnonzero(theirs.bone == bone)
        gaps = ours.place[mine, None] - theirs.place[None, others]
        tint[mine] = colours[others[(gaps**2).sum(axis=2).argmin(axis=1)]]
    return tint / np.float32((_PLAIN_SKIN / 255) ** 2.2)


@dataclass(frozen=True)
class _BonePlaces:
    """Where vertices are on their bones: ``bone`` (N,) numbers of a common list, ``place`` (N, 3)."""

    bone: NDArray[np.int64]
    place: Doubles


def _bone_places(mesh: HandMesh) -> _BonePlaces:
    """Place each vertex on the bone that moves it most, in units of that bone's length and girth."""
    rig = rig_of(mesh)
    common = ["wrist.R"]
    for finger in FINGERS:
        common += [f"{finger}-{phalanx}.R" for phalanx in (1, 2, 3)]
    strongest = mesh.influences[np.arange(mesh.drawn), mesh.weights.argmax(axis=1)]
    names = [bone if bone in common else "wrist.R" for bone in mesh.bones]
    numbers = np.array([common.index(name) for name in names])
    owner = np.array([mesh.bones.index(name) for name in names])[strongest]
    axis = rig.tails[owner] - rig.heads[owner]
    # The palm is one bone here: as far along it as the middle knuckle.
    palm = owner == mesh.bones.index("wrist.R")
    axis[palm] = rig.size * rig.frame[1]
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    offset = mesh.vertices[: mesh.drawn].astype(np.float64) - rig.heads[owner]
    along = np.sum(offset * axis, axis=1, keepdims=True) / length**2
    around = offset - along * axis
    facing = around @ rig.frame[[0, 2]].T / (0.1 * rig.size)
    facing[:, 0] *= rig.thumbward
    facing[palm] /= 5
    return _BonePlaces(numbers[strongest], np.concatenate([2 * along, facing], axis=1))


def _vertex_colours(mesh: HandMesh, skin: Picture) -> Floats:
    """Return the linear colour (drawn, 3) of a skin at each vertex."""
    place = np.zeros((mesh.drawn, 2), np.float32)
    place[mesh.faces.ravel()] = mesh.uv[mesh.texture_faces.ravel()]
    column = (place[:, 0] * len(skin)).astype(np.int64).clip(0, len(skin) - 1)
    row = ((1 - place[:, 1]) * len(skin)).astype(np.int64).clip(0, len(skin) - 1)
    linear: Floats = (skin[row, column] / np.float32(255)) ** np.float32(2.2)
    return linear
