"""Masks over weights."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from handheld.errors import InputError  # noqa: E402
from handheld.networks.pruning import Masks, cubic, ends  # noqa: E402


def two():
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    network[0].weight.data = torch.tensor([[1.0, -2.0], [3.0, -4.0]])
    network[2].weight.data = torch.tensor([[0.1, -0.2], [0.3, -0.4]])
    return network


def test_each_layer_alone():
    network = two()
    masks = Masks.of(network, 0.5, scope="layer")
    masks.apply()
    assert network[0].weight.tolist() == [[0, 0], [3, -4]]
    assert torch.equal(network[2].weight, torch.tensor([[0, 0], [0.3, -0.4]]))
    assert masks.sparsity == {"0.weight": 0.5, "2.weight": 0.5}


def test_all_layers_together_but_the_largest_of_each_stays():
    masks = Masks.of(two(), 0.75)
    assert masks.kept["0.weight"].tolist() == [[False, False], [False, True]]
    assert masks.kept["2.weight"].tolist() == [[False, False], [False, True]]
    assert Masks.of(two(), 0.5).kept["0.weight"].tolist() == [[False, True], [True, True]]


def test_skipped_layers_stay_whole(mixed):
    masks = Masks.of(mixed, 0.9, skip=ends(mixed))
    assert ends(mixed) == ("stem.0", "head")
    assert set(masks.kept) == {
        "expand.0.weight",
        "depthwise.0.weight",
        "project.0.weight",
        "branch.0.weight",
        "side.weight",
    }


def test_zeros_stay_zero_while_training_to_a_growing_sparsity(mixed):
    optimiser = torch.optim.Adam(mixed.parameters(), 0.01)
    gone = None
    for step in range(5):
        masks = Masks.of(mixed, cubic(0.8, step, 4))
        for _ in range(2):
            optimiser.zero_grad()
            mixed(torch.randn(4, 1, 8, 8)).square().sum().backward()
            optimiser.step()
            masks.apply()
        zeros = {name: mixed.get_parameter(name) == 0 for name in masks.kept}
        assert all(torch.equal(zeros[name], ~masks.kept[name]) for name in zeros)
        assert gone is None or all((zeros[name] | ~gone[name]).all() for name in gone)
        gone = zeros
    total = sum(mask.numel() for mask in masks.kept.values())
    assert sum(int((~mask).sum()) for mask in masks.kept.values()) == int(0.8 * total)


@settings(max_examples=30, deadline=None)
@given(
    sparsity=st.floats(0, 0.99), scope=st.sampled_from(["global", "layer"]), seed=st.integers(0, 9)
)
def test_as_many_as_asked_and_the_smallest(sparsity, scope, seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Conv2d(5, 4, 1), nn.Linear(7, 3))
    masks = Masks.of(network, sparsity, scope=scope)
    parts = [list(masks.kept)] if scope == "global" else [[name] for name in masks.kept]
    for part in parts:
        sizes = torch.cat([network.get_parameter(name).detach().abs().flatten() for name in part])
        kept = torch.cat([masks.kept[name].flatten() for name in part])
        assert abs(int((~kept).sum()) - sparsity * len(kept)) < 1
        if scope == "layer" and (~kept).any():
            assert sizes[~kept].max() <= sizes[kept].min()


def test_equal_weights_go_in_order():
    layer = nn.Linear(10, 1, bias=False)
    nn.init.constant_(layer.weight, 0.5)
    network = nn.Sequential(layer)
    assert Masks.of(network, 0.3, scope="layer").kept["0.weight"].tolist() == [
        [False] * 3 + [True] * 7
    ]
    assert Masks.of(network, 0.9, scope="layer").sparsity["0.weight"] == pytest.approx(0.9)


def test_two_of_four():
    layer = nn.Linear(8, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, -3.0, 2.0, 0.0, 5.0, 5.0, 5.0, 5.0]])
    network = nn.Sequential(layer, nn.Linear(1, 3))
    masks = Masks.n_of_m(network)
    masks.apply()
    assert layer.weight.tolist() == [[0, -3, 2, 0, 5, 5, 0, 0]]
    assert masks.sparsity == {"0.weight": 0.5}


def test_memory_in_another_order():
    network = nn.Sequential(nn.Conv2d(4, 4, 3)).to(memory_format=torch.channels_last)
    for masks in (
        Masks.of(network, 0.5),
        Masks.of(network, 0.5, scope="layer"),
        Masks.n_of_m(network),
    ):
        masks.apply()
    assert (network[0].weight == 0).float().mean() >= 0.5


def test_infinite_weights_that_come_while_training_are_masked():
    network = two()
    masks = Masks.of(network, 0.5, scope="layer")
    with torch.no_grad():
        network[0].weight[0, 0] = torch.inf
    masks.apply()
    assert network[0].weight[0, 0] == 0


def test_errors():
    for sparsity in (1.0, -0.1):
        with pytest.raises(
            InputError, match=rf"^sparsity: expected a number in \[0, 1\), got {sparsity}"
        ):
            Masks.of(two(), sparsity)
    with pytest.raises(InputError, match="the scope 'global' or 'layer', got 'all'"):
        Masks.of(two(), 0.5, scope="all")
    with pytest.raises(
        InputError, match="no convolution or dense layer '1' to skip; there are 0, 2"
    ):
        Masks.of(two(), 0.5, skip=["1"])
    with pytest.raises(InputError, match=r"^n: expected a whole number in \[1, 4\], got 5"):
        Masks.n_of_m(two(), 5, 4)
    network = two()
    with torch.no_grad():
        network[2].weight[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"'2\.weight'"):
        Masks.of(network, 0.5)
    assert Masks.of(nn.Sequential(nn.ReLU()), 0.5).kept == {}


class Tied(nn.Module):
    """Two layers with the same weights, a third, and one that stands under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.middle = nn.Linear(4, 4)
        self.again = self.middle
        self.last = nn.Linear(4, 4)
        self.last.weight = self.first.weight


def test_a_layer_that_stays_whole_does_so_under_each_of_its_names():
    assert set(Masks.of(Tied(), 0.5).kept) == {"first.weight", "middle.weight"}
    assert set(Masks.of(Tied(), 0.5, skip=["last"]).kept) == {"middle.weight"}
    assert set(Masks.of(Tied(), 0.5, skip=["again"]).kept) == {"first.weight"}
    assert ends(Tied()) == ("first", "last")


def test_a_layer_that_is_the_network_itself():
    layer = nn.Linear(4, 1)
    layer.weight.data = torch.tensor([[4.0, -1.0, 2.0, -3.0]])
    assert Masks.n_of_m(layer).kept["weight"].tolist() == [[True, False, False, True]]
    Masks.of(layer, 0.5).apply()
    assert layer.weight.tolist() == [[4, 0, 0, -3]]
    assert Masks.of(layer, 0.5, skip=ends(layer)).kept == {}


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_layer_without_numbers_has_none_to_lose(scope):
    masks = Masks.of(nn.Sequential(nn.Linear(0, 2), nn.Linear(2, 2)), 0.5, scope=scope)
    assert masks.sparsity == {"1.weight": 0.5}


def test_what_has_no_weights_yet_and_what_is_no_list_of_names():
    with pytest.raises(InputError, match=r"^0\.weight has no shape yet: run the module"):
        Masks.of(nn.Sequential(nn.LazyLinear(3)), 0.5)
    with pytest.raises(InputError, match=r"^skip: expected a list of names .* got the text '02'$"):
        Masks.of(two(), 0.5, skip="02")
