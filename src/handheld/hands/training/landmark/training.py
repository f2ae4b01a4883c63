"""The whole of ``handheld hands train landmarks``: train, judge, write the files and their card."""

from pathlib import Path
from typing import cast

import torch
from torch import nn

from handheld.hands.training.examples.digests import digests_of
from handheld.hands.training.landmark.metrics import LandmarkScores
from handheld.hands.training.landmark.network import DeployedLandmarks, LandmarkNetwork
from handheld.hands.training.landmark.trainee import LandmarkConfig, LandmarkTrainee
from handheld.hands.training.pack import NetworkFile, Training, written
from handheld.hands.training.run import TrainingFolder, averaged_network, train
from handheld.training.runs import Progress, silent


def train_landmarks(
    config: LandmarkConfig,
    folder: Path,
    *,
    minutes: float | None = None,
    progress: Progress = silent,
) -> Training[LandmarkScores]:
    """Train a landmark network, or go on with it, and write its files.

    Args:
        config: of the run.
        folder: of the run; a run that was stopped goes on.
        minutes: length of the run, instead of its number of steps; see :func:`run.train`.
        progress: told how far it is.

    Raises:
        HandheldError: as :func:`run.train`, or the network cannot be compiled.
    """
    trainee = LandmarkTrainee(config)
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


def export_landmarks(
    config: LandmarkConfig, folder: Path, *, progress: Progress = silent
) -> Training[LandmarkScores]:
    """Write the files of a run as it stands, which may still be at work: its
    weights' mean of a minute ago.
    """
    trainee = LandmarkTrainee(config)
    plan = config.plan() | digests_of(config.examples)
    network = averaged_network(trainee, TrainingFolder(folder), plan)
    return _written(trainee, network, folder, progress)


def _written(
    trainee: LandmarkTrainee, network: nn.Module, folder: Path, progress: Progress
) -> Training[LandmarkScores]:
    progress("test", 0.0, "judging on the test split")
    scores = trainee.scores(network, "test")
    progress("test", 1.0, f"error {scores.mean:.3f} of palm length")
    # The first batch: augmented as all of them, so that the ranges are those of any camera.
    calibration = torch.from_numpy(trainee.mixture(0).pixels)
    deployed = DeployedLandmarks(cast(LandmarkNetwork, network))
    return written(
        deployed,
        NetworkFile("landmark", "Hand landmarks"),
        folder,
        scores=scores,
        calibration=calibration,
        progress=progress,
    )
