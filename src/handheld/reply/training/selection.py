"""What is chosen once the networks stand: how judges are mixed, when to speak, what can be said."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from handheld.propagation import Labels
from handheld.reply.bundle import MixingWeights, Reply
from handheld.reply.conversation import canonical
from handheld.reply.ranker import Ranker
from handheld.reply.training.intents import ShortReplies
from handheld.reply.training.pairs import VALID, Integers, ReplyPairs
from handheld.reply.trigger import EVIDENCE, ReplyTrigger
from handheld.reply.understanding import mixed

SURE = 0.18
"""Share of an intent from which on a reply that conversations bring belongs to it."""
# Share from which on it can be suggested: what is shown has to be surer than what is learned from.
_SHOWN = 0.25
# Conversations in which it must have been said for that.
_OFTEN = 8
# Replies of an intent: a choice of wordings, each of which is scored for each message.
_PER_INTENT = 8
# Characters of a reply: a button of a watch holds no more.
_LONGEST = 36
# Times that a seed or reply is taken to have been said beside what was counted, so that a seed
# which nobody said has a share above 0.
_UNHEARD = 2
# Fixed replies, more than anybody asks for at once.
_FALLBACK = 16
# What is tried: weights of the network that reads messages, and factors of how much shared words
# count, times what the ranker learned.
_WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8)
_FACTORS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
_FOLDS = 10
# Of probabilities; the threshold is one of the borders, and the last is above 1, which counts too.
_RANGES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.01)
# Messages of each file, and answers to choose from, by which shared words are weighed.
_RANKED = 400
_CANDIDATES = 100
# Of Newton's method: steps, of which a dozen are enough for seven weights, and a ridge that keeps
# the weights finite where evidence separates right from wrong.
_STEPS = 30
_RIDGE = 1e-3
# Logits are cut here: exp() of more says nothing more.
_MOST_LOGIT = 30

Floats = NDArray[np.float32]


def weighed(ranker: Ranker, pairs: ReplyPairs, seed: int) -> Ranker:
    """Choose how much shared words count beside the network.

    By how often the true answer is the first of a hundred in the validation split, each file
    counting alike: the network learns to know its own conversations better than those of others,
    and so to trust itself too much.

    Args:
        ranker: that has learned.
        pairs: of which those for validation are ranked.
        seed: of the messages and wrong answers that are drawn.
    """
    rng = np.random.default_rng(seed)
    factors = [np.array([1, factor, factor], np.float32) for factor in _FACTORS]
    choices = [replace(ranker, mix=ranker.mix * factor) for factor in factors]
    sources = np.unique(pairs.sources).tolist()
    # from one on, so that a file in which nothing is right has a logarithm too
    hits = np.ones((len(sources), len(choices)))
    for row, source in zip(hits, sources, strict=True):
        numbers = pairs.where(VALID, source)
        for number in rng.permutation(numbers)[:_RANKED].tolist():
            row += _is_first(choices, pairs, number, rng.permutation(numbers))
    # the sum of logarithms: a tenth more of one file is worth as much as a tenth more of another
    return choices[int(np.log(hits).sum(axis=0).argmax())]


def _is_first(
    choices: Sequence[Ranker], pairs: ReplyPairs, number: int, others: Integers
) -> list[bool]:
    """Return for each ranker whether a pair's answer comes before answers to others."""
    # twice as many as are needed: some are of the same conversation, or say the same
    others = others[: 2 * _CANDIDATES]
    elsewhere = pairs.conversations[others] != pairs.conversations[number]
    different = pairs.replies[others] != pairs.replies[number]
    wrong = pairs.replies[others[elsewhere & different][: _CANDIDATES - 1]]
    texts = pairs.said(pairs.context[number])
    answers = pairs.said(np.append(pairs.replies[number], wrong))
    # the same for all choices, which differ in what a context says of shared words
    candidates = choices[0].encode_replies(answers)
    hits: list[bool] = []
    for choice in choices:
        scores = choice.scores(choice.encode_context(texts), candidates)
        hits.append(bool(scores.argmax() == 0))
    return hits


def mixing_of(
    judged: Sequence[tuple[Floats, Floats]], truth: Sequence[frozenset[int]]
) -> MixingWeights:
    """Choose how much the network that reads messages counts beside the ranker.

    Args:
        judged: what both say of each message: (intents + 1,) probabilities.
        truth: the intents that answer it.
    """

    def hits(weight: float) -> int:
        best = [_best(mixed(ranker, network, weight)) for ranker, network in judged]
        return sum(not good.isdisjoint(three) for three, good in zip(best, truth, strict=True))

    # of weights that are as good the smallest
    return replace(MixingWeights(), network=max(_WEIGHTS, key=hits))


def trigger_of(
    seen: Sequence[NDArray[np.float64]],
    right: Sequence[bool],
    threshold: float,
    caution: float = 0.0,
) -> ReplyTrigger:
    """Fit the probability that a person would send one of the three, by Newton's method.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999).

    Args:
        seen: evidence of each message, see ``trigger.evidence``.
        right: whether one of the three would have been sent.
        threshold, caution: of the trigger.
    """
    rows = np.array([np.append(row, 1) for row in seen]).reshape(-1, EVIDENCE + 1)
    # Platt's targets, a little off 0 and 1, keep few examples from making the trigger too sure
    good = sum(right)
    high = (good + 1) / (good + 2)
    low = 1 / (len(right) - good + 2)
    targets = np.where(np.array(right, bool), high, low)
    weights = np.zeros(EVIDENCE + 1)
    for _ in range(_STEPS):
        weights -= _newton_step(rows, targets, weights)
    return ReplyTrigger(tuple(map(float, weights)), threshold, caution)


