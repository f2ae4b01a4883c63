"""What is chosen once the networks stand: how judges are mixed, when to speak, what can be said."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handheld.propagation import Labels
from handheld.reply.bundle import MixingWeights, Reply
from handheld.reply.conversation import canonical
from handheld.reply.ranker import Ranker
from handheld.reply.training.intents import ShortReplies
from handheld.reply.training.pairs import NOTHING, VALID, ReplyPairs
from handheld.reply.trigger import EVIDENCE, ReplyTrigger
from handheld.reply.understanding import mixed

SURE = 0.18  # share of an intent from which on a reply that conversations bring belongs to it
_SHOWN = 0.25  # share from which on it can be suggested
_OFTEN = 8  # conversations in which it must have been said for that
_PER_INTENT = 8  # replies of an intent
_LONGEST = 36  # characters of a reply
_FALLBACK = 16  # fixed replies
_WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8)  # of the network that reads messages
_SHARED = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)  # times what the network learned
_FOLDS = 10
_RANGES = (
    0.0,
    0.2,
    0.4,
    0.5,
    0.6,
    0.8,
    1.01,
)  # of probabilities; the threshold is one of the borders
_RANKED, _CANDIDATES = 400, 100  # messages of each file, and answers to choose from
_STEPS, _RIDGE = 30, 1e-3  # of Newton's method

Floats = NDArray[np.float32]


def weighed(ranker: Ranker, pairs: ReplyPairs, seed: int) -> Ranker:
    """Choose how much shared words count beside the network.

    By how often the true answer is the first of a hundred in the validation split, each file
        counting alike: the network learns
    to know its own conversations better than those of others, and so to trust itself too much.
    """
    rng = np.random.default_rng(seed)
    choices = [
        replace(ranker, mix=ranker.mix * np.array([1, factor, factor], np.float32))
        for factor in _SHARED
    ]
    first = np.ones((len(np.unique(pairs.sources)), len(choices)))
    for row, source in zip(first, np.unique(pairs.sources), strict=True):
        own = pairs.where(VALID, int(source))
        for number in rng.permutation(own)[:_RANKED]:
            wrong = rng.permutation(own)[: 2 * _CANDIDATES]
            elsewhere = (pairs.conversations[wrong] != pairs.conversations[number]) & (
                pairs.replies[wrong] != pairs.replies[number]
            )
            answers = [pairs.replies[number], *pairs.replies[wrong[elsewhere][: _CANDIDATES - 1]]]
            asked = ranker.encode_context(
                [pairs.texts[text] for text in pairs.context[number] if text != NOTHING]
            )
            candidates = ranker.encode_replies([pairs.texts[text] for text in answers])
            row += [bool(choice.scores(asked, candidates).argmax() == 0) for choice in choices]
    return choices[int(np.log(first).sum(axis=0).argmax())]


def mixing_of(
    judged: Sequence[tuple[Floats, Floats]], truth: Sequence[frozenset[int]]
) -> MixingWeights:
    """Choose how much the network that reads messages counts beside the ranker.

    Args:
        judged: what both say of each message: (intents + 1,) probabilities.
        truth: the intents that answer it.
    """

    def right(weight: float) -> int:
        best = [_best(mixed(ranker, network, weight)) for ranker, network in judged]
        return sum(not wanted.isdisjoint(three) for three, wanted in zip(best, truth, strict=True))

    return replace(MixingWeights(), network=max(_WEIGHTS, key=right))


def trigger_of(
    seen: Sequence[NDArray[np.float64]], right: Sequence[bool], threshold: float
) -> ReplyTrigger:
    """Fit the probability that a person would send one of the three (Platt, 1999), by Newton's
    method.

    Args:
        seen: evidence of each message, see ``trigger.evidence``.
        right: whether one of the three would have been sent.
        threshold: probability from which on replies are suggested.
    """
    rows = np.array([np.append(row, 1) for row in seen]).reshape(-1, EVIDENCE + 1)
    # Platt's targets, a little off 0 and 1, keep few examples from making the trigger too sure
    good = sum(right)
    high, low = (good + 1) / (good + 2), 1 / (len(right) - good + 2)
    wanted = np.where(np.array(right, bool), high, low)
    weights = np.zeros(EVIDENCE + 1)
    for _ in range(_STEPS):
        guess = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        curvature = (rows * (guess * (1 - guess))[:, None]).T @ rows + _RIDGE * len(rows) * np.eye(
            EVIDENCE + 1
        )
        weights -= np.linalg.solve(
            curvature, rows.T @ (guess - wanted) + _RIDGE * len(rows) * weights
        )
    return ReplyTrigger(tuple(map(float, weights)), threshold)


def reliability(
    seen: Sequence[NDArray[np.float64]], right: Sequence[bool], folds: int = _FOLDS
) -> list[tuple[float, float, int, float, float]]:
    """Return how often a trigger is right that was fitted to other messages, by how sure it was.

    Args:
        seen, right: see :func:`trigger_of`.
        folds: parts of the messages, each judged by a trigger fitted to the others.

    Returns:
        For each range of probabilities: its ends, how many messages fall in it, their mean
            probability, and the share in which
        one of the three would have been sent.
    """
    probable = np.zeros(len(seen))
    for fold in range(folds):
        others = [place for place in range(len(seen)) if place % folds != fold]
        trigger = trigger_of(
            [seen[place] for place in others], [right[place] for place in others], 0.5
        )
        for place in range(fold, len(seen), folds):
            probable[place] = trigger.probability(seen[place])
    table = []
    for low, high in pairwise(_RANGES):
        among = (probable >= low) & (probable < high)
        if among.any():
            shares = (float(probable[among].mean()), float(np.array(right)[among].mean()))
            table.append((low, min(high, 1.0), int(among.sum()), *shares))
    return table


def _best(intents: Floats) -> list[int]:
    best: list[int] = np.argsort(-intents[:-1], kind="stable")[:3].tolist()
    return best


def response_set(
    replies: ShortReplies, labels: Labels, seeds: Sequence[tuple[str, int]]
) -> tuple[Reply, ...]:
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
    text = " ".join(
        "I" + word[1:] if word in ("i", "i'm", "i'll", "i've", "i'd") else word
        for word in text.split(" ")
    )
    return text[:1].upper() + text[1:]
