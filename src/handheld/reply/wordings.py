"""The wordings of each intent, and which of them fits a message."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.projection.words import words_of
from handheld.reply.bundle import ReplyBundle
from handheld.reply.conversation import spoken
from handheld.reply.ranker import EncodedReplies
from handheld.reply.understanding import HeardConversation

# Words that a reply has only if the message has them: "Happy new year!" to an anniversary would
# embarrass.
_OCCASIONS = frozenset(("birthday", "year", "holidays", "flight"))


class Wording(NamedTuple):
    """One way to say what an intent means.

    Attributes:
        text: to send.
        words: that it says, without marks.
    """

    text: str
    words: frozenset[str]

    def repeats(self, other: "Wording") -> bool:
        """Return whether one says nothing that the other does not: "Thanks", "Thanks, you too"."""
        return self.words <= other.words or other.words <= self.words


class IntentWordings(NamedTuple):
    """The replies of an intent.

    Attributes:
        wordings: of the intent.
        log_shares: (wordings,) logarithm of how often each is said.
        encoded: as the ranker reads them.
    """

    wordings: list[Wording]
    log_shares: NDArray[np.float32]
    encoded: EncodedReplies

    @property
    def texts(self) -> list[str]:
        """Texts of the wordings."""
        return [wording.text for wording in self.wordings]

    def best(
        self, fits: NDArray[np.float32], heard: HeardConversation, said: Sequence[Wording]
    ) -> Wording | None:
        """Return the wording that fits best; None if all say what is said already.

        Args:
            fits: (wordings,) how well each fits.
            heard: the conversation.
            said: wordings of other intents that are suggested.
        """
        missing = _OCCASIONS.difference(heard.words.tokens)
        order: list[int] = np.argsort(-fits, kind="stable").tolist()
        for number in order:
            wording = self.wordings[number]
            if not wording.words & missing and not any(map(wording.repeats, said)):
                return wording
        return None


def wordings_of(bundle: ReplyBundle) -> list[IntentWordings]:
    """Return the wordings of each intent; all are read at once, which costs little."""
    replies = sorted(bundle.replies, key=lambda reply: reply.intent)
    words = words_of([reply.text for reply in replies])
    borders = pairwise(words.offsets.tolist())
    wordings = [
        Wording(reply.text, frozenset(spoken(words.tokens[begin:end])))
        for reply, (begin, end) in zip(replies, borders, strict=True)
    ]
    log_shares = np.log(np.array([reply.share for reply in replies], np.float32))
    encoded = bundle.ranker.encode_replies(words)
    # replies are sorted by intent, so those of one are a slice
    intents = [reply.intent for reply in replies]
    starts = np.searchsorted(intents, np.arange(len(bundle.intents) + 1)).tolist()
    slices = [slice(begin, end) for begin, end in pairwise(starts)]
    return [IntentWordings(wordings[of], log_shares[of], encoded.of(of)) for of in slices]
