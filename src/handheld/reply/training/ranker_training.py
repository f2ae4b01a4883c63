"""Train the ranker: each message against the answers to others, and its intents where known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from handheld.propagation import Labels
from handheld.reply.ranker import CONTEXT
from handheld.reply.training.examples import PairBatches, TextRows
from handheld.reply.training.pairs import NOTHING, Integers, ReplyPairs
from handheld.reply.training.ranker_network import RankerNetwork
from handheld.training import Report, Schedule, fit

# Score of an answer that is as right as the right one: next to no probability, and no gradient.
_NEVER = -30.0


@dataclass(frozen=True, eq=False)
class LabelledMessages:
    """Messages whose intents are known, without an answer.

    Attributes:
        texts: (n,) numbers of the messages.
        intents: (n, intents) shares.
    """

    texts: Integers
    intents: torch.Tensor


@dataclass(frozen=True, eq=False)
class RankerExamples:
    """What a ranker learns from.

    Attributes:
        pairs: of messages and answers.
        texts: theirs, as rows of a table.
        batches: of the pairs.
        intents: of each pair, or None before they are known; a pair without any has an intent of
            its own, the last.
        labelled: further messages with their intents.
        weight: of each loss of intents, beside that of ranking.
    """

    pairs: ReplyPairs
    texts: TextRows
    batches: PairBatches
    intents: Labels | None = None
    labelled: LabelledMessages | None = None
    weight: float = 0.5


@dataclass(frozen=True, eq=False)
class RankerStep:
    """Computes the gradients of a step: an argument of ``training.fit``.

    Attributes:
        network: that learns.
        examples: that it learns from.
        seed: of the messages that are drawn beside the pairs.
    """

    network: RankerNetwork
    examples: RankerExamples
    seed: int

    def __call__(self, number: int) -> float:
        """Return the loss of a step."""
        examples = self.examples
        chosen = examples.batches(number)
        texts = examples.pairs.context[chosen]
        contexts = self._contexts(texts)
        loss = self._ranking(contexts, texts, examples.pairs.replies[chosen])
        if examples.intents is not None:
            shares = torch.from_numpy(_shares(examples.intents, chosen))
            intents = self.network.intent(contexts)
            loss = loss + examples.weight * functional.cross_entropy(intents, shares)
        if examples.labelled is not None:
            loss = loss + examples.weight * self._labelled(examples.labelled, number)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        return float(loss.detach())

    def _contexts(self, texts: Integers) -> torch.Tensor:
        """Return (n, hidden) of conversations, given the (n, CONTEXT) numbers of their texts."""
        return self.network.contexts([self.examples.texts.flat(column) for column in texts.T])

    def _ranking(self, contexts: torch.Tensor, texts: Integers, replies: Integers) -> torch.Tensor:
        """Return how badly messages find their answers among those of the batch, and the reverse.

        Henderson et al., arXiv 1705.00652, section 3.2, in both directions.

        Args:
            contexts: (n, hidden) of the conversations.
            texts: (n, CONTEXT) numbers of their texts.
            replies: (n,) numbers of their answers.
        """
        rows = self.examples.texts
        mix = self.network.mix.exp()
        vectors = self.network.vectors(contexts)
        scores = mix[0] * vectors @ self.network.answers(rows.flat(replies)).T
        reply_rows = rows.shared(replies).T.tocsc()
        for weight, columns in zip(mix[1:], (texts[:, :1], texts[:, 1:]), strict=True):
            shared = sum(rows.shared(column) for column in columns.T)
            alike = (shared @ reply_rows).toarray().astype(np.float32)
            scores = scores + weight * torch.from_numpy(alike)
        # the same answer to another message is not wrong
        same = torch.from_numpy(replies[:, None] == replies).fill_diagonal_(False)
        scores = scores.masked_fill(same, _NEVER)
        right = torch.arange(len(replies))
        by_message = functional.cross_entropy(scores, right)
        by_answer = functional.cross_entropy(scores.T, right)
        return (by_message + by_answer) / 2

    def _labelled(self, labelled: LabelledMessages, number: int) -> torch.Tensor:
        """Return the loss of some messages whose intents are known."""
        rng = np.random.default_rng((self.seed, number))
        # half as many as pairs: they are fewer, and are written in one person's words
        count = min(len(labelled.texts), self.examples.batches.size // 2)
        chosen = rng.integers(len(labelled.texts), size=count)
        texts = np.full((count, CONTEXT), NOTHING)
        texts[:, 0] = labelled.texts[chosen]
        intents = self.network.intent(self._contexts(texts))
        return functional.cross_entropy(intents, labelled.intents[chosen])


def _shares(intents: Labels, chosen: Integers) -> NDArray[np.float32]:
    """Return (chosen, classes + 1) shares of intents; the last is that of no intent."""
    shares = np.zeros((len(chosen), intents.classes + 1), np.float32)
    names = intents.names[chosen]
    rows, columns = (names >= 0).nonzero()
    shares[rows, names[rows, columns]] = intents.shares[chosen][rows, columns]
    shares[:, -1] = np.maximum(1 - shares.sum(axis=1), 0)
    return shares


def learn(
    network: RankerNetwork,
    examples: RankerExamples,
    schedule: Schedule,
    *,
    seed: int,
    save: Path | None,
    report: Report,
) -> Sequence[tuple[int, float]]:
    """Train a ranker; return the (step, loss) of its training.

    Args:
        network: that learns.
        examples: that it learns from.
        schedule: of its training.
        seed: of what is drawn in a step.
        save: file to go on from.
        report: called after each step.

    Raises:
        InputError: the file holds another training.
        TrainingError: the loss is no longer a number.
    """
    return fit(
        network.train(),
        RankerStep(network, examples, seed),
        schedule,
        round(schedule.epochs * examples.batches.per_epoch),
        save=save,
        report=report,
        seed=seed,
    )
