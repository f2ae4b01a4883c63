"""What a configuration of a training takes: the entry that is wrong is named, by its path."""

import math

import pytest

from handheld.config import read_config
from handheld.errors import InputError
from handheld.hands.training.config import ExampleConfig, LearnConfig
from handheld.hands.training.landmark.loss import LossWeights
from handheld.hands.training.landmark.network import LandmarkShape
from handheld.hands.training.landmark.trainee import LandmarkConfig
from handheld.hands.training.palm.loss import PalmLoss
from handheld.hands.training.palm.network import PalmShape
from handheld.hands.training.palm.trainee import PalmConfig

WRONG = [
    (LearnConfig, "steps", (-1,)),
    (LearnConfig, "batch", (0,)),
    (LearnConfig, "rate", (0.0, -1.0, math.nan, math.inf, 1e39)),
    (LearnConfig, "decay", (-1.0, math.nan, math.inf)),
    (LearnConfig, "clip", (-1.0, math.nan, math.inf)),
    (LearnConfig, "average", (1.0, math.nan)),
    (LearnConfig, "warmup", (1.0, -0.1, math.nan)),
    (LearnConfig, "seed", (-1, 2**63)),
    (LearnConfig, "threads", (0,)),
    (LearnConfig, "evaluate_every", (0,)),
    (ExampleConfig, "workers", (-1,)),
    (ExampleConfig, "pool", (0,)),
    (ExampleConfig, "disagreement", (-0.1, math.nan)),
    (LossWeights, "depth", (-1.0, math.nan)),
    (PalmLoss, "alpha", (1.5, math.nan)),
    (PalmLoss, "gamma", (-1.0, math.inf)),
    (PalmLoss, "boxes", (-1.0, math.nan)),
    (PalmShape, "size", (32, 10**6)),
    (PalmShape, "widths", ((1, 1, 0, 1, 1), (1, 1, 10**8, 1, 1))),
    (PalmShape, "pyramid", (0, 10**8)),
    (LandmarkShape, "depths", ((0, 0, 0, 0, -1), (0, 0, 0, 0, 10**6))),
    (LandmarkShape, "hidden", (0, 10**8)),
]


@pytest.mark.parametrize(("config", "entry", "values"), WRONG, ids=lambda value: str(value)[:30])
def test_an_entry_outside_its_range_is_named(config, entry, values):
    for value in values:
        with pytest.raises(InputError, match=rf"^{entry}: expected a (whole )?number"):
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
    assert str(caught.value) == f"{path}: learn.rate: expected a number in (0, 1000000.0], got nan"
