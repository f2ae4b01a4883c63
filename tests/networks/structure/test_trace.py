"""Graphs, shapes and costs."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from handheld.errors import CompileError, InputError  # noqa: E402
from handheld.networks.structure import (  # noqa: E402
    channels_of,
    example_of,
    macs,
    shape_of,
    trace,
    with_shapes,
)


def test_the_copy_computes_the_same_and_the_module_stays_as_it_was(build):
    module = build.lively(build.resnet()).train()
    traced = trace(module, torch.randn(2, 3, 8, 8))
    assert module.training
    assert not traced.training
    x = torch.randn(3, 3, 8, 8)
    torch.testing.assert_close(traced(x), module.eval()(x))


def test_nodes_know_their_shapes():
    traced = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), torch.randn(2, 3, 8, 8))
    assert [shape_of(node) and list(shape_of(node)) for node in traced.graph.nodes] == [
        [2, 3, 8, 8],
        [2, 4, 6, 6],
        [2, 144],
        [2, 144],
    ]


def test_shapes_follow_a_new_example_and_modes_stay():
    traced = trace(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.randn(2, 3, 8, 8)
    ).train()
    traced.get_submodule("1").eval()
    with_shapes(traced, torch.randn(5, 3, 6, 6))
    assert [shape_of(node) for node in traced.graph.nodes][1] == (5, 4, 4, 4)
    assert [
        traced.training,
        traced.get_submodule("0").training,
        traced.get_submodule("1").training,
    ] == [True, True, False]
    assert example_of(traced).shape == (5, 3, 6, 6)


def half_pruned(layer):
    return prune.l1_unstructured(layer, "weight", 0.5)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch says that its older norms are old
@pytest.mark.parametrize("by_hooks", [nn.utils.weight_norm, nn.utils.spectral_norm, half_pruned])
def test_modules_that_compute_weights_in_hooks_are_traced(by_hooks):
    module = nn.Sequential(by_hooks(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 3)).eval()
    example = torch.randn(2, 5)
    # As after training: what the hook computed has a history, which torch cannot copy.
    expected = module(example)
    torch.testing.assert_close(trace(module, example)(example), expected)


class Passing(nn.Module):
    """Hands on whatever it is given, as wrappers do."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, where it compiles
@pytest.mark.parametrize("wrap", [Passing, nn.DataParallel, torch.compile])
def test_modules_in_wrappers_are_traced_and_cut(wrap):
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2)).eval()
    example = torch.randn(2, 3, 8, 8)
    traced = trace(wrap(module), example)
    torch.testing.assert_close(traced(example), module(example))
    other = torch.randn(5, 3, 8, 8)
    torch.testing.assert_close(traced(other), module(other))
    # The convolution's channels go, the answers stay.
    assert sum(not group.pinned for group in channels_of(traced).groups) == 1


def test_what_is_no_module_is_named():
    with pytest.raises(InputError, match="expected a torch module, got function"):
        trace(lambda x: x, torch.randn(2, 5))


def test_whole_numbers_as_input():
    traced = trace(
        nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 2)),
        torch.zeros(2, 3, dtype=torch.int64),
    )
    assert example_of(traced).dtype == torch.int64


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(3, 4, 3, padding=1), (3, 8, 8), 4 * 3 * 9 * 64),
        (nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=4), (4, 8, 8), 8 * 9 * 16),
        (nn.Conv1d(5, 6, 3), (5, 16), 6 * 5 * 3 * 14),
        (nn.ConvTranspose2d(3, 4, 2, 2), (3, 8, 8), 3 * 4 * 4 * 64),
        (nn.Linear(5, 7), (5,), 35),
        (nn.Linear(5, 7), (6, 5), 6 * 35),
        (nn.BatchNorm2d(3), (3, 8, 8), 0),
    ],
)
@pytest.mark.parametrize("batch", [1, 2])
def test_multiply_accumulates_of_one_example(layer, shape, expected, batch):
    assert sum(macs(trace(nn.Sequential(layer), torch.randn(batch, *shape))).values()) == expected


def test_a_layer_used_twice_counts_twice():
    layer = nn.Linear(4, 4)
    assert macs(trace(nn.Sequential(layer, nn.ReLU(), layer), torch.randn(2, 4))) == {"0": 32}


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Looping(nn.Module):
    def forward(self, x):
        return sum(row.sum() for row in x)


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize("module", [Branching(), Looping()])
def test_control_flow_by_values_is_refused(module):
    with pytest.raises(
        CompileError, match=rf"{type(module).__name__} cannot be traced.*torch\.where"
    ):
        trace(module, torch.randn(2, 3))


def test_an_example_that_does_not_fit_is_refused(capfd):
    with pytest.raises(
        CompileError,
        match=r"fails on an input \[2, 4, 8, 8\].*expected input.* to have 3 channels.*Give an "
        r"example",
    ):
        trace(nn.Sequential(nn.Conv2d(3, 4, 3)), torch.randn(2, 4, 8, 8))
    assert capfd.readouterr().err == ""


def test_two_inputs_are_refused():
    with pytest.raises(CompileError, match=r"parameter y.*Give an example"):
        trace(TwoInputs(), torch.randn(2, 3))


def test_an_example_without_numbers_is_refused():
    with pytest.raises(InputError, match=r"expected an example with numbers in it, got \[0, 4\]"):
        trace(nn.Linear(4, 2), torch.zeros(0, 4))
