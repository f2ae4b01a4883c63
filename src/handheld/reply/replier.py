"""Replies to a conversation, on the device."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from itertools import pairwise
from numbers import Integral
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.words import Words, words_of
from handheld.reply import formats
from handheld.reply.bundle import ReplyBundle
from handheld.reply.clauses import spans_of
from handheld.reply.conversation import (
    Message,
    Turn,
    beginnings,
    canonical,
    context_of,
    own_texts,
    spoken,
    turns_of,
)
from handheld.reply.message_network import SpanLogits
from handheld.reply.personal import BITS, PersonalState, signatures_of
from handheld.reply.privacy import asks_for_secret, secret_in
from handheld.reply.ranker import CONTEXT, EncodedContext, EncodedReplies, softmax
from handheld.reply.tones import ALL_TONES, CHEERFUL, GENTLE, KIND, SORRY, ToneRange, shipped_emoji
from handheld.reply.trigger import evidence
from handheld.untrusted import is_whole

YOURS = "yours"
"""Intent of a reply that the user typed, and that is like none of ours."""
OWN_MESSAGE, NOT_CONFIDENT = "own message", "not confident"

_REMEMBERED = 7  # turns, the last one included, in which something grave changes what fits
_BEYOND_DOUBT = 0.97  # risk of what was said more than two turns ago from which on it does
_SHORT = 3  # words of an answer that says little without its question
_WHY = 3  # words that speak for a suggestion
_FEWEST = 0.02  # share of an intent below which it is no suggestion where others are ruled out
_EXPECTED = 4  # power of the ranker's probability of any intent: see mixed
_OCCASIONS = frozenset(("birthday", "year", "holidays", "flight"))
"""Words that a reply has only if the message has them: "Happy new year!" to an anniversary would embarrass."""
_PROTECTED = 0.5  # of the risk from which on nothing is suggested: what is learned is offered without being asked for


@dataclass(frozen=True)
class Suggestion:
    """A reply, and why.

    Attributes:
        text: to send.
        intent: what it means.
        score: probability of the intent, 0 to 1, as the ranker, the network that reads messages
            and the user's own choices
            see it.
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
        confidence: calibrated probability that a person would send one of three, 0 to 1.
        reason: why nothing is suggested: ``sensitive: TOPIC``, ``not confident``, ``own
            message``, or what form the message
            has: ``nothing said``, ``emoji``, ``no words``, ``code``, ``link``, ``number``,
                ``automatic``, ``language``,
            ``run together``, ``long``; empty if something is.
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
        file: keeps that; each change is written at once, to what others have learned meanwhile.
    """

    def __init__(
        self,
        bundle: ReplyBundle,
        personal: PersonalState | None = None,
        *,
        file: str | os.PathLike[str] | None = None,
    ):
        self.bundle = bundle
        self.personal = personal or PersonalState()
        self.file = file

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        personal: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Open a bundle.

        Args:
            path: of the bundle; the English one that is shipped if left out.
            personal: file of what was learned from the user, which keeps what is learned from now on; begun anew if
                there is none. Several processes may use one.

        Raises:
            ModelError: a bundle or a file that is damaged, or of another version.
        """
        if path is None:
            with resources.as_file(
                resources.files("handheld.reply") / "assets" / "english.replies"
            ) as shipped:
                bundle = ReplyBundle.read(shipped)
        else:
            bundle = ReplyBundle.read(path)
        return cls(
            bundle, PersonalState.read(personal) if personal is not None else None, file=personal
        )

    def suggest(
        self,
        messages: str | Message | Sequence[str | Message],
        n: int = 3,
        *,
        fallback: bool = False,
        always: bool = False,
    ) -> Suggestions:
        """Return replies to the last message.

        Args:
            messages: the last of a conversation, the newest last; plain texts are those of the
                other person.
            n: replies, 1 or more; no two of one intent.
            fallback: whether to return the fixed replies where the model is not confident and
                nothing is amiss.
            always: whether to return the model's own replies even where it is not confident;
                never where another reason
                speaks against it.

        Raises:
            InputError: no messages, or an ``n`` that is no whole number of 1 or more.
        """
        if not isinstance(n, Integral) or n < 1:
            raise InputError(
                f"expected n, the number of replies, to be a whole number of 1 or more, got {n!r}"
            )
        remembered = turns_of(messages, _REMEMBERED)
        turns = remembered[:CONTEXT]
        if turns[0].mine:
            return Suggestions((), 0.0, OWN_MESSAGE)
        form = formats.format_of(turns[0].last)
        if form and form != formats.EMOJI:
            return Suggestions((), 0.0, form)
        reading = self.bundle.detector.network.read(spans_of(turns[0].text))
        verdict = self.bundle.detector.verdict(reading)
        earlier = self._earlier(remembered)
        if form == formats.EMOJI:
            return self._to_emoji(turns[0], calm=earlier == CHEERFUL, n=n)
        if self.bundle.detector.is_silent(verdict):
            return Suggestions((), 0.0, verdict.reason)
        # of a turn of one message the form is known already
        worst = form if turns[0].text == turns[0].last else formats.format_of(turns[0].text)
        if worst in (formats.AUTOMATIC, formats.CODE, formats.RUN_TOGETHER, formats.LONG):
            return Suggestions((), 0.0, worst)
        tones = self.bundle.detector.tones(verdict, earlier)
        if tones is None:
            return Suggestions((), 0.0, NOT_CONFIDENT)
        heard = self._heard(turns, reading, tones)
        if heard.confidence < self.bundle.trigger.threshold and not always:
            # what the user has answered to the same before needs no model that is sure of itself
            typed = self._typed(heard) if tones.most_cheerful == CHEERFUL else None
            if typed:
                return Suggestions((Suggestion(typed, YOURS, 1.0),), heard.confidence, "")
            # the fixed replies agree, thank and laugh: only where nothing at all is amiss
            fixed = self._fixed(n) if fallback and tones.most_cheerful == CHEERFUL else ()
            return Suggestions(fixed, heard.confidence, NOT_CONFIDENT, fallback=bool(fixed))
        replies = self._chosen(heard, own_texts(messages), n, tones)
        return Suggestions(replies, heard.confidence, "" if replies else NOT_CONFIDENT)

    def intents_of(self, messages: str | Message | Sequence[str | Message]) -> NDArray[np.float32]:
        """Return (intents + 1,) probabilities of what answers a conversation; the last is that of
        no intent.
        """
        turns = turns_of(messages, CONTEXT)
        reading = self.bundle.detector.network.read(spans_of(turns[0].text))
        return self._heard(turns, reading, ALL_TONES).intents

    def judges(
        self, messages: str | Message | Sequence[str | Message]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (intents + 1,) probabilities by the ranker, read to all its depth, and by the
        network that reads messages.
        """
        turns = turns_of(messages, CONTEXT)
        asked = self.bundle.ranker.ask([turn.text for turn in turns])
        reading = self.bundle.detector.network.read(spans_of(turns[0].text))
        return softmax(asked.intents), self._own(reading)

    def evidence(self, messages: str | Message | Sequence[str | Message]) -> NDArray[np.float64]:
        """Return what the trigger judges a conversation by; see ``trigger.evidence``."""
        turns = turns_of(messages, CONTEXT)
        reading = self.bundle.detector.network.read(spans_of(turns[0].text))
        tones = self.bundle.detector.tones(
            self.bundle.detector.verdict(reading), self._earlier(turns)
        )
        return self._heard(turns, reading, tones or ToneRange(SORRY, GENTLE)).evidence

    def rank(
        self, messages: str | Message | Sequence[str | Message], candidates: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return (candidates,) how well each text answers a conversation; only their order means
        something.

        Raises:
            InputError: no messages, no candidates, or one text instead of a sequence of them.
        """
        if isinstance(candidates, str):
            raise InputError(
                f"expected candidates, a sequence of texts, got the one text {candidates!r}; write [{candidates!r}]"
            )
        if not candidates:
            raise InputError("expected one candidate or more, got none")
        ranker = self.bundle.ranker
        scores = ranker.scores(
            ranker.ask(context_of(messages, CONTEXT)), ranker.replies(candidates)
        )
        return scores + self.personal.preference(self.bundle.style, own_texts(messages), candidates)

    def learn(self, messages: str | Message | Sequence[str | Message], reply: str) -> bool:
        """Adapt to what the user picked or typed as an answer; nothing leaves the device.

        Returns:
            Whether anything was learned: what :meth:`reason_against` names is not kept, not
                even as a part of the style, nor is an answer to what asks for a secret, or to what
                nothing would be suggested to.

        Raises:
            InputError: no messages, an empty reply, or one with half a letter in it (a lone surrogate).
            FileError: the file cannot be written.
        """
        if not reply.strip():
            raise InputError("expected a reply to learn from, got an empty one")
        if not is_whole(reply):
            raise InputError(
                f"expected a reply of whole letters, got {reply[:40]!a}, which no file can keep"
            )
        turns = turns_of(messages, 1)
        asked = turns[0].text
        detector = self.bundle.detector
        if (
            self.reason_against(reply)
            or asks_for_secret(asked)
            or detector.is_silent(detector.judge(asked))
        ):
            return False
        signatures = signatures_of([asked])
        self._change(lambda known: known.learned(signatures.tolist(), self.intent_of(reply), reply))
        return True

    def _change(self, change: Callable[[PersonalState], PersonalState]) -> None:
        self.personal = (
            change(self.personal) if self.file is None else PersonalState.update(self.file, change)
        )

    def reason_against(self, reply: str) -> str:
        """Return why a reply must not be remembered, or offered again; an empty text for one that
        may.

        Secrets (cards, codes, passwords, accounts, telephones), and whatever nothing would be
        suggested to: insults, threats,
        despair, other languages, links, code.
        """
        form = formats.format_of(reply)
        if form == formats.LONG:
            return form
        if secret := secret_in(reply):
            return secret
        if form not in ("", formats.EMOJI, formats.MARKS):
            return form
        if self.intent_of(reply) >= 0 or form:
            return ""  # one of ours, or no words
        verdict = self.bundle.detector.judge(reply)
        return verdict.reason if verdict.risk >= _PROTECTED * self.bundle.detector.silent else ""

    def forget(self, reply: str | None = None) -> None:
        """Forget a reply that the user picked or typed, however its case and spaces; everything, if
        none is named.
        """
        self._change(lambda known: PersonalState() if reply is None else known.without(reply))

    def intent_of(self, reply: str) -> int:
        """Return the intent of a reply that can be suggested, or that begins with one; -1 for
        others.
        """
        return next((self._known[key] for key in beginnings(reply) if key in self._known), -1)

    @cached_property
    def _known(self) -> dict[str, int]:
        """Intents of the replies that can be suggested."""
        return {canonical(reply.text): reply.intent for reply in self.bundle.replies}

    @cached_property
    def _tones(self) -> NDArray[np.int64]:
        """Tone of each intent."""
        return np.array(self.bundle.tones, np.int64)

    @cached_property
    def _emoji(self) -> dict[str, tuple[str, ...]]:
        return shipped_emoji()

    def _to_emoji(self, turn: Turn, *, calm: bool, n: int) -> Suggestions:
        """Answer emoji by emoji and a few words; nothing where they stand behind something
        grave.
        """
        words = turn.text[: -len(turn.last)] if turn.last else turn.text
        if words.strip():
            verdict = self.bundle.detector.judge(words)
            calm = calm and not self.bundle.detector.is_careful(verdict)
        shown = formats.emoji_in(turn.last)
        # one that nobody thought of may mean anything, whatever stands beside it
        known = bool(shown) and all(emoji in self._emoji for emoji in shown)
        texts = self._emoji[shown[0]] if known and calm else ()
        replies = tuple(Suggestion(text, formats.EMOJI, 1.0, (shown[0],)) for text in texts[:n])
        return Suggestions(replies, 1.0 if replies else 0.0, "" if replies else formats.EMOJI)

    def _earlier(self, turns: Sequence[Turn]) -> int:
        """Return the most cheerful tone that fits what was said before the first of some turns.

        Something grave forbids jokes and thanks, and refusals: who needs help must not read "Sorry,
        I'm busy". What stands longer back must be grave beyond doubt, as small talk touches on much.
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

    def _heard(self, turns: Sequence[Turn], reading: SpanLogits, tones: ToneRange) -> "_Heard":
        """Return what the judges say of a conversation.

        It is read to all its depth. Where that would not be enough to speak, to the depth at which
        the judges are surest: what came before must not switch off what the last message alone
        would answer.
        """
        words = words_of([turn.text for turn in turns])
        others = self._own(reading)
        signatures = signatures_of(words.first())
        mark = turns[0].last.rstrip().endswith("?")
        best: _Heard | None = None
        for depth in range(len(turns), 0, -1):
            asked = self.bundle.ranker.ask(_first_texts(words, depth))
            intents = mixed(softmax(asked.intents), others, self.bundle.mixing.network)
            if self.personal.choices:
                intents[:-1] *= np.exp(self.personal.boosts(signatures, BITS, len(intents) - 1))
                intents /= intents.sum()
            allowed = _toned(intents, self._tones, tones)
            seen = evidence(allowed, int(words.offsets[1]), question=mark)
            confidence = self.bundle.trigger.probability(seen)
            if best is None or confidence > best.confidence:
                best = _Heard(words.first(), asked, signatures, allowed, seen, confidence)
            if depth == len(turns) and confidence >= self.bundle.trigger.threshold:
                break
        assert best is not None  # there is one turn or more
        return best

    def _own(self, reading: SpanLogits) -> NDArray[np.float32]:
        """Return (intents + 1,) probabilities of what answers a message, by the longest span that
        reaches its end.
        """
        return softmax(reading.answers[reading.last])

    def _chosen(
        self, heard: "_Heard", own: Sequence[str], n: int, tones: ToneRange
    ) -> tuple[Suggestion, ...]:
        """Return the best reply of each of the likeliest intents."""
        is_calm = tones.most_cheerful < CHEERFUL
        typed = None if is_calm else self._typed(heard)
        suggestions = [Suggestion(typed, YOURS, 1.0)] if typed else []
        chosen: dict[int, str] = {}
        said: list[frozenset[str]] = []
        for intent in np.argsort(-heard.intents[:-1], kind="stable").tolist():
            if len(suggestions) + len(chosen) == n:
                break
            if not tones.have(self.bundle.tones[intent]) or (
                is_calm and heard.intents[intent] < _FEWEST
            ):
                continue
            if (number := self._wording(heard, intent, own, said)) is not None:
                said.append(self._wordings[intent].words[number])
                chosen[intent] = self._wordings[intent].texts[number]
        reasons = self._reasons(heard, list(chosen))
        for (intent, text), why in zip(chosen.items(), reasons, strict=True):
            suggestions.append(
                Suggestion(text, self.bundle.intents[intent], float(heard.intents[intent]), why)
            )
        return tuple(suggestions)

    def _wording(
        self, heard: "_Heard", intent: int, own: Sequence[str], said: Sequence[frozenset[str]]
    ) -> int | None:
        """Return the number of the wording of an intent that fits best; None if all say what is
        said already.
        """
        wordings = self._wordings[intent]
        not_said = _OCCASIONS.difference(heard.words.tokens)
        for number in np.argsort(-self._fits(heard, wordings, own), kind="stable").tolist():
            words = wordings.words[number]
            if words & not_said:
                continue
            # "Thanks" beside "Thanks, you too" is no choice
            if not any(words <= other or other <= words for other in said):
                return int(number)
        return None

    def _typed(self, heard: "_Heard") -> str | None:
        """Return what the user typed before to a message like this one, unless it must not be
        offered.

        A file may hold what a version without these checks learned.
        """
        typed = self.personal.own_reply(heard.signatures, BITS)
        return None if typed is None or self.reason_against(typed) else typed

    def _fits(
        self, heard: "_Heard", wordings: "_Wordings", own: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return how well each wording of an intent fits."""
        mixing = self.bundle.mixing
        fit = mixing.fit * self.bundle.ranker.scores(heard.asked, wordings.candidates)
        fit = fit + mixing.share * wordings.shares
        return np.asarray(
            fit + self.personal.preference(self.bundle.style, own, wordings.texts), np.float32
        )

    @cached_property
    def _wordings(self) -> list["_Wordings"]:
        """The replies of each intent; all are read when the first is needed, since together they
        cost little.
        """
        replies = sorted(self.bundle.replies, key=lambda reply: reply.intent)
        texts = [reply.text for reply in replies]
        shares = np.log(np.array([reply.share for reply in replies], np.float32))
        words = words_of(texts)
        borders = pairwise(words.offsets.tolist())
        sets = [frozenset(spoken(words.tokens[start:end])) for start, end in borders]
        candidates = self.bundle.ranker.replies(words)
        numbers = np.arange(len(self.bundle.intents) + 1)
        starts = np.searchsorted([reply.intent for reply in replies], numbers)
        places = [slice(start, end) for start, end in pairwise(starts.tolist())]
        return [_Wordings(texts[at], sets[at], shares[at], candidates.part(at)) for at in places]

    def _reasons(self, heard: "_Heard", intents: Sequence[int]) -> list[tuple[str, ...]]:
        """Return the words that raise each intent most."""
        tokens = heard.words.tokens
        raised = self.bundle.ranker.raised(heard.asked, heard.words, intents)
        best = np.argsort(-raised, axis=1, kind="stable")[:, :_WHY].tolist()
        return [
            tuple(dict.fromkeys(tokens[place] for place in places if row[place] > 0))
            for row, places in zip(raised, best, strict=True)
        ]

    def _fixed(self, n: int) -> tuple[Suggestion, ...]:
        fixed = [self.bundle.replies[number] for number in self.bundle.fallback[:n]]
        return tuple(
            Suggestion(reply.text, self.bundle.intents[reply.intent], 0.0) for reply in fixed
        )


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
        weight: of the others where some intent is certain, 0 to 1.
    """
    expected = np.float32(1) - intents[-1]
    return np.asarray(
        intents + np.float32(weight) * expected**_EXPECTED * (others - intents), np.float32
    )


def _toned(
    intents: NDArray[np.float32], tones: NDArray[np.int64], fitting: ToneRange
) -> NDArray[np.float32]:
    """Return the probabilities with those of replies in a tone that does not fit given to no
    intent.
    """
    toned = intents.copy()
    toned[:-1][(tones < fitting.saddest) | (tones > fitting.most_cheerful)] = 0
    toned[-1] += 1 - toned.sum()
    return toned


def _first_texts(words: Words, count: int) -> Words:
    """Return the words of the first texts."""
    end = int(words.offsets[count])
    return Words(
        words.tokens[:end], words.hashes[:end], words.sentence[:end], words.offsets[: count + 1]
    )


class _Wordings(NamedTuple):
    """The replies of an intent."""

    texts: list[str]
    words: list[frozenset[str]]
    shares: NDArray[np.float32]
    candidates: EncodedReplies


class _Heard(NamedTuple):
    """What the judges say of a conversation."""

    words: Words
    asked: EncodedContext
    signatures: NDArray[np.uint64]
    intents: NDArray[np.float32]
    evidence: NDArray[np.float64]
    confidence: float
