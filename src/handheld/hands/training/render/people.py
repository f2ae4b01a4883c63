"""Who the hands belong to: shapes and skins, mixed at random from the meshes' own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

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
from handheld.hands.training.render.props import ArmShape, arm_shape, strongest_bones
from handheld.hands.training.render.rig import FINGERS, Rig, rig_of
from handheld.hands.training.render.sampling import pick
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
# Share of people of whom a part is old.
_OLD = 0.4
# Of a picture's levels, as in `shade`.
_GAMMA = 2.2
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
    looks = _draw_looks(sources, random, second_mesh)
    rigs: dict[Handedness, Rig] = {
        "Right": rig_of(looks.mesh),
        "Left": rig_of(mirrored(looks.mesh)),
    }
    return RenderedPerson(
        name=name,
        rigs=rigs,
        keypoints={side: keypoints_of(rig) for side, rig in rigs.items()},
        arms={side: arm_shape(rig) for side, rig in rigs.items()},
        skin=looks.skin,
        tint=looks.tint,
    )


class _Looks(NamedTuple):
    """A right hand, its skin, and what the skin's linear colour is multiplied by."""

    mesh: HandMesh
    skin: Picture
    tint: Floats


def _draw_looks(sources: RenderSources, random: np.random.Generator, second_mesh: float) -> _Looks:
    # In this order whichever mesh it is: the order is a seed's.
    number = int(random.integers(len(sources.skins)))
    share = pick(random, _MIXTURES)
    gain = np.exp(random.normal(0, _TINT_SPREAD, 3)).astype(np.float32)
    if len(sources.meshes) > 1 and random.random() < second_mesh:
        mesh = _stretched(sources.meshes[1], random)
        skin = _mottled(random)
        colours = _borrowed_colours(sources, sources.skins[number], mesh)
        return _Looks(mesh, skin, colours * gain)
    arm = sources.meshes[0]
    person = shaped(arm, draw_shape(arm, random))
    # Without the targets, which are most of a mesh: there are hundreds of people in memory.
    mesh = replace(person, targets={})
    return _Looks(mesh, _mixed_skin(sources, number, share), gain)


def _mixed_skin(sources: RenderSources, number: int, share: float) -> Picture:
    skins = sources.skins
    # One partner for each skin, so that all people share some thirty pictures.
    opposite = number + len(skins) // 2 + 1
    partner = skins[opposite % len(skins)]
    return read_skin(sources.folder, skins[number], partner, share)


def draw_shape(mesh: HandMesh, random: np.random.Generator) -> dict[str, float]:
    """Return weights of shape targets for an adult or a child, for :func:`mesh.shaped`."""
    weights = _macro_weights(random)
    weights |= _local_weights(sorted(mesh.targets), random)
    # The mean of muscle and of weight is the mesh itself, so that the files have no target for it.
    return {name: value for name, value in weights.items() if name in mesh.targets and value > 0}


def _macro_weights(random: np.random.Generator) -> dict[str, float]:
    """Return weights of people, sex, age and build, by MakeHuman's names."""
    sex = str(random.choice(("female", "male")))
    ages = _draw_ages(random)
    # Below 1, so that most people are mostly of one kind.
    shares = random.dirichlet((0.6, 0.6, 0.6))
    peoples = dict(zip(_PEOPLES, shares, strict=True))
    muscle = _graded("muscle", random.uniform(-1, 1))
    fat = _graded("weight", random.uniform(-1, 1))
    builds = _products(muscle, fat)
    weights: dict[str, float] = {}
    for age, age_share in ages.items():
        for people, share in peoples.items():
            weights[f"macro/{people}-{sex}-{age}"] = age_share * share
        for build, share in builds.items():
            weights[f"macro/universal-{sex}-{age}-{build}"] = age_share * share
    return weights


def _draw_ages(random: np.random.Generator) -> dict[str, float]:
    """Return shares of MakeHuman's ages: a person is a mixture of them."""
    child = 0.0
    if random.random() < _CHILD:
        child = random.uniform(0.3, 0.9)
    # Drawn in any case: the numbers that follow shall not depend on who is old.
    old = random.uniform(0, 1 - child)
    if random.random() >= _OLD:
        old = 0.0
    return {"young": 1 - child - old, "old": old, "child": child}


def _graded(quantity: str, amount: float) -> dict[str, float]:
    """Return the shares of least, mean and most of a quantity that goes from -1 to 1."""
    extreme = f"max{quantity}" if amount > 0 else f"min{quantity}"
    return {extreme: abs(amount), f"average{quantity}": 1 - abs(amount)}


