"""The hand and arm mesh: reading it, shaping it into a person, mirroring it.

The files are MakeHuman's CC0 base mesh, rig, targets and skins cut down to one arm (``mh_arm.npz``,
``mh_arm.json``, ``skin_*.jpg``, ``skin_uv.json``). They are read from a folder that the caller
names, and are no part of this package.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import InputError, ModelError

Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]
Handedness: TypeAlias = Literal["Left", "Right"]
MeshFamily: TypeAlias = Literal["makehuman", "webxr"]

_LARGEST = 1 << 26
"""Bytes of the arrays of a mesh: the arm's are 2 million."""

METRES = 0.1
"""Length of one unit of the files: MakeHuman models in decimetres."""


@dataclass(frozen=True, kw_only=True)
class HandMesh:
    """One arm at rest, with all that is needed to bend and to paint it.

    ``vertices`` (V, 3): metres; the first ``drawn`` of them are skin, the others hold joints.
    ``faces`` (T, 3): indices into ``vertices``, counter-clockwise from outside; ``texture_faces``
    (T, 3): indices into ``uv`` (U, 2), fractions of the skin picture with v upward. ``bones``: B
    names, a parent always before its child; ``parents`` (B,): -1 for the root. ``heads`` and
    ``tails`` (B, V): rows that average the vertices around each bone's two joints; ``planes`` (B,
    3, V): the same for three points whose plane the bone bends in. ``influences`` (drawn, K):
    bones, ``weights`` (drawn, K): their shares, summing to one. ``keypoints`` (21, 2): bone, and 0
    for its head or 1 for its tail. ``targets``: name to (V, 3), decimetres to add. ``family``:
    whose mesh it is, which tells how its joints lie beside MediaPipe's keypoints.
    """

    handedness: Handedness
    vertices: Floats
    drawn: int
    faces: Integers
    texture_faces: Integers
    uv: Floats
    bones: tuple[str, ...]
    parents: Integers
    heads: Floats
    tails: Floats
    planes: Floats
    influences: Integers
    weights: Floats
    keypoints: Integers
    targets: Mapping[str, Floats]
    family: MeshFamily = "makehuman"


def load_mesh(folder: Path) -> HandMesh:
    """Read the right arm at rest from ``mh_arm.npz`` and ``mh_arm.json``.

    Raises:
        ModelError: a file is missing or lacks an entry.
    """
    try:
        rig = json.loads((folder / "mh_arm.json").read_text("utf-8"))
        return _assemble(read_npz(folder / "mh_arm.npz", _LARGEST), rig)
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(
            f"{folder} should hold mh_arm.npz and mh_arm.json of the hand mesh: {error!r}"
        ) from error


def _assemble(arrays: Mapping[str, NDArray[Any]], rig: Mapping[str, Any]) -> HandMesh:
    vertices = (arrays["V"] * METRES).astype(np.float32)
    bones = _BoneTable.of(rig, len(vertices))
    return HandMesh(
        handedness="Right",
        vertices=vertices,
        drawn=int(arrays["nv"]),
        faces=arrays["FG"].astype(np.int64),
        texture_faces=arrays["F"].astype(np.int64),
        uv=arrays["UV"].astype(np.float32),
        bones=bones.names,
        parents=bones.parents,
        heads=bones.heads,
        tails=bones.tails,
        planes=bones.planes,
        influences=arrays["J"].astype(np.int64),
        weights=_summing_to_one(arrays["W"]),
        keypoints=bones.ends(rig["kp"]),
        targets=_shape_targets(arrays),
    )


def _summing_to_one(weights: NDArray[Any]) -> Floats:
    # Rounded in the files: there they do not sum to one exactly.
    sums = weights.sum(axis=1, keepdims=True)
    return cast(Floats, (weights / sums).astype(np.float32))


