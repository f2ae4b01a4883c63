"""Meshes small enough to check by hand: a box of two bones, and an arm of sticks in the real files'
format.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from handheld.hands.training.render.mesh import HandMesh, load_mesh
from handheld.hands.training.render.sources import RenderSources, open_sources


@pytest.fixture
def box() -> HandMesh:
    """Two bones in line along y, each with the four corners of a square: at y = 0 the first's, at y
    = 1 the second's.
    """
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    rows = [np.insert(square, 1, y, axis=1) for y in (0, 1)]
    vertices = np.concatenate([*rows, [(0.5, 0, 0.5), (0.5, 1, 0.5), (0.5, 2, 0.5)]]).astype(
        np.float32
    )
    joints = np.eye(11, dtype=np.float32)[8:]
    faces = np.array([(4, 6, 5), (4, 7, 6)])
    return HandMesh(
        handedness="Right",
        vertices=vertices,
        drawn=8,
        faces=faces,
        texture_faces=faces,
        uv=np.full((11, 2), 0.5, np.float32),
        bones=("first", "second"),
        parents=np.array([-1, 0]),
        heads=joints[:2],
        tails=joints[1:],
        planes=np.stack([joints, joints]),
        influences=np.repeat([[0], [1]], 4, axis=0),
        weights=np.ones((8, 1), np.float32),
        keypoints=np.zeros((21, 2), np.int64),
        targets={},
    )


@pytest.fixture
def stick_folder(tmp_path: Path) -> Path:
    """A right arm of sticks: along the hand is +y, out of the palm +z, the thumb's side +x; wrist
    to middle knuckle is 1 dm.

    Each joint is one vertex, each bone draws one triangle from its head.
    """
    points, bones = _sticks()
    joints = {
        f"{bone}____{end}": points[i]
        for bone, _, ends in bones
        for end, i in zip(("head", "tail"), ends, strict=True)
    }
    index = {tuple(point): i for i, point in enumerate(dict.fromkeys(map(tuple, points)))}
    triangles = [
        np.array(points[ends[0]]) + corner
        for _, _, ends in bones
        for corner in np.diag([0.1, 0.1, 0])
    ]
    vertices = np.array([*triangles, *index])
    count = len(triangles)
    faces = np.arange(count).reshape(-1, 3)
    names = [bone for bone, _, _ in bones]
    np.savez(
        tmp_path / "mh_arm.npz",
        V=vertices.astype(np.float32),
        nv=count,
        F=faces,
        FG=faces,
        UV=np.full((count, 2), 0.5),
        J=np.repeat(np.arange(len(bones)), 3)[:, None],
        W=np.ones((count, 1)),
        **{"macro/taller": np.tile(np.float16([0, 1, 0]), (len(vertices), 1))},
    )
    rig: dict[str, Any] = {
        "bones": names,
        "parents": {bone: parent for bone, parent, _ in bones},
        "head": {bone: f"{bone}____head" for bone in names},
        "tail": {bone: f"{bone}____tail" for bone in names},
        "joints": {joint: [count + index[tuple(point)]] for joint, point in joints.items()},
        "planes": {bone: _plane(bone) for bone in names},
        "kp": [["wrist.R", 0]]
        + [
            [f"finger{finger}-{max(i, 1)}.R", end]
            for finger in range(1, 6)
            for i, end in ((1, 0), (2, 0), (3, 0), (3, 1))
        ],
    }
    (tmp_path / "mh_arm.json").write_text(json.dumps(rig))
    cv2.imwrite(str(tmp_path / "skin_grey.jpg"), np.full((4, 4, 3), 128, np.uint8))
    (tmp_path / "skin_uv.json").write_text(
        json.dumps({"x0": 2, "y0": 3, "w": 4, "h": 4, "full": 8})
    )
    return tmp_path


@pytest.fixture
def stick(stick_folder: Path) -> HandMesh:
    return load_mesh(stick_folder)


def _plane(bone: str) -> list[str]:
    finger = int(bone[6]) if bone.startswith("finger") else 2
    base = f"metacarpal{finger - 1}.R____head" if finger > 1 else "wrist.R____head"
    return [f"finger{finger}-3.R____tail", f"finger{finger}-1.R____head", base]


def _sticks() -> tuple[list[tuple[float, ...]], list[tuple[str, str, tuple[int, int]]]]:
    """Joints in decimetres, and (bone, parent, joints) with every finger bent by 0.2 radians a
    joint.
    """
    points: list[tuple[float, ...]] = [
        (0, -6, -1),
        (0, -3, 0),
        (0, -1.5, 0),
        (0, 0, 0),
        (0, 0.2, 0),
    ]
    bones = [
        ("upperarm02.R", "shoulder", (0, 1)),
        ("lowerarm01.R", "upperarm02.R", (1, 2)),
        ("lowerarm02.R", "lowerarm01.R", (2, 3)),
        ("wrist.R", "lowerarm02.R", (3, 4)),
    ]
    for finger, (x, y, length) in enumerate(
        [(0.4, 0.3, 0.4), (0.3, 1, 0.3), (0, 1, 0.3), (-0.3, 1, 0.3), (-0.5, 0.9, 0.2)], 1
    ):
        start = len(points)
        points.append((x, y, 0))
        for joint in (1, 2, 3):
            last = points[-1]
            points.append(
                (
                    last[0],
                    last[1] + length * np.cos(0.2 * joint),
                    last[2] + length * np.sin(0.2 * joint),
                )
            )
        parent = "wrist.R"
        if finger > 1:
            parent = f"metacarpal{finger - 1}.R"
            # Straight up to the knuckle, so that each finger's rest bend is 0.2 at every joint.
            points.append((x, 0.2, 0))
            bones.append((parent, "wrist.R", (len(points) - 1, start)))
        for joint, ends in enumerate(pairwise(range(start, start + 4)), 1):
            bones.append((f"finger{finger}-{joint}.R", parent, ends))
            parent = f"finger{finger}-{joint}.R"
    return [tuple(map(float, point)) for point in points], bones


@pytest.fixture
def data_folder(stick_folder: Path) -> Path:
    """What HANDHELD_DATA/hands holds, as far as it is needed: the arm of sticks and its skin."""
    folder = stick_folder / "data" / "hands"
    (folder / "mesh").mkdir(parents=True)
    for path in list(stick_folder.glob("*.*")):
        path.rename(folder / "mesh" / path.name)
    return folder


@pytest.fixture
def sources(data_folder: Path) -> RenderSources:
    for name in ("backgrounds", "occluders", "textures"):
        (data_folder / name).mkdir()
        pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 4), dtype=np.uint8)
        pixels[..., 3] = 255
        cv2.imwrite(str(data_folder / name / "noise.png"), pixels)
    return open_sources(data_folder)
