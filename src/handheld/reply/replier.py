"""Replies to a conversation, on the device."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.words import words_of
from handheld.reply.bundle import Bundle
from handheld.reply.conversation import Message, beginnings, canonical, context_of, own_texts
from handheld.reply.personal import Personal
from handheld.reply.ranker import CONTEXT, Asked, Candidates, softmax

YOURS = "yours"
"""Intent of a reply that the user typed, and that is like none of ours."""

_SMALL = np.float32(1e-4)
_WHY = 3  # words that speak for a suggestion


@dataclass(frozen=True)
class Suggestion:
    """A reply, and why.

    Attributes:
        text: to send.
        intent: what it means.
        score: probability of the intent, 0 to 1, as the ranker, the table of signatures and the user's own choices see it.
        words: of the last message that speak most for the intent.
        signatures: share of the message's signatures that speak for the intent, 0 to 1.
    """

    text: str
    intent: str
    score: float
    words: tuple[str, ...] = ()
    signatures: float = 0.0


@dataclass(frozen=True)
class Suggestions:
    """What is suggested.

    Attributes:
        replies: of different intents, the likeliest first; none where there is a reason.
        confidence: calibrated probability that one of three is what would be said, 0 to 1.
        reason: why nothing is suggested: ``sensitive: TOPIC``, ``not confident``, ``nothing said``; empty if something is.
        fallback: whether the replies are the fixed ones.
    """

    replies: tuple[Suggestion, ...]
    confidence: float
    reason: str = ""
    fallback: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The replies alone."""
        return tuple(reply.text for reply in self.replies)


