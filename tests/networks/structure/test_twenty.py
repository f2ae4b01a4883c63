"""Networks that people bring are traced, pruned to half of their operations, equal to the masked
network, and compiled.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from twenty import FROM_LIBRARY, NETWORKS, SIDE, made  # noqa: E402

from handheld.compile import to_tflite  # noqa: E402
from handheld.engine import Model  # noqa: E402
from handheld.networks.pruning import choose_units, prune, scores  # noqa: E402
from handheld.networks.quantisation import FxNet, fold  # noqa: E402
from handheld.networks.structure import channels_of, slim, trace  # noqa: E402


@pytest.mark.parametrize("name", NETWORKS)
def test_half_of_a_network_is_what_the_masked_one_computes(name, law):
    if name in FROM_LIBRARY:
        pytest.importorskip("transformers", reason="needs the extra 'compile'")
    module = made(name).double()  # what is the same is the same to more digits than float32 has
    example, inputs = torch.randn(2, 3, SIDE, SIDE).double(), torch.randn(5, 3, SIDE, SIDE).double()
    network = trace(module, example)
    with torch.no_grad():
        torch.testing.assert_close(law.flat(network(inputs)), law.flat(module(inputs)))
        channels = channels_of(network)
        kept = choose_units(network, channels, scores(network, channels, "l2"), keep=0.5)
        small = slim(network, channels, kept).network
        expected = law.flat(law.masked(network, channels, kept)(inputs))
        assert (law.flat(small(inputs)) - expected).abs().max() <= 1e-9 * expected.abs().max()
    assert expected.std() > 0.01
    pruned = prune(network, example, keep=0.5)
    assert pruned.met
    assert pruned.share <= 0.5


@pytest.mark.parametrize(
    "name",
    ["ConvNeXt", "C2f (#147)", "DeiT (#340)", "ShuffleNet", "shared head", "GLU (#366, #393)"],
)
def test_half_of_a_network_becomes_a_file(name):
    pytest.importorskip("litert_torch", reason="needs the extra 'compile'")
    if name in FROM_LIBRARY:
        pytest.importorskip("transformers", reason="needs the extra 'compile'")
    small = prune(made(name), torch.randn(2, 3, SIDE, SIDE), keep=0.5).network
    picture = torch.randn(1, 3, SIDE, SIDE)
    compiled = to_tflite(FxNet(fold(small)), picture, metadata={})
    with Model.load(compiled.content) as model, torch.inference_mode():
        (given,) = model.run(np.ascontiguousarray(picture.permute(0, 2, 3, 1).numpy()))
        (expected,) = torch.utils._pytree.tree_leaves(small(picture))
    assert given == pytest.approx(expected.numpy(), abs=1e-4)
