"""Twenty-one networks cut to half of their operations, beside torch-pruning's dependency graph.

Ours: traced, cut by the norms of its weights, compared with the full network whose other channels
    are masked, compiled, and the
file compared with the network that was cut. torch-pruning: its magnitude pruner on the same
network, given the number of heads of attention layers, at the least of nine ratios (0.1 to 0.9)
that halves the operations; then the network has to run.

python benchmarks/structures.py [--only NAME ...]
"""

import argparse
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from _peers_env import torch_pruning
from _report import Row, show, write
from torch import nn
from torch.utils._pytree import tree_leaves

from handheld.compile import to_tflite
from handheld.networks.pruning import choose_units, scores
from handheld.networks.pruning.cost import cost_of
from handheld.networks.quantisation import FxNet, fold
from handheld.networks.structure import channels_of, slim, trace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "networks" / "structure"))

from masking import masked
from twenty import NETWORKS, SIDE, made

_HALF = 0.5
_QUERIES = ("query", "key", "value", "qkv")


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="*", choices=[*NETWORKS], default=[*NETWORKS], metavar="NAME"
    )
    names = parser.parse_args().only
    rows = []
    for name in names:
        rows.append({"network": name, **ours(made(name)), **theirs(made(name))})
        print(rows[-1], flush=True)
    show("cut to half of their operations", rows)
    if len(names) == len(NETWORKS):
        write("structures", rows)


def ours(module: nn.Module) -> Row:
    """Return what handheld makes of a network."""
    example, inputs = torch.randn(2, 3, SIDE, SIDE), torch.randn(5, 3, SIDE, SIDE)
    started = time.process_time()
    network = trace(module, example)
    channels = channels_of(network)
    kept = choose_units(network, channels, scores(network, channels, "l2"), keep=_HALF)
    small = slim(network, channels, kept).network
    seconds = time.process_time() - started
    compiled = to_tflite(FxNet(fold(small)), inputs[:1], metadata={})
    after, exact = channels_of(small), trace(deepcopy(module).double(), example.double())
    with torch.no_grad():  # in float64, whose rounding hides nothing
        pair = (
            slim(exact, channels_of(exact), kept).network,
            masked(exact, channels_of(exact), kept),
        )
        (given,), (expected,) = (tree_leaves(one(inputs.double())) for one in pair)
    return {
        "share": cost_of(small, after, "macs").total / cost_of(network, channels, "macs").total,
        "from masked": float((given - expected).abs().max() / expected.abs().max()),
        "file from network": compiled.difference,
        "CPU s": seconds,
    }


def theirs(module: nn.Module) -> Row:
    """Return what torch-pruning makes of it."""
    peer, example = torch_pruning(), torch.randn(1, 3, SIDE, SIDE)
    whole, _ = peer.utils.count_ops_and_params(module, example)
    found: dict[str, Any] = {"torch-pruning share": None, "torch-pruning": ""}
    started = time.process_time()
    for tenth in range(1, 10):
        network = deepcopy(module)
        last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1:]
        heads = {
            layer: 4
            for name, layer in network.named_modules()
            if name.rpartition(".")[2] in _QUERIES
        }
        try:
            pruner = peer.pruner.MagnitudePruner(
                network,
                example,
                importance=peer.importance.MagnitudeImportance(p=2),
                pruning_ratio=tenth / 10,
                ignored_layers=last,
                num_heads=heads,
                output_transform=lambda given: tree_leaves(given)[0],
            )
            pruner.step()
            macs, _ = peer.utils.count_ops_and_params(network, example)
            network(torch.randn(2, 3, SIDE, SIDE))
        except Exception as error:  # whatever the peer, or the network that it cut, fails with
            found["torch-pruning"] = f"at ratio {tenth / 10}: {type(error).__name__}"
            print(error, flush=True)
            break
        found["torch-pruning share"] = macs / whole
        if macs <= _HALF * whole:
            found["torch-pruning"] = "runs"
            break
    else:
        found["torch-pruning"] = "half is out of reach"
    return {**found, "torch-pruning CPU s": time.process_time() - started}


if __name__ == "__main__":
    main()