def _shape_targets(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    # The arrays that have a slash in their name are shape targets.
    return {name: values for name, values in arrays.items() if "/" in name}


@dataclass(frozen=True, eq=False)
class _BoneTable:
    """The bones, as ``HandMesh`` has them."""

    names: tuple[str, ...]
    parents: Integers
    heads: Floats
    tails: Floats
    planes: Floats

    @classmethod
    def of(cls, rig: Mapping[str, Any], vertices: int) -> "_BoneTable":
        names: tuple[str, ...] = tuple(rig["bones"])
        rows = {}
        for joint, members in rig["joints"].items():
            rows[joint] = _averaging_row(members, vertices)
        parents = [_index_or_root(names, rig["parents"][bone]) for bone in names]
        heads = [rig["head"][bone] for bone in names]
        tails = [rig["tail"][bone] for bone in names]
        planes = [_rows_of(rows, rig["planes"][bone]) for bone in names]
        return cls(
            names=names,
            parents=np.array(parents),
            heads=_rows_of(rows, heads),
            tails=_rows_of(rows, tails),
            planes=np.stack(planes),
        )

    def ends(self, keypoints: Sequence[tuple[str, int]]) -> Integers:
        """Return the number of the bone, and which of its ends, of each keypoint, (21, 2)."""
        rows = [(self.names.index(bone), end) for bone, end in keypoints]
        return np.array(rows)


def _rows_of(rows: Mapping[str, Floats], joints: Sequence[str]) -> Floats:
    return np.stack([rows[joint] for joint in joints])


def _averaging_row(members: list[int], count: int) -> Floats:
    """Return a row that, times the vertices, is the mean of some of them.

    A joint moves with the shape: it is where the vertices around it are.
    """
    row = np.zeros(count, np.float32)
    row[members] = 1 / len(members)
    return row


def _index_or_root(bones: tuple[str, ...], parent: str) -> int:
    # The first bone's parent was cut away with the rest of the body.
    return bones.index(parent) if parent in bones else -1


def shaped(mesh: HandMesh, weights: Mapping[str, float]) -> HandMesh:
    """Add shape targets to the rest vertices, for instance ``{"macro/caucasian-male-young": 1.0}``.

    The bare mesh is nobody: the ``macro/<people>-<sex>-<age>`` weights should sum
    to one to make an adult.

    Raises:
        InputError: a target has no such name.
    """
    unknown = sorted(set(weights) - set(mesh.targets))
    if unknown:
        examples = sorted(mesh.targets)[:3]
        raise InputError(
            f"unknown shape targets {unknown}; the mesh has {len(mesh.targets)}, such as {examples}"
        )
    moved = mesh.vertices.copy()
    for name, weight in weights.items():
        moved += METRES * weight * mesh.targets[name].astype(np.float32)
    return replace(mesh, vertices=moved)


def mirrored(mesh: HandMesh) -> HandMesh:
    """Make the other hand: x changes its sign, and each triangle turns so that its outside stays
    outside.
    """
    flip = np.array([-1, 1, 1], np.float32)
    return replace(
        mesh,
        handedness="Left" if mesh.handedness == "Right" else "Right",
        vertices=mesh.vertices * flip,
        faces=mesh.faces[:, ::-1],
        texture_faces=mesh.texture_faces[:, ::-1],
        # Bones keep their names, `.R` and all: the rig asks for them by name on either hand.
        targets={name: values * flip for name, values in mesh.targets.items()},
    )


def load_skin(folder: Path, name: str) -> NDArray[np.uint8]:
    """Read ``skin_<name>.jpg`` and put its crop back where it lies in the full square picture:
    (N, N, 3) RGB.

    Raises:
        ModelError: the picture or ``skin_uv.json`` is missing.
    """
    crop = _read_crop(folder, name)
    position = json.loads((folder / "skin_uv.json").read_text("utf-8"))
    x = position["x0"]
    y = position["y0"]
    side = position["full"]
    skin = np.empty((side, side, 3), np.uint8)
    # Its own colour around the arm: where the sampler looks over the crop's edge it finds skin.
    skin[:] = np.median(crop, axis=(0, 1))
    skin[y : y + position["h"], x : x + position["w"]] = crop
    return skin


def _read_crop(folder: Path, name: str) -> NDArray[np.uint8]:
    path = folder / f"skin_{name}.jpg"
    crop = None
    # OpenCV prints a warning of its own for a file that is not there.
    if path.exists() and (folder / "skin_uv.json").exists():
        crop = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if crop is None:
        raise ModelError(
            f"no skin {name!r} (or no skin_uv.json) in {folder}; "
            f"the skins there are {_skins_in(folder)}"
        )
    return np.asarray(crop, np.uint8)


def _skins_in(folder: Path) -> list[str]:
    return sorted(path.stem.removeprefix("skin_") for path in folder.glob("skin_*.jpg"))
