from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handheld.hands.training.render.mesh import HandMesh
from handheld.hands.training.render.people import draw_person, draw_shape
from handheld.hands.training.render.sources import open_sources

PEOPLES = ("african", "asian", "caucasian")
AGES = ("child", "young", "old")


def targets() -> list[str]:
    names = [
        "local/r-hand-scale-incr",
        "local/r-hand-scale-decr",
        "local/r-hand-trans-in",
        "local/r-hand-trans-out",
    ]
    for sex in ("female", "male"):
        for age in AGES:
            names += [f"macro/{people}-{sex}-{age}" for people in PEOPLES]
            for muscle in ("min", "average", "max"):
                names += [
                    f"macro/universal-{sex}-{age}-{muscle}muscle-{fat}weight"
                    for fat in ("min", "max")
                ]
            names += [
                f"macro/universal-{sex}-{age}-{muscle}muscle-averageweight"
                for muscle in ("min", "max")
            ]
    return names


@pytest.fixture
def shapely(stick: HandMesh) -> HandMesh:
    return replace(stick, targets={name: np.zeros_like(stick.vertices) for name in targets()})


def test_every_person_is_one_adult_or_child_of_one_sex(shapely: HandMesh) -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        weights = draw_shape(shapely, random)
        bodies = {
            name: weight
            for name, weight in weights.items()
            if name.split("/")[1].split("-")[0] in PEOPLES
        }
        assert sum(bodies.values()) == pytest.approx(1)
        assert len({name.split("-")[1] for name in bodies}) == 1
        assert all(0 < weight <= 1 for weight in weights.values())


def test_opposed_targets_are_never_both_used(shapely: HandMesh) -> None:
    random = np.random.default_rng(1)
    seen = set()
    for _ in range(50):
        weights = draw_shape(shapely, random)
        local = {name for name in weights if name.startswith("local/")}
        assert len(local) == 2
        assert sum("scale" in name for name in local) == 1
        seen |= local
    assert seen == {name for name in targets() if name.startswith("local/")}


def test_all_targets_are_used_by_somebody(shapely: HandMesh) -> None:
    random = np.random.default_rng(2)
    used = set().union(*(draw_shape(shapely, random) for _ in range(400)))
    assert used == set(targets())


def test_a_person_has_two_hands_of_one_shape(data_folder: Path) -> None:
    person = draw_person(open_sources(data_folder), "somebody", np.random.default_rng(3))
    right = person.rigs["Right"].mesh
    left = person.rigs["Left"].mesh
    np.testing.assert_array_equal(left.vertices, right.vertices * (-1, 1, 1))
    assert (right.handedness, left.handedness) == ("Right", "Left")
    assert person.has_arm
    # The skin's own colour, grey 128, with a tint of a few percent.
    assert (np.abs(person.tint - 1) < 0.2).all()
    assert person.skin.shape == (1024, 1024, 3)
    assert person.skin.mean() == pytest.approx(128, abs=2)
