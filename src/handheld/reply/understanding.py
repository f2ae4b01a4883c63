"""What the judges of a bundle say of a conversation: intents, tone, and how sure they are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.projection.words import Words, words_of
from handheld.reply.bundle import ReplyBundle
from handheld.reply.clauses import spans_of
from handheld.reply.conversation import Turn
from handheld.reply.message_network import SpanLogits
from handheld.reply.personal import BITS, PersonalState, signatures_of
from handheld.reply.ranker import CONTEXT, EncodedContext, softmax
from handheld.reply.tones import CHEERFUL, KIND, ToneRange
from handheld.reply.trigger import evidence

REMEMBERED = 7
"""Turns, the last one included, in which something grave changes what fits."""
# Risk of what was said more than two turns ago from which on it does.
_BEYOND_DOUBT = 0.97
# Words of an answer that says little without its question.
_SHORT = 3
# Power of the ranker's probability of any intent: see mixed.
_EXPECTED = 4


@dataclass(frozen=True, eq=False)
class HeardConversation:
    """What the judges say of a conversation.

    Attributes:
        words: of the last turn.
        context: as the ranker reads it, to the depth at which the judges are surest.
        signatures: of the last turn, by which the user's choices are compared.
        intents: (intents + 1,) probabilities of what fits it; the last is that of no intent.
        evidence: what the trigger judges by.
        confidence: of the trigger, in [0, 1].
    """

    words: Words
    context: EncodedContext
    signatures: NDArray[np.uint64]
    intents: NDArray[np.float32]
    evidence: NDArray[np.float64]
    confidence: float


class _LastTurn(NamedTuple):
    """What is known of the last turn, to whatever depth a conversation is read.

    Attributes:
        words: of the turn.
        signatures: by which the user's choices are compared.
        question: whether it ends with a question mark.
        by_network: (intents + 1,) probabilities by the network that reads messages.
        fitting: (intents,) whether each may be said below it.
    """

    words: Words
    signatures: NDArray[np.uint64]
    question: bool
    by_network: NDArray[np.float32]
    fitting: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ConversationReader:
    """Reads conversations with the judges of one bundle."""

    bundle: ReplyBundle

    def logits(self, turn: Turn) -> SpanLogits:
        """Return what the network that reads messages says of a turn."""
        return self.bundle.detector.network.read(spans_of(turn.text))

    def earlier_tone(self, turns: Sequence[Turn]) -> int:
        """Return the most cheerful tone that fits what was said before the first of some turns.

        Something grave forbids jokes and thanks, and refusals: who needs help must not read "Sorry,
        I'm busy". What stands longer back must be grave beyond doubt: small talk touches on much.

        Args:
            turns: the latest first.
        """
        detector = self.bundle.detector
        last, *before = [turn.text for turn in turns[:CONTEXT]]
        if before and len(last.split()) <= _SHORT:
            # a question and its answer say more than either: "is he dead?" "yes"
            before[0] = f"{before[0]}\n{last}"
        if before and detector.is_silent(detector.judge(*before)):
            return KIND
        far = [turn.text for turn in turns[CONTEXT:]]
        if far and detector.judge(*far).risk >= _BEYOND_DOUBT:
            return KIND
        return CHEERFUL

    def hear(
        self,
        turns: Sequence[Turn],
        logits: SpanLogits,
        tones: ToneRange,
        personal: PersonalState,
        misfits: Collection[str] = (),
    ) -> HeardConversation:
        """Return what the judges say of a conversation.

        It is read to all its depth. Where that would not be enough to speak, to the depth at which
        the judges are surest: what came before must not switch off what the last message alone
        would answer.

        Args:
            turns: the latest first, ``CONTEXT`` or fewer.
            logits: of the last turn.
            tones: that fit it; intents in others count as none.
            personal: what the user answered to messages like this one.
            misfits: intents that are out of place below it; they count as none too.
        """
        words = words_of([turn.text for turn in turns])
        last = _LastTurn(
            words=words.first(),
            signatures=signatures_of(words.first()),
            # how a turn of several messages ends says whether it asks
            question=turns[0].last.rstrip().endswith("?"),
            by_network=self.network_intents(logits),
            fitting=self._fitting(tones, misfits),
        )
        best: HeardConversation | None = None
        for depth in range(len(turns), 0, -1):
            context = self.bundle.ranker.encode_context(_first_texts(words, depth))
            heard = self._heard(last, context, personal)
            if best is None or heard.confidence > best.confidence:
                best = heard
            if depth == len(turns) and heard.confidence >= self.bundle.trigger.threshold:
                break
        assert best is not None  # there is one turn or more
        return best

    def _heard(
        self,
        last: _LastTurn,
        context: EncodedContext,
        personal: PersonalState,
    ) -> HeardConversation:
        """Return what the judges say of a conversation that is read to one depth."""
        bundle = self.bundle
        intents = mixed(softmax(context.intents), last.by_network, bundle.mixing.network)
        if personal.choices:
            intents = _boosted(intents, personal, last.signatures)
        fitting = _only(intents, last.fitting)
        seen = evidence(fitting, len(last.words.tokens), question=last.question)
        return HeardConversation(
            words=last.words,
            context=context,
            signatures=last.signatures,
            intents=fitting,
            evidence=seen,
            confidence=bundle.trigger.probability(seen),
        )

    def network_intents(self, logits: SpanLogits) -> NDArray[np.float32]:
        """Return (intents + 1,) probabilities by the network that reads messages.

        They are those of the longest span that reaches the message's end: people answer the end.
        """
        return softmax(logits.answers[logits.last])

    def _fitting(self, tones: ToneRange, misfits: Collection[str]) -> NDArray[np.bool_]:
        """Return (intents,) whether each is in some tones, and not out of place."""
        fitting = (self._tones >= tones.saddest) & (self._tones <= tones.most_cheerful)
        for name in misfits:
            # Bundles of others have other intents.
            if name in self._numbers:
                fitting[self._numbers[name]] = False
        return fitting

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Number of each intent by its name."""
        return {name: number for number, name in enumerate(self.bundle.intents)}

    @cached_property
    def _tones(self) -> NDArray[np.int64]:
        """Tone of each intent."""
        return np.array(self.bundle.tones, np.int64)


