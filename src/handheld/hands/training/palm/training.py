"""The whole of ``handheld hands train palm``: train, judge, write the files and their card."""

from pathlib import Path
from typing import cast

import torch
from torch import nn

from handheld.hands.training.examples.digests import digests_of
from handheld.hands.training.pack import NetworkFile, Training, written
from handheld.hands.training.palm.metrics import PalmScores
from handheld.hands.training.palm.network import DeployedPalms, PalmNetwork
from handheld.hands.training.palm.trainee import PalmConfig, PalmTrainee
from handheld.hands.training.run import TrainingFolder, averaged_network, train
from handheld.training.runs import Progress, silent


def train_palms(
    config: PalmConfig, folder: Path, *, minutes: float | None = None, progress: Progress = silent
) -> Training[PalmScores]:
    """Train a palm detector, or go on with it, and write its files.

    Args:
        config: of the run.
        folder: of the run; a run that was stopped goes on.
        minutes: length of the run, instead of its number of steps; see :func:`run.train`.
        progress: told how far it is.

    Raises:
        HandheldError: as :func:`run.train`, or the network cannot be compiled.
    """
    trainee = PalmTrainee(config)
    result = train(
        trainee,
        config.learn,
        # With the digests: a run that goes on with other data would be neither of the two runs.
        config.plan() | digests_of(config.examples),
        TrainingFolder(folder),
        minutes=minutes,
        progress=progress,
    )
    # The mean, by which it was judged; on the CPU, where it is compiled.
    network = result.learner.average.module.cpu().eval()
    return _written(trainee, network, folder, progress)


def export_palms(
    config: PalmConfig, folder: Path, *, progress: Progress = silent
) -> Training[PalmScores]:
    """Write the files of a run as it stands, which may still be at work."""
    trainee = PalmTrainee(config)
    plan = config.plan() | digests_of(config.examples)
    network = averaged_network(trainee, TrainingFolder(folder), plan)
    return _written(trainee, network, folder, progress)


def _written(
    trainee: PalmTrainee, network: nn.Module, folder: Path, progress: Progress
) -> Training[PalmScores]:
    progress("test", 0.0, "judging on the test split")
    scores = trainee.scores(network, "test")
    progress("test", 1.0, f"average precision {scores.ap50:.3f} at an overlap of a half")
    # The first batch: augmented as all of them, so that the ranges are those of any camera.
    calibration = torch.from_numpy(trainee.mixture(0).pixels)
    deployed = DeployedPalms(cast(PalmNetwork, network))
    return written(
        deployed,
        NetworkFile("palm", "Palm detector"),
        folder,
        scores=scores,
        calibration=calibration,
        progress=progress,
    )
