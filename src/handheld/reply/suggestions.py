"""What is suggested for a message, and why."""

from dataclasses import dataclass

YOURS = "yours"
"""Intent of a reply that the user typed, and that is like none of ours."""
OWN_MESSAGE = "own message"
"""Reason for silence: the user wrote last."""
NOT_CONFIDENT = "not confident"
"""Reason for silence: no reply is likely enough to be right."""


@dataclass(frozen=True)
class Suggestion:
    """A reply, and why.

    Attributes:
        text: to send.
        intent: what it means.
        score: probability of the intent, in [0, 1], as the ranker, the network that reads messages
            and the user's own choices see it.
        words: of the last message that speak most for the intent.
    """

    text: str
    intent: str
    score: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suggestions:
    """What is suggested.

    Attributes:
        replies: of different intents, the likeliest first; none where there is a reason.
        confidence: calibrated probability that a person would send one of three, in [0, 1].
        reason: why nothing is suggested: ``sensitive: TOPIC``, ``not confident``, ``own message``,
            or what form the message has: ``nothing said``, ``emoji``, ``no words``, ``code``,
            ``link``, ``number``, ``automatic``, ``language``, ``run together``, ``long``; empty if
            something is.
        fallback: whether the replies are the fixed ones.
    """

    replies: tuple[Suggestion, ...]
    confidence: float
    reason: str = ""
    fallback: bool = False

    @classmethod
    def none(cls, reason: str) -> "Suggestions":
        """Return silence, for a reason that was seen before the trigger was asked."""
        return cls((), 0.0, reason)

    @property
    def texts(self) -> tuple[str, ...]:
        """The replies alone."""
        return tuple(reply.text for reply in self.replies)
