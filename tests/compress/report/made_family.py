"""Families made of numbers: a usual one, an odd one, and one of which only the figures
are known.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from handheld.compress.family import Family, Latency, Layer, Member, TechniqueStep

CLOTHES = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
BASE = Member(
    "base",
    "base.tflite",
    "",
    "int8",
    100,
    1000,
    100,
    Latency(1e-4, 1.2e-4, 4e-6, 40),
    0.9,
    0.9,
    0.9,
    400,
    Latency(2e-4, 2e-4, 1e-6, 40),
)
TEACHER = replace(
    BASE,
    name="teacher",
    file="teacher.tflite",
    how="residual network, 64 channels first",
    precision="float32",
    size=6_603_412,
    macs=164_000_000,
    parameters=1_648_000,
    latency=Latency(0.00612, 0.0066, 0.00021, 200),
    accuracy=0.944,
    accuracy_float=0.944,
    valid=0.9457,
    size_float=6_603_412,
    latency_float=Latency(0.00612, 0.0066, 0.00021, 200),
)
# name, how, precision, bytes, MACs, microseconds, test, float32's test, validation, target, why it
# is missed
STUDENTS = (
    (
        "nested_8",
        "teacher's first 92% of channels, 1 of its removable blocks, pictures of 28",
        "int8",
        348_512,
        19_000_000,
        612,
        0.9412,
        0.9421,
        0.9435,
        "18x smaller, nested",
        "",
    ),
    (
        "nested_16",
        "teacher's first 67% of channels, pictures of 28",
        "int8",
        181_904,
        9_800_000,
        331,
        0.9371,
        0.9392,
        0.9398,
        "32x smaller, nested",
        "",
    ),
    (
        "pruned_32",
        "teacher pruned to 3.1% of its parameters",
        "mixed",
        172_340,
        11_200_000,
        402,
        0.9302,
        0.9340,
        0.9333,
        "16x smaller, pruned",
        "",
    ),
    (
        "nested_64",
        "teacher's first 33% of channels, pictures of 28",
        "int8",
        68_120,
        3_900_000,
        171,
        0.9283,
        0.9301,
        0.9306,
        "94x smaller, 27x faster, 92 %, nested",
        "",
    ),
    (
        "plain",
        "plain network of its own, 16 channels first",
        "int8",
        41_008,
        1_150_000,
        62,
        0.9096,
        0.9131,
        0.9122,
        "64x smaller, plain",
        "",
    ),
    (
        "nested_256",
        "teacher's first 17% of channels, no removable block, pictures of 20",
        "int8",
        20_480,
        610_000,
        48,
        0.8921,
        0.8955,
        0.8934,
        "200x smaller, 90 %, nested",
        "89.34% right, 90.00% asked",
    ),
)


def confusion(classes: int, each: int, accuracy: float, seed: int) -> tuple[tuple[int, ...], ...]:
    rng = np.random.default_rng(seed)
    shares = rng.gamma(0.3, size=(classes, classes)) + 1e-6
    np.fill_diagonal(shares, 0)
    shares *= (1 - accuracy) / shares.sum(1, keepdims=True)
    np.fill_diagonal(shares, accuracy)
    return tuple(tuple(int(count) for count in rng.multinomial(each, row)) for row in shares)


def curve(steps: int, seed: int, low: float = 0.2) -> tuple[tuple[int, float], ...]:
    rng, x = np.random.default_rng(seed), np.arange(1, steps + 1)
    losses = low + 2.1 * np.exp(-x / (0.2 * steps)) + 0.06 * np.abs(rng.standard_normal(steps))
    return tuple((int(step) * 10, float(loss)) for step, loss in zip(x, losses, strict=True))


def layers(size: int, macs: int, count: int, name: str) -> tuple[Layer, ...]:
    shares = 0.8 ** np.arange(count)
    shares /= shares.sum()
    return tuple(
        Layer(f"{name}.{i // 3}.conv{i % 3}", int(share * size), int(shares[-i - 1] * macs))
        for i, share in enumerate(shares)
    )


def student(number: int, row: tuple[object, ...]) -> Member:
    name, how, precision, size, macs, micro, test, test_float, valid, target, reason = row
    seconds = micro * 1e-6
    return replace(
        BASE,
        name=name,
        file=f"{name}.tflite",
        how=how,
        precision=precision,
        size=size,
        macs=macs,
        parameters=int(size * 0.93),
        latency=Latency(seconds, seconds * 1.15, seconds * 0.06, 200),
        accuracy=test,
        accuracy_float=test_float,
        valid=valid,
        size_float=int(size * 3.8),
        latency_float=Latency(seconds * 2.1, seconds * 2.4, seconds * 0.1, 200),
        target=target,
        met=not reason,
        reason=reason,
        pareto=name != "pruned_32",
        steps=(
            TechniqueStep("joint training", valid - 0.021, int(size * 3.8)),
            TechniqueStep("distillation from the teacher", valid + 0.004, int(size * 3.8)),
            TechniqueStep("int8 after training", valid - 0.015, size + 200),
            TechniqueStep("int8 during training", valid, size),
        ),
        layers=layers(size, macs, 26, "stage"),
        confusion=confusion(10, 1000, test, number),
        curve=curve(120, number),
    )


def usual(folder: Path) -> Family:
    members = tuple(student(number, row) for number, row in enumerate(STUDENTS))
    teacher = replace(
        TEACHER,
        confusion=confusion(10, 1000, 0.944, 99),
        layers=layers(6_600_000, 164_000_000, 12, "layer"),
    )
    record = {
        "seed": 0,
        "settings": {
            "epochs": 30,
            "batch": 256,
            "optimiser": {"name": "sgd", "momentum": 0.9},
            "techniques": ["joint", "int8"],
        },
        "seconds": {
            "teacher": 2410.2,
            "joint training": 3120.0,
            "pruning": 410.5,
            "int8": 905.0,
            "measuring": 61.3,
        },
        "machine": {"cpu": "AMD EPYC 7B13", "cores": 2, "memory": "15.6 GiB"},
        "versions": {"handheld": "0.1.0", "torch": "2.9.1"},
        "data": {
            "counts": dict.fromkeys(CLOTHES, 7000),
            "skipped": [
                ["img/0042.png", "cannot be read: truncated"],
                ["img/77.png", "is 0 bytes"],
            ],
            "digest": "sha256:3f2a9c41d0",
            "train": 55000,
            "valid": 5000,
            "test": 10000,
        },
        "joint": {"ratio": 1.073},
    }
    return Family(
        folder,
        CLOTHES,
        teacher,
        members,
        {name: curve(400, n) for n, name in enumerate(("teacher", "joint"))},
        record,
    )


def odd(folder: Path) -> Family:
    """Two members, 120 classes of long and hostile names, targets that were not met."""
    classes = tuple(
        f"Species number {i} of the family Hominidae, a name that goes on & on" for i in range(119)
    )
    classes += ("<script>alert('x')</script>",)
    teacher = replace(TEACHER, accuracy=0.61, accuracy_float=0.61, valid=0.63)
    first, second = (student(number, STUDENTS[number]) for number in (3, 5))
    long = "a member whose name nobody thought would ever be this long"
    members = (
        replace(
            first,
            name=long,
            accuracy=0.41,
            accuracy_float=0.44,
            valid=0.43,
            target="20 kB, 0.1 ms, 60 %, nested",
            met=False,
            reason="68120 bytes, at most 20000 asked; 171 us here, at most 100 asked; "
            "43.00% right, 60.00% asked",
            confusion=confusion(120, 50, 0.41, 1),
            steps=(),
            curve=(),
        ),
        replace(
            second,
            name="tiny",
            accuracy=0.05,
            accuracy_float=0.06,
            valid=0.055,
            target="as small as it gets",
            met=False,
            reason="no such <b>limit</b>",
            confusion=confusion(120, 50, 0.05, 2),
        ),
    )
    skipped = [[f"folder/picture {i}.jpg", "cannot be read"] for i in range(200)]
    counts = {name: 10 + (7 * i) % 90 for i, name in enumerate(classes)}
    return Family(
        folder,
        classes,
        teacher,
        members,
        {},
        {"data": {"counts": counts, "skipped": skipped}, "machine": "<img src=x>"},
    )


def bare(folder: Path) -> Family:
    return Family(
        folder,
        ("yes", "no"),
        replace(TEACHER, name="big"),
        (replace(BASE, name="one", file="one.tflite"),),
    )
