"""Conversations as pairs of what was said and what was answered."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range
from handheld.reply.conversation import LONGEST, Conversation
from handheld.reply.ranker import CONTEXT
from handheld.reply.training.exclusions import reason_against

# Numbers of the splits, as ReplyPairs stores them.
TRAIN = 0
VALID = 1
TEST = 2
NOTHING = -1
"""The number of a text that is not there."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ReplyPairs:
    """Messages and their answers, as numbers of texts.

    Attributes:
        texts: each is there once.
        context: (n, CONTEXT) the last text, the one before it, and so on; ``NOTHING`` where there
            is none.
        replies: (n,) what was answered.
        sources: (n,) number of the file.
        conversations: (n,) number of the conversation, over all files.
        splits: (n,) ``TRAIN``, ``VALID`` or ``TEST``.
        speakers: (n,) who answered; numbers over all files.
        left_out: how many pairs were not taken, by reason.
    """

    texts: tuple[str, ...]
    context: Integers
    replies: Integers
    sources: Integers
    conversations: Integers
    splits: Integers
    speakers: Integers
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.replies)

    def where(self, split: int, source: int | None = None) -> Integers:
        """Return the numbers of the pairs of a split, and of one file."""
        chosen = self.splits == split
        if source is not None:
            chosen &= self.sources == source
        return np.flatnonzero(chosen)

    def said(self, numbers: Integers) -> list[str]:
        """Return texts by their numbers, without those that are not there."""
        return [self.texts[number] for number in numbers.tolist() if number != NOTHING]


@dataclass(frozen=True)
class SplitRule:
    """Who is learned from.

    Attributes:
        valid, test: shares of conversations that are kept for choosing and for evaluating, in
            [0, 1].
        held_out: share of the people with a name whose conversations all are kept for evaluating,
            in [0, 1].
        max_answers: answers of one such person that are learned from.
    """

    # A twentieth each is thousands of answers; one person in twelve shows how it is with strangers.
    # The most that one may say keeps those who say a hundred times as much as others in bounds.
    valid: float = 0.05
    test: float = 0.05
    held_out: float = 0.08
    max_answers: int = 1500

    def __post_init__(self) -> None:
        for name in ("valid", "test", "held_out"):
            in_range(name, getattr(self, name), low=0, high=1)
        whole_in_range("max_answers", self.max_answers, low=1)

    def split(self, name: str, speakers: Sequence[str]) -> int:
        """Return the split of a conversation; it depends on nothing but names."""
        for speaker in speakers:
            if _has_name(speaker) and _share(speaker) < self.held_out:
                return TEST
        share = _share(name)
        if share < self.test:
            return TEST
        return VALID if share < self.test + self.valid else TRAIN


def _has_name(speaker: str) -> bool:
    """Return whether a speaker is somebody; one letter only tells two people apart."""
    return len(speaker) > 1


def pairs_of(
    files: Mapping[str, Sequence[Conversation]], rule: SplitRule = SplitRule()
) -> ReplyPairs:
    """Return all pairs of some files, by the files' names.

    Args:
        files: conversations.
        rule: says who is learned from.

    Raises:
        InputError: no pair is left to learn from.
    """
    collection = _PairCollection(rule)
    for name, conversations in files.items():
        collection.add_file(name, conversations)
    return collection.pairs()


class _Answer(NamedTuple):
    """An answer, and what it belongs to.

    Attributes:
        text: what was answered.
        before: texts before it, the latest first, ``CONTEXT`` or fewer.
        speaker: who answered, as the file calls them.
        person: the same, over all files.
    """

    text: str
    before: list[str]
    speaker: str
    person: str


@dataclass
class _PairCollection:
    """Pairs as they are gathered from file after file.

    Attributes:
        rule: who is learned from.
        texts, people: numbers.
        answers: how many each person gave.
        left_out: pairs that are not taken, by reason.
        rows: of each pair, the numbers of its texts, then its other columns.
        files, conversations: numbers of those that come next.
    """

    rule: SplitRule
    texts: dict[str, int] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[int, ...]] = field(default_factory=list)
    files: int = 0
    conversations: int = 0

    def __post_init__(self) -> None:
        # the same words are said again and again, and rules take time
        self._reason_of = cache(reason_against)

    def add_file(self, name: str, conversations: Sequence[Conversation]) -> None:
        """Take the pairs of a file."""
        for conversation in conversations:
            # a conversation is learned from or held out as a whole: its answers repeat each other
            speakers = [speaker for speaker, _ in conversation.turns]
            split = self.rule.split(f"{name}/{conversation.id}", speakers)
            for answer in _answers(name, conversation):
                # counted before anything is left out, so that the cap does not depend on reasons
                self.answers[answer.person] += 1
                if reason := self._reason_against(answer, split):
                    self.left_out[reason] += 1
                else:
                    self._add(answer, split)
            self.conversations += 1
        self.files += 1

    def _reason_against(self, answer: _Answer, split: int) -> str:
        """Return why a pair is not taken; an empty text for one that is."""
        if reason := self._reason_of(answer.text) or self._reason_of(answer.before[0]):
            return reason
        is_capped = split == TRAIN and _has_name(answer.speaker)
        if is_capped and self.answers[answer.person] > self.rule.max_answers:
            return "somebody who says too much"
        return ""

    def _add(self, answer: _Answer, split: int) -> None:
        context = [NOTHING] * CONTEXT
        for number, text in enumerate(answer.before):
            context[number] = self._number(text)
        reply = self._number(answer.text)
        person = self.people.setdefault(answer.person, len(self.people))
        self.rows.append((*context, reply, self.files, self.conversations, split, person))

    def _number(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def pairs(self) -> ReplyPairs:
        """Return all pairs. Raises :class:`InputError` if none is learned from."""
        # reshaped: without any row it has columns too
        table = np.array(self.rows, np.int64).reshape(-1, CONTEXT + 5)
        replies, sources, conversations, splits, speakers = table[:, CONTEXT:].T
        if not (splits == TRAIN).any():
            reasons = dict(self.left_out) or "none, the files hold none"
            raise InputError(f"no answer is left to learn from; left out: {reasons}")
        return ReplyPairs(
            texts=tuple(self.texts),
            context=table[:, :CONTEXT],
            replies=replies,
            sources=sources,
            conversations=conversations,
            splits=splits,
            speakers=speakers,
            left_out=dict(self.left_out),
        )


def _answers(file: str, conversation: Conversation) -> Iterator[_Answer]:
    turns = [(speaker, text[:LONGEST]) for speaker, text in conversation.turns]
    texts = [text for _, text in turns]
    for position in range(1, len(turns)):
        speaker, text = turns[position]
        before = texts[max(0, position - CONTEXT) : position][::-1]
        yield _Answer(text, before, speaker, f"{file}/{speaker}")


def _share(name: str) -> float:
    """Return a number in [0, 1) that is drawn by the name, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
