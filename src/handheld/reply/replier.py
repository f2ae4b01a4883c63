"""Replies to a conversation, on the device."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib import resources
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import whole_in_range
from handheld.reply import formats
from handheld.reply.bundle import ReplyBundle
from handheld.reply.conversation import (
    Messages,
    Turn,
    beginnings,
    canonical,
    context_of,
    own_texts,
    turns_of,
)
from handheld.reply.grave import folded, gravity
from handheld.reply.message_network import SpanLogits
from handheld.reply.misfits import misfits
from handheld.reply.personal import BITS, PersonalState, signatures_of
from handheld.reply.privacy import asks_for_secret, secret_in
from handheld.reply.ranker import CONTEXT, softmax
from handheld.reply.safety import SafetyVerdict
from handheld.reply.spelling import plain_readings
from handheld.reply.suggestions import (
    NOT_CONFIDENT,
    OWN_MESSAGE,
    YOURS,
    Suggestion,
    Suggestions,
)
from handheld.reply.tones import (
    ALL_TONES,
    CHEERFUL,
    GENTLE,
    SORRY,
    ToneRange,
    shipped_emoji,
)
from handheld.reply.understanding import REMEMBERED, ConversationReader, HeardConversation
from handheld.reply.wordings import IntentWordings, Wording, wordings_of
from handheld.untrusted import is_whole

# Words that speak for a suggestion: as many as fit beside it.
_WHY = 3
# Share of an intent below which it is no suggestion where others are ruled out: what is left then
# would be shown for want of anything better.
_FEWEST = 0.02
# Of the risk from which on nothing is suggested, the share from which on nothing is learned: what
# is learned is offered without being asked for.
_PROTECTED = 0.5
# Forms of a whole turn that forbid an answer, whatever the form of its last message.
_UNANSWERED = (formats.AUTOMATIC, formats.CODE, formats.RUN_TOGETHER, formats.LONG)


class _Request(NamedTuple):
    """What is asked for; see :meth:`Replier.suggest`."""

    n: int
    fallback: bool
    always: bool
    own_texts: list[str]


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
        # bundles are read once and shared; what is learned belongs to one user
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
            personal: file of what was learned from the user, which keeps what is learned from now
                on; begun anew if there is none. Several processes may use one.

        Raises:
            ModelError: a bundle or a file that is damaged, or of another version.
        """
        bundle = _shipped_bundle() if path is None else ReplyBundle.read(path)
        state = None if personal is None else PersonalState.read(personal)
        return cls(bundle, state, file=personal)

    def suggest(
        self, messages: Messages, n: int = 3, *, fallback: bool = False, always: bool = False
    ) -> Suggestions:
        """Return replies to the last message.

        Args:
            messages: the last of a conversation, the newest last; plain texts are those of the
                other person.
            n: replies, 1 or more; no two of one intent.
            fallback: whether to return the fixed replies where the model is not confident and
                nothing is amiss.
            always: whether to return the model's own replies even where it is not confident; never
                where another reason speaks against it.

        Raises:
            InputError: no messages, or an ``n`` that is no whole number of 1 or more.
        """
        whole_in_range("n", n, low=1)
        turns = turns_of(messages, REMEMBERED)
        last = turns[0]
        if last.mine:
            return Suggestions.none(OWN_MESSAGE)
        form = formats.format_of(last.last)
        is_emoji = form == formats.EMOJI
        if form and not is_emoji:
            return Suggestions.none(form)
        if reason := gravity(turns):
            return Suggestions.none(reason)
        if is_emoji:
            return self._to_emoji(turns, n)
        # Networks know Latin letters: those that only look so would hide a word from them.
        turns = [turn._replace(text=folded(turn.text), last=folded(turn.last)) for turn in turns]
        return self._to_words(turns, _Request(n, fallback, always, own_texts(messages)))

    def _to_words(self, turns: Sequence[Turn], request: _Request) -> Suggestions:
        """Answer a message that may be a sentence."""
        last = turns[0]
        logits = self._reader.logits(last)
        # safety first: nothing below may speak where it is silent, however sure it is
        verdict = self._verdict(last, logits)
        if reason := self._silence(last, verdict):
            return Suggestions.none(reason)
        tones = self.bundle.detector.tones(verdict, self._reader.earlier_tone(turns))
        if tones is None:
            return Suggestions.none(NOT_CONFIDENT)
        heard = self._reader.hear(turns[:CONTEXT], logits, tones, self.personal, misfits(last))
        is_confident = self.bundle.trigger.is_confident(heard.confidence, verdict.risk)
        if not (is_confident or request.always):
            return self._in_doubt(heard, tones, verdict.risk, request)
        replies = self._chosen(heard, tones, request)
        return Suggestions(replies, heard.confidence, "" if replies else NOT_CONFIDENT)

    def _verdict(self, turn: Turn, logits: SpanLogits) -> SafetyVerdict:
        """Judge a turn that was read; once more where some words are disguised."""
        detector = self.bundle.detector
        return detector.judge(turn.text) if plain_readings(turn.text) else detector.verdict(logits)

    def _silence(self, turn: Turn, verdict: SafetyVerdict) -> str:
        """Return why nothing may be said to a turn; empty if something may."""
        if self.bundle.detector.is_silent(verdict):
            return verdict.reason
        # of a turn of one message the form is known already
        form = "" if turn.text == turn.last else formats.format_of(turn.text)
        return form if form in _UNANSWERED else ""

    def _in_doubt(
        self, heard: HeardConversation, tones: ToneRange, risk: float, request: _Request
    ) -> Suggestions:
        """Return what may be said where the trigger would rather be silent."""
        # not where the risk is what speaks against it: the model is surer of its own replies than
        # anybody can be of these
        if tones.most_cheerful == CHEERFUL and self.bundle.trigger.allows(risk):
            # what the user has answered to the same before needs no model that is sure of itself
            if typed := self._typed(heard):
                return Suggestions((Suggestion(typed, YOURS, 1.0),), heard.confidence, "")
            # the fixed replies agree, thank and laugh: only where nothing at all is amiss
            fixed = self._fixed(request.n) if request.fallback else ()
            return Suggestions(fixed, heard.confidence, NOT_CONFIDENT, fallback=bool(fixed))
        return Suggestions((), heard.confidence, NOT_CONFIDENT)

    def intents_of(self, messages: Messages) -> NDArray[np.float32]:
        """Return (intents + 1,) probabilities of what answers a conversation.

        The last is that of no intent. Safety and tone have no say in them.
        """
        turns = turns_of(messages, CONTEXT)
        logits = self._reader.logits(turns[0])
        return self._reader.hear(turns, logits, ALL_TONES, self.personal).intents

    def judges(self, messages: Messages) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (intents + 1,) probabilities by each of the two judges of intents.

        They are the ranker, which reads the conversation to all its depth, and the network that
        reads messages.
        """
        turns = turns_of(messages, CONTEXT)
        context = self.bundle.ranker.encode_context([turn.text for turn in turns])
        by_network = self._reader.network_intents(self._reader.logits(turns[0]))
        return softmax(context.intents), by_network

    def evidence(self, messages: Messages) -> NDArray[np.float64]:
        """Return what the trigger judges a conversation by; see ``trigger.evidence``."""
        turns = turns_of(messages, CONTEXT)
        logits = self._reader.logits(turns[0])
        verdict = self._verdict(turns[0], logits)
        tones = self.bundle.detector.tones(verdict, self._reader.earlier_tone(turns))
        gentle = ToneRange(SORRY, GENTLE)
        return self._reader.hear(
            turns, logits, tones or gentle, self.personal, misfits(turns[0])
        ).evidence

    def rank(self, messages: Messages, candidates: Sequence[str]) -> NDArray[np.float32]:
        """Return (candidates,) how well each text answers a conversation.

        Only their order means something.

        Raises:
            InputError: no messages, no candidates, or one text instead of a sequence of them.
        """
        if isinstance(candidates, str):
            raise InputError(
                f"expected candidates, a sequence of texts, got the one text {candidates!r};"
                f" write [{candidates!r}]"
            )
        if not candidates:
            raise InputError("expected one candidate or more, got none")
        ranker = self.bundle.ranker
        context = ranker.encode_context(context_of(messages, CONTEXT))
        scores = ranker.scores(context, ranker.encode_replies(candidates))
        return scores + self.personal.preference(self.bundle.style, own_texts(messages), candidates)

    def learn(self, messages: Messages, reply: str) -> bool:
        """Adapt to what the user picked or typed as an answer; nothing leaves the device.

        Returns:
            Whether anything was learned: what :meth:`reason_against` names is not kept, nor does it
                count as style; nor is an answer to what asks for a secret, or to what nothing would
                be suggested to.

        Raises:
            InputError: no messages, an empty reply, or one with half a letter in it (a lone
                surrogate).
            FileError: the file cannot be written.
        """
        if not reply.strip():
            raise InputError("expected a reply to learn from, got an empty one")
        if not is_whole(reply):
            raise InputError(
                f"expected a reply of whole letters, got {reply[:40]!a}, which no file can keep"
            )
        turns = turns_of(messages, REMEMBERED)
        text = folded(turns[0].text)
        if self.reason_against(reply) or asks_for_secret(text) or gravity(turns):
            return False
        detector = self.bundle.detector
        if detector.is_silent(detector.judge(text)):
            return False
        signatures = signatures_of([text]).tolist()
        intent = self.intent_of(reply)
        self._change(lambda known: known.learned(signatures, intent, reply))
        return True

    def _change(self, change: Callable[[PersonalState], PersonalState]) -> None:
        if self.file is None:
            self.personal = change(self.personal)
        else:
            self.personal = PersonalState.update(self.file, change)

    def reason_against(self, reply: str) -> str:
        """Return why a reply must not be remembered, or offered again; empty for one that may.

        Secrets (cards, codes, passwords, accounts, telephones), and whatever nothing would be
        suggested to: insults, threats, despair, other languages, links, code.
        """
        form = formats.format_of(reply)
        # before secrets are looked for, which takes time with the length
        if form == formats.LONG:
            return form
        if secret := secret_in(reply):
            return secret
        if form not in ("", formats.EMOJI, formats.MARKS):
            return form
        # a reply too may be a coffin, or words that the detector cannot read
        if reason := gravity([Turn(reply, reply, False)]):
            return reason
        if self.intent_of(reply) >= 0 or form == formats.MARKS:
            return ""
        if form == formats.EMOJI:
            return "" if self._knows(formats.emoji_in(reply)) else form
        detector = self.bundle.detector
        verdict = detector.judge(reply)
        return verdict.reason if verdict.risk >= _PROTECTED * detector.silent else ""

    def forget(self, reply: str | None = None) -> None:
        """Forget a reply that the user picked or typed; everything, if none is named.

        Case and spaces of the reply do not matter.
        """
        self._change(lambda known: PersonalState() if reply is None else known.without(reply))

    def intent_of(self, reply: str) -> int:
        """Return the intent of a reply that can be suggested, or that begins with one; else -1."""
        for key in beginnings(reply):
            if key in self._known:
                return self._known[key]
        return -1

    @cached_property
    def _known(self) -> dict[str, int]:
        """Intents of the replies that can be suggested."""
        return {canonical(reply.text): reply.intent for reply in self.bundle.replies}

    @cached_property
    def _reader(self) -> ConversationReader:
        return ConversationReader(self.bundle)

    @cached_property
    def _wordings(self) -> list[IntentWordings]:
        # when the first is needed: who only ranks, or asks about forms, does without
        return wordings_of(self.bundle)

    @cached_property
    def _emoji(self) -> dict[str, tuple[str, ...]]:
        return shipped_emoji()

    def _to_emoji(self, turns: Sequence[Turn], n: int) -> Suggestions:
        """Answer emoji by emoji and a few words; nothing where something grave came before."""
        shown = formats.emoji_in(turns[0].last)
        if not self._knows(shown) or not self._is_calm(turns):
            return Suggestions.none(formats.EMOJI)
        texts = self._emoji[shown[0]][:n]
        replies = tuple(Suggestion(text, formats.EMOJI, 1.0, (shown[0],)) for text in texts)
        return Suggestions(replies, 1.0)

    def _knows(self, shown: Sequence[str]) -> bool:
        """Return whether all of some emoji are known: another one may mean anything."""
        return bool(shown) and all(emoji in self._emoji for emoji in shown)

    def _is_calm(self, turns: Sequence[Turn]) -> bool:
        """Return whether nothing that was said before the last message is amiss."""
        if self._reader.earlier_tone(turns) != CHEERFUL:
            return False
        last = turns[0]
        words = last.text[: len(last.text) - len(last.last)]
        if not words.strip():
            return True
        detector = self.bundle.detector
        return not detector.is_careful(detector.judge(words))

    def _chosen(
        self, heard: HeardConversation, tones: ToneRange, request: _Request
    ) -> tuple[Suggestion, ...]:
        """Return the best reply of each of the likeliest intents."""
        typed = self._typed(heard) if tones.most_cheerful == CHEERFUL else None
        suggestions = [Suggestion(typed, YOURS, 1.0)] if typed else []
        wordings = self._best_wordings(heard, tones, request, request.n - len(suggestions))
        reasons = self._reasons(heard, list(wordings))
        for (intent, wording), words in zip(wordings.items(), reasons, strict=True):
            name = self.bundle.intents[intent]
            score = float(heard.intents[intent])
            suggestions.append(Suggestion(wording.text, name, score, words))
        return tuple(suggestions)

    def _best_wordings(
        self, heard: HeardConversation, tones: ToneRange, request: _Request, count: int
    ) -> dict[int, Wording]:
        """Return the best wording of each of the likeliest intents, ``count`` at most."""
        chosen: dict[int, Wording] = {}
        for intent in np.argsort(-heard.intents[:-1], kind="stable").tolist():
            if len(chosen) == count:
                break
            if not self._may_offer(intent, heard, tones):
                continue
            wordings = self._wordings[intent]
            fits = self._fits(wordings, heard, request.own_texts)
            wording = wordings.best(fits, heard, list(chosen.values()))
            if wording is not None:
                chosen[intent] = wording
        return chosen

    def _may_offer(self, intent: int, heard: HeardConversation, tones: ToneRange) -> bool:
        # What does not fit has no probability at all, see ConversationReader.hear.
        share = heard.intents[intent]
        return bool(share > 0 and (tones.most_cheerful == CHEERFUL or share >= _FEWEST))

    def _fits(
        self, wordings: IntentWordings, heard: HeardConversation, own_texts: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return how well each wording of an intent fits."""
        mixing = self.bundle.mixing
        # logits and logarithms: weights multiply what each says
        fits = mixing.fit * self.bundle.ranker.scores(heard.context, wordings.encoded)
        fits = fits + mixing.share * wordings.log_shares
        style = self.personal.preference(self.bundle.style, own_texts, wordings.texts)
        return np.asarray(fits + style, np.float32)

    def _typed(self, heard: HeardConversation) -> str | None:
        """Return what the user typed before to a message like this one, if it may be offered.

        A file may hold what a version without these checks learned.
        """
        typed = self.personal.own_reply(heard.signatures, BITS)
        if typed is None or self.reason_against(typed):
            return None
        return typed

    def _reasons(self, heard: HeardConversation, intents: Sequence[int]) -> list[tuple[str, ...]]:
        """Return the words that raise each intent most."""
        raised = self.bundle.ranker.attributions(heard.context, heard.words, intents)
        return [_raising(row, heard.words.tokens) for row in raised]

    def _fixed(self, n: int) -> tuple[Suggestion, ...]:
        replies = [self.bundle.replies[number] for number in self.bundle.fallback[:n]]
        intents = self.bundle.intents
        return tuple(Suggestion(reply.text, intents[reply.intent], 0.0) for reply in replies)


def _shipped_bundle() -> ReplyBundle:
    assets = resources.files("handheld.reply") / "assets"
    # a file of its own for a moment, if the package is in an archive
    with resources.as_file(assets / "english.replies") as path:
        return ReplyBundle.read(path)


def _raising(row: NDArray[np.float32], tokens: Sequence[str]) -> tuple[str, ...]:
    """Return the tokens with the largest numbers above 0, each once."""
    best = np.argsort(-row, kind="stable")[:_WHY].tolist()
    return tuple(dict.fromkeys(tokens[number] for number in best if row[number] > 0))
