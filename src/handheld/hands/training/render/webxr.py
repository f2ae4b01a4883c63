"""A second hand beside the arm: the rigged hand of webxr-input-profiles (MIT),
read from its ``.glb``.

It ends at the wrist and has no skin texture. Its 25 joints are those of the WebXR Hand Input
module; here they become the bones that ``rig`` knows, with a forearm that has joints but no skin.
"""

import json
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import ModelError
from handheld.hands.training.render.mesh import Floats, HandMesh, Integers
from handheld.hands.training.render.skinning import Doubles

# Numbers of the glTF 2.0 specification: a file's head (magic, version, length), that of a chunk
# (length, type), and the types and widths of an accessor's values.
_HEADER = struct.Struct("<4sII")
_CHUNK = struct.Struct("<I4s")
_TYPES = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}

# Names of the WebXR Hand Input module.
_FINGERS = ("index-finger", "middle-finger", "ring-finger", "pinky-finger")
_PHALANGES = ("phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
_THUMB = ("thumb-metacarpal", "thumb-phalanx-proximal", "thumb-phalanx-distal", "thumb-tip")

# Metres from elbow to wrist.
_FOREARM = 0.25
# Metres around the wrist over which the skin changes from the hand to the forearm.
_BLEND = 0.02
# Metres from a joint to the helpers that mark the plane in which it bends.
_PLANE = 0.01


# Bones of a vertex: as many as the first mesh has.
_INFLUENCES = 4


def load_webxr(path: Path) -> HandMesh:
    """Read the right hand.

    Raises:
        ModelError: the file is missing, is no binary glTF, or lacks a joint.
    """
    try:
        return _assemble(_GltfFile.read(path.read_bytes()))
    except (OSError, KeyError, ValueError, IndexError, struct.error) as error:
        raise ModelError(f"{path} should be the right hand of WebXR: {error!r}") from error


class _GltfFile:
    """A binary glTF 2.0 file: its description and its numbers."""

    def __init__(self, description: dict[str, Any], numbers: bytes) -> None:
        self.description = description
        self._numbers = numbers

    @classmethod
    def read(cls, content: bytes) -> "_GltfFile":
        """Split a file's content."""
        magic, version, _ = _HEADER.unpack_from(content)
        if magic != b"glTF" or version != 2:
            raise ValueError("not a binary glTF 2.0 file")
        length, _ = _CHUNK.unpack_from(content, _HEADER.size)
        start = _HEADER.size + _CHUNK.size
        end = start + length
        # Two chunks, each with its head: JSON, then the numbers.
        return cls(json.loads(content[start:end]), content[end + _CHUNK.size :])

    def array(self, index: int) -> NDArray[Any]:
        """Return one accessor as (count, width)."""
        accessor = self.description["accessors"][index]
        view = self.description["bufferViews"][accessor["bufferView"]]
        width = _WIDTHS[accessor["type"]]
        # Both may be left out where they are nothing.
        offset = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        values = np.frombuffer(
            self._numbers,
            dtype=_TYPES[accessor["componentType"]],
            count=accessor["count"] * width,
            offset=offset,
        )
        return values.reshape(-1, width)

    def joints(self) -> dict[str, Doubles]:
        """Return the joints' places and axes at rest by their names, in the skin's order.

        Each is (4, 4): glTF stores matrices column by column, so rows are axes, then the place.
        """
        skin = self.description["skins"][0]
        nodes = self.description["nodes"]
        names = [nodes[number]["name"] for number in skin["joints"]]
        inverse = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4)
        # In doubles: the inverse of an inverse loses digits.
        matrices = np.linalg.inv(inverse.astype(np.float64))
        return dict(zip(names, matrices, strict=True))


