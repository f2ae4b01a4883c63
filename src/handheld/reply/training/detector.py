"""Train the network behind the detector.

It learns from hand-written messages as many people would write them, and from what is said in small
talk.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from handheld.errors import InputError
from handheld.projection.words import fingerprints, words_of
from handheld.reply.clauses import clauses
from handheld.reply.formats import LANGUAGE
from handheld.reply.message_network import MessageNetwork, WordVectors, short_keys
from handheld.reply.safety import HARMLESS, MILD, SafetyDetector
from handheld.reply.training.annotations import Situations
from handheld.reply.training.message_network import (
    BatchReader,
    NetworkShape,
    TrainedNetwork,
    exported,
)
from handheld.reply.training.messages import WrittenMessage, line_weights
from handheld.reply.training.registers import varied
from handheld.reply.training.vectors import read_vectors
from handheld.training import FitRun, Schedule, fit

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

# Messages of each kind in a step: grave ones, in other languages, harmless ones, sentences of
# conversations, and situations. Small talk is the most, as it differs most from message to message.
_GRAVE = 32
_FOREIGN = 6
_FINE = 28
_SAID = 112
_ANSWERED = 48
_JOINS = (". ", ", ", " ", " and ", " but ", "\n")
# Of the messages, those that stand beside a harmless one: news often comes in passing.
_JOINED = 0.24
# Of the harmless messages, those of which a few words are taken: no piece of them may alarm.
_PIECES = 0.35
# Of those, how many are all of a message, and how many are all or one clause; the rest are words.
_ALL = 0.5
_ALL_OR_CLAUSE = 0.75
# Words of the longest piece.
_PIECE = 8
# Share of the harmless topic from which on pieces of a sentence are taken to be harmless.
_SURE = 0.9
# Of each label, given to all topics alike.
_SMOOTHED = 0.02
# Of the loss: what answers a message.
_ANSWERS = 0.5
# Of the loss: what a message is about. Whether it is grave at all matters more than what it is
# called.
_TOPICS = 0.5
# Of the words' vectors in four bits, distance of two levels and the highest: see
# projection.training.grid.
_LEVEL = 0.4
_LEVELS = 7


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
    """Return the topics in their order, the harmless one last.

    Raises:
        InputError: none is harmless.
    """
    topics = dict.fromkeys(message.topic for message in written)
    if HARMLESS not in topics:
        raise InputError(f"expected messages in a section [{HARMLESS}] beside {', '.join(topics)}")
    del topics[HARMLESS]
    return (*topics, HARMLESS)


def read_vocabulary(
    path: Path | None, texts: Sequence[str], size: int, count: int, seed: int
) -> WordVectors:
    """Return vectors of words.

    Args:
        path: of an ``.npz`` file with ``words``, the most useful first, and their ``vectors``;
            without one, the words of the texts get directions at random, so that words are known
            but none is near another.
        texts: that the network will learn from.
        size: of a vector.
        count: of words, at most.
        seed: of the random directions.

    Raises:
        InputError: a file that cannot be read.
    """
    if path is None:
        words = _commonest_words(texts, count)
        vectors = np.random.default_rng(seed).normal(size=(len(words), size))
    else:
        words, vectors = read_vectors(path, count)
        vectors = vectors[:, :size]
    # two words with one key are one word: the first, which is the more useful
    keys, first = np.unique(short_keys(fingerprints(words)), return_index=True)
    vectors = vectors[first]
    step = _LEVEL * float(np.sqrt(np.square(vectors).mean()))
    levels = np.clip(np.rint(vectors / step), -_LEVELS, _LEVELS).astype(np.int8)
    return WordVectors(keys, levels, step)


def _commonest_words(texts: Sequence[str], count: int) -> list[str]:
    uses: Counter[str] = Counter()
    for text in texts:
        uses.update(words_of([text]).tokens)
    return [word for word, _ in uses.most_common(count)]


class _TopicDraws:
    """Messages of some topics, and how often each is drawn.

    Args:
        written: all messages.
        chosen: (messages,) which of them.
    """

    def __init__(self, written: Sequence[WrittenMessage], chosen: NDArray[np.bool_]):
        self._numbers = np.flatnonzero(chosen)
        weights = line_weights(written)[self._numbers]
        self._shares = weights / weights.sum()

    def draw(self, count: int, rng: np.random.Generator) -> list[int]:
        """Return the numbers of some messages."""
        numbers: list[int] = rng.choice(self._numbers, count, p=self._shares).tolist()
        return numbers


class _StepBatch(NamedTuple):
    """What a step learns from.

    Attributes:
        texts: hand-written messages, sentences of conversations, then situations.
        topics: (texts, topics) shares.
        intents: (situations, intents) shares.
        written: how many texts are hand-written messages.
    """

    texts: list[str]
    topics: Floats
    intents: Floats
    written: int


@dataclass(frozen=True, eq=False)
class DetectorStep:
    """Computes the gradients of a step: an argument of ``training.fit``.

    Attributes:
        network: that learns.
        reader: of its texts.
        examples: that it learns from.
        topics: their names, the harmless one last.
        seed: of the draws.
    """

    network: TrainedNetwork
    reader: BatchReader
    examples: DetectorExamples
    topics: tuple[str, ...]
    seed: int

    def __call__(self, number: int) -> float:
        """Return the loss of a step."""
        batch = self._batch(np.random.default_rng((self.seed, number)))
        topics, answers = self.network(self.reader(batch.texts))
        losses = topic_losses(topics, torch.from_numpy(batch.topics), self._is_grave)
        # hand-written messages are few and right; what the teacher says of others is neither
        count = batch.written
        loss = (losses.sum() + losses[:count].sum()) / (len(losses) + count)
        # situations are the last, and no situation is without an intent
        intents = functional.pad(torch.from_numpy(batch.intents), (0, 1))
        answered = answers[-len(intents) :]
        loss = loss + _ANSWERS * functional.cross_entropy(answered, intents)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        return float(loss.detach())

    def _batch(self, rng: np.random.Generator) -> _StepBatch:
        examples = self.examples
        situations = examples.situations
        texts, labels = self._written(rng)
        said = rng.integers(len(examples.said), size=_SAID if len(examples.said) else 0)
        answered = rng.integers(len(situations.texts), size=_ANSWERED)
        texts += [self._said(number, rng) for number in said.tolist()]
        texts += [situations.texts[number] for number in answered.tolist()]
        topics = np.concatenate(
            [
                self._one_hot(labels),
                examples.shares[said],
                self._one_hot(self._situation_topics(answered)),
            ]
        )
        smoothed = (1 - _SMOOTHED) * topics + _SMOOTHED / len(self.topics)
        return _StepBatch(
            texts=[varied(text, rng) for text in texts],
            topics=smoothed.astype(np.float32),
            intents=situations.intents[answered],
            written=len(labels),
        )

    @cached_property
    def _labels(self) -> Integers:
        """Numbers of the topics of hand-written messages."""
        return np.array([self.topics.index(message.topic) for message in self.examples.written])

    @cached_property
    def _is_grave(self) -> torch.Tensor:
        return torch.tensor([topic not in (HARMLESS, MILD) for topic in self.topics])

    @cached_property
    def _grave(self) -> _TopicDraws:
        return _TopicDraws(self.examples.written, self._labels < self._harmless)

    @cached_property
    def _fine(self) -> _TopicDraws:
        return _TopicDraws(self.examples.written, self._labels == self._harmless)

    @cached_property
    def _foreign(self) -> _TopicDraws | None:
        if LANGUAGE not in self.topics:
            return None
        return _TopicDraws(self.examples.written, self._labels == self.topics.index(LANGUAGE))

    @property
    def _harmless(self) -> int:
        """Number of the harmless topic, which is the last."""
        return len(self.topics) - 1

    def _one_hot(self, labels: Integers | list[int]) -> Floats:
        return np.eye(len(self.topics), dtype=np.float32)[labels]

    def _written(self, rng: np.random.Generator) -> tuple[list[str], list[int]]:
        """Return hand-written messages and the numbers of their topics."""
        texts: list[str] = []
        numbers: list[int] = []
        for number in self._grave.draw(_GRAVE, rng):
            text = self._text(number)
            if rng.random() < _JOINED:
                text = self._beside(text, rng)
            texts.append(text)
            numbers.append(number)
        if self._foreign is not None:
            for number in self._foreign.draw(_FOREIGN, rng):
                other = self._foreign.draw(1, rng)[0]
                texts.append(f"{self._text(number)} {self._text(other)}")
                numbers.append(number)
        for number in self._fine.draw(_FINE, rng):
            texts.append(self._fine_text(self._text(number), rng))
            numbers.append(number)
        return texts, self._labels[numbers].tolist()

    def _fine_text(self, text: str, rng: np.random.Generator) -> str:
        """Return a harmless message, beside another one, or a piece of it."""
        draw = rng.random()
        if draw < _JOINED:
            return self._beside(text, rng)
        if draw < _JOINED + _PIECES:
            return _piece(text, rng)
        return text

    def _beside(self, text: str, rng: np.random.Generator) -> str:
        """Return a text with a harmless one before or behind it."""
        other = self._text(self._fine.draw(1, rng)[0])
        join = _JOINS[int(rng.integers(len(_JOINS)))]
        return text + join + other if rng.random() < 0.5 else other + join + text

    def _said(self, number: int, rng: np.random.Generator) -> str:
        """Return a sentence of a conversation.

        Of one that is surely harmless, sometimes a piece, which must be harmless as well.
        """
        text = self.examples.said[number]
        is_harmless = self.examples.shares[number, self._harmless] > _SURE
        return _piece(text, rng) if is_harmless else text

    def _situation_topics(self, answered: Integers) -> Integers:
        """Return the topics of situations.

        They are harmless, but for those to which people answer that they are sorry.
        """
        examples = self.examples
        gentle = examples.gentle[examples.situations.intents[answered].argmax(axis=1)]
        mild = self.topics.index(MILD) if MILD in self.topics else self._harmless
        return np.where(gentle, mild, self._harmless)

    def _text(self, number: int) -> str:
        return self.examples.written[number].text


def _piece(text: str, rng: np.random.Generator) -> str:
    """Return all of a text, one of its clauses, or some of its words that follow each other.

    A message is judged by its worst span, so no piece of a harmless one may alarm.
    """
    words = text.split()
    draw = rng.random()
    if draw < _ALL or len(words) < 3:
        return text
    if draw < _ALL_OR_CLAUSE:
        pieces = clauses(text)
        return pieces[int(rng.integers(len(pieces)))]
    begin = int(rng.integers(len(words)))
    end = begin + int(rng.integers(1, _PIECE + 1))
    return " ".join(words[begin:end])


def topic_losses(
    logits: torch.Tensor, topics: torch.Tensor, is_grave: torch.Tensor
) -> torch.Tensor:
    """Return (texts,) cross entropies of topics, and of whether a text is grave.

    Args:
        logits: (texts, topics) that the network gives.
        topics: (texts, topics) what the texts are about; rows add up to 1.
        is_grave: (topics,) whether nothing may be answered to a topic.
    """
    logs = functional.log_softmax(logits, dim=1)
    topic_loss = -(topics * logs).sum(dim=1)
    grave = topics[:, is_grave].sum(dim=1)
    log_grave = torch.logsumexp(logs[:, is_grave], dim=1)
    log_fine = torch.logsumexp(logs[:, ~is_grave], dim=1)
    gravity_loss = -(grave * log_grave + (1 - grave) * log_fine)
    return _TOPICS * topic_loss + gravity_loss


def train_network(
    examples: DetectorExamples,
    vocabulary: WordVectors,
    shape: NetworkShape,
    schedule: Schedule,
    run: FitRun,
) -> MessageNetwork:
    """Train the network.

    Args:
        examples: that it learns from.
        vocabulary: vectors of words.
        shape: sizes.
        schedule: whose epoch is as many steps as show each hand-written message once.
        run: how it is seeded, kept and told.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    topics = topics_of(examples.written)
    # one more for what has no intent
    intents = examples.situations.intents.shape[1] + 1
    # weights by the seed, without a change of what the caller draws
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = TrainedNetwork(shape, vocabulary, len(topics), intents)
    fit(
        network.train(),
        DetectorStep(network, BatchReader.of(shape, vocabulary), examples, topics, run.seed),
        schedule,
        max(1, round(schedule.epochs * len(examples.written) / (_GRAVE + _FINE))),
        save=run.save,
        report=run.report,
        seed=run.seed,
    )
    return exported(network.eval())


def risks_of(network: MessageNetwork, topics: Sequence[str], texts: Sequence[str]) -> Floats:
    """Return (texts,) the risk of each text's worst span; see ``safety.SafetyVerdict``."""
    # a risk is what it is whatever the thresholds are
    detector = SafetyDetector(
        network,
        tuple(topics),
        silent=1.0,
        careful=1.0,
        mild=1.0,
        sorry=1.0,
        doubtful=1.0,
        wary=1.0,
    )
    return np.array([detector.judge(text).risk for text in texts], np.float32)
