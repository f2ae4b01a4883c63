"""What all simulators are given: the same clients with the same steps, and a watch. Needs NumPy;
the real step also torch.

The trivial step adds a constant to the weights; the real one is an epoch of SGD of a two-layer
network (199,210 weights) on a client's 20 examples, in an order that the round and the client's
number decide.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from _memory import peak_bytes
from numpy.typing import NDArray

CLIENTS = 100
EXAMPLES, FEATURES, CLASSES = 20, 784, 10
BATCH, RATE, SEED = 10, 0.1, 0
CHANGE = np.float32(1e-3)

Floats = NDArray[np.float32]


@dataclass
class Watch:
    """When what was done, in seconds since the process was started.

    Attributes:
        started: by whoever started it, on the system's clock.
        imported: when everything that the simulator needs was there.
        rounds: when each ended.
    """

    started: float
    imported: float = 0.0
    rounds: list[float] = field(default_factory=list)

    def imports_end(self) -> None:
        self.imported = time.time() - self.started

    def round_ends(self) -> None:
        self.rounds.append(time.time() - self.started)


@dataclass(frozen=True)
class Job:
    """What a worker is to do; on its command line, as JSON.

    Attributes:
        step: trivial or real; of ours also cohorts.
        parameters: of the trivial step's model.
        rounds: how many.
        population: clients that there are.
        cohort: clients of a round.
        started: when the process was, on the system's clock.
        out: file for what came of it.
    """

    step: str
    parameters: int
    rounds: int
    population: int
    cohort: int
    started: float
    out: str

    @classmethod
    def told(cls) -> "Job":
        return cls(**json.loads(sys.argv[1]))

    def answer(self, watch: Watch, weights: Floats, **more: Any) -> None:
        """Write what came of it, and the most memory that this process ever had."""
        np.savez(
            self.out,
            weights=weights,
            imported=watch.imported,
            rounds=watch.rounds,
            most=peak_bytes(),
            **more,
        )


def learn(step: str, weights: Floats, number: int, client: int) -> Floats:
    """Return a client's weights after its step in a round, counted from 0."""
    return weights + CHANGE if step == "trivial" else _sgd(weights, number, client)


def first(step: str, parameters: int) -> Floats:
    """Return the weights before the first round."""
    return np.zeros(parameters, np.float32) if step == "trivial" else flat(network())


@cache
def examples() -> tuple[Floats, NDArray[np.int64]]:
    """Return (n, features) inputs and (n,) classes of all clients, one's after another's."""
    rng = np.random.default_rng(SEED)
    inputs = rng.standard_normal((CLIENTS * EXAMPLES, FEATURES)).astype(np.float32)
    return inputs, (inputs @ rng.standard_normal((FEATURES, CLASSES))).argmax(axis=1)


def order(number: int, client: int) -> NDArray[np.int64]:
    """Return the numbers of a client's examples, in the order of a round: that of
    ``handheld.federated.learning``.
    """
    shuffled = np.random.default_rng((SEED, number, client, 0)).permutation(EXAMPLES)
    return client * EXAMPLES + shuffled.astype(np.int64)


def batches(number: int, client: int) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    inputs, targets = examples()
    places = order(number, client)
    for start in range(0, EXAMPLES, BATCH):
        yield inputs[places[start : start + BATCH]], targets[places[start : start + BATCH]]


@cache
def network() -> Any:
    """Return the network, with the same weights wherever it is made."""
    import torch
    from torch import nn

    torch.manual_seed(SEED)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(FEATURES, 200),
        nn.ReLU(),
        nn.Linear(200, 200),
        nn.ReLU(),
        nn.Linear(200, CLASSES),
    )


def flat(module: Any) -> Floats:
    """Return a module's weights as one vector."""
    return np.concatenate([parameter.detach().numpy().ravel() for parameter in module.parameters()])


def _sgd(weights: Floats, number: int, client: int) -> Floats:
    import torch

    module = network()
    parameters = list(module.parameters())
    torch.nn.utils.vector_to_parameters(torch.from_numpy(weights.copy()), parameters)
    for inputs, targets in batches(number, client):
        loss = torch.nn.functional.cross_entropy(
            module(torch.from_numpy(inputs)), torch.from_numpy(targets)
        )
        for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.data -= RATE * slope
    return flat(module)
