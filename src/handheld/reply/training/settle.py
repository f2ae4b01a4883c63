"""What is chosen once the ranker stands: the table of signatures, how judges are mixed, when to speak, what can be said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.projection import Features, Signs
from handheld.propagation import Labels, ProjectionGraph
from handheld.reply.bundle import Mixing, Reply
from handheld.reply.conversation import canonical
from handheld.reply.ranker import Ranker, softmax
from handheld.reply.replier import mixed
from handheld.reply.training.guide import Situations
from handheld.reply.training.intents import Replies
from handheld.reply.training.pairs import NOTHING, TRAIN, VALID, Pairs
from handheld.reply.trigger import EVIDENCE, Trigger, evidence

SURE = 0.18  # share of an intent from which on a reply that conversations bring belongs to it
_SHOWN = 0.25  # share from which on it can be suggested
_OFTEN = 8  # conversations in which it must have been said for that
_PER_INTENT = 8  # replies of an intent
_LONGEST = 36  # characters of a reply
_FALLBACK = 16  # fixed replies
_SIGNATURES = (Features(words=2, skips=1), Signs(functions=12, bits=14))
_KEPT, _ENTRIES = 3, 10_000  # labels of a signature; signatures, at most
_SHARED = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)  # times what the network learned
_RANKED, _CANDIDATES = 400, 100  # messages of each file, and answers to choose from
_STEPS, _RIDGE = 30, 1e-3  # of Newton's method

Floats = NDArray[np.float32]


def weighed(ranker: Ranker, pairs: Pairs, seed: int) -> Ranker:
    """Choose how much shared words count beside the network.

    By how often the true answer is the first of a hundred in the validation split, each file counting alike: the network learns
    to know its own conversations better than those of others, and so to trust itself too much.
    """
    rng = np.random.default_rng(seed)
    choices = [replace(ranker, mix=ranker.mix * np.array([1, factor, factor], np.float32)) for factor in _SHARED]
    first = np.ones((len(np.unique(pairs.sources)), len(choices)))
    for row, source in zip(first, np.unique(pairs.sources), strict=True):
        own = pairs.where(VALID, int(source))
        for number in rng.permutation(own)[:_RANKED]:
            wrong = rng.permutation(own)[: 2 * _CANDIDATES]
            elsewhere = (pairs.conversations[wrong] != pairs.conversations[number]) & (
                pairs.replies[wrong] != pairs.replies[number]
            )
            answers = [pairs.replies[number], *pairs.replies[wrong[elsewhere][: _CANDIDATES - 1]]]
            asked = ranker.ask([pairs.texts[text] for text in pairs.context[number] if text != NOTHING])
            candidates = ranker.replies([pairs.texts[text] for text in answers])
            row += [bool(choice.scores(asked, candidates).argmax() == 0) for choice in choices]
    return choices[int(np.log(first).sum(axis=0).argmax())]


def signatures_of(pairs: Pairs, intents: Labels, situations: Situations) -> ProjectionGraph:
    """Count which intents answer messages with which signatures."""
    chosen = np.flatnonzero((pairs.splits == TRAIN) & (intents.best >= 0))
    texts = [pairs.texts[text] for text in pairs.context[chosen, 0]] + list(situations.texts)
    order = np.argsort(-situations.intents, axis=1, kind="stable")[:, : intents.names.shape[1]]
    shares = np.take_along_axis(situations.intents, order, axis=1)
    names = np.concatenate([intents.names[chosen], np.where(shares > 0, order, -1).astype(np.int32)])
    labels = Labels(names, np.concatenate([intents.shares[chosen], shares]), intents.classes)
    features, signs = _SIGNATURES
    fewest = 2
    while True:  # messages that must have a signature
        found = ProjectionGraph.build(texts, labels, features=features, signs=signs, kept=_KEPT, fewest=fewest)
        if len(found.keys) <= _ENTRIES:
            return found
        fewest += max(1, fewest // 4)


@dataclass(frozen=True, eq=False)
class Heard:
    """What the judges say of some messages.

    Attributes:
        logits: (n, intents + 1) of the ranker.
        votes: (n, intents) of the table of signatures.
        truth: (n,) the intent that answered, -1: none that is known.
    """

    logits: Floats
    votes: Floats
    truth: NDArray[np.int64]

    @classmethod
    def of(
        cls, ranker: Ranker, signatures: ProjectionGraph, contexts: Sequence[Sequence[str]], truth: NDArray[np.integer[Any]]
    ) -> "Heard":
        """Ask the judges about conversations, the latest text of each first."""
        logits = np.array([ranker.ask(context).intents for context in contexts])
        return cls(logits, signatures.votes_of([context[0] for context in contexts]), truth.astype(np.int64))

    def with_others(self, others: "Heard") -> "Heard":
        """Return these messages and others."""
        return Heard(
            np.concatenate([self.logits, others.logits]),
            np.concatenate([self.votes, others.votes]),
            np.concatenate([self.truth, others.truth]),
        )

    def probabilities(self, weight: float) -> Floats:
        """Return (n, intents + 1), the signatures having a weight."""
        return mixed(softmax(self.logits), self.votes, weight)

    def recall(self, weight: float, n: int = 3) -> float:
        """Return the share of the answers with a known intent that are among the first ``n`` intents."""
        known = self.truth >= 0
        best = np.argsort(-self.probabilities(weight)[:, :-1], axis=1)[:, :n]
        return float((best[known] == self.truth[known, None]).any(axis=1).mean()) if known.any() else 0.0


def mixing_of(heard: Heard) -> Mixing:
    """Choose how much the table of signatures counts."""
    return replace(Mixing(), signatures=max((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7), key=heard.recall))


def trigger_of(heard: Heard, everyday: Heard, weight: float, rate: float) -> Trigger:
    """Fit the probability that one of three is right.

    Args:
        heard: messages of conversations; the threshold is set so that ``rate`` of them are above it.
        everyday: further messages to learn from, of situations that conversations of strangers lack.
        weight: of signatures.
        rate: share, 0 to 1.
    """
    both = heard.with_others(everyday)
    found = both.probabilities(weight)
    rows = np.array([np.append(evidence(row, votes.sum()), 1) for row, votes in zip(found, both.votes, strict=True)])
    best = np.argsort(-found[:, :-1], axis=1)[:, :3]
    right = ((best == both.truth[:, None]).any(axis=1) & (both.truth >= 0)).astype(float)
    weights = np.zeros(EVIDENCE + 1)
    for _ in range(_STEPS):
        guess = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        curvature = (rows * (guess * (1 - guess))[:, None]).T @ rows + _RIDGE * len(rows) * np.eye(EVIDENCE + 1)
        weights -= np.linalg.solve(curvature, rows.T @ (guess - right) + _RIDGE * len(rows) * weights)
    trigger = Trigger(tuple(map(float, weights)), 0.5)
    asked = zip(found[: len(heard.truth)], heard.votes, strict=True)
    probable = [trigger.probability(row, float(votes.sum())) for row, votes in asked]
    return replace(trigger, threshold=float(np.quantile(probable, 1 - rate)))


def response_set(replies: Replies, labels: Labels, seeds: Sequence[tuple[str, int]]) -> tuple[Reply, ...]:
    """Return what can be suggested: the seeds, and what people say often whose intent is sure."""
    given = {canonical(text): (text, intent) for text, intent in seeds}
    by_intent: dict[int, list[tuple[str, int]]] = {}
    for key, (text, intent) in given.items():
        by_intent.setdefault(intent, []).append((text, int(replies.counts[replies.number[key]])))
    for place in np.argsort(-replies.counts, kind="stable").tolist():
        intent, count = int(labels.best[place]), int(replies.counts[place])
        text = _written(replies.texts[place])
        wanted = labels.shares[place, 0] >= _SHOWN and count >= _OFTEN and len(text) <= _LONGEST
        if wanted and replies.keys[place] not in given and len(by_intent[intent]) < _PER_INTENT:
            by_intent[intent].append((text, count))
    found = []
    for intent, members in sorted(by_intent.items()):
        total = sum(count + 2 for _, count in members)
        found += [Reply(text, intent, (count + 2) / total) for text, count in members]
    return tuple(found)


def fallback_of(replies: Sequence[Reply], intents: Labels) -> tuple[int, ...]:
    """Return the commonest reply of each of the commonest intents."""
    counts = np.bincount(intents.best[intents.best >= 0], minlength=intents.classes)
    found = []
    for intent in np.argsort(-counts, kind="stable")[:_FALLBACK]:
        own = [place for place, reply in enumerate(replies) if reply.intent == intent]
        found.append(max(own, key=lambda place: replies[place].share))
    return tuple(found)


def _written(text: str) -> str:
    """Return a reply as it is shown: a capital first, no full stop."""
    text = " ".join(text.split()).removesuffix(".")
    text = " ".join("I" + word[1:] if word in ("i", "i'm", "i'll", "i've", "i'd") else word for word in text.split(" "))
    return text[:1].upper() + text[1:]
