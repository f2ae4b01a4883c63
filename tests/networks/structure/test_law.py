"""The law: a slimmed network computes what the full one computes with the channels that are gone at
zero.
"""

from copy import deepcopy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from handheld.networks.structure import channels_of, macs, slim, take, trace  # noqa: E402


def test_finds_the_groups(architecture):
    network, example, free = architecture
    channels = channels_of(trace(network, example))
    assert [" ".join(group.layers) for group in channels.free] == free
    assert all("output" in group.pinned for group in channels.groups if "head" in group.layers[0])
    units = np.concatenate([group.units for group in channels.groups])
    assert len(set(units.tolist())) == len(units)
    assert units.max() < channels.count


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("makers", [True, False])
def test_computes_what_the_masked_network_computes(architecture, law, seed, makers):
    network, example, _ = architecture
    traced = trace(network, example)
    channels = channels_of(traced)
    kept = law.choose(channels, seed)
    small = slim(traced, channels, kept)
    with torch.no_grad():
        expected = law.flat(law.zeroed(traced, channels, kept, makers=makers)(example))
        torch.testing.assert_close(law.flat(small.network(example)), expected, atol=1e-5, rtol=1e-5)


def test_is_a_smaller_network_like_any_other(architecture, law):
    network, example, _ = architecture
    traced = trace(network, example)
    channels = channels_of(traced)
    small = slim(
        traced, channels, np.array(sorted({int(units[0]) for units in channels.made.values()}))
    )
    assert sum(p.numel() for p in small.network.parameters()) < sum(
        p.numel() for p in traced.parameters()
    )
    assert sum(macs(small.network).values()) < sum(macs(traced).values())
    assert macs(small.network) == macs(trace(small.network, example))
    again = channels_of(small.network)
    assert [" ".join(group.layers) for group in again.free] == [
        " ".join(group.layers) for group in channels_of(trace(small.network, example)).free
    ]
    torch.testing.assert_close(
        law.flat(deepcopy(small.network)(example)), law.flat(small.network(example))
    )
    small.network.train()
    law.flat(small.network(example)).square().sum().backward()
    assert all(p.grad is not None for p in small.network.parameters())


def test_where_parameters_come_from(architecture, law):
    network, example, _ = architecture
    traced = trace(network, example)
    channels = channels_of(traced)
    small = slim(traced, channels, law.choose(channels, 5))
    full = traced.state_dict()
    for name, tensor in small.network.state_dict().items():
        torch.testing.assert_close(
            tensor, take(full[name], small.taken.get(name, ())), rtol=0, atol=0
        )
    assert all(small.network.state_dict()[name].shape != full[name].shape for name in small.taken)


def test_can_be_exported(architecture, law):
    network, example, _ = architecture
    traced = trace(network, example)
    small = slim(traced, channels_of(traced), law.choose(channels_of(traced), 1)).network.eval()
    exported = torch.export.export(small, (example,)).module()
    torch.testing.assert_close(
        law.flat(exported(example)), law.flat(small(example)), atol=1e-5, rtol=1e-5
    )
