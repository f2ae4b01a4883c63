"""Train the ranker: each message against the answers to others, and its intents where they are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from handheld.propagation import Labels
from handheld.reply.ranker import CONTEXT
from handheld.reply.training.examples import PairBatches, TextRows
from handheld.reply.training.pairs import NOTHING, ReplyPairs, Whole
from handheld.reply.training.ranker_network import RankerNetwork
from handheld.training import Report, Schedule, fit

_NEVER = -30.0  # score of an answer that is as right as the right one


@dataclass(frozen=True, eq=False)
class LabelledMessages:
    """Messages whose intents are known, without an answer.

    Attributes:
        texts: (n,) numbers of the messages.
        intents: (n, intents) shares.
    """

    texts: Whole
    intents: torch.Tensor


@dataclass(frozen=True, eq=False)
class RankerExamples:
    """What a ranker learns from.

    Attributes:
        pairs: of messages and answers.
        texts: theirs, as rows of a table.
        batches: of the pairs.
        intents: of each pair, or None before they are known; a pair without any has an intent of its own, the last.
        taught: further messages with their intents.
        weight: of the intents' part of the loss.
    """

    pairs: ReplyPairs
    texts: TextRows
    batches: PairBatches
    intents: Labels | None = None
    taught: LabelledMessages | None = None
    weight: float = 0.5


@dataclass(frozen=True, eq=False)
class RankerStep:
    """Computes the gradients of a step: an argument of ``training.fit``."""

    network: RankerNetwork
    lesson: RankerExamples
    seed: int

    def __call__(self, number: int) -> float:
        """Return the loss of a step."""
        lesson, chosen = self.lesson, self.lesson.batches(number)
        context, replies = lesson.pairs.context[chosen], lesson.pairs.replies[chosen]
        asked = self.network.asked([lesson.texts.flat(texts) for texts in context.T])
        loss = self._ranking(asked, context, replies)
        if lesson.intents is not None:
            wanted = torch.from_numpy(_shares(lesson.intents, chosen))
            loss = loss + lesson.weight * functional.cross_entropy(
                self.network.intent(asked), wanted
            )
        if lesson.taught is not None:
            loss = loss + lesson.weight * self._taught(lesson.taught, number)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _ranking(self, asked: torch.Tensor, context: Whole, replies: Whole) -> torch.Tensor:
        """Each message must find its answer among those of the batch, and each answer its message."""
        texts, mix = self.lesson.texts, self.network.mix.exp()
        scores = mix[0] * self.network.vectors(asked) @ self.network.answers(texts.flat(replies)).T
        theirs = texts.shared(replies).T.tocsc()
        for weight, before in zip(mix[1:], (context[:, :1], context[:, 1:]), strict=True):
            shared = sum(texts.shared(column) for column in before.T)
            scores = scores + weight * torch.from_numpy(
                (shared @ theirs).toarray().astype(np.float32)
            )
        same = torch.from_numpy(replies[:, None] == replies).fill_diagonal_(False)
        scores, right = scores.masked_fill(same, _NEVER), torch.arange(len(replies))
        return (
            functional.cross_entropy(scores, right) + functional.cross_entropy(scores.T, right)
        ) / 2

    def _taught(self, taught: LabelledMessages, number: int) -> torch.Tensor:
        rng = np.random.default_rng((self.seed, number))
        chosen = rng.integers(
            len(taught.texts), size=min(len(taught.texts), self.lesson.batches.size // 2)
        )
        nothing = np.full(len(chosen), NOTHING)
        context = [
            self.lesson.texts.flat(texts)
            for texts in (taught.texts[chosen], *[nothing] * (CONTEXT - 1))
        ]
        return functional.cross_entropy(
            self.network.intent(self.network.asked(context)), taught.intents[chosen]
        )


def _shares(intents: Labels, chosen: Whole) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Return (chosen, classes + 1) shares of intents; the last is that of no intent."""
    found = np.zeros((len(chosen), intents.classes + 1), np.float32)
    names, shares = intents.names[chosen], intents.shares[chosen]
    rows, places = (names >= 0).nonzero()
    found[rows, names[rows, places]] = shares[rows, places]
    found[:, -1] = np.maximum(1 - found.sum(axis=1), 0)
    return found


def learn(
    network: RankerNetwork,
    lesson: RankerExamples,
    schedule: Schedule,
    *,
    seed: int,
    save: Path | None,
    report: Report,
) -> Sequence[tuple[int, float]]:
    """Train a ranker; return the (step, loss) of its training. Raises :class:`TrainingError`, :class:`InputError`."""
    steps = round(schedule.epochs * lesson.batches.per_epoch)
    return fit(
        network.train(),
        RankerStep(network, lesson, seed),
        schedule,
        steps,
        save=save,
        report=report,
        seed=seed,
    )