@dataclass(frozen=True, eq=False)
class _GltfSkin:
    """The surface of the file's mesh.

    Attributes:
        positions: (V, 3) metres.
        faces: (T, 3) indices of vertices.
        uv: (V, 2) with v upward.
        joints: (V, 4) numbers of the joints that move a vertex, in the skin's order.
        shares: (V, 4) of them.
    """

    positions: Floats
    faces: Integers
    uv: Floats
    joints: NDArray[Any]
    shares: NDArray[Any]

    @classmethod
    def of(cls, file: _GltfFile) -> "_GltfSkin":
        primitive = file.description["meshes"][0]["primitives"][0]
        attributes = primitive["attributes"]
        faces = file.array(primitive["indices"]).reshape(-1, 3)
        return cls(
            positions=file.array(attributes["POSITION"]).astype(np.float32),
            faces=faces.astype(np.int64),
            uv=_upward(file.array(attributes["TEXCOORD_0"])),
            joints=file.array(attributes["JOINTS_0"]),
            shares=file.array(attributes["WEIGHTS_0"]),
        )


def _assemble(file: _GltfFile) -> HandMesh:
    skin = _GltfSkin.of(file)
    skeleton = _Skeleton(file.joints())
    # The joints' points after the skin: they are vertices too, as the first mesh has them.
    points = np.array(skeleton.points, np.float32)
    vertices = np.concatenate([skin.positions, points])
    drawn = len(skin.positions)
    picked = np.eye(len(vertices), dtype=np.float32)[drawn:]
    influences, shares = _strongest(_weights(skeleton, skin))
    return HandMesh(
        handedness="Right",
        vertices=vertices,
        drawn=drawn,
        faces=skin.faces,
        # Without a picture of its own: each vertex has one place in any.
        texture_faces=skin.faces,
        uv=skin.uv,
        bones=tuple(skeleton.bones),
        parents=np.array(skeleton.parents),
        heads=picked[skeleton.heads],
        tails=picked[skeleton.tails],
        planes=picked[skeleton.planes],
        influences=influences,
        weights=shares,
        keypoints=_keypoints(skeleton.bones),
        targets={},
        family="webxr",
    )


class _Skeleton:
    """Bones as ``rig`` names them, with their joints as points in metres."""

    def __init__(self, binds: dict[str, Doubles]) -> None:
        self._binds = binds
        self.points: list[Doubles] = []
        self.bones: list[str] = []
        self.parents: list[int] = []
        self.heads: list[int] = []
        self.tails: list[int] = []
        self.planes: list[list[int]] = []
        self._joint_bones: dict[str, str] = {}
        # The arm first: a parent must be there before its children.
        self._arm()
        for number, joint in enumerate(_FINGERS, 1):
            self._long_finger(number, joint)
        # A thumb has no bone between it and the wrist: its metacarpal is its first phalanx.
        self._finger(1, "wrist.R", list(_THUMB))

    def joint_numbers(self) -> Integers:
        """Return the number of each joint's bone, in the skin's order."""
        numbers = []
        for joint in self._binds:
            bone = self._joint_bones[joint]
            numbers.append(self.bones.index(bone))
        return np.array(numbers)

    def place(self, joint: str) -> Doubles:
        """Return where a joint is, (3,) metres."""
        return self._binds[joint][3, :3]

    def backward(self) -> Doubles:
        """Return the unit vector (3,) from the hand to the forearm."""
        back = self.place("wrist") - self.place("middle-finger-phalanx-proximal")
        unit: Doubles = back / np.linalg.norm(back)
        return unit

    def _arm(self) -> None:
        wrist = self.place("wrist")
        back = self.backward()
        elbow = wrist + _FOREARM * back
        # Any bend will do: the rig straightens the elbow, and no skin hangs on it.
        shoulder = elbow + _FOREARM * (back + self._binds["wrist"][1, :3])
        middle = (wrist + elbow) / 2
        self._between("upperarm02.R", "", shoulder, elbow)
        self._between("lowerarm01.R", "upperarm02.R", elbow, middle)
        self._between("lowerarm02.R", "lowerarm01.R", middle, wrist)
        self._bone("wrist.R", "lowerarm02.R", "wrist", "middle-finger-metacarpal")

    def _long_finger(self, number: int, joint: str) -> None:
        """Add a finger and the bone of the palm that it hangs on."""
        base = f"metacarpal{number}.R"
        phalanges = [f"{joint}-{phalanx}" for phalanx in _PHALANGES]
        self._bone(base, "wrist.R", f"{joint}-metacarpal", phalanges[0])
        # The thumb is the first finger.
        self._finger(number + 1, base, phalanges)

    def _finger(self, number: int, parent: str, joints: list[str]) -> None:
        for phalanx, (head, tail) in enumerate(pairwise(joints), 1):
            name = f"finger{number}-{phalanx}.R"
            self._bone(name, parent, head, tail)
            parent = name
        # The tip has no bone; skin that hangs on it goes with the last phalanx.
        self._joint_bones[joints[-1]] = parent

    def _bone(self, name: str, parent: str, head: str, tail: str) -> None:
        self._joint_bones[head] = name
        # A joint looks along -z and bends about x: its plane is that of z and y.
        axes = self._binds[head][:3, :3]
        self._between(name, parent, self.place(head), self.place(tail), axes)

    def _between(
        self,
        name: str,
        parent: str,
        head: Doubles,
        tail: Doubles,
        axes: Doubles | None = None,
    ) -> None:
        if axes is None:
            axes = np.eye(3)
        start = len(self.points)
        # Four points a bone: both ends, and two that mark its plane together with the head.
        outward = head + _PLANE * axes[2]
        upward = head + _PLANE * axes[1]
        self.points += [head, tail, outward, upward]
        self.bones.append(name)
        # The first bone hangs on none.
        self.parents.append(self.bones.index(parent) if parent else -1)
        self.heads.append(start)
        self.tails.append(start + 1)
        self.planes.append([start + 2, start, start + 3])


