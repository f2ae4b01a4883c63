from pathlib import Path

import numpy as np
import pytest

from handheld.errors import InputError, ModelError
from handheld.hands.training.render.mesh import HandMesh, load_mesh, load_skin, mirrored, shaped


def test_the_files_are_decimetres_and_the_mesh_is_metres(stick: HandMesh) -> None:
    wrist = stick.heads[stick.bones.index("wrist.R")] @ stick.vertices
    knuckle = stick.heads[stick.bones.index("finger3-1.R")] @ stick.vertices
    np.testing.assert_allclose(knuckle - wrist, (0, 0.1, 0), atol=1e-6)


def test_a_bone_whose_parent_is_not_there_is_the_root(stick: HandMesh) -> None:
    assert stick.parents[0] == -1
    assert (stick.parents[1:] < np.arange(1, len(stick.bones))).all()


def test_a_folder_without_the_mesh_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"mh_arm\.npz and mh_arm\.json"):
        load_mesh(tmp_path)


def test_half_a_target_moves_the_vertices_by_half(stick: HandMesh) -> None:
    moved = shaped(stick, {"macro/taller": 0.5}).vertices - stick.vertices
    np.testing.assert_allclose(moved, np.tile((0, 0.05, 0), (len(moved), 1)), atol=1e-6)


def test_an_unknown_target_is_named(stick: HandMesh) -> None:
    with pytest.raises(InputError, match="macro/wider"):
        shaped(stick, {"macro/wider": 1.0})


def test_mirroring_flips_x_and_turns_the_triangles(box: HandMesh) -> None:
    left = mirrored(box)
    assert left.handedness == "Left"
    np.testing.assert_array_equal(left.vertices, box.vertices * (-1, 1, 1))
    np.testing.assert_array_equal(left.faces, [(5, 6, 4), (6, 7, 4)])


def test_mirroring_twice_changes_nothing(stick: HandMesh) -> None:
    twice = mirrored(mirrored(stick))
    assert twice.handedness == "Right"
    np.testing.assert_array_equal(twice.vertices, stick.vertices)
    np.testing.assert_array_equal(twice.faces, stick.faces)


def test_a_skin_fills_the_square_that_uv_counts_in(stick_folder: Path) -> None:
    skin = load_skin(stick_folder, "grey")
    assert skin.shape == (8, 8, 3)
    assert (skin == 128).all()


def test_an_unknown_skin_names_those_there_are(stick_folder: Path) -> None:
    with pytest.raises(ModelError, match="grey"):
        load_skin(stick_folder, "green")
