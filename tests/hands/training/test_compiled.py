"""The weights of the packs that ship, as a training goes on from them."""

import numpy as np
import pytest
import torch

from handheld.compile import to_tflite
from handheld.config import from_table
from handheld.engine import Model
from handheld.errors import InputError, ModelError
from handheld.hands import load_pack
from handheld.hands.packs import ASSETS
from handheld.hands.training.compiled import fill_from_file, normalise, shape_of_file
from handheld.hands.training.landmark.network import (
    DeployedLandmarks,
    LandmarkNetwork,
    LandmarkShape,
)
from handheld.hands.training.palm.network import DeployedPalms, PalmNetwork, PalmShape

LANDMARK = ASSETS / "handheld" / "landmark.tflite"
KINDS = {
    "landmark": (LandmarkShape, LandmarkNetwork, DeployedLandmarks),
    "palm": (PalmShape, PalmNetwork, DeployedPalms),
}


def pictures(side, *, count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, side, side, generator=generator)


def filled(file, kind, *, count=8):
    """The network of a file, and the batch by which it was measured."""
    shape_class, network_class, _ = KINDS[kind]
    shape = from_table(shape_class, shape_of_file(file), "network")
    network = network_class(shape)
    batch = pictures(shape.size, count=count, seed=0)
    fill_from_file(network, file)
    normalise(network, lambda filled: filled(batch))
    return network, batch


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pack", ["handheld", "handheld-lite"])
def test_a_network_answers_as_the_file_whose_weights_it_has(pack, kind):
    file = getattr(load_pack(pack), kind)
    network, _ = filled(file, kind)
    picture = pictures(network.shape.size, count=1, seed=1)
    with torch.no_grad():
        answers = KINDS[kind][2](network.eval())(picture)
    with Model.open(file) as model:
        expected = model.run(np.ascontiguousarray(picture.numpy().transpose(0, 2, 3, 1)))
    for answer, truth in zip(answers.values(), expected, strict=True):
        np.testing.assert_allclose(answer.numpy(), truth, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_step_normalises_as_the_network_was_measured(kind):
    network, batch = filled(ASSETS / "handheld" / f"{kind}.tflite", kind)
    with torch.no_grad():
        resting = network.eval()(batch)
        learning = network.train()(batch)
    for one, other in zip(resting, learning, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


def test_a_file_of_another_network_is_refused(tmp_path):
    with pytest.raises(ModelError):
        shape_of_file(tmp_path / "none.tflite")
    with Model.open(LANDMARK) as model:
        foreign = tmp_path / "foreign.tflite"
        foreign.write_bytes(model.content.replace(b'"network"', b'"netwerk"'))
    with pytest.raises(InputError, match="a pack of ours"):
        shape_of_file(foreign)
    palms = PalmNetwork(PalmShape())
    with pytest.raises(InputError, match="not the file of this network"):
        fill_from_file(palms, LANDMARK)


def test_a_layer_that_a_file_lacks_is_named():
    deeper = LandmarkShape(**shape_of_file(LANDMARK) | {"depths": (1, 1, 3, 3, 2)})
    with pytest.raises(ModelError, match=r"no constant .*stages\.0\.1"):
        fill_from_file(LandmarkNetwork(deeper), LANDMARK)


def test_a_bias_that_layers_share_is_found(tmp_path):
    """Layers that have not learned yet have equal ones, of which the compiler keeps one."""
    pytest.importorskip("litert_torch")
    torch.manual_seed(0)
    shape = PalmShape(size=64, widths=(4, 4, 8, 8, 8), depths=(0, 0, 0, 0, 0), pyramid=8)
    network = PalmNetwork(shape).eval()
    file = tmp_path / "palm.tflite"
    picture = pictures(64, count=1, seed=1)
    to_tflite(DeployedPalms(network), picture.numpy(), metadata={}, out=file)
    again = PalmNetwork(shape)
    fill_from_file(again, file)
    with torch.no_grad():
        for one, other in zip(again.eval()(picture), network(picture), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_weights_of_eight_bits_are_no_start(monkeypatch):
    rounded = np.zeros((12, 3, 3, 3), np.int8)
    monkeypatch.setattr(Model, "constant", lambda model, name: rounded)
    with pytest.raises(InputError, match="float32 or float16"):
        fill_from_file(LandmarkNetwork(LandmarkShape()), LANDMARK)


def test_a_detector_for_larger_pictures_sees_the_same_where_they_are_the_same():
    """Away from the edges, which pictures of other sizes have elsewhere; in cells of 8 pixels."""
    network = PalmNetwork(PalmShape(decoder=False)).eval()
    larger = network.resized(384).eval()
    picture = pictures(384, count=1, seed=2)
    with torch.no_grad():
        wide = larger(picture).logits[0, : 48 * 48].reshape(48, 48)
        part = network(picture[..., :192, :192]).logits[0, : 24 * 24].reshape(24, 24)
    torch.testing.assert_close(wide[:12, :12], part[:12, :12])
    assert not torch.equal(wide[:24, :24], part)
