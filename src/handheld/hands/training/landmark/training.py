"""The whole of ``handheld hands train landmarks``: train, judge, write the files and their card."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.hands.training.blocks import to_unit
from handheld.hands.training.landmark.metrics import LandmarkScores
from handheld.hands.training.landmark.network import DeployedLandmarks, LandmarkNetwork
from handheld.hands.training.landmark.trainee import LandmarkConfig, LandmarkTrainee
from handheld.hands.training.pack import Export, card_of, export, write_card
from handheld.hands.training.run import Progress, RunFolder, averaged_network, train

_CALIBRATION = 64


@dataclass(frozen=True)
class LandmarkTraining:
    """What a landmark training left.

    Attributes:
        scores: on the test split.
        export: the files.
        card: path of the card.
    """

    scores: LandmarkScores
    export: Export
    card: Path


def train_landmarks(
    config: LandmarkConfig,
    folder: Path,
    *,
    minutes: float | None = None,
    progress: Progress = lambda stage, share, words: None,
) -> LandmarkTraining:
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
    result = train(trainee, config.learn, config.plan(), RunFolder(folder), minutes=minutes, progress=progress)
    network = result.learner.average.module.cpu().eval()
    return _written(trainee, network, folder, result.plan, progress)


def export_landmarks(
    config: LandmarkConfig, folder: Path, *, progress: Progress = lambda stage, share, words: None
) -> LandmarkTraining:
    """Write the files of a run as it stands, which may still be at work: its weights' mean of a minute ago."""
    trainee = LandmarkTrainee(config)
    network = averaged_network(trainee, RunFolder(folder))
    return _written(trainee, network, folder, RunFolder(folder).read_plan(), progress)


def _written(
    trainee: LandmarkTrainee, network: nn.Module, folder: Path, plan: dict[str, Any], progress: Progress
) -> LandmarkTraining:
    progress("test", 0.0, "judging on the test split")
    scores = trainee.scores(network, "test")
    progress("test", 1.0, f"error {scores.mean:.3f} of palm length")
    card = card_of(
        network,
        plan,
        scores.to_json(),
        title="Hand landmarks",
        seconds=time.time() - float(plan["started"]),
    )
    progress("export", 0.0, "compiling")
    deployed = DeployedLandmarks(cast(LandmarkNetwork, network))
    files = export(deployed, "landmark", folder, card, _calibration(trainee))
    write_card(card, files, folder / "landmark.md")
    progress("export", 1.0, ", ".join(path.name for path in files.files.values()))
    return LandmarkTraining(scores, files, folder / "landmark.md")


def _calibration(trainee: LandmarkTrainee) -> list[NDArray[np.float32]]:
    """Return crops of the run's first step, as the file takes them."""
    pixels = torch.from_numpy(trainee.mixture(0).pixels[:_CALIBRATION])
    pictures = to_unit(pixels).contiguous().numpy()
    return [picture[None] for picture in pictures]
