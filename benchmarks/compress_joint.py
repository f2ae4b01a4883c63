"""What a whole family costs in the joint run, over its largest network alone: steps of both in turns, in one process.

    handheld compress examples/compress/fashion_mnist.toml
    python benchmarks/compress_joint.py [families/fashion_mnist] [--config examples/compress/fashion_mnist.toml] [--pairs 30]

A step is a forward and a backward pass of everything that learns in it, on the run's own batches, networks and shares.
"""

import argparse
from pathlib import Path

import torch
from _report import show, write

from handheld.compress.candidates import Builder
from handheld.compress.config import read
from handheld.compress.progress import Clock, silent
from handheld.compress.stages import Run, joint_run, planned
from handheld.compress.structure import trace
from handheld.compress.teachers import build
from handheld.compress.training.joint import time_ratio
from handheld.compress.training.pictures import Preparation
from handheld.compress.workspace import Workspace


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("family", type=Path, nargs="?", default=Path("families/fashion_mnist"))
    options.add_argument("--config", type=Path, default=Path("examples/compress/fashion_mnist.toml"))
    options.add_argument("--pairs", type=int, default=30)
    given = options.parse_args()
    wanted = read(given.config)
    data = wanted.load()
    preparation, settings = Preparation.of(data.train), wanted.settings
    network = build(wanted.teacher, preparation.shape, len(data.classes), seed=settings.seed, folder=wanted.folder)
    large = trace(network, torch.zeros(2, *preparation.shape))
    builder = Builder(large, preparation.shape, len(data.classes), settings.seed, settings.sparsity)
    run = Run(data, settings, (), Workspace(given.family), Clock(silent), preparation, large, True, None)
    step = joint_run(run, builder, planned(run.space.file("candidates.json")), run.batches(), 0)
    rows = [
        {
            "family": given.family.name,
            "candidates that learn": len(step.together.members),
            "in each step": len(step.who.learners(0)),
            "time over the largest alone": round(time_ratio(step, given.pairs), 3),
            "pairs of steps": given.pairs,
        }
    ]
    show("joint training", rows)
    write(f"compress_joint_{given.family.name}", rows)


if __name__ == "__main__":
    main()