def mixed(
    intents: NDArray[np.float32], others: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Return (intents + 1,) probabilities of two judges together.

    The network that reads messages learned from hand-written situations alone, so it counts as far
    as the ranker, which learned from small talk too, expects any known intent: fourth power, chosen
    on the validation split, where the plain mean cost 20 points of recall in small talk.

    Args:
        intents: the ranker's; the last is that of no intent.
        others: the network's that reads messages.
        weight: of the others where some intent is certain, in [0, 1].
    """
    expected = np.float32(1) - intents[-1]
    share = np.float32(weight) * expected**_EXPECTED
    return np.asarray(intents + share * (others - intents), np.float32)


def _boosted(
    intents: NDArray[np.float32], personal: PersonalState, signatures: NDArray[np.uint64]
) -> NDArray[np.float32]:
    """Return the probabilities with those raised that the user chose for messages like this one."""
    boosted = intents.copy()
    boosted[:-1] *= np.exp(personal.boosts(signatures, BITS, len(intents) - 1))
    boosted /= boosted.sum()
    return boosted


def _only(intents: NDArray[np.float32], fitting: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the probabilities, those of intents that do not fit given to none."""
    remaining = intents.copy()
    remaining[:-1][~fitting] = 0
    remaining[-1] += 1 - remaining.sum()
    return remaining


def _first_texts(words: Words, count: int) -> Words:
    """Return the words of the first texts."""
    end = int(words.offsets[count])
    return Words(
        tokens=words.tokens[:end],
        hashes=words.hashes[:end],
        sentence=words.sentence[:end],
        offsets=words.offsets[: count + 1],
    )
