"""The teacher of a family for texts: a network that learns, or a file that is only read."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.compile import to_tflite
from handheld.compress.teachers import Teacher, load_weights, refuse_probabilities
from handheld.config import factory
from handheld.engine import Model
from handheld.errors import InputError
from handheld.projection import TextClassifier
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.teaching import SCHEDULE, build, check, teach
from handheld.projection.training.text import Curve, logits_of
from handheld.projection.training.trainers import TRAINERS, WORDS
from handheld.training import Report

_LEAST = 1e-7  # probability


@dataclass(frozen=True, eq=False)
class Taught:
    """A teacher that has learned.

    Attributes:
        content: its float32 ``.tflite`` file.
        how: what it is, in words.
        answers: (texts, classes) its logits for the lesson.
        parameters: numbers that were learned; 0 if that is not known.
        curve: (step, loss) of its training; empty for a file.
        network: empty for a file.
    """

    content: bytes
    how: str
    answers: NDArray[np.float32]
    parameters: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    network: nn.Module | None = None


def network_of(model: nn.Module | Teacher, classes: int, seed: int, folder: Path) -> nn.Module:
    """Return the network of a teacher, with its first weights.

    Raises:
        InputError: none of that name, or one that does not take (n, 32) numbers of words and give (n, classes) logits.
    """
    if isinstance(model, nn.Module):
        network = model
    elif ":" in model.network:
        network = _made_by(model.network, classes, seed, folder)
    elif model.network in TRAINERS:
        network = build(model.network, classes, seed)
    else:
        raise InputError(
            f"no network {model.network!r} for texts: expected {', '.join(TRAINERS)}, or package.module:factory"
        )
    if isinstance(model, Teacher) and model.checkpoint is not None:
        load_weights(network, folder / model.checkpoint)
    if hasattr(network, "inputs"):
        what = "a trainer of `handheld text train`, but not the teacher of a family, which becomes a file itself"
        raise InputError(
            f"{type(network).__name__} reads texts by an encoder of its own: it can be {what}"
        )
    check(network, classes)
    refuse_probabilities(torch.from_numpy(logits_of(network, None, ["a text", "another one", ""])))
    return network


def _made_by(name: str, classes: int, seed: int, folder: Path) -> nn.Module:
    make = factory(name, folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make(
            **{
                key: classes
                for key in inspect.signature(make).parameters
                if key in ("classes", "num_classes")
            }
        )
    if not isinstance(network, nn.Module):
        raise InputError(f"{name} gives a {type(network).__name__}, expected a torch module")
    return network


def learned(
    network: nn.Module,
    lesson: TextLesson,
    classes: Sequence[str],
    *,
    trained: bool,
    epochs: float,
    seed: int,
    save: Path,
    report: Report,
) -> Taught:
    """Train a network, unless it is trained already, and compile it."""
    curve: Curve = []
    if not trained:
        schedule = replace(SCHEDULE, epochs=epochs)
        curve = teach(network, lesson, schedule=schedule, seed=seed, save=save, report=report).curve
    words = torch.from_numpy(WORDS.of(["a text"]))
    card = {"labels": list(classes), "text": WORDS.card(), "output": "logits"}
    content = to_tflite(
        network.eval(), words, metadata=card, checks=[torch.from_numpy(WORDS.of(lesson.texts[:1]))]
    ).content
    count = sum(parameter.numel() for parameter in network.parameters())
    return Taught(
        content,
        "the trainer network",
        logits_of(network, None, lesson.texts),
        count,
        tuple(curve),
        network,
    )


def read_only(path: Path, lesson: TextLesson, classes: tuple[str, ...]) -> Taught:
    """Let a text model that is only read answer. Raises :class:`InputError` for one with other labels."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the teacher's file {path} cannot be read: {error.strerror}") from error
    with TextClassifier(Model.load(content, path=str(path))) as model:
        if model.labels != classes:
            raise InputError(
                f"{path} has {len(model.labels)} labels, the data {len(classes)}: expected the same, in order"
            )
        answers = np.log(np.maximum(model.probabilities(lesson.texts), _LEAST))
    return Taught(content, f"{path.name}, only read", answers)
