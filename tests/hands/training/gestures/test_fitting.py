import numpy as np
import pytest

from handheld.errors import InputError
from handheld.hands.perceptron import Perceptron
from handheld.hands.training.gestures.fitting import FitConfig, FitExamples, fit, threshold_for


def quiet(stage, share, words):
    """Nobody looks."""


def corners(count=400):
    """Whether the signs of two numbers differ, which no single layer can say."""
    features = np.random.default_rng(0).uniform(-1, 1, (count, 2)).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] < 0).astype(np.int64)
    return FitExamples(features, labels, np.ones(count, np.float32))


def test_a_hidden_layer_learns_what_one_layer_cannot():
    config = FitConfig(hidden=16, epochs=60, batch=32, rate=0.01)
    examples = corners()
    network = fit(config, ("none", "differ"), examples, quiet)
    likely = network.probabilities(examples.features)
    assert (likely.argmax(axis=1) == examples.labels).mean() > 0.95


def test_the_same_seed_gives_the_same_network():
    config = FitConfig(hidden=4, epochs=2)
    first, again = (fit(config, ("none", "differ"), corners(), quiet) for _ in range(2))
    np.testing.assert_array_equal(first.weights[0], again.weights[0])
    other = fit(FitConfig(hidden=4, epochs=2, seed=1), ("none", "differ"), corners(), quiet)
    assert not np.array_equal(first.weights[0], other.weights[0])


def test_examples_without_weight_teach_nothing():
    right = corners()
    wrong = FitExamples(right.features, 1 - right.labels, np.zeros(len(right.labels), np.float32))
    config = FitConfig(hidden=16, epochs=60, batch=32, rate=0.01)
    network = fit(config, ("none", "differ"), right + wrong, quiet)
    likely = network.probabilities(right.features)
    assert (likely.argmax(axis=1) == right.labels).mean() > 0.9


def test_the_threshold_lets_so_many_false_alarms_pass():
    # One hidden unit that is the feature itself: the probability of "a" is that of a logit.
    network = Perceptron(
        ("none", "a"),
        (np.ones((1, 1), np.float32), np.array([[0, 1]], np.float32)),
        (np.zeros(1, np.float32), np.zeros(2, np.float32)),
        0.0,
    )
    logits = np.linspace(0, 9.9, 100, dtype=np.float32)[:, None]
    nameless = FitExamples(logits, np.zeros(100, np.int64), np.ones(100, np.float32))
    # Above the logit between the 95th and the 96th example are five of a hundred.
    expected = 1 / (1 + np.exp(-9.45))
    assert threshold_for(network, nameless, 0.05) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 0}, "hidden: expected a whole number of 1 or more, got 0"),
        ({"rate": 0.0}, r"rate: expected a number in \(0"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        FitConfig(**settings)
