from dataclasses import replace

import numpy as np
import pytest
import torch

from handheld.engine import Model
from handheld.errors import InputError
from handheld.projection import Features, TextClassifier
from handheld.projection.training.recipe import ProjectionRecipe, compiled, parts_of, recipe_for
from handheld.projection.training.text import logits_of

LABELS = [f"label number {number}" for number in range(40)]
SIGNS = replace(recipe_for("signs", 40_000, 40), width=32)
CARD = {"labels": LABELS, "accuracy": {"valid": 0.9137, "examples": 4500}}


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        (ProjectionRecipe(width=32, hidden=16), 30_000),
        (ProjectionRecipe(width=32, bits=8), 30_000),
        (ProjectionRecipe(width=32, more=(Features(1, 0),)), 60_000),
        (SIGNS, 40_000),
    ],
)
def test_the_largest_file_keeps_the_size_and_uses_it(recipe: ProjectionRecipe, size: int):
    reader = recipe.largest(size, CARD)
    networks = [recipe.network(part, len(LABELS)).eval() for part in parts_of(reader)]
    with torch.no_grad():
        for values in torch.nn.ModuleList(networks).parameters():
            values.normal_()
    content = compiled(networks, reader, ("one two", "three"), CARD)
    assert size - 14 * recipe.width - 128 < len(content) <= size
    for network in networks:
        network.on_grid = True
    logits = np.mean(
        [logits_of(*pair, ("one two",)) for pair in zip(networks, parts_of(reader), strict=True)],
        axis=0,
    )
    with TextClassifier(Model.load(content)) as model:
        assert model.reader == reader
        assert model.classify("one two", top=1)[0].label == LABELS[logits.argmax()]


@pytest.mark.parametrize(
    ("size", "classes", "tables", "hidden"),
    [
        (50_000, 77, 1, 0),
        (100_000, 77, 2, 128),
        (100_000, 150, 2, 0),
        (260_000, 150, 3, 128),
        (260_000, 1000, 3, 0),
    ],
)
def test_a_hidden_layer_leaves_two_thirds_of_the_file_to_the_tables(
    size: int, classes: int, tables: int, hidden: int
):
    recipe = recipe_for("rows", size, classes)
    assert (1 + len(recipe.more), recipe.hidden) == (tables, hidden)
    layers = tables * hidden * (recipe.width + classes)
    assert 3 * layers <= size


def test_a_device_reads_as_many_features_as_nearly_all_texts_have():
    texts = tuple("so many words " * count for count in range(40))
    most = max(len(Features(2, 0).of([text]).hashes) for text in texts)
    lengths = [
        recipe.reader(8, texts=given).length
        for recipe, given in (
            (ProjectionRecipe(features=Features(2, 0)), texts),
            (ProjectionRecipe(features=Features(2, 0)), texts[:3]),
            (ProjectionRecipe(features=Features(2, 0), length=100), texts),
        )
    ]
    assert most <= lengths[0] < most + 64
    assert lengths[1:] == [64, 100]


def test_a_size_that_no_network_has_is_refused():
    with pytest.raises(
        InputError, match="3000 bytes are too few for 2 labels and rows of 64 numbers: expected"
    ):
        ProjectionRecipe().largest(3000, {"labels": ["yes", "no"]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"reads": "words"},
        {"width": 0},
        {"hidden": -1},
        {"dropout": 1.0},
        {"bits": 5},
        {"reads": "signs", "more": (Features(1, 0),)},
    ],
)
def test_impossible_recipes_are_refused(wrong: dict[str, object]):
    with pytest.raises(InputError):
        ProjectionRecipe(features=Features(1, 0), **wrong)  # type: ignore[arg-type]
