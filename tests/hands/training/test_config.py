"""What a configuration of a training takes: the entry that is wrong is named, by its path."""

import math

import pytest

from handheld.errors import InputError
from handheld.hands.training.config import ExampleConfig, LearnConfig, read_config
from handheld.hands.training.landmark.loss import LossWeights
from handheld.hands.training.landmark.network import LandmarkShape
from handheld.hands.training.landmark.trainee import LandmarkConfig
from handheld.hands.training.palm.loss import PalmLoss
from handheld.hands.training.palm.network import PalmShape
from handheld.hands.training.palm.trainee import PalmConfig

WRONG = [
    (LearnConfig, "learn", "steps", (0,)),
    (LearnConfig, "learn", "batch", (0,)),
    (LearnConfig, "learn", "rate", (0.0, -1.0, math.nan, math.inf)),
    (LearnConfig, "learn", "decay", (-1.0, math.nan, math.inf)),
    (LearnConfig, "learn", "clip", (-1.0, math.nan, math.inf)),
    (LearnConfig, "learn", "average", (1.0, math.nan)),
    (LearnConfig, "learn", "warmup", (1.0, -0.1, math.nan)),
    (LearnConfig, "learn", "seed", (-1, 2**63)),
    (LearnConfig, "learn", "threads", (0,)),
    (LearnConfig, "learn", "evaluate_every", (0,)),
    (ExampleConfig, "examples", "workers", (-1,)),
    (ExampleConfig, "examples", "pool", (0,)),
    (ExampleConfig, "examples", "disagreement", (-0.1, math.nan)),
    (LossWeights, "loss", "depth", (-1.0, math.nan)),
    (PalmLoss, "loss", "alpha", (1.5, math.nan)),
    (PalmLoss, "loss", "gamma", (-1.0, math.inf)),
    (PalmLoss, "loss", "boxes", (-1.0, math.nan)),
    (PalmShape, "network", "widths", ((1, 1, 0, 1, 1),)),
    (PalmShape, "network", "pyramid", (0,)),
    (LandmarkShape, "network", "depths", ((0, 0, 0, 0, -1),)),
    (LandmarkShape, "network", "hidden", (0,)),
]


@pytest.mark.parametrize(
    ("config", "table", "entry", "values"), WRONG, ids=lambda value: str(value)[:30]
)
def test_an_entry_outside_its_range_is_named(config, table, entry, values):
    for value in values:
        with pytest.raises(InputError, match=rf"^{table}\.{entry}: expected a (whole )?number"):
            config(**{entry: value})


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_shares_of_the_examples_are_named(share):
    with pytest.raises(InputError, match=r"^rendered: expected a number in"):
        PalmConfig(rendered=share)
    with pytest.raises(InputError, match=r"^empty: expected a number in"):
        LandmarkConfig(empty=share)


def test_a_file_that_says_what_cannot_be_is_named_with_its_entry(tmp_path):
    path = tmp_path / "palm.toml"
    path.write_text("[learn]\nrate = nan\n")
    with pytest.raises(InputError) as caught:
        read_config(PalmConfig, path)
    assert str(caught.value) == f"{path}: learn.rate: expected a number in (0, inf), got nan"
