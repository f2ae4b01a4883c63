"""What a family costs over its largest network alone: a step of the joint run, and the whole run.

    handheld compress examples/compress/fashion_mnist.toml
    python benchmarks/compress_joint.py [families/fashion_mnist]
        [--config examples/compress/fashion_mnist.toml] [--pairs 30]

A step is a forward and a backward pass of everything that learns in it, on the run's own batches,
networks and shares; steps of both kinds in turns, in one process. The whole run is what the
family's record says that its stages took by the clock: joint training, answers of the teacher, each
member for itself, files, measuring; the largest network alone would have taken its part of the
joint run.
"""

import argparse
from pathlib import Path

import torch
from _report import show, write

from handheld.compress import Family
from handheld.compress.config import read
from handheld.compress.pictures.candidates import Builder
from handheld.compress.pictures.joint_run import joint_step_of
from handheld.compress.pictures.large_network import build
from handheld.compress.pictures.preparation import Preparation
from handheld.compress.pictures.run import PictureRun
from handheld.compress.pictures.search import ladder, planned
from handheld.compress.pictures.training.joint import time_ratio
from handheld.networks.structure import trace
from handheld.training.runs import RunFolder, StageClock, silent


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("family", type=Path, nargs="?", default=Path("families/fashion_mnist"))
    options.add_argument(
        "--config", type=Path, default=Path("examples/compress/fashion_mnist.toml")
    )
    options.add_argument("--pairs", type=int, default=30)
    given = options.parse_args()
    wanted = read(given.config)
    data = wanted.load()
    preparation, settings = Preparation.of(data.train), wanted.settings
    network = build(
        wanted.teacher,
        preparation.shape,
        len(data.classes),
        seed=settings.seed,
        folder=wanted.folder,
    )
    large = trace(network, torch.zeros(2, *preparation.shape))
    builder = Builder(large, preparation.shape, len(data.classes), settings.seed, settings.sparsity)
    run = PictureRun(
        data,
        settings,
        (),
        RunFolder(given.family),
        StageClock(silent),
        preparation,
        large,
        True,
    )
    targets = wanted.targets
    if isinstance(targets, int):
        targets = ladder(targets)
    candidates = planned(run.space.file("candidates.json"), targets, preparation.side)
    step = joint_step_of(run, builder, candidates, run.batches(), 0)
    ratio = time_ratio(step, given.pairs)
    seconds = Family.open(given.family).record["seconds"]
    alone = seconds["joint training"] / ratio
    rows = [
        {
            "family": given.family.name,
            "candidates that learn": len(step.together.members),
            "in each step": len(step.who.learners(0)),
            "a step, over the largest alone": round(ratio, 3),
            "pairs of steps": given.pairs,
            "seconds of the largest alone": round(alone),
            "seconds of the whole run": round(sum(seconds.values())),
            "the whole run, over the largest alone": round(sum(seconds.values()) / alone, 2),
        }
    ]
    show("joint training", rows)
    write(f"compress_joint_{given.family.name}", rows)


if __name__ == "__main__":
    main()
