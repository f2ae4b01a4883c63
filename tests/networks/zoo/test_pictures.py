import pytest
import torch

from handheld.errors import InputError
from handheld.networks.structure import trace
from handheld.networks.zoo.pictures import NETWORKS, PictureShape, Projection, make


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 40, 64), (3, 128, 128)])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_takes_pictures_of_any_size(name: str, shape: tuple[int, int, int]):
    network = make(name, PictureShape(*shape), 5, 4, seed=1).eval()
    inputs = torch.randn(2, *shape)
    assert network(inputs).shape == (2, 5)
    assert torch.equal(trace(network, inputs)(inputs), network(inputs))


@pytest.mark.parametrize("name", ["residual", "mobile", "plain"])
def test_weights_fit_pictures_of_any_size(name: str):
    weights = make(name, PictureShape(3, 32, 32), 5, 4, seed=1).state_dict()
    for side in (64, 128):
        make(name, PictureShape(3, side, side), 5, 4, seed=2).load_state_dict(weights)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_depend_on_the_seed_alone(name: str):
    first, again, other = (
        make(name, PictureShape(1, 12, 12), 3, 4, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_random_directions_are_signs_and_never_learn():
    projection = Projection(20, 40)
    assert set(projection.directions.weight.unique().tolist()) == {-1.0, 1.0}
    assert not any(parameter.requires_grad for parameter in projection.parameters())
    assert set(projection(torch.randn(5, 20)).unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize(("name", "width"), [("transformer", 4), ("plain", 0)])
def test_what_cannot_be_made_is_named(name: str, width: int):
    message = (
        f"no network '{name}'" if width else "width: expected a whole number of 1 or more, got 0"
    )
    with pytest.raises(InputError, match=message):
        make(name, PictureShape(1, 12, 12), 3, width, seed=0)