class Replier:
    """Suggests replies with one bundle, and adapts to its user.

    Args:
        bundle: as ``handheld reply train`` writes it.
        personal: what was learned from the user.
    """

    def __init__(self, bundle: Bundle, personal: Personal | None = None):
        self.bundle, self.personal = bundle, personal or Personal()
        self._wordings: dict[int, _Wordings] = {}
        self._known = {canonical(reply.text): reply.intent for reply in bundle.replies}

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None, *, personal: str | os.PathLike[str] | None = None) -> Self:
        """Open a bundle.

        Args:
            path: of the bundle; the English one that is shipped if left out.
            personal: file of what was learned from the user; begun anew if there is none.

        Raises:
            ModelError: a bundle or a file that is damaged, or of another version.
        """
        if path is None:
            with resources.as_file(resources.files("handheld.reply") / "assets" / "english.replies") as shipped:
                bundle = Bundle.read(shipped)
        else:
            bundle = Bundle.read(path)
        return cls(bundle, Personal.read(personal) if personal is not None else None)

    def suggest(
        self, messages: str | Message | Sequence[str | Message], n: int = 3, *, fallback: bool = False, always: bool = False
    ) -> Suggestions:
        """Return replies to the last message.

        Args:
            messages: the last of a conversation, the newest last; plain texts are those of the other person.
            n: replies, 1 or more; no two of one intent.
            fallback: whether to return the fixed replies where the model is not confident.
            always: whether to return the model's own replies even then; never on sensitive topics.

        Raises:
            InputError: no messages, or ``n`` below 1.
        """
        if n < 1:
            raise InputError(f"expected 1 reply or more, got {n}")
        texts = context_of(messages, CONTEXT)
        if not texts[0].strip():
            return Suggestions((), 0.0, "nothing said")
        if topic := self.bundle.sensitive.topic(texts):
            return Suggestions((), 0.0, f"sensitive: {topic}")
        heard = self._heard(texts)
        confidence = self.bundle.trigger.probability(heard.intents, float(heard.votes.sum()))
        if confidence < self.bundle.trigger.threshold and not always:
            fixed = self._fixed(n) if fallback else ()
            return Suggestions(fixed, confidence, "not confident", fallback=bool(fixed))
        return Suggestions(self._chosen(heard, own_texts(messages), n), confidence)

    def intents_of(self, messages: str | Message | Sequence[str | Message]) -> NDArray[np.float32]:
        """Return (intents + 1,) probabilities of what answers a conversation; the last is that of no intent."""
        return self._heard(context_of(messages, CONTEXT)).intents

    def rank(self, messages: str | Message | Sequence[str | Message], candidates: Sequence[str]) -> NDArray[np.float32]:
        """Return (candidates,) how well each text answers a conversation; only their order means something.

        Raises:
            InputError: no messages, or no candidates.
        """
        if not candidates:
            raise InputError("expected one candidate or more")
        ranker = self.bundle.ranker
        found = ranker.scores(ranker.ask(context_of(messages, CONTEXT)), ranker.replies(candidates))
        return found + self.personal.preference(self.bundle.style, own_texts(messages), candidates)

    def learn(self, messages: str | Message | Sequence[str | Message], reply: str) -> None:
        """Adapt to what the user picked or typed as an answer; nothing leaves the device.

        Raises:
            InputError: no messages, or an empty reply.
        """
        if not reply.strip():
            raise InputError("expected a reply to learn from, got an empty one")
        signatures = self.bundle.signatures.signatures_of(context_of(messages, 1))[0]
        self.personal = self.personal.learned(signatures.tolist(), self.intent_of(reply), reply)

    def forget(self, reply: str | None = None) -> None:
        """Forget a reply that the user picked or typed; everything, if none is named."""
        self.personal = Personal() if reply is None else self.personal.without(reply)

    def intent_of(self, reply: str) -> int:
        """Return the intent of a reply that can be suggested, or that begins with one; -1 for others."""
        return next((self._known[key] for key in beginnings(reply) if key in self._known), -1)

    def _heard(self, texts: Sequence[str]) -> "_Heard":
        """Return what the judges say of a conversation."""
        asked, signatures = self.bundle.ranker.ask(texts), self.bundle.signatures.signatures_of(texts[:1])
        votes = self.bundle.signatures.votes_for(signatures)[0]
        intents = mixed(softmax(asked.intents)[None], votes[None], self.bundle.mixing.signatures)[0]
        if self.personal.choices:
            intents[:-1] *= np.exp(self.personal.boosts(signatures[0], self.bundle.signatures.signs.size, len(votes)))
            intents /= intents.sum()
        return _Heard(texts[0], asked, signatures[0], votes, intents)

    def _chosen(self, heard: "_Heard", own: Sequence[str], n: int) -> tuple[Suggestion, ...]:
        """Return the best reply of each of the likeliest intents."""
        found: list[Suggestion] = []
        said: list[frozenset[str]] = []
        if typed := self.personal.own_reply(heard.signatures, self.bundle.signatures.signs.size):
            found.append(Suggestion(typed, YOURS, 1.0))
        for intent in np.argsort(-heard.intents[:-1], kind="stable").tolist():
            if len(found) == n:
                break
            wordings = self._of_intent(intent)
            for number in np.argsort(-self._fits(heard, wordings, own), kind="stable").tolist():
                words = wordings.words[number]
                if any(words <= other or other <= words for other in said):
                    continue  # "Thanks" beside "Thanks, you too" is no choice
                said.append(words)
                share = float(heard.votes[intent] / max(heard.votes.sum(), _SMALL))
                why, score = self._words_for(heard, intent), float(heard.intents[intent])
                found.append(Suggestion(wordings.texts[number], self.bundle.intents[intent], score, why, share))
                break
        return tuple(found)

    def _fits(self, heard: "_Heard", wordings: "_Wordings", own: Sequence[str]) -> NDArray[np.float32]:
        """Return how well each wording of an intent fits."""
        mixing = self.bundle.mixing
        found = mixing.fit * self.bundle.ranker.scores(heard.asked, wordings.candidates) + mixing.share * wordings.shares
        return np.asarray(found + self.personal.preference(self.bundle.style, own, wordings.texts), np.float32)

    def _of_intent(self, intent: int) -> "_Wordings":
        """Return the replies of an intent; they are read when they are first needed."""
        if intent not in self._wordings:
            replies = [reply for reply in self.bundle.replies if reply.intent == intent]
            texts = tuple(reply.text for reply in replies)
            words = tuple(frozenset(canonical(text).split()) for text in texts)
            shares = np.log(np.array([reply.share for reply in replies], np.float32))
            self._wordings[intent] = _Wordings(texts, words, shares, self.bundle.ranker.replies(texts))
        return self._wordings[intent]

    def _words_for(self, heard: "_Heard", intent: int) -> tuple[str, ...]:
        """Return the words that raise an intent most."""
        words = words_of([heard.text])
        if not words.tokens:
            return ()
        raised = self.bundle.ranker.raised(heard.asked, words.hashes, intent)
        best = np.argsort(-raised, kind="stable")[:_WHY]
        return tuple(dict.fromkeys(words.tokens[place] for place in best if raised[place] > 0))

    def _fixed(self, n: int) -> tuple[Suggestion, ...]:
        found = [self.bundle.replies[number] for number in self.bundle.fallback[:n]]
        return tuple(Suggestion(reply.text, self.bundle.intents[reply.intent], 0.0) for reply in found)


def mixed(intents: NDArray[np.float32], votes: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Return (n, intents + 1) probabilities after the (n, intents) votes of signatures had their say on which intent it is.

    Args:
        intents: the ranker's; the last, of no intent, is not touched.
        votes: 0 or more; a message without any changes nothing.
        weight: of the votes, 0 to 1.
    """
    total, found = votes.sum(axis=1, keepdims=True), intents.copy()
    counted = np.where(total > 0, np.float32(weight), np.float32(0))
    theirs = votes * (found[:, :-1].sum(axis=1, keepdims=True) / np.maximum(total, _SMALL))
    found[:, :-1] += counted * (theirs - found[:, :-1])
    return found


class _Wordings(NamedTuple):
    """The replies of an intent."""

    texts: tuple[str, ...]
    words: tuple[frozenset[str], ...]
    shares: NDArray[np.float32]
    candidates: Candidates


class _Heard(NamedTuple):
    """What the judges say of a conversation."""

    text: str
    asked: Asked
    signatures: NDArray[np.uint64]
    votes: NDArray[np.float32]
    intents: NDArray[np.float32]
