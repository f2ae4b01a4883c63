"""Conversations as pairs of what was said and what was answered."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.reply.conversation import LONGEST, Conversation
from handheld.reply.ranker import CONTEXT
from handheld.reply.training.exclusions import reason_against

TRAIN, VALID, TEST = 0, 1, 2
NOTHING = -1  # in the place of a text that is not there

Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ReplyPairs:
    """Messages and their answers, as numbers of texts.

    Attributes:
        texts: each is there once.
        context: (n, CONTEXT) the last text, the one before it, and so on; ``NOTHING`` where there is none.
        replies: (n,) what was answered.
        sources: (n,) number of the file.
        conversations: (n,) number of the conversation, over all files.
        splits: (n,) ``TRAIN``, ``VALID`` or ``TEST``.
        speakers: (n,) who answered; numbers over all files.
        left_out: how many pairs were not taken, by reason.
    """

    texts: tuple[str, ...]
    context: Whole
    replies: Whole
    sources: Whole
    conversations: Whole
    splits: Whole
    speakers: Whole
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.replies)

    def where(self, split: int, source: int | None = None) -> Whole:
        """Return the numbers of the pairs of a split, and of one file."""
        chosen = self.splits == split
        if source is not None:
            chosen &= self.sources == source
        return np.flatnonzero(chosen)


@dataclass(frozen=True)
class SplitRule:
    """Who is learned from.

    Attributes:
        valid, test: shares of conversations that are kept for choosing and for judging.
        held_out: share of the people with a name whose conversations all are kept for judging.
        most: answers of one such person that are learned from.
    """

    valid: float = 0.05
    test: float = 0.05
    held_out: float = 0.08
    most: int = 1500

    def split(self, name: str, speakers: Sequence[str]) -> int:
        """Return the split of a conversation; it depends on nothing but names."""
        if any(len(each) > 1 and _share(each) < self.held_out for each in speakers):
            return TEST
        share = _share(name)
        return TEST if share < self.test else VALID if share < self.test + self.valid else TRAIN


def pairs_of(
    files: Mapping[str, Sequence[Conversation]], division: SplitRule = SplitRule()
) -> ReplyPairs:
    """Return all pairs of some files, by the files' names.

    Raises:
        InputError: no pair is left to learn from.
    """
    texts: dict[str, int] = {}
    reasons: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    rows: list[tuple[int, ...]] = []
    people: dict[str, int] = {}
    number = -1
    for source, (file, conversations) in enumerate(files.items()):
        for conversation in conversations:
            number += 1
            said = [(speaker, text[:LONGEST]) for speaker, text in conversation.turns]
            split = division.split(f"{file}/{conversation.id}", [speaker for speaker, _ in said])
            for place in range(1, len(said)):
                speaker, answer = said[place]
                reason = next(
                    filter(None, (_reason(text, reasons) for text in (answer, said[place - 1][1]))),
                    "",
                )
                name = f"{file}/{speaker}"
                answers[name] += 1
                if (
                    not reason
                    and split == TRAIN
                    and len(speaker) > 1
                    and answers[name] > division.most
                ):
                    reason = "somebody who says too much"
                if reason:
                    left_out[reason] += 1
                    continue
                before = [
                    said[place - back][1] if place >= back else None
                    for back in range(1, CONTEXT + 1)
                ]
                numbers = [
                    NOTHING if text is None else texts.setdefault(text, len(texts))
                    for text in (*before, answer)
                ]
                rows.append((*numbers, source, number, split, people.setdefault(name, len(people))))
    found = np.array(rows, np.int64).reshape(-1, CONTEXT + 5)
    if not (found[:, -2] == TRAIN).any():
        raise InputError(
            f"no answer is left to learn from; left out: {dict(left_out) or 'none, the files hold none'}"
        )
    columns = [found[:, CONTEXT + each] for each in range(5)]
    replies, sources, numbers_of, splits, speakers = columns
    return ReplyPairs(
        tuple(texts),
        found[:, :CONTEXT],
        replies,
        sources,
        numbers_of,
        splits,
        speakers,
        dict(left_out),
    )


def _reason(text: str, known: dict[str, str]) -> str:
    if text not in known:
        known[text] = reason_against(text)
    return known[text]


def _share(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
