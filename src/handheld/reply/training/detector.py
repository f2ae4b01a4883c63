"""Train the network behind the detector: hand-written messages as many people would write them, and
what is said in small talk.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from handheld.errors import InputError
from handheld.projection.words import fingerprints, words_of
from handheld.reply.clauses import clauses, spans_of
from handheld.reply.message_network import MessageNetwork, WordVectors, short_keys
from handheld.reply.ranker import softmax
from handheld.reply.safety import HARMLESS, MILD, SafetyDetector
from handheld.reply.training.annotations import Situations
from handheld.reply.training.message_network import (
    BatchReader,
    NetworkShape,
    TrainedNetwork,
    exported,
)
from handheld.reply.training.messages import WrittenMessage
from handheld.reply.training.registers import varied
from handheld.reply.training.vectors import read_vectors
from handheld.training import Report, Schedule, fit

Floats = NDArray[np.float32]

LANGUAGE = "language"
_GRAVE, _FOREIGN, _FINE, _SAID, _ANSWERED = 32, 6, 28, 112, 48  # messages of each kind in a step
_JOINS = (". ", ", ", " ", " and ", " but ", "\n")
_JOINED = 0.24  # of the grave messages, those that stand beside a harmless one
_PIECES = 0.35  # of the harmless messages, those of which a few words are taken: no piece of them may alarm
_SURE = (
    0.9  # share of the harmless topic from which on pieces of a sentence are taken to be harmless
)
_SMOOTHED = 0.02  # of each label, given to all topics alike
_ANSWERS = 0.5  # of the loss
_TOPICS = 0.5  # of the loss of what a message is about: whether it is grave at all matters more than what it is called
_LEVEL, _LEVELS = 0.4, 7  # of the words' vectors in four bits: see projection.training.grid


@dataclass(frozen=True, eq=False)
class DetectorExamples:
    """What the network learns from.

    Attributes:
        written: hand-written messages by topic.
        said: sentences of conversations.
        shares: (said, topics) what they are about, as far as it is known; rows add up to 1.
        situations: messages and the intents that answer them.
        gentle: (intents,) whether an intent answers bad news: what it answers is no harmless
            message.
    """

    written: Sequence[WrittenMessage]
    said: Sequence[str]
    shares: Floats
    situations: Situations
    gentle: NDArray[np.bool_]


def topics_of(written: Sequence[WrittenMessage]) -> tuple[str, ...]:
    """Return the topics in their order, the harmless one last. Raises :class:`InputError` if none
    is.
    """
    topics = [
        topic for topic in dict.fromkeys(message.topic for message in written) if topic != HARMLESS
    ]
    if len(topics) == len({message.topic for message in written}):
        raise InputError(f"expected messages in a section [{HARMLESS}] beside {', '.join(topics)}")
    return (*topics, HARMLESS)


def read_vocabulary(
    path: Path | None, texts: Sequence[str], size: int, count: int, seed: int
) -> WordVectors:
    """Return vectors of words.

    Args:
        path: of an ``.npz`` file with ``words``, the most useful first, and their ``vectors``;
            without one, the words of the
            texts get directions at random, so that words are known but none is near another.
        texts: that the network will learn from.
        size: of a vector.
        count: of words, at most.
        seed: of the random directions.

    Raises:
        InputError: a file that cannot be read.
    """
    if path is None:
        known = Counter(token for text in texts for token in words_of([text]).tokens)
        words = [word for word, _ in known.most_common(count)]
        vectors = np.random.default_rng(seed).normal(size=(len(words), size))
    else:
        words, vectors = read_vectors(path, count)
        vectors = vectors[:, :size]
    keys, first = np.unique(short_keys(fingerprints(words)), return_index=True)
    vectors = vectors[first]
    step = _LEVEL * float(np.sqrt(np.square(vectors).mean()))
    levels = np.clip(np.rint(vectors / step), -_LEVELS, _LEVELS).astype(np.int8)
    return WordVectors(keys, levels, step)


@dataclass(frozen=True, eq=False)
class DetectorStep:
    """Computes the gradients of a step: an argument of ``training.fit``.

    Attributes:
        network: that learns.
        reader: of its texts.
        material: that it learns from.
        topics: their names, the harmless one last.
        seed: of the draws.
    """

    network: TrainedNetwork
    reader: BatchReader
    material: DetectorExamples
    topics: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        written = self.material.written
        labels = np.array([self.topics.index(message.topic) for message in written])
        harmless = len(self.topics) - 1
        lines = Counter(message.source for message in written)
        # a line that stands for many messages counts more than one that stands for one, but not as
        # many times
        weights = np.array([lines[message.source] ** -0.5 for message in written])
        draws = {"grave": labels < harmless, "fine": labels == harmless}
        if LANGUAGE in self.topics:
            draws["foreign"] = labels == self.topics.index(LANGUAGE)
        for name, chosen in draws.items():
            numbers = np.flatnonzero(chosen)
            shares = weights[numbers] / weights[numbers].sum()
            object.__setattr__(self, f"_{name}", (numbers, shares))
        object.__setattr__(self, "_labels", labels)
        object.__setattr__(
            self,
            "_is_grave",
            torch.tensor([topic not in (HARMLESS, MILD) for topic in self.topics]),
        )

    def __call__(self, number: int) -> float:
        """Return the loss of a step."""
        rng = np.random.default_rng((self.seed, number))
        texts, labels = self._drawn(rng)
        said = rng.integers(len(self.material.said), size=_SAID if len(self.material.said) else 0)
        answered = rng.integers(len(self.material.situations.texts), size=_ANSWERED)
        texts += [self._said(int(place), rng) for place in said]
        texts += [self.material.situations.texts[place] for place in answered]
        wanted = np.concatenate(
            [
                np.eye(len(self.topics), dtype=np.float32)[labels],
                self.material.shares[said],
                self._situation_topics(answered),
            ]
        )
        wanted = (1 - _SMOOTHED) * wanted + _SMOOTHED / len(self.topics)
        topics, answers = self.network(self.reader([varied(text, rng) for text in texts]))
        losses = topic_losses(topics, torch.from_numpy(wanted.astype(np.float32)), self._is_grave)  # type: ignore[attr-defined]  # set once
        # hand-written messages are few and right; what the teacher says of others is neither
        loss = (losses.sum() + losses[: len(labels)].sum()) / (len(losses) + len(labels))
        intents = self.material.situations.intents[answered]
        nothing = np.zeros((len(answered), 1), np.float32)
        shares = torch.from_numpy(np.hstack([intents, nothing]))
        loss = loss + _ANSWERS * functional.cross_entropy(answers[-len(answered) :], shares)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _drawn(self, rng: np.random.Generator) -> tuple[list[str], list[int]]:
        """Return hand-written messages and the numbers of their topics."""
        texts: list[str] = []
        labels: list[int] = []
        for place in self._some("grave", _GRAVE, rng):
            texts.append(
                self._beside(self._text(place), rng)
                if rng.random() < _JOINED
                else self._text(place)
            )
            labels.append(self._label(place))
        if LANGUAGE in self.topics:
            for place in self._some("foreign", _FOREIGN, rng):
                other = self._some("foreign", 1, rng)[0]
                texts.append(f"{self._text(place)} {self._text(other)}")
                labels.append(self._label(place))
        for place in self._some("fine", _FINE, rng):
            draw = rng.random()
            text = self._text(place)
            if draw < _JOINED:
                text = self._beside(text, rng)
            elif draw < _JOINED + _PIECES:
                text = self._piece(text, rng)
            texts.append(text)
            labels.append(len(self.topics) - 1)
        return texts, labels

    def _beside(self, text: str, rng: np.random.Generator) -> str:
        """Return a text with a harmless one before or behind it."""
        other = self._text(self._some("fine", 1, rng)[0])
        join = _JOINS[int(rng.integers(len(_JOINS)))]
        return text + join + other if rng.random() < 0.5 else other + join + text

    def _piece(self, text: str, rng: np.random.Generator) -> str:
        """Return a part of a text: half of the time all of it, else one of its clauses or some words
        that follow each other. A message is judged by its worst span, so no part may alarm.
        """
        words = text.split()
        draw = rng.random()
        if draw < 0.5 or len(words) < 3:
            return text
        if draw < 0.75:
            pieces = clauses(text)
            return pieces[int(rng.integers(len(pieces)))]
        begin = int(rng.integers(len(words)))
        return " ".join(words[begin : begin + int(rng.integers(1, 9))])

    def _said(self, place: int, rng: np.random.Generator) -> str:
        """Return a sentence; of one that is surely harmless, sometimes a piece, which must be
        harmless as well.
        """
        text = self.material.said[place]
        return self._piece(text, rng) if self.material.shares[place, -1] > _SURE else text

    def _situation_topics(self, answered: NDArray[np.int64]) -> Floats:
        """Situations are harmless, but for those to which people answer that they are sorry."""
        gentle = self.material.gentle[self.material.situations.intents[answered].argmax(axis=1)]
        mild = self.topics.index(MILD) if MILD in self.topics else len(self.topics) - 1
        return np.eye(len(self.topics), dtype=np.float32)[
            np.where(gentle, mild, len(self.topics) - 1)
        ]

    def _some(self, name: str, count: int, rng: np.random.Generator) -> list[int]:
        numbers, shares = getattr(self, f"_{name}")
        places: list[int] = rng.choice(numbers, count, p=shares).tolist()
        return places

    def _text(self, place: int) -> str:
        return self.material.written[place].text

    def _label(self, place: int) -> int:
        return int(self._labels[place])  # type: ignore[attr-defined]  # set once, in __post_init__


def topic_losses(
    logits: torch.Tensor, wanted: torch.Tensor, is_grave: torch.Tensor
) -> torch.Tensor:
    """Return (texts,) cross entropies of topics, and of whether a text is grave.

    Args:
        logits: (texts, topics) that the network gives.
        wanted: (texts, topics) what the texts are about; rows add up to 1.
        is_grave: (topics,) whether nothing may be answered to a topic.
    """
    logs = functional.log_softmax(logits, dim=1)
    of_topics = -(wanted * logs).sum(dim=1)
    grave = wanted[:, is_grave].sum(dim=1)
    said_grave = torch.logsumexp(logs[:, is_grave], dim=1)
    said_fine = torch.logsumexp(logs[:, ~is_grave], dim=1)
    of_gravity = -(grave * said_grave + (1 - grave) * said_fine)
    return _TOPICS * of_topics + of_gravity


def train_network(
    material: DetectorExamples, vocabulary: WordVectors, shape: NetworkShape, schedule: Schedule, *,
    seed: int, save: Path | None, report: Report,
) -> MessageNetwork:  # fmt: skip
    """Train the network.

    Args:
        material: that it learns from.
        vocabulary: vectors of words.
        shape: sizes.
        schedule: whose epoch is as many steps as show each hand-written message once.
        seed: of weights and draws.
        save: file to go on from.
        report: called after each step.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    topics = topics_of(material.written)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        intents = material.situations.intents.shape[1] + 1
        network = TrainedNetwork(shape, vocabulary, len(topics), intents)
    step = DetectorStep(network, BatchReader.of(shape, vocabulary), material, topics, seed)
    steps = max(1, round(schedule.epochs * len(material.written) / (_GRAVE + _FINE)))
    fit(network.train(), step, schedule, steps, save=save, report=report, seed=seed)
    return exported(network.eval())


def risks_of(network: MessageNetwork, topics: Sequence[str], texts: Sequence[str]) -> Floats:
    """Return (texts,) the risk of each text's worst span; see ``safety.Verdict``."""
    detector = SafetyDetector(
        network, tuple(topics), silent=1.0, careful=1.0, mild=1.0, sorry=1.0, wary=1.0
    )
    return np.array([detector.judge(text).risk for text in texts], np.float32)


def shares_of(network: MessageNetwork, texts: Sequence[str]) -> Floats:
    """Return (texts, topics) what each text is about, all of it as one span where it is short."""
    readings = [network.read(spans_of(text)) for text in texts]
    return softmax(np.array([reading.topics[reading.last] for reading in readings]))
