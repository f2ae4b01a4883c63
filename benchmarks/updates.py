"""Updates made small: the error of a mean over clients, its growth with them, bytes, and speed.

    python benchmarks/updates.py [--clients 1 10 100] [--numbers 131072]

All clients hold the same vector; the normalised squared error of the mean of what is decoded, times
the number of clients, is flat for an encoder without bias, and grows for one with. Theory, rotated:
pi / 2 - 1 = 0.571 at 1 bit (DRIVE), 0.133 and 0.0096 at 2 and 4 bits (EDEN). Speed is that of one
thread for a million numbers, rotation, rounding and packing together: the median of rounds that all
encoders take in turns.
"""

import argparse
from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np
from _report import show, write

from handheld.federated.updates import Coded, Eden, Largest, Stochastic, Subsample, UpdateEncoder

ENCODERS: Mapping[str, UpdateEncoder] = {
    "EDEN, 1 bit (DRIVE)": Eden(1),
    "EDEN, 2 bits": Eden(2),
    "EDEN, 3 bits": Eden(3),
    "EDEN, 4 bits": Eden(4),
    "EDEN, 8 bits": Eden(8),
    "EDEN, 4 bits, coded": Coded(Eden(4)),
    "probabilistic, 1 bit": Stochastic(2, rotate=False),
    "probabilistic, 1 bit, rotated": Stochastic(2),
    "probabilistic, 2 bits, rotated": Stochastic(4),
    "probabilistic, 4 bits, rotated, coded": Coded(Stochastic(16)),
    "probabilistic, 8 bits, rotated": Stochastic(256),
    "TernGrad, coded": Coded(Stochastic(3, rotate=False, symmetric=True)),
    "a tenth at random": Subsample(0.1),
    "a tenth at random, EDEN 2 bits": Subsample(0.1, Eden(2)),
    "the largest hundredth (biased)": Largest(0.01),
}
VECTORS: Mapping[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "lognormal": lambda rng, count: rng.lognormal(size=count),
    "Gaussian": lambda rng, count: rng.normal(size=count),
    "sparse": lambda rng, count: np.where(rng.random(count) < 0.01, rng.normal(size=count), 0),
    "few large": lambda rng, count: np.append([1.0, 0.9, 0.5], np.zeros(count - 3)),
}
LARGE, ROUNDS = 1 << 20, 15


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--clients", type=int, nargs="+", default=[1, 10, 100])
    options.add_argument("--numbers", type=int, default=1 << 17)
    given = options.parse_args()
    vectors = {
        name: draw(np.random.default_rng(0), given.numbers).astype(np.float32)
        for name, draw in VECTORS.items()
    }
    speeds, rows = timed(), []
    for name, encoder in ENCODERS.items():
        row: dict[str, object] = {
            "encoder": name,
            "bits a number": round(8 * size(encoder, vectors["lognormal"]), 2),
        }
        for kind, x in vectors.items():
            row[f"{kind}: n x NMSE"] = " / ".join(
                f"{count * error(encoder, x, count):.3g}" for count in given.clients
            )
        rows.append(row | {"encode GB/s": speeds[name][0], "decode GB/s": speeds[name][1]})
    show(f"errors with {', '.join(map(str, given.clients))} clients", rows)
    write("updates", rows)


def size(encoder: UpdateEncoder, x: np.ndarray) -> float:
    return len(encoder.encode(x, 0)) / len(x)


def error(encoder: UpdateEncoder, x: np.ndarray, clients: int) -> float:
    mean = np.zeros(len(x))
    for client in range(clients):
        seed = 1000 * clients + client
        mean += encoder.decode(encoder.encode(x, seed), len(x), seed)
    return float(((mean / clients - x) ** 2).sum() / (x.astype(float) ** 2).sum())


def timed() -> dict[str, tuple[float, float]]:
    """Return GB of float32 a second of encoding and decoding, by name."""
    x = np.random.default_rng(0).normal(size=LARGE).astype(np.float32)
    content = {name: encoder.encode(x, 0) for name, encoder in ENCODERS.items()}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ENCODERS}
    for _ in range(ROUNDS):
        for name, encoder in ENCODERS.items():
            began = perf_counter()
            encoder.encode(x, 0)
            between = perf_counter()
            encoder.decode(content[name], len(x), 0)
            took[name].append((between - began, perf_counter() - between))
    return {
        name: tuple((4e-9 * LARGE / np.median(each, axis=0)).round(2).tolist())
        for name, each in took.items()
    }


if __name__ == "__main__":
    main()
