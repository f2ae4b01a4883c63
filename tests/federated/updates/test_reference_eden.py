"""EDEN and DRIVE beside their papers: rotations drawn from all rotations, and the mean
over seeds.
"""

import numpy as np
import pytest

pytest.importorskip("numba")

from handheld.federated.updates import Eden

CENTRES = {
    1: [0.7978845608],
    2: [0.4527800398, 1.5104176087],
}  # Lloyd-Max levels of a Gaussian, from tables (Max, 1960)
SEEDS = 400


def eden(x, bits, seed):
    """Vargaftik et al.: rotate by a random orthogonal matrix, take the nearest levels, scale by
    |x|^2 / <Rx, Q(Rx)>.
    """
    rng = np.random.default_rng(
        (seed, 7)
    )  # not the seed of the vector: its first row would be that
    q, r = np.linalg.qr(rng.normal(size=(len(x), len(x))))
    rotation = q * np.sign(np.diag(r))
    y = rotation @ x
    levels = np.array([-c for c in CENTRES[bits]][::-1] + CENTRES[bits])
    unit = np.linalg.norm(x) / np.sqrt(len(x))
    nearest = levels[np.abs(y[:, None] / unit - levels).argmin(axis=1)] * unit
    return rotation.T @ nearest * (x @ x) / (y @ nearest)


def errors(decoded, x):
    """Relative squared error of the mean, and the mean one of a single update."""
    size = (x.astype(float) ** 2).sum()
    single = np.mean([((each - x) ** 2).sum() for each in decoded]) / size
    return float(((np.mean(decoded, axis=0) - x) ** 2).sum() / size), float(single)


VECTORS = {
    "one": [1.0],
    "one and a half": [1.0, 0.5],
    "one and nearly one": [1.0, 0.9],
    "three": [1.0, 1.0, 1.0],
    "four": [1.0, -1.0, 1.0, 1.0],
    "sixteen": [1.0] * 16,
    "a hundred": [1.0, -1.0] * 50,
    "all": [1.0] * 1024,
}


def vector(name, scale=1.0):
    if name == "one in noise":
        x = np.random.default_rng(0).normal(size=1024)
        x *= np.sqrt(0.2 / (x @ x))
        x[17] = np.sqrt(0.8)
    else:
        x = np.zeros(1024)
        x[: len(VECTORS[name])] = VECTORS[name]
    return (scale * x).astype(np.float32)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("name", [*VECTORS, "one in noise"])
def test_reference_of_no_bias_for_few_large_numbers(name, bits):
    x, encoder = vector(name), Eden(bits)
    decoded = [
        encoder.decode(encoder.encode(x, seed), len(x), seed).astype(float) for seed in range(SEEDS)
    ]
    of_mean, single = errors(decoded, x)
    # Without bias the mean of 400 errs by a 400th; rotations of 1,024 numbers leave a few per cent
    # of that.
    assert of_mean < 1.25 * single / SEEDS


@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1e6, 1e15])
def test_reference_of_no_bias_whatever_the_scale(scale):
    x, encoder = vector("one and a half", scale), Eden(1)
    decoded = [
        encoder.decode(encoder.encode(x, seed), len(x), seed).astype(float) for seed in range(SEEDS)
    ]
    of_mean, single = errors(decoded, x)
    assert of_mean < 1.25 * single / SEEDS


@pytest.mark.parametrize("bits", [1, 2])
def test_reference_of_the_error_of_one_update(bits):
    x = np.random.default_rng(1).normal(size=256).astype(np.float32)
    theirs = errors([eden(x.astype(float), bits, seed) for seed in range(30)], x)[1]
    wide = np.concatenate([x, np.zeros(768, np.float32)])
    ours = errors(
        [Eden(bits).decode(Eden(bits).encode(wide, s), 1024, s) for s in range(100)], wide
    )[1]
    assert ours == pytest.approx(theirs, rel=0.05)
    assert theirs == pytest.approx({1: np.pi / 2 - 1, 2: 0.1331}[bits], rel=0.05)
