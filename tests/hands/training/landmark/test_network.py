import numpy as np
import pytest
import torch

from handheld.errors import InputError
from handheld.hands.training.blocks import to_unit
from handheld.hands.training.landmark.network import (
    DeployedLandmarks,
    LandmarkNetwork,
    LandmarkShape,
)

TINY = LandmarkShape(size=64, widths=(4, 4, 8, 8, 8), depths=(0, 0, 1, 0, 0), pyramid=8, hidden=16)


def test_a_bright_spot_in_a_map_is_a_place_in_the_crop():
    """The maps' softmax is a mean of cells' middles: all weight on cell (2, 5) of 8 is at (5.5,
    2.5) eighths.
    """
    torch.manual_seed(0)
    network = LandmarkNetwork(TINY).eval()
    with torch.no_grad():
        network.maps.weight.zero_()
        network.maps.weight[:, 0] = 100.0
        network.maps.bias.zero_()
        network.outputs.weight.zero_()
        fine = torch.zeros(1, 8, 8, 8)
        fine[0, 0, 2, 5] = 1.0
        output = network.read(fine, torch.zeros(1, 8, 2, 2))
    assert output.points[0, :, :2].numpy() == pytest.approx(
        np.tile([5.5 / 8, 2.5 / 8], (21, 1)), abs=1e-5
    )


def test_the_deployed_network_speaks_pixels_metres_and_probabilities():
    torch.manual_seed(0)
    network = LandmarkNetwork(TINY).eval()
    crops = torch.rand(1, 3, 64, 64)
    output = network(crops)
    deployed = DeployedLandmarks(network)(crops)
    assert [tuple(value.shape) for value in deployed.values()] == [
        (1, 63),
        (1, 1),
        (1, 1),
        (1, 63),
        (1, 21),
    ]
    assert torch.allclose(deployed["landmarks"].reshape(21, 3), output.points[0] * 64)
    assert torch.allclose(deployed["world"].reshape(21, 3), output.world[0] / 10)
    assert torch.allclose(deployed["presence"], output.presence.sigmoid()[:, None])


def test_pictures_become_fractions_with_channels_first():
    pictures = torch.zeros(1, 2, 3, 3, dtype=torch.uint8)
    pictures[0, 1, 2, 0] = 255
    unit = to_unit(pictures)
    assert unit.shape == (1, 3, 2, 3)
    assert unit[0, 0, 1, 2] == 1.0


def test_a_size_that_the_strides_do_not_divide_is_refused():
    with pytest.raises(InputError, match="multiple of 32"):
        LandmarkShape(size=100)


def test_a_network_for_other_crops_sees_the_whole_hand_in_its_own_grid():
    network = LandmarkNetwork(LandmarkShape(size=128))
    larger = network.resized(160)
    # Of four cells' middles in five, triangles as wide as a cell of four.
    middles = 1.25 * (np.arange(4) + 0.5)
    shares = np.maximum(0, 1 - np.abs(np.arange(5) + 0.5 - middles[:, None]) / 1.25)
    shares /= shares.sum(axis=1, keepdims=True)
    features = np.random.default_rng(0).random((2, 32, 5, 5))
    known = np.einsum("ri,cj,nkij->nkrc", shares, shares, features)
    with torch.no_grad():
        answer = larger.whole(torch.tensor(features, dtype=torch.float32).flatten(1))
        expected = network.whole(torch.tensor(known, dtype=torch.float32).flatten(1))
        torch.testing.assert_close(answer, expected)
        # The middle of a map is in the middle of either crop.
        flat = torch.zeros(1, 48, 20, 20)
        torch.testing.assert_close(larger._seen(flat), network._seen(flat[..., :16, :16]))
    kept = network.resized(128).state_dict()
    assert all(torch.equal(kept[name], value) for name, value in network.state_dict().items())
