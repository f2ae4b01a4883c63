"""The teacher of a family for texts: a network that learns, or a file that is only read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.compile import to_tflite
from handheld.compress.teacher import (
    TeacherSource,
    factory_network,
    load_weights,
    refuse_probabilities,
)
from handheld.engine import Model
from handheld.errors import InputError
from handheld.projection import TextClassifier
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.teaching import SCHEDULE, build, check, teach
from handheld.projection.training.text import Curve, logits_of
from handheld.projection.training.trainers import TRAINERS, WORDS
from handheld.training import FitRun

# Below about this 1 - p is 1 in float32.
_LEAST = 1e-7  # probability: a logit is its logarithm
_TEXTS = ["a text", "another one", ""]  # to try a network on; the last has no word


@dataclass(frozen=True, eq=False)
class TextTeacher:
    """A teacher that has learned.

    Attributes:
        content: its float32 ``.tflite`` file.
        how: what it is, in words.
        answers: (texts, classes) its logits for the lesson.
        parameters: numbers that were learned; 0 if that is not known.
        curve: (step, loss) of its training; empty for a file.
    """

    content: bytes
    how: str
    answers: NDArray[np.float32]
    parameters: int = 0
    curve: tuple[tuple[int, float], ...] = ()


def network_of(
    model: nn.Module | TeacherSource, classes: int, seed: int, folder: Path
) -> nn.Module:
    """Return the network of a teacher, with its first weights.

    Args:
        model: the network, or where to get one.
        classes: number of labels.
        seed: of fresh weights.
        folder: that paths start from.

    Raises:
        InputError: none of that name, or one that does not take (n, 32) numbers of words and give
            (n, classes) logits.
    """
    network = _network(model, classes, seed, folder)
    if hasattr(network, "inputs"):
        raise InputError(
            f"{type(network).__name__} reads texts by an encoder of its own: it can be a trainer "
            "of `handheld text train`, but not the teacher of a family, which becomes a file itself"
        )
    # before hours of training: what it gives for a few texts tells whether it can teach
    check(network, classes)
    logits = logits_of(network, None, _TEXTS)
    refuse_probabilities(torch.from_numpy(logits))
    return network


def _network(model: nn.Module | TeacherSource, classes: int, seed: int, folder: Path) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    return _made(model, classes, seed, folder)


def require_learning(network: nn.Module) -> None:
    """See that a network can learn. Raises :class:`InputError` for one that is frozen."""
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError(
            "no parameter of the network requires grad, so it cannot learn: give it after "
            "network.requires_grad_(True), or say trained=True where it has learned"
        )


def _made(source: TeacherSource, classes: int, seed: int, folder: Path) -> nn.Module:
    if ":" in source.network:
        # both names, as people's own factories and torchvision's have it
        arguments = {"classes": classes, "num_classes": classes}
        network = factory_network(source.network, folder, arguments, seed)
    elif source.network in TRAINERS:
        network = build(source.network, classes, seed)
    else:
        raise InputError(
            f"no network {source.network!r} for texts: expected {', '.join(TRAINERS)}, "
            "or package.module:factory"
        )
    if source.checkpoint is not None:
        load_weights(network, folder / source.checkpoint)
    return network


def learned(
    network: nn.Module,
    lesson: TextLesson,
    classes: Sequence[str],
    run: FitRun,
    *,
    trained: bool,
    epochs: float,
) -> TextTeacher:
    """Train a network, unless it is trained already, and compile it."""
    curve: Curve = []
    if not trained:
        schedule = replace(SCHEDULE, epochs=epochs)
        curve = teach(network, lesson, run, schedule=schedule).curve
    content = to_tflite(
        network.eval(),
        torch.from_numpy(WORDS.of(_TEXTS[:1])),
        metadata={"labels": list(classes), "text": WORDS.card(), "output": "logits"},
        checks=[torch.from_numpy(WORDS.of(lesson.texts[:1]))],
    ).content
    return TextTeacher(
        content,
        "the trainer network",
        logits_of(network, None, lesson.texts),
        sum(parameter.numel() for parameter in network.parameters()),
        tuple(curve),
    )


def read_only(path: Path, lesson: TextLesson, classes: tuple[str, ...]) -> TextTeacher:
    """Let a text model that is only read answer.

    Raises:
        InputError: it cannot be read, or has other labels.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the teacher's file {path} cannot be read: {error.strerror}") from error
    with TextClassifier(Model.load(content, path=str(path))) as model:
        if model.labels != classes:
            raise InputError(
                f"{path} has {len(model.labels)} labels, the data {len(classes)}: "
                "expected the same, in order"
            )
        answers = np.log(np.maximum(model.probabilities(lesson.texts), _LEAST))
    return TextTeacher(content, f"{path.name}, only read", answers)
