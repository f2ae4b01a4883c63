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

_FIRST = 3  # suggestions
_LEVELS = 21  # of the trigger's curve


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
        exchanges: that were judged.
        triggered: share of them for which something was suggested, 0 to 1.
        shown: share of what was suggested in which the true intent is among the three.
        diverse: share of what was suggested with three different intents.
        curve: (share triggered, share right) at falling thresholds.
        known: exchanges, drawn for themselves, whose answer has an intent of the bundle.
        recall: share of these whose intent is among the three likeliest, whether they would be
            shown or not.
        offered: share of these whose intent is among what ``suggest(always=True)`` returns:
            what the detector keeps silent on
            is lost.
        usual: the same as ``recall`` for the three commonest intents, suggested always.
    """

    ranking: RankingMetrics
    candidates: int
    exchanges: int
    triggered: float
    shown: float
    diverse: float
    curve: tuple[tuple[float, float], ...]
    known: int
    recall: float
    offered: float
    usual: float


def exchanges_of(conversations: Sequence[Conversation]) -> Iterator[Exchange]:
    """Yield each answer with what came before it."""
    for number, conversation in enumerate(conversations):
        turns = conversation.turns
        for place in range(1, len(turns)):
            speaker, answer = turns[place]
            before = turns[max(0, place - CONTEXT) : place]
            yield Exchange(
                tuple(Message(text, said == speaker) for said, text in before),
                answer,
                number,
                speaker,
            )


def judge(
    replier: Replier,
    conversations: Sequence[Conversation],
    *,
    candidates: int = 100,
    most: int = 2000,
    seed: int = 0,
    usual_from: Sequence[Conversation] | None = None,
    report: Callable[[int, int], None] = lambda done, count: None,
) -> ReplyEvaluation:
    """Judge a bundle.

    Args:
        replier: to judge.
        conversations: that were not learned from.
        candidates: answers to choose from, one of them true, the others of other conversations.
        most: exchanges that are judged, drawn at random.
        seed: of the draw.
        usual_from: conversations whose three commonest intents are the baseline; those that are
            judged if left out, which
            flatters the baseline.
        report: called with how many are done.

    Raises:
        InputError: too few conversations for so many candidates.
    """
    usual = commonest_intents(replier, conversations if usual_from is None else usual_from)
    places: list[int] = []
    seen: list[_Seen] = []
    for done, (exchange, wrong) in enumerate(
        drawn(conversations, candidates=candidates, most=most, seed=seed), 1
    ):
        scores = replier.rank(exchange.messages, [exchange.answer, *wrong])
        places.append(place_of(scores))
        seen.append(_suggested(replier, exchange))
        report(done, most)
    return _figures(
        replier,
        RankingMetrics.of(places),
        candidates,
        seen,
        _known(replier, conversations, most, seed),
        usual,
    )


def commonest_intents(
    replier: Replier, conversations: Sequence[Conversation], n: int = _FIRST
) -> list[int]:
    """Return the intents that answer most often in some conversations."""
    answers = Counter(
        replier.intent_of(exchange.answer) for exchange in exchanges_of(conversations)
    )
    del answers[-1]
    return [intent for intent, _ in answers.most_common(n)]


def drawn(
    conversations: Sequence[Conversation], *, candidates: int, most: int, seed: int
) -> Iterator[tuple[Exchange, list[str]]]:
    """Yield exchanges drawn at random, each with answers given in other conversations; see
    :func:`judge`.
    """
    everything = list(exchanges_of(conversations))
    rng = np.random.default_rng(seed)
    for number in rng.permutation(len(everything))[:most].tolist():
        yield everything[number], _others(everything, everything[number], candidates - 1, rng)


def place_of(scores: Sequence[float] | NDArray[np.float32]) -> int:
    """Return where the first of some scores stands among all, 1 being the highest; equals stand
    before it.
    """
    return 1 + int(sum(other >= scores[0] for other in scores[1:]))


class _Seen(NamedTuple):
    """What was suggested for an exchange."""

    right: bool
    confidence: float
    shown: bool
    intents: int


def _suggested(replier: Replier, exchange: Exchange) -> _Seen:
    found = replier.suggest(exchange.messages, n=_FIRST)
    right = replier.intent_of(exchange.answer) in _best(replier, exchange)
    return _Seen(
        right, found.confidence, bool(found.replies), len({reply.intent for reply in found.replies})
    )


def _best(replier: Replier, exchange: Exchange) -> list[int]:
    return [
        int(intent) for intent in np.argsort(-replier.intents_of(exchange.messages)[:-1])[:_FIRST]
    ]


def _known(
    replier: Replier, conversations: Sequence[Conversation], most: int, seed: int
) -> list[Exchange]:
    """Return exchanges whose answers have an intent."""
    found = [
        exchange
        for exchange in exchanges_of(conversations)
        if replier.intent_of(exchange.answer) >= 0
    ]
    return [found[number] for number in np.random.default_rng(seed).permutation(len(found))[:most]]


def _others(
    everything: Sequence[Exchange], exchange: Exchange, count: int, rng: np.random.Generator
) -> list[str]:
    """Return answers given in other conversations."""
    found: list[str] = []
    for number in rng.permutation(len(everything))[: 4 * count + 100].tolist():
        other = everything[number]
        if other.conversation != exchange.conversation and other.answer != exchange.answer:
            found.append(other.answer)
            if len(found) == count:
                return found
    raise InputError(
        f"expected {count + 1} candidates from other conversations, found {len(found) + 1}: name fewer"
    )


def _figures(
    replier: Replier,
    ranking: RankingMetrics,
    candidates: int,
    seen: Sequence[_Seen],
    known: Sequence[Exchange],
    usual: Sequence[int],
) -> ReplyEvaluation:
    right, confidence, shown, intents = (np.array(column) for column in zip(*seen, strict=True))
    order = np.argsort(-confidence)
    counts = np.unique(np.linspace(1, len(seen), _LEVELS).round().astype(int))
    curve = [(count / len(seen), float(right[order[:count]].mean())) for count in counts.tolist()]
    truth = [replier.intent_of(exchange.answer) for exchange in known]
    likeliest = [
        intent in _best(replier, exchange) for intent, exchange in zip(truth, known, strict=True)
    ]
    offered = [
        intent in _offered(replier, exchange) for intent, exchange in zip(truth, known, strict=True)
    ]
    common = [intent in usual for intent in truth]
    count = max(1, len(known))
    return ReplyEvaluation(
        ranking=ranking,
        candidates=candidates,
        exchanges=len(seen),
        triggered=float(shown.mean()),
        shown=_mean(right, shown),
        diverse=_mean(intents >= _FIRST, shown),
        curve=tuple(curve),
        known=len(known),
        recall=sum(likeliest) / count,
        offered=sum(offered) / count,
        usual=sum(common) / count,
    )


def _offered(replier: Replier, exchange: Exchange) -> set[int]:
    replies = replier.suggest(exchange.messages, n=_FIRST, always=True).replies
    return {replier.intent_of(reply.text) for reply in replies}


def _mean(values: NDArray[np.bool_], where: NDArray[np.bool_]) -> float:
    return float(values[where].mean()) if where.any() else 0.0
