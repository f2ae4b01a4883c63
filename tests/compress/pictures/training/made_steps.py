"""A small joint run, and what can go wrong in it; in a file of its own, because other processes
import it.
"""

import os
import signal
from contextlib import nullcontext
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from handheld.compress.pictures.preparation import Preparation
from handheld.compress.pictures.training import joint
from handheld.compress.pictures.training.batches import Augmentation, PictureBatches
from handheld.compress.pictures.training.joint import JointStep, Sandwich, Together
from handheld.compress.pictures.training.student import AtSide
from handheld.compress.pictures.training.supernet import Nested, narrow
from handheld.data import Dataset
from handheld.networks.structure import trace
from handheld.training import Distillation, Schedule

SCHEDULE = Schedule(1, batch=8, rate=0.05)
STEPS = 6


class Exact(JointStep):
    """In float32, also where the machine is good at bfloat16, whose rounding would hide what is
    compared.
    """

    def __call__(self, step: int) -> float:
        with patch.object(joint, "autocast", lambda where: nullcontext()):
            return super().__call__(step)


def network(width: int = 8) -> nn.Module:
    """Without batch normalisation: its statistics would be those of fewer rows."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 3),
    )


def joint_step(rows: int, *, head_only: int = 0, answerer=None) -> JointStep:
    """A large network, a member that shares its weights and one of its own; members learn from so
    many rows.
    """
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (60, 9, 9, 1), dtype=np.uint8)
    data = Dataset(pictures, rng.integers(0, 3, 60), ("a", "b", "c"))
    batches = PictureBatches(
        data, Preparation.of(data), SCHEDULE.batch, Augmentation(cutout=3), seed=0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        example = torch.zeros(2, 1, 9, 9)
        large = trace(network(), example)
        members = {
            "nested": Nested(large, narrow(large, example, width=0.5), 9),
            "other": AtSide(trace(network(4), torch.zeros(2, 1, 7, 7)), 7),
        }
    together = Together(large, members).train()
    who = Sandwich("nested", ("other",), {"nested": rows, "other": rows})
    return Exact(together, batches, who, Distillation(), answerer, head_only)


@dataclass
class Dies:
    """Batches in whose third step a process is killed, as the system does when memory runs out."""

    batches: PictureBatches

    def __post_init__(self) -> None:
        self.size = self.batches.size

    def at(self, step: int):
        if step == 2 and torch.distributed.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.batches.at(step)


def not_a_number(inputs: torch.Tensor) -> torch.Tensor:
    return torch.full((len(inputs), 3), float("nan"))
