"""Multiply-accumulates and parameters, counted by hand for models of one operator."""

import pytest
import zoo

from handheld.engine import Model

MODELS = zoo.models()

# name -> multiply-accumulates, parameters; pictures are 6 x 6 of 4 channels
COUNTS = {
    "conv_2d": (6 * 6 * 5 * 3 * 3 * 4, 5 * 3 * 3 * 4 + 5),
    "conv_2d_int8": (6 * 6 * 5 * 3 * 3 * 4, 5 * 3 * 3 * 4 + 5),
    "depthwise_conv_2d": (6 * 6 * 4 * 3 * 3, 4 * 3 * 3 + 4),
    # each of the 6 x 6 x 4 numbers meets 2 x 2 places of 5 channels
    "transpose_conv": (6 * 6 * 4 * 2 * 2 * 5, 5 * 2 * 2 * 4),
    "fully_connected": (2 * 3 * 8, 3 * 8 + 3),
    # 2 batches of (3 x 4) times (4 x 5)
    "batch_matmul": (2 * 3 * 4 * 5, 0),
    "mul": (0, 4),
    # the shape that it takes is no weight
    "reshape": (0, 0),
}


@pytest.mark.parametrize(("name", "counts"), COUNTS.items(), ids=COUNTS)
def test_counts_by_hand(name, counts):
    with Model.load(MODELS[name]()) as model:
        assert (model.cost.macs, model.cost.parameters) == counts
        assert model.cost.uncounted == ()


def test_they_are_told_by_operator():
    with Model.load(MODELS["conv_2d"]()) as model:
        assert model.cost.macs_by_operator == {"CONV_2D": 6480}


def test_an_operator_that_is_not_counted_is_named():
    with Model.load(MODELS["svdf"]()) as model:
        assert model.cost.uncounted == ("SVDF",)
