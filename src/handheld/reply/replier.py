"""Replies to a conversation, on the device."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.words import Words, words_of
from handheld.reply.bundle import Bundle
from handheld.reply.conversation import Message, beginnings, canonical, context_of, own_texts, spoken
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
        words = words_of(texts)
        if topic := self.bundle.sensitive.topic(words):
            return Suggestions((), 0.0, f"sensitive: {topic}")
        heard = self._heard(words)
        confidence = self.bundle.trigger.probability(heard.intents, float(heard.votes.sum()))
        if confidence < self.bundle.trigger.threshold and not always:
            fixed = self._fixed(n) if fallback else ()
            return Suggestions(fixed, confidence, "not confident", fallback=bool(fixed))
        return Suggestions(self._chosen(heard, own_texts(messages), n), confidence)

    def intents_of(self, messages: str | Message | Sequence[str | Message]) -> NDArray[np.float32]:
        """Return (intents + 1,) probabilities of what answers a conversation; the last is that of no intent."""
        return self._heard(words_of(context_of(messages, CONTEXT))).intents

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

    @cached_property
    def _known(self) -> dict[str, int]:
        """Intents of the replies that can be suggested."""
        return {canonical(reply.text): reply.intent for reply in self.bundle.replies}

    def _heard(self, words: Words) -> "_Heard":
        """Return what the judges say of a conversation, the words of whose last texts are given."""
        asked, signatures = self.bundle.ranker.ask(words), self.bundle.signatures.signatures_of(words.first())
        votes = self.bundle.signatures.votes_for(signatures)[0]
        intents = mixed(softmax(asked.intents)[None], votes[None], self.bundle.mixing.signatures)[0]
        if self.personal.choices:
            intents[:-1] *= np.exp(self.personal.boosts(signatures[0], self.bundle.signatures.signs.size, len(votes)))
            intents /= intents.sum()
        return _Heard(words.first(), asked, signatures[0], votes, intents)

    def _chosen(self, heard: "_Heard", own: Sequence[str], n: int) -> tuple[Suggestion, ...]:
        """Return the best reply of each of the likeliest intents."""
        typed = self.personal.own_reply(heard.signatures, self.bundle.signatures.signs.size)
        found = [Suggestion(typed, YOURS, 1.0)] if typed else []
        chosen: dict[int, str] = {}
        said: list[frozenset[str]] = []
        for intent in np.argsort(-heard.intents[:-1], kind="stable").tolist():
            if len(found) + len(chosen) == n:
                break
            wordings = self._wordings[intent]
            for number in np.argsort(-self._fits(heard, wordings, own), kind="stable").tolist():
                words = wordings.words[number]
                if not any(words <= other or other <= words for other in said):  # "Thanks" beside "Thanks, you too" is none
                    said.append(words)
                    chosen[intent] = wordings.texts[number]
                    break
        reasons, total = self._reasons(heard, list(chosen)), max(heard.votes.sum(), _SMALL)
        for (intent, text), why in zip(chosen.items(), reasons, strict=True):
            score, share = float(heard.intents[intent]), float(heard.votes[intent] / total)
            found.append(Suggestion(text, self.bundle.intents[intent], score, why, share))
        return tuple(found)

    def _fits(self, heard: "_Heard", wordings: "_Wordings", own: Sequence[str]) -> NDArray[np.float32]:
        """Return how well each wording of an intent fits."""
        mixing = self.bundle.mixing
        found = mixing.fit * self.bundle.ranker.scores(heard.asked, wordings.candidates) + mixing.share * wordings.shares
        return np.asarray(found + self.personal.preference(self.bundle.style, own, wordings.texts), np.float32)

    @cached_property
    def _wordings(self) -> list["_Wordings"]:
        """The replies of each intent; all are read when the first is needed, since together they cost little."""
        replies = sorted(self.bundle.replies, key=lambda reply: reply.intent)
        texts, shares = [reply.text for reply in replies], np.log(np.array([reply.share for reply in replies], np.float32))
        words = words_of(texts)
        sets = [frozenset(spoken(words.tokens[start:end])) for start, end in pairwise(words.offsets.tolist())]
        candidates = self.bundle.ranker.replies(words)
        starts = np.searchsorted([reply.intent for reply in replies], np.arange(len(self.bundle.intents) + 1))
        parts = [slice(start, end) for start, end in pairwise(starts.tolist())]
        return [_Wordings(texts[part], sets[part], shares[part], candidates.part(part)) for part in parts]

    def _reasons(self, heard: "_Heard", intents: Sequence[int]) -> list[tuple[str, ...]]:
        """Return the words that raise each intent most."""
        tokens, raised = heard.words.tokens, self.bundle.ranker.raised(heard.asked, heard.words, intents)
        best = np.argsort(-raised, axis=1, kind="stable")[:, :_WHY].tolist()
        return [
            tuple(dict.fromkeys(tokens[place] for place in places if row[place] > 0))
            for row, places in zip(raised, best, strict=True)
        ]

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

    texts: list[str]
    words: list[frozenset[str]]
    shares: NDArray[np.float32]
    candidates: Candidates


class _Heard(NamedTuple):
    """What the judges say of a conversation."""

    words: Words
    asked: Asked
    signatures: NDArray[np.uint64]
    votes: NDArray[np.float32]
    intents: NDArray[np.float32]
