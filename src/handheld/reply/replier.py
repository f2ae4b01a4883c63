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
from handheld.reply.ranker import CONTEXT, Asked, softmax

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
        self._texts = [reply.text for reply in bundle.replies]
        self._candidates = bundle.ranker.replies(self._texts)
        self._shares = np.log(np.array([reply.share for reply in bundle.replies], np.float32))
        intents = np.array([reply.intent for reply in bundle.replies])
        self._of_intent = [np.flatnonzero(intents == intent) for intent in range(len(bundle.intents))]
        self._words = [set(canonical(text).split()) for text in self._texts]
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
        logits = mixed(asked.intents[None], votes[None], self.bundle.mixing.signatures)[0]
        logits[:-1] += self.personal.boosts(signatures[0], len(votes))
        return _Heard(texts[0], asked, signatures[0], votes, softmax(logits))

    def _chosen(self, heard: "_Heard", own: Sequence[str], n: int) -> tuple[Suggestion, ...]:
        """Return the best reply of each of the likeliest intents."""
        bundle, mixing = self.bundle, self.bundle.mixing
        fits = mixing.fit * bundle.ranker.scores(heard.asked, self._candidates) + mixing.share * self._shares
        fits += self.personal.preference(bundle.style, own, self._texts)
        found: list[Suggestion] = []
        said: list[set[str]] = []
        if typed := self.personal.own_reply(heard.signatures):
            found.append(Suggestion(typed, YOURS, 1.0))
        for intent in np.argsort(-heard.intents[:-1], kind="stable"):
            if len(found) == n:
                break
            own_kind = self._of_intent[intent]
            for number in own_kind[np.argsort(-fits[own_kind], kind="stable")]:
                words = self._words[number]
                if any(words <= other or other <= words for other in said):
                    continue  # "Thanks" beside "Thanks, you too" is no choice
                said.append(words)
                text = self._texts[number]
                share = float(heard.votes[intent] / max(heard.votes.sum(), _SMALL))
                why = self._words_for(heard, int(intent))
                found.append(Suggestion(text, bundle.intents[intent], float(heard.intents[intent]), why, share))
                break
        return tuple(found)

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


def mixed(logits: NDArray[np.float32], votes: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Return the logits of (n, intents + 1) after the (n, intents) votes of signatures had their say on which intent it is.

    Args:
        logits: the ranker's; the last, of no intent, is not touched.
        votes: 0 or more; a message without any changes nothing.
        weight: of the votes, 0 to 1.
    """
    total = votes.sum(axis=1, keepdims=True)
    counted = np.where(total > 0, np.float32(weight), np.float32(0))
    shares = (1 - counted) * softmax(logits[:, :-1]) + counted * votes / np.maximum(total, _SMALL)
    largest = logits[:, :-1].max(axis=1, keepdims=True)
    whole = largest + np.log(np.exp(logits[:, :-1] - largest).sum(axis=1, keepdims=True))
    return np.asarray(np.hstack([np.log(np.maximum(shares, _SMALL)) + whole, logits[:, -1:]]), np.float32)


class _Heard(NamedTuple):
    """What the judges say of a conversation."""

    text: str
    asked: Asked
    signatures: NDArray[np.uint64]
    votes: NDArray[np.float32]
    intents: NDArray[np.float32]
