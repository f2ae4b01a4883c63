"""What a device learns of its user: a few KB that stay on it, and are forgotten on request.

Nothing is trained by gradients. The last choices are remembered with the signatures of the messages
that they answered, and speak up where a message is alike; how the user writes is counted, and tips
the scales between replies as far as the user writes that way in the conversation at hand. Both are
bounded: no number of picks, made by anybody, moves an intent or a reply by more than a little.
"""

import json
import operator
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from handheld.errors import FileError, InputError, ModelError
from handheld.files import atomic_path
from handheld.projection import Features, Signs
from handheld.projection.words import Texts
from handheld.reply import style
from handheld.reply.conversation import canonical
from handheld.untrusted import read_json, require_file

FORMAT = 1
"""Of the file; one that changes what signatures or style counts mean needs another."""
_FEATURES = Features(words=2, skips=1)
_SIGNS = Signs(functions=12, bits=14)
BITS = _SIGNS.size
"""Of a message's signatures together."""
# Seconds that another process may take for a change, which takes milliseconds.
_PATIENCE = 10.0
# what somebody typed is nobody else's to read
_PRIVATE = 0o600
# Choices that are remembered: the file stays at a few KB, and each is compared with each message.
_REMEMBERED = 48
# Characters of a reply that is remembered.
_LONGEST = 120
# Logits of an intent at most: a pick makes it seven times likelier, and cannot force it.
_BOOST = 2.0
# Logits of a reply for each unit of likeness, of which there are three at most.
_STYLE = 0.5
# How far a user is taken to write as always, in a conversation where nothing of theirs is seen.
_UNSEEN = 0.5
# Counts from which on older ones are halved, so that style follows a user who changes.
_FADES = 4000.0
# Cosines of two messages that are not alike at all, and quite.
_FAR = 0.4
_NEAR = 0.8
# Likeness from which on a remembered reply is offered as it is.
_SAME = 0.9
# Of a signature, which is compared as 64 bits.
_MOST_SIGNATURE = (1 << 64) - 1
# What a file that is no such file can raise while it is read.
_DAMAGE = (
    OSError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def signatures_of(texts: Texts) -> NDArray[np.uint64]:
    """Return (12,) numbers of 14 bits that stand for the first of some texts.

    The more alike two messages are, the fewer of the bits differ.
    """
    signs = _SIGNS.of(_FEATURES.of(texts))
    bits = signs[:1].reshape(_SIGNS.functions, _SIGNS.bits)
    weights = np.uint64(1) << np.arange(_SIGNS.bits, dtype=np.uint64)
    return np.asarray((bits * weights).sum(axis=1, dtype=np.uint64))


@dataclass(frozen=True)
class RememberedChoice:
    """A reply that the user picked or typed.

    Attributes:
        signatures: of the message that it answered.
        intent: its number, -1 for none that is known.
        reply: what was said.
    """

    signatures: tuple[int, ...]
    intent: int
    reply: str

    @property
    def key(self) -> str:
        """What makes two replies the same to forget."""
        return _key(self.reply)


@dataclass(frozen=True, eq=False)
class PersonalState:
    """What was learned; a value: :meth:`learned` returns a new one.

    Attributes:
        choices: the last ones, the newest last; one for each message and intent.
        counts: (style.SIZE,) of how the user writes.
    """

    choices: tuple[RememberedChoice, ...] = ()
    counts: NDArray[np.float32] = field(default_factory=lambda: np.zeros(style.SIZE, np.float32))

    def learned(self, signatures: Sequence[int], intent: int, reply: str) -> "PersonalState":
        """Return what is known after one more choice."""
        choice = RememberedChoice(tuple(map(int, signatures)), intent, reply.strip()[:_LONGEST])
        answered = (choice.signatures, choice.intent)
        others = []
        replaced = []
        for known in self.choices:
            if (known.signatures, known.intent) == answered:
                replaced.append(known.reply)
            else:
                others.append(known)
        # What is replaced counts no more: it is remembered nowhere, and could not be forgotten.
        before = np.maximum(self.counts - style.counts_of(replaced), 0)
        counts = before + style.counts_of([choice.reply])
        if counts.sum() > _FADES:
            counts = counts / np.float32(2)
        return PersonalState((*others, choice)[-_REMEMBERED:], counts)

    def without(self, reply: str) -> "PersonalState":
        """Return what is known without a reply, what it said of the user's style included.

        Replies that differ in case, spaces and marks alone are the same; a long one is known by its
        beginning, as it was kept.

        Raises:
            InputError: an empty reply.
        """
        if not reply.strip():
            raise InputError(
                "expected a reply to forget, got an empty one; forget() forgets everything"
            )
        key = _key(reply)
        kept = tuple(choice for choice in self.choices if choice.key != key)
        forgotten = [choice.reply for choice in self.choices if choice.key == key]
        # not below 0: counts that were halved meanwhile hold less of the reply than it had
        counts = np.maximum(self.counts - style.counts_of(forgotten), 0)
        return replace(self, choices=kept, counts=counts)

    def boosts(
        self, signatures: NDArray[np.uint64], bits: int, intents: int
    ) -> NDArray[np.float32]:
        """Return (intents,) logits in [0, 2] for what the user answered to messages like this one.

        Args:
            signatures: (T,) of the message.
            bits: of all of them together.
            intents: how many there are.
        """
        likeness = self._likeness(signatures, bits)
        votes = np.zeros(intents, np.float32)
        for choice, alike in zip(self.choices, likeness, strict=True):
            if 0 <= choice.intent < intents:
                # squared: a message that is half alike says less than half as much
                votes[choice.intent] += alike * alike
        return np.float32(_BOOST) * np.minimum(votes, np.float32(1))

    def own_reply(self, signatures: NDArray[np.uint64], bits: int) -> str | None:
        """Return what the user last said to a message almost like this one; None for nothing.

        Replies with a known intent are not among them: those raise their intent, see
        :meth:`boosts`, which explains the arguments too.
        """
        if not self.choices:
            return None
        likeness = self._likeness(signatures, bits)
        for choice, alike in zip(reversed(self.choices), reversed(likeness), strict=True):
            if alike >= _SAME and choice.intent < 0:
                return choice.reply
        return None

    def preference(
        self, general: NDArray[np.float32], own_texts: Sequence[str], replies: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return (replies,) logits: which texts are written as the user writes.

        Args:
            general: (style.SIZE,) how people write.
            own_texts: of the user, in the conversation at hand; the less they are like the
                user, the less style counts.
            replies: to judge.
        """
        if not self.counts.any():
            return np.zeros(len(replies), np.float32)
        odds = style.log_odds(self.counts, general)
        trust = _UNSEEN
        if own_texts:
            trust = float(np.clip(style.likeness(odds, own_texts).mean(), 0, 1))
        return np.asarray(_STYLE * trust * style.likeness(odds, replies), np.float32)

    def _likeness(self, signatures: NDArray[np.uint64], bits: int) -> NDArray[np.float64]:
        """Return (choices,) how far each choice's message is like one, in [0, 1].

        The share of bits that differ tells the angle between two messages (Charikar, STOC 2002).
        """
        known = np.zeros((len(self.choices), len(signatures)), np.uint64)
        for row, choice in zip(known, self.choices, strict=True):
            # a choice of another projection is like nothing; its row stays 0
            if len(choice.signatures) == len(signatures):
                row[:] = choice.signatures
        differing = np.bitwise_count(known ^ signatures).sum(axis=1)
        cosines = np.cos(np.pi * differing / bits)
        return np.asarray(np.clip((cosines - _FAR) / (_NEAR - _FAR), 0, 1), np.float64)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a file of a few KB that its owner alone can read: all of it, or nothing."""
        choices = [[choice.signatures, choice.intent, choice.reply] for choice in self.choices]
        # most of the 500 counts are 0
        counts = {str(number): float(self.counts[number]) for number in np.flatnonzero(self.counts)}
        content = {"format": FORMAT, "choices": choices, "counts": counts}
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        with atomic_path(path, mode=_PRIVATE) as temporary:
            temporary.write_text(text, "utf-8")

    @classmethod
    def update(
        cls, path: str | os.PathLike[str], change: "Callable[[PersonalState], PersonalState]"
    ) -> "PersonalState":
        """Change what a file keeps, and return it.

        What another process has written meanwhile is changed, and not lost.

        Args:
            path: of the file, which need not exist.
            change: gives what is known afterwards, from what the file holds.

        Raises:
            ModelError: the file is damaged.
            FileError: it cannot be written, or another process holds its lock for 10 seconds.
        """
        target = Path(os.path.realpath(path))
        lock = target.with_name(f".{target.name}.lock")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(lock, timeout=_PATIENCE, mode=_PRIVATE):
                known = change(cls.read(path))
                known.write(path)
        except Timeout as error:
            # Where no file can be made at all (/proc), the lock is tried again and again too.
            raise FileError(
                f"{os.fspath(path)}: cannot be written: {lock} was not to be had for"
                f" {_PATIENCE:g} seconds: end the process that holds it, or name another file"
            ) from error
        except OSError as error:
            raise FileError(f"{os.fspath(path)}: cannot be written: {error}") from error
        return known

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "PersonalState":
        """Read what :meth:`write` wrote; nothing is known if there is no file.

        Raises:
            ModelError: the file is damaged.
        """
        if not os.path.exists(path):
            return cls()
        location = os.fspath(path)
        try:
            require_file(path)
            content = read_json(Path(path).read_bytes())
            if content["format"] != FORMAT:
                raise ModelError(
                    f"{location} has format {content['format']!r}; this version reads {FORMAT}"
                )
            choices = tuple(_choice(*entry) for entry in content["choices"])
            counts = _counts(content["counts"])
        except _DAMAGE as error:
            raise ModelError(
                f"{location} is no file of a user's choices, or it is damaged: {error}"
            ) from error
        if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() <= 2 * _FADES):
            raise ModelError(f"{location} is damaged: its counts are no counts")
        return cls(choices[-_REMEMBERED:], counts)


def _choice(signatures: Any, intent: Any, reply: Any) -> RememberedChoice:
    """Return a choice of a file. Raises ``ValueError`` or ``TypeError`` for what is none."""
    numbers = tuple(map(operator.index, signatures))
    # Checked here: a number of more bits would be told by each message that is compared with it.
    if not all(map(_is_signature, numbers)):
        raise ValueError(f"a signature lies outside of 0 to {_MOST_SIGNATURE}")
    if not isinstance(reply, str):
        raise TypeError(f"a reply is no text, but {type(reply).__name__}")
    return RememberedChoice(numbers, operator.index(intent), reply[:_LONGEST])


def _is_signature(number: int) -> bool:
    return 0 <= number <= _MOST_SIGNATURE


def _counts(entries: Any) -> NDArray[np.float32]:
    """Return counts of a file. Raises ``LookupError`` for one that no style has."""
    counts = np.zeros(style.SIZE, np.float32)
    for name, count in entries.items():
        number = int(name)
        # Below zero numpy would count from the end.
        if number < 0:
            raise LookupError(f"count {number} is none")
        counts[number] = float(count)
    return counts


def _key(reply: str) -> str:
    """Return what makes two replies the same to forget."""
    kept = reply.strip()[:_LONGEST]
    return canonical(kept) or kept
