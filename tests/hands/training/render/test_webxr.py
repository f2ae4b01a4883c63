import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handheld.errors import ModelError
from handheld.hands.training.render.mesh import mirrored
from handheld.hands.training.render.poses import GESTURES
from handheld.hands.training.render.rig import posed, rig_of
from handheld.hands.training.render.skinning import carry, skin
from handheld.hands.training.render.webxr import load_webxr

FINGERS = ("index-finger", "middle-finger", "ring-finger", "pinky-finger")
ENDS = ("metacarpal", "phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
FLOATS, BYTES, SHORTS = 5126, 5121, 5123


def joint_places() -> dict[str, tuple[float, float, float]]:
    """A flat right hand in metres: along it is +y, the palm looks to +z, the thumb is at +x."""
    places: dict[str, tuple[float, float, float]] = {"wrist": (0, 0, 0)}
    for x, finger in zip((0.02, 0, -0.02, -0.04), FINGERS, strict=True):
        # Fingers lean towards the palm, and their last joints bend back from it, as in the real
        # file.
        for y, z, end in zip(
            (0.02, 0.1, 0.14, 0.17, 0.19), (0, 0, 0.004, 0.005, 0.005), ENDS, strict=True
        ):
            places[f"{finger}-{end}"] = (x, y, z)
    for y, end in zip(
        (0.02, 0.05, 0.08, 0.1),
        ("metacarpal", "phalanx-proximal", "phalanx-distal", "tip"),
        strict=True,
    ):
        places[f"thumb-{end}"] = (0.03 + y / 2, y, 0.01)
    return places


def write_glb(path: Path, places: dict[str, tuple[float, float, float]]) -> None:
    """One triangle at each joint. A joint looks along -z of its own, which is the hand's +y; its x
    is the hand's +x.
    """
    names = list(places)
    binds = []
    for place in places.values():
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([(1, 0, 0), (0, 0, -1), (0, -1, 0)], axis=1)
        matrix[:3, 3] = place
        binds.append(np.linalg.inv(matrix).T)
    corners = np.array([(0, 0, 0), (0.004, 0, 0), (0, 0.004, 0)])
    positions = (np.array(list(places.values()))[:, None] + corners).reshape(-1, 3)
    count = len(positions)
    joints = np.zeros((count, 4), np.uint8)
    joints[:, 0] = np.repeat(np.arange(len(names)), 3)
    weights = np.tile(np.float32([1, 0, 0, 0]), (count, 1))
    arrays: list[tuple[Any, int, str]] = [
        (positions.astype(np.float32), FLOATS, "VEC3"),
        (np.full((count, 2), (0.25, 0.1), np.float32), FLOATS, "VEC2"),
        (joints, BYTES, "VEC4"),
        (weights, FLOATS, "VEC4"),
        (np.arange(count, dtype=np.uint16), SHORTS, "SCALAR"),
        (np.array(binds, np.float32), FLOATS, "MAT4"),
    ]
    numbers = b""
    views, accessors = [], []
    for values, component, form in arrays:
        views.append({"buffer": 0, "byteOffset": len(numbers), "byteLength": values.nbytes})
        accessors.append(
            {
                "bufferView": len(accessors),
                "componentType": component,
                "count": len(values),
                "type": form,
            }
        )
        numbers += values.tobytes() + b"\0" * (-values.nbytes % 4)
    attributes = {"POSITION": 0, "TEXCOORD_0": 1, "JOINTS_0": 2, "WEIGHTS_0": 3}
    description = {
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 4}]}],
        "skins": [{"joints": list(range(len(names))), "inverseBindMatrices": 5}],
        "nodes": [{"name": name} for name in names],
        "accessors": accessors,
        "bufferViews": views,
    }
    text = json.dumps(description).encode()
    text += b" " * (-len(text) % 4)
    chunks = (
        struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(numbers), b"BIN\0")
        + numbers
    )
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


@pytest.fixture
def glb(tmp_path: Path) -> Path:
    path = tmp_path / "right.glb"
    write_glb(path, joint_places())
    return path


def test_keypoints_are_the_joints_in_mediapipes_order(glb: Path) -> None:
    rig = rig_of(load_webxr(glb))
    bone, end = rig.mesh.keypoints.T
    points = np.where((end == 0)[:, None], rig.heads[bone], rig.tails[bone])
    places = joint_places()
    expected = [places["wrist"]]
    expected += [
        places[f"thumb-{end}"]
        for end in ("metacarpal", "phalanx-proximal", "phalanx-distal", "tip")
    ]
    for finger in FINGERS:
        expected += [places[f"{finger}-{end}"] for end in ENDS[1:]]
    np.testing.assert_allclose(points, expected, atol=1e-6)
    assert rig.size == pytest.approx(0.1)


@pytest.mark.parametrize("left", [False, True])
def test_fingers_bend_towards_the_palm_though_they_rest_bent_back(glb: Path, left: bool) -> None:
    mesh = load_webxr(glb)
    rig = rig_of(mirrored(mesh) if left else mesh)
    transforms = posed(rig, GESTURES["fist"])
    bone, end = rig.mesh.keypoints.T
    tips = carry(transforms[bone], np.where((end == 0)[:, None], rig.heads[bone], rig.tails[bone]))[
        [8, 12, 16, 20]
    ]
    assert (tips[:, 2] > 0.005).all()
    assert (tips[:, 1] < 0.14).all()


def test_each_vertex_follows_its_joint(glb: Path) -> None:
    mesh = load_webxr(glb)
    rig = rig_of(mesh)
    moved = skin(mesh, posed(rig, GESTURES["fist"]))
    names = list(joint_places())
    still = 3 * names.index("middle-finger-metacarpal")
    tip = 3 * names.index("middle-finger-tip")
    rest = mesh.vertices
    assert np.linalg.norm(moved[still] - rest[still]) < 0.002
    assert np.linalg.norm(moved[tip] - rest[tip]) > 0.05


def test_texture_rows_count_upward(glb: Path) -> None:
    np.testing.assert_allclose(load_webxr(glb).uv[0], (0.25, 0.9))


@pytest.mark.parametrize(
    "content", [b"", b"glTF", b"PNG\0" + b"\0" * 40, b"glTF\2\0\0\0\x20\0\0\0\4\0\0\0JSON{}  "]
)
def test_another_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "right.glb"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"right\.glb should be the right hand"):
        load_webxr(path)


def test_a_hand_that_lacks_a_joint_is_refused(tmp_path: Path) -> None:
    places = joint_places()
    del places["ring-finger-tip"]
    path = tmp_path / "right.glb"
    write_glb(path, places)
    with pytest.raises(ModelError, match="ring-finger-tip"):
        load_webxr(path)