def _newton_step(
    rows: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how much weights are off, by the curvature of logistic regression.

    Args:
        rows: (messages, weights) what is seen of each.
        targets: (messages,) probabilities.
        weights: (weights,) so far.
    """
    ridge = _RIDGE * len(rows)
    logits = np.clip(rows @ weights, -_MOST_LOGIT, _MOST_LOGIT)
    guess = 1 / (1 + np.exp(-logits))
    variance = (guess * (1 - guess))[:, None]
    curvature = (rows * variance).T @ rows + ridge * np.eye(len(weights))
    gradient = rows.T @ (guess - targets) + ridge * weights
    return np.asarray(np.linalg.solve(curvature, gradient))


def reliability(
    seen: Sequence[NDArray[np.float64]], right: Sequence[bool], folds: int = _FOLDS
) -> list[tuple[float, float, int, float, float]]:
    """Return how often a trigger is right that was fitted to other messages, by how sure it was.

    Args:
        seen, right: see :func:`trigger_of`.
        folds: of the messages, each of which is judged by a trigger fitted to the others.

    Returns:
        For each range of probabilities: its ends, how many messages fall in it, their mean
        probability, and the share in which one of the three would have been sent.
    """
    probable = _probable(seen, right, folds)
    good = np.array(right)
    table = []
    for low, high in pairwise(_RANGES):
        among = (probable >= low) & (probable < high)
        count = int(among.sum())
        if count:
            mean = float(probable[among].mean())
            table.append((low, min(high, 1.0), count, mean, float(good[among].mean())))
    return table


def _probable(
    seen: Sequence[NDArray[np.float64]], right: Sequence[bool], folds: int
) -> NDArray[np.float64]:
    """Return (messages,) probabilities by triggers that were fitted to other messages."""
    probable = np.zeros(len(seen))
    numbers = range(len(seen))
    for fold in range(folds):
        others = [number for number in numbers if number % folds != fold]
        trigger = trigger_of(
            [seen[number] for number in others],
            [right[number] for number in others],
            threshold=0.5,  # a probability needs none
        )
        for number in numbers[fold::folds]:
            probable[number] = trigger.probability(seen[number])
    return probable


def _best(intents: Floats) -> list[int]:
    """Return the three likeliest intents, without that of none."""
    best: list[int] = np.argsort(-intents[:-1], kind="stable")[:3].tolist()
    return best


def response_set(
    replies: ShortReplies, labels: Labels, seeds: Sequence[tuple[str, int]]
) -> tuple[Reply, ...]:
    """Return what can be suggested: the seeds, and what people say often whose intent is sure.

    Args:
        replies: that people gave, seeds among them.
        labels: intents of the replies.
        seeds: texts of hand-written replies and their intents.
    """
    seed_of = {canonical(text): (text, intent) for text, intent in seeds}
    members: dict[int, list[tuple[str, int]]] = {}
    for key, (text, intent) in seed_of.items():
        count = int(replies.counts[replies.number[key]])
        members.setdefault(intent, []).append((text, count))
    for number in _shown_often(replies, labels):
        intent = int(labels.best[number])
        if replies.keys[number] not in seed_of and len(members[intent]) < _PER_INTENT:
            members[intent].append((_written(replies.texts[number]), int(replies.counts[number])))
    replies_of = [_with_shares(intent, texts) for intent, texts in sorted(members.items())]
    return tuple(chain.from_iterable(replies_of))


def _with_shares(intent: int, texts: Sequence[tuple[str, int]]) -> list[Reply]:
    """Return the replies of an intent, given how often each was said."""
    total = sum(count + _UNHEARD for _, count in texts)
    return [Reply(text, intent, (count + _UNHEARD) / total) for text, count in texts]


def _shown_often(replies: ShortReplies, labels: Labels) -> list[int]:
    """Return the numbers of replies that may be shown, the commonest first."""
    numbers: list[int] = np.argsort(-replies.counts, kind="stable").tolist()
    return [
        number
        for number in numbers
        if labels.shares[number, 0] >= _SHOWN
        and replies.counts[number] >= _OFTEN
        and len(_written(replies.texts[number])) <= _LONGEST
    ]


def fallback_of(replies: Sequence[Reply], intents: Labels) -> tuple[int, ...]:
    """Return the commonest reply of each of the commonest intents.

    Args:
        replies: that can be suggested.
        intents: of answers in conversations.
    """
    counts = np.bincount(intents.best[intents.best >= 0], minlength=intents.classes)
    numbers = range(len(replies))
    chosen = []
    for intent in np.argsort(-counts, kind="stable")[:_FALLBACK]:
        wordings = [number for number in numbers if replies[number].intent == intent]
        chosen.append(max(wordings, key=lambda number: replies[number].share))
    return tuple(chosen)


def _written(text: str) -> str:
    """Return a reply as it is shown: a capital first, no full stop."""
    words = " ".join(text.split()).removesuffix(".").split(" ")
    text = " ".join(map(_with_capital_i, words))
    return text[:1].upper() + text[1:]


def _with_capital_i(word: str) -> str:
    return "I" + word[1:] if word in ("i", "i'm", "i'll", "i've", "i'd") else word
