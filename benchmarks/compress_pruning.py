"""What pruning alone does: networks of the size of a family's members, each pruned to half its
file, nothing else.

    python benchmarks/compress_pruning.py [--data images/fashion_mnist.npz] [--epochs 12]
        [--finish 8]

Each network is trained from labels, then channels leave it while it learns on from labels: no
teacher's answers, no eight bits. Both are float32 files. What was trained stays in
``families/pruning``, so that a run that was stopped goes on.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from _report import show, write
from rich.progress import Progress

from handheld.compress import (
    Augmentation,
    Family,
    FamilySettings,
    Schedule,
    TeacherSource,
    compress,
)
from handheld.config import find
from handheld.data import Splits, load

NETWORKS = (("residual", 16), ("residual", 12), ("residual", 4), ("plain", 12))


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", default="images/fashion_mnist.npz")
    options.add_argument("--epochs", type=float, default=12)
    options.add_argument(
        "--finish", type=float, default=8, help="epochs of learning on while channels leave"
    )
    options.add_argument("--again", action="store_true", help="forget what an earlier run trained")
    given = options.parse_args()
    data = load(find(given.data, Path()), valid=0.05)
    rows = []
    for network, width in NETWORKS:
        out = Path("families/pruning") / f"{network}_{width}"
        if given.again:
            shutil.rmtree(out, ignore_errors=True)
        rows.append(
            row(halve(network, width, data, out, given.epochs, given.finish), network, width)
        )
    show("pruning alone", rows)
    write("compress_pruning", rows)


def halve(
    network: str, width: int, data: Splits, out: Path, epochs: float, finish: float
) -> Family:
    if (out / "family.json").exists():
        return Family.open(out)
    settings = FamilySettings(
        training=Schedule(epochs),
        finish=Schedule(finish, rate=0.1),
        augmentation=Augmentation(flip=True, shift=2),
    )
    with Progress() as progress:
        task = progress.add_task(f"{network}, {width} channels", total=1.0)
        return compress(
            TeacherSource(network=network, width=width),
            data,
            out=out,
            targets=["2x smaller, pruned"],
            techniques=("pruning",),
            settings=settings,
            progress=lambda stage, done, _: progress.update(
                task, completed=done, description=f"{network} {width}: {stage}"
            ),
        )


def row(family: Family, network: str, width: int) -> dict[str, Any]:
    whole, half = family.teacher, family.members[0]
    return {
        "network": f"{network}, {width} channels first",
        "bytes": whole.size,
        "pruned bytes": half.size,
        "smaller": round(whole.size / half.size, 2),
        "us": round(whole.latency.median * 1e6, 1),
        "pruned us": round(half.latency.median * 1e6, 1),
        "test %": round(100 * whole.accuracy, 2),
        "pruned test %": round(100 * half.accuracy, 2),
        "of its accuracy %": round(100 * half.accuracy / whole.accuracy, 2),
    }


if __name__ == "__main__":
    main()
