"""``handheld hands train gestures`` and ``motions``, as small as they can be."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.errors import InputError
from handheld.hands import GestureClassifier
from handheld.hands.motion.learned import FEATURES
from handheld.hands.perceptron import Perceptron
from handheld.media import write_image

FIXTURES = Path(__file__).parent.parent / "fixtures"
MESHES = Path(os.environ.get("HANDHELD_DATA", "")) / "hands" / "mesh"
RUNNER = CliRunner()

pytestmark = pytest.mark.skipif(
    not MESHES.is_dir(), reason="the hand's mesh is not in HANDHELD_DATA"
)


@pytest.fixture
def data(tmp_path):
    """Meshes, and a photo of each digit by a student of the training and one of the validation."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mesh").symlink_to(MESHES)
    image = np.full((100, 100, 3), 30, np.uint8)
    image[20:80, 20:80] = 255  # what the tiny models take for a hand
    for digit in range(10):
        for number in (1, 4001):
            folder = tmp_path / "data" / "photos" / "digits" / str(digit)
            write_image(folder / f"IMG_{number:04d}.png", image)
    return tmp_path / "data"


@pytest.fixture
def pack(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.toml").write_text(
        f'palm = "{FIXTURES / "tiny_palm.tflite"}"\nlandmark = '
        f'"{FIXTURES / "tiny_landmark.tflite"}"\n'
    )
    return tmp_path / "pack"


def train(what, config, out, *words):
    command = ["hands", "train", what, "--config", config, "--out", out, *words]
    return RUNNER.invoke(app, list(map(str, command)))


def test_a_gesture_classifier_is_trained_and_can_be_used(data, pack, tmp_path):
    config = tmp_path / "gestures.toml"
    config.write_text(
        f'data = "{data}"\npacks = ["{pack}"]\nrendered = 60\npictures = 6\npeople = 1\n'
        "[learn]\nhidden = 4\nepochs = 1\n"
    )
    done = train("gestures", config, tmp_path / "mine.npz", "--json", tmp_path / "scores.json")
    assert done.exit_code == 0, done.output
    scores = json.loads((tmp_path / "scores.json").read_text())
    # Ten hands that are rendered, one picture, and ten photos of the validation's student.
    assert 10 <= scores["hands"] <= 21
    assert 0 <= scores["accuracy"] + scores["refused"] <= 1
    classifier = GestureClassifier.load(tmp_path / "mine.npz")
    assert "thumb up" in classifier.network.names
    assert classifier.network.threshold == pytest.approx(scores["threshold"], abs=1e-6)


def test_a_motion_network_is_trained_and_can_be_used(tmp_path):
    config = tmp_path / "motions.toml"
    config.write_text("films = 5\npeople = 1\n[learn]\nhidden = 2\nepochs = 1\n")
    done = train("motions", config, tmp_path / "mine.npz")
    assert done.exit_code == 0, done.output
    network = Perceptron.load(tmp_path / "mine.npz", features=FEATURES)
    assert 0 < network.threshold <= 1
    assert "wave" in network.names


@pytest.mark.parametrize(
    ("what", "text", "message"),
    [
        ("gestures", "packs = []\n", "packs: expected at least one pack"),
        ("gestures", "rendered = 3\n", "rendered: expected a whole number of 60 or more, got 3"),
        ("motions", "films = 1\n", "films: expected a whole number of 5 or more, got 1"),
        ("motions", "[learn]\nhidden = 0\n", "learn.hidden: expected a whole number"),
    ],
)
def test_a_wrong_configuration_is_told(what, text, message, tmp_path):
    (tmp_path / "c.toml").write_text(text)
    done = train(what, tmp_path / "c.toml", tmp_path / "mine.npz")
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
    assert not (tmp_path / "mine.npz").exists()