def _products(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Return the product of each pair of shares, by both names as the targets have them."""
    products = {}
    for name, share in first.items():
        for other, other_share in second.items():
            products[f"{name}-{other}"] = share * other_share
    return products


def _local_weights(targets: Sequence[str], random: np.random.Generator) -> dict[str, float]:
    """Return a weight for one of each pair of opposed targets (``…-incr`` and ``…-decr``)."""
    # By one of the pair: each is drawn once.
    opposites = {"incr": "decr", "out": "in"}
    weights = {}
    for name in targets:
        stem, _, end = name.rpartition("-")
        if name.startswith("macro/") or end not in opposites:
            continue
        amount = float(np.clip(random.normal(0, _LOCAL_SPREAD), -1, 1))
        chosen = name if amount > 0 else f"{stem}-{opposites[end]}"
        weights[chosen] = abs(amount)
    return weights


def _stretched(mesh: HandMesh, random: np.random.Generator) -> HandMesh:
    """Vary a mesh that has no shape targets: longer or wider, as a whole."""
    along = random.normal(1, 0.05)
    across = random.normal(1, 0.07)
    out = random.normal(1, 0.07)
    stretch = np.array([across, along, out], np.float32)
    return replace(mesh, vertices=mesh.vertices * stretch)


def _mottled(random: np.random.Generator, size: int = 64) -> Picture:
    """Return a skin (64, 64, 3) without colour, a little uneven as skin is."""
    brightness = random.normal(0, 5, (size, size, 1))
    hue = random.normal(0, 2, (size, size, 3))
    mottled = _PLAIN_SKIN + (brightness + hue)
    return np.clip(mottled, 0, 255).astype(np.uint8)


def _borrowed_colours(sources: RenderSources, skin: str, mesh: HandMesh) -> Floats:
    """Return for each vertex of a mesh the linear colour that the arm has at the like place,
    (drawn, 3).

    A like place is on the same bone, as far along it and as far around it.
    """
    arm = sources.meshes[0]
    colours = _vertex_colours(arm, read_skin(sources.folder, skin))
    nearest = _bone_places(mesh).nearest_in(_bone_places(arm))
    # The picture that they tint is not white.
    plain = np.float32((_PLAIN_SKIN / 255) ** _GAMMA)
    return cast(Floats, colours[nearest] / plain)


@dataclass(frozen=True)
class _BonePlaces:
    """Where vertices are on their bones: ``bone`` (N,) numbers of a common list, ``position``
    (N, 3).
    """

    bone: NDArray[np.int64]
    position: Doubles

    def nearest_in(self, others: "_BonePlaces") -> NDArray[np.int64]:
        """Return which of another mesh's vertices is at the most alike place, (N,)."""
        nearest = np.empty(len(self.bone), np.int64)
        # Bone by bone: across them the nearest vertex might be on the finger beside it.
        for bone in np.unique(self.bone):
            mine = np.flatnonzero(self.bone == bone)
            theirs = np.flatnonzero(others.bone == bone)
            gaps = self.position[mine, None] - others.position[None, theirs]
            distances = (gaps**2).sum(axis=2)
            nearest[mine] = theirs[distances.argmin(axis=1)]
        return nearest


def _bone_places(mesh: HandMesh) -> _BonePlaces:
    """Place each vertex on the bone that moves it most, in units of that bone's length and
    girth.
    """
    rig = rig_of(mesh)
    numbers, owner = _common_bones(mesh)
    is_palm = owner == mesh.bones.index("wrist.R")
    axis = rig.tails[owner] - rig.heads[owner]
    # The palm is one bone here: as far along it as the middle knuckle.
    axis[is_palm] = rig.size * rig.frame[1]
    vertices = mesh.vertices[: mesh.drawn].astype(np.float64)
    offset = vertices - rig.heads[owner]
    along = _share_along(offset, axis)
    # A finger is about a tenth of the hand's size thick, the palm five times as wide.
    around = offset - along * axis
    facing = around @ rig.frame[[0, 2]].T / (0.1 * rig.size)
    facing[:, 0] *= rig.thumbward
    facing[is_palm] /= 5
    # Twice: colours change along a finger, at nails and knuckles, more than around it.
    return _BonePlaces(numbers, np.concatenate([2 * along, facing], axis=1))


def _share_along(offset: Doubles, axis: Doubles) -> Doubles:
    """Return how far along its axis (N, 3) an offset (N, 3) is, (N, 1); 1 at the axis's end."""
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    share: Doubles = np.sum(offset * axis, axis=1, keepdims=True) / length**2
    return share


def _common_bones(mesh: HandMesh) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each vertex which of the bones that both meshes have it hangs on: by a number that
    is the same for both meshes, and by the mesh's own.
    """
    common = ["wrist.R"]
    for finger in FINGERS:
        common += [f"{finger}-{phalanx}.R" for phalanx in (1, 2, 3)]
    # What is on no finger is the palm's: metacarpals, and the arm that one mesh has.
    names = [bone if bone in common else "wrist.R" for bone in mesh.bones]
    numbers = np.array([common.index(name) for name in names])
    owners = np.array([mesh.bones.index(name) for name in names])
    strongest = strongest_bones(mesh)
    return numbers[strongest], owners[strongest]


def _vertex_colours(mesh: HandMesh, skin: Picture) -> Floats:
    """Return the linear colour (drawn, 3) of a skin at each vertex."""
    uv = np.zeros((mesh.drawn, 2), np.float32)
    # A vertex at a seam has two places in the picture: either will do.
    uv[mesh.faces.ravel()] = mesh.uv[mesh.texture_faces.ravel()]
    u, v = uv.T
    column = _pixels(u, len(skin))
    row = _pixels(1 - v, len(skin))
    levels = skin[row, column] / np.float32(255)
    return cast(Floats, levels ** np.float32(_GAMMA))


def _pixels(fractions: Floats, size: int) -> NDArray[np.int64]:
    pixels = (fractions * size).astype(np.int64)
    return pixels.clip(0, size - 1)
