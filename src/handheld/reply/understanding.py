"""What the judges of a bundle say of a conversation: intents, tone, and how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
        last, *near = [turn.text for turn in turns[:CONTEXT]]
        if near and len(last.split()) <= _SHORT:
            # a question and its answer say more than either: "is he dead?" "yes"
            near[0] = f"{near[0]}\n{last}"
        if near and detector.is_silent(detector.judge(*near)):
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
        """
        bundle = self.bundle
        words = words_of([turn.text for turn in turns])
        last_words = words.first()
        signatures = signatures_of(last_words)
        by_network = self.network_intents(logits)
        # how a turn of several messages ends says whether it asks
        question = turns[0].last.rstrip().endswith("?")
        best: HeardConversation | None = None
        for depth in range(len(turns), 0, -1):
            context = bundle.ranker.encode_context(_first_texts(words, depth))
            intents = mixed(softmax(context.intents), by_network, bundle.mixing.network)
            if personal.choices:
                intents = _boosted(intents, personal, signatures)
            fitting = _toned(intents, self._tones, tones)
            seen = evidence(fitting, int(words.offsets[1]), question=question)
            confidence = bundle.trigger.probability(seen)
            if best is None or confidence > best.confidence:
                best = HeardConversation(last_words, context, signatures, fitting, seen, confidence)
            if depth == len(turns) and confidence >= bundle.trigger.threshold:
                break
        assert best is not None  # there is one turn or more
        return best

    def network_intents(self, logits: SpanLogits) -> NDArray[np.float32]:
        """Return (intents + 1,) probabilities by the network that reads messages.

        They are those of the longest span that reaches the message's end: people answer the end.
        """
        return softmax(logits.answers[logits.last])

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


def _toned(
    intents: NDArray[np.float32], tones: NDArray[np.int64], fitting: ToneRange
) -> NDArray[np.float32]:
    """Return the probabilities, those of replies in a tone that does not fit given to no intent."""
    toned = intents.copy()
    toned[:-1][(tones < fitting.saddest) | (tones > fitting.most_cheerful)] = 0
    toned[-1] += 1 - toned.sum()
    return toned


def _first_texts(words: Words, count: int) -> Words:
    """Return the words of the first texts."""
    end = int(words.offsets[count])
    return Words(
        tokens=words.tokens[:end],
        hashes=words.hashes[:end],
        sentence=words.sentence[:end],
        offsets=words.offsets[: count + 1],
    )