def _weights(skeleton: _Skeleton, skin: _GltfSkin) -> Doubles:
    """Return the share of each bone in each vertex, (V, B)."""
    count = len(skin.positions)
    weights = np.zeros((count, len(skeleton.bones)))
    rows = np.arange(count)[:, None]
    columns = skeleton.joint_numbers()[skin.joints]
    # Added, as two joints may be one bone here.
    np.add.at(weights, (rows, columns), skin.shares)
    _give_to_forearm(weights, skeleton, skin.positions)
    return weights


def _give_to_forearm(weights: Doubles, skeleton: _Skeleton, vertices: Floats) -> None:
    """Leave, in place, what lies behind the wrist with the forearm.

    A bent wrist would else come out of a sleeve.
    """
    behind = (vertices - skeleton.place("wrist")) @ skeleton.backward()
    share = np.clip(0.5 + behind / _BLEND, 0, 1)
    hand = skeleton.bones.index("wrist.R")
    arm = skeleton.bones.index("lowerarm02.R")
    weights[:, arm] = share * weights[:, hand]
    weights[:, hand] *= 1 - share


def _strongest(weights: Doubles) -> tuple[Integers, Floats]:
    """Return the bones that count most for each vertex, and their shares, both (V, 4)."""
    strongest = np.argsort(-weights, axis=1)[:, :_INFLUENCES]
    shares = np.take_along_axis(weights, strongest, axis=1)
    # What the others had is given to these: a vertex whose shares sum to less would shrink.
    shares /= shares.sum(axis=1, keepdims=True)
    return strongest, shares.astype(np.float32)


def _keypoints(bones: list[str]) -> Integers:
    """Return bone and end (0 head, 1 tail) of each of the 21 keypoints."""
    rows = [(bones.index("wrist.R"), 0)]
    for finger in range(1, 6):
        phalanges = [bones.index(f"finger{finger}-{phalanx}.R") for phalanx in (1, 2, 3)]
        rows += [(phalanx, 0) for phalanx in phalanges]
        # The tip is where the last bone ends.
        rows.append((phalanges[-1], 1))
    return np.array(rows)


def _upward(uv: NDArray[Any]) -> Floats:
    """Turn glTF's v, which counts downward, into one that counts upward."""
    flipped = uv.astype(np.float32)
    flipped[:, 1] = 1 - flipped[:, 1]
    return flipped
