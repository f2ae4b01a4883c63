"""How good a bundle is on conversations that it has not seen."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.reply.conversation import Conversation, Message
from handheld.reply.metrics import RankingMetrics
from handheld.reply.ranker import CONTEXT
from handheld.reply.replier import Replier

# Suggestions, as a watch shows them and as the figures of others are given (Kannan et al., arXiv
# 1606.04870).
_SHOWN = 3
# Points of the trigger's curve: each twentieth of the messages.
_LEVELS = 21


class Exchange(NamedTuple):
    """What was said, and what was answered.

    Attributes:
        messages: the last of a conversation; those of the person who answered are ``mine``.
        answer: what was answered.
        conversation: its number.
        speaker: who answered.
    """

    messages: tuple[Message, ...]
    answer: str
    conversation: int
    speaker: str


@dataclass(frozen=True)
class ReplyEvaluation:
    """Figures of a bundle.

    Attributes:
        ranking: of the true answer among candidates from other conversations.
        candidates: how many there were.
        exchanges: that were evaluated.
        trigger_rate: share of them for which something was suggested, in [0, 1].
        hit_rate: share of what was suggested in which the true intent is among the three.
        diversity: share of what was suggested with three different intents.
        curve: (share triggered, share right) at falling thresholds.
        known_exchanges: exchanges, drawn for themselves, whose answer has an intent of the bundle.
        recall_at_3: share of these whose intent is among the three likeliest, whether they would be
            shown or not.
        offered_recall_at_3: share of these whose intent is among what ``suggest(always=True)``
            returns: what the detector keeps silent on is lost.
        baseline_recall_at_3: ``recall_at_3`` of the three commonest intents, suggested always.
    """

    ranking: RankingMetrics
    candidates: int
    exchanges: int
    trigger_rate: float
    hit_rate: float
    diversity: float
    curve: tuple[tuple[float, float], ...]
    known_exchanges: int
    recall_at_3: float
    offered_recall_at_3: float
    baseline_recall_at_3: float


def exchanges_of(conversations: Sequence[Conversation]) -> Iterator[Exchange]:
    """Yield each answer with what came before it."""
    for number, conversation in enumerate(conversations):
        turns = conversation.turns
        for position in range(1, len(turns)):
            speaker, answer = turns[position]
            before = turns[max(0, position - CONTEXT) : position]
            messages = tuple(Message(text, said == speaker) for said, text in before)
            yield Exchange(messages, answer, number, speaker)


def evaluate(  # noqa: PLR0913  # options by keyword, each by itself
    replier: Replier,
    conversations: Sequence[Conversation],
    *,
    candidates: int = 100,
    max_exchanges: int = 2000,
    seed: int = 0,
    baseline_from: Sequence[Conversation] | None = None,
    report: Callable[[int, int], None] = lambda done, count: None,
) -> ReplyEvaluation:
    """Evaluate a bundle.

    Args:
        replier: to evaluate.
        conversations: that were not learned from.
        candidates: answers to choose from, one of them true, the others of other conversations.
        max_exchanges: exchanges at most, drawn at random.
        seed: of the draw.
        baseline_from: conversations whose three commonest intents are the baseline; those that are
            evaluated if left out, which flatters the baseline.
        report: called with how many exchanges are done, and how many there are at most.

    Raises:
        InputError: no answers, or too few conversations for so many candidates.
    """
    # ranking and suggesting are measured on the same exchanges; recall on others, as most answers
    # in conversations have no intent
    drawn = draw_exchanges(conversations, candidates=candidates, count=max_exchanges, seed=seed)
    ranks: list[int] = []
    outcomes: list[_Outcome] = []
    for done, (exchange, wrong) in enumerate(drawn, 1):
        scores = replier.rank(exchange.messages, [exchange.answer, *wrong])
        ranks.append(rank_of(scores))
        outcomes.append(_outcome(replier, exchange))
        report(done, max_exchanges)
    if not outcomes:
        raise InputError("expected conversations with one answer or more, got none")
    common = commonest_intents(replier, conversations if baseline_from is None else baseline_from)
    known = _with_known_intent(replier, conversations, max_exchanges, seed)
    recall = _IntentRecall.of(replier, known, common)
    shown = [outcome for outcome in outcomes if outcome.intents]
    return ReplyEvaluation(
        ranking=RankingMetrics.of(ranks),
        candidates=candidates,
        exchanges=len(outcomes),
        trigger_rate=len(shown) / len(outcomes),
        hit_rate=_share([outcome.right for outcome in shown]),
        diversity=_share([outcome.intents >= _SHOWN for outcome in shown]),
        curve=_curve(outcomes),
        known_exchanges=len(known),
        recall_at_3=recall.likeliest,
        offered_recall_at_3=recall.offered,
        baseline_recall_at_3=recall.common,
    )


def commonest_intents(
    replier: Replier, conversations: Sequence[Conversation], n: int = _SHOWN
) -> list[int]:
    """Return the intents that answer most often in some conversations."""
    exchanges = exchanges_of(conversations)
    answers = Counter(replier.intent_of(exchange.answer) for exchange in exchanges)
    # -1 stands for no known intent
    del answers[-1]
    return [intent for intent, _ in answers.most_common(n)]


def draw_exchanges(
    conversations: Sequence[Conversation], *, candidates: int, count: int, seed: int
) -> Iterator[tuple[Exchange, list[str]]]:
    """Yield exchanges drawn at random, each with answers given in other conversations.

    Args:
        conversations: to draw from.
        candidates: answers to choose from, the true one included.
        count: exchanges at most.
        seed: of both draws.

    Raises:
        InputError: too few conversations for so many candidates.
    """
    everything = list(exchanges_of(conversations))
    # one generator for both, so that a seed gives the same wrong answers too
    rng = np.random.default_rng(seed)
    for number in rng.permutation(len(everything))[:count].tolist():
        exchange = everything[number]
        yield exchange, _wrong_answers(everything, exchange, candidates - 1, rng)


def rank_of(scores: Sequence[float] | NDArray[np.float32]) -> int:
    """Return the rank of the first of some scores, 1 being the highest; equals come before it."""
    return 1 + int(sum(other >= scores[0] for other in scores[1:]))


class _Outcome(NamedTuple):
    """What was suggested for an exchange.

    Attributes:
        right: whether the true intent is among the three likeliest.
        confidence: of the trigger.
        intents: how many different ones were shown; 0 where nothing was.
    """

    right: bool
    confidence: float
    intents: int


class _IntentRecall(NamedTuple):
    """Shares of answers whose intent is among the likeliest, those offered, and the commonest."""

    likeliest: float
    offered: float
    common: float

    @classmethod
    def of(
        cls, replier: Replier, exchanges: Sequence[Exchange], common: Sequence[int]
    ) -> "_IntentRecall":
        """Return the shares of exchanges whose answers have an intent."""
        likeliest: list[bool] = []
        offered: list[bool] = []
        usual: list[bool] = []
        for exchange in exchanges:
            intent = replier.intent_of(exchange.answer)
            likeliest.append(intent in _likeliest(replier, exchange))
            offered.append(intent in _offered(replier, exchange))
            usual.append(intent in common)
        return cls(_share(likeliest), _share(offered), _share(usual))


def _outcome(replier: Replier, exchange: Exchange) -> _Outcome:
    suggestions = replier.suggest(exchange.messages, n=_SHOWN)
    right = replier.intent_of(exchange.answer) in _likeliest(replier, exchange)
    intents = {reply.intent for reply in suggestions.replies}
    return _Outcome(right, suggestions.confidence, len(intents))


def _likeliest(replier: Replier, exchange: Exchange) -> list[int]:
    # the last is that of no intent
    shares = replier.intents_of(exchange.messages)[:-1]
    intents: list[int] = np.argsort(-shares)[:_SHOWN].tolist()
    return intents


def _offered(replier: Replier, exchange: Exchange) -> set[int]:
    replies = replier.suggest(exchange.messages, n=_SHOWN, always=True).replies
    return {replier.intent_of(reply.text) for reply in replies}


def _with_known_intent(
    replier: Replier, conversations: Sequence[Conversation], count: int, seed: int
) -> list[Exchange]:
    """Return exchanges whose answers have an intent, drawn at random."""
    exchanges = exchanges_of(conversations)
    known = [exchange for exchange in exchanges if replier.intent_of(exchange.answer) >= 0]
    numbers = np.random.default_rng(seed).permutation(len(known))[:count]
    return [known[number] for number in numbers]


def _wrong_answers(
    everything: Sequence[Exchange], exchange: Exchange, count: int, rng: np.random.Generator
) -> list[str]:
    """Return answers given in other conversations."""
    answers: list[str] = []
    # most exchanges are of other conversations, so four times as many are enough where any are
    for number in rng.permutation(len(everything))[: 4 * count + 100].tolist():
        other = everything[number]
        if other.conversation != exchange.conversation and other.answer != exchange.answer:
            answers.append(other.answer)
            if len(answers) == count:
                return answers
    raise InputError(
        f"expected {count + 1} candidates from other conversations,"
        f" found {len(answers) + 1}: name fewer"
    )


def _curve(outcomes: Sequence[_Outcome]) -> tuple[tuple[float, float], ...]:
    """Return (share triggered, share right) at falling thresholds."""
    confidence = np.array([outcome.confidence for outcome in outcomes])
    right = np.array([outcome.right for outcome in outcomes])[np.argsort(-confidence)]
    counts = np.unique(np.linspace(1, len(right), _LEVELS).round().astype(int)).tolist()
    return tuple((count / len(right), float(right[:count].mean())) for count in counts)


def _share(values: Sequence[bool]) -> float:
    return sum(values) / max(1, len(values))
