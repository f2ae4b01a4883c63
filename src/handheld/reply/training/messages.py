"""Hand-written messages by topic: a small grammar, read and drawn from.

A line in brackets names a topic, each line below it is a message: (a|b) is one of a and b, (a|) may
be left out, and {kin} is any line of the section [kin] in ``slots.txt``. What differs in meaning is
written out; the grammar only multiplies what does not.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.reply.sections import read_sections

_SLOTS = "slots.txt"
_CHOICE = re.compile(r"\(([^()|]*\|[^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")
# Ways in which a slot is taken to multiply a line, however many words it has: "my aunt died" and
# "my uncle died" teach the same.
_SLOT_WEIGHT = 6
# Draws for each message that is wanted: a draw may repeat, and four find nearly all.
_TRIES = 4

Slots = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class WrittenMessage:
    """A message that is learned from.

    Attributes:
        topic: what it is about.
        text: the message.
        source: file and line that it was drawn from; those of one line are learned from or held out
            together.
    """

    topic: str
    text: str
    source: tuple[str, int]


class MessageDraws(NamedTuple):
    """Messages, and how often each is drawn.

    Attributes:
        texts: of the messages.
        shares: (messages,) probabilities. A line that stands for many messages counts more than one
            that stands for one, but not as many times.
    """

    texts: Sequence[str]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, written: Sequence[WrittenMessage]) -> "MessageDraws":
        """Return the draws of some messages."""
        weights = line_weights(written)
        return cls([message.text for message in written], weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> str:
        """Return a text."""
        return self.texts[int(rng.choice(len(self.texts), p=self.shares))]


def line_weights(written: Sequence[WrittenMessage]) -> NDArray[np.float64]:
    """Return (messages,) weights, with which a line counts as the root of its messages."""
    lines = Counter(message.source for message in written)
    return np.array([lines[message.source] ** -0.5 for message in written])


def read_messages(folder: Path, count: int, seed: int) -> list[WrittenMessage]:
    """Return the messages of all files of a folder.

    Args:
        folder: of text files; ``slots.txt`` holds what slots stand for.
        count: messages drawn from a line at most.
        seed: of the draw.

    Raises:
        InputError: a file that cannot be read, a slot without words, or no message at all.
    """
    slots = _read_slots(folder / _SLOTS)
    messages: list[WrittenMessage] = []
    # sorted, so that a run finds the same messages in the same order on any file system
    for path in sorted(folder.glob("*.txt")):
        if path.name != _SLOTS:
            messages += _read_file(path, slots, count, seed)
    if not messages:
        raise InputError(
            f"{folder} holds no messages: expected .txt files with a [topic] and lines below it"
        )
    return messages


def _read_slots(path: Path) -> Slots:
    slots: dict[str, list[str]] = {}
    if path.exists():
        for line in read_sections(path):
            slots.setdefault(line.section, []).append(line.text)
    return slots


def _read_file(path: Path, slots: Slots, count: int, seed: int) -> Iterator[WrittenMessage]:
    for number, line in enumerate(read_sections(path)):
        for slot in _SLOT.findall(line.text):
            if slot not in slots:
                raise InputError(f"{path}: {{{slot}}} in {line.text!r} is no section of slots.txt")
        # a seed of its own for each line, so that adding one elsewhere changes nothing here
        rng = np.random.default_rng([seed, number, sum(path.name.encode())])
        for text in drawn(line.text, slots, count, rng):
            yield WrittenMessage(line.section, text, (path.stem, number))


def drawn(line: str, slots: Slots, count: int, rng: np.random.Generator) -> list[str]:
    """Return different messages that a line stands for, drawn at random.

    Args:
        line: in the grammar of the files.
        slots: what slots stand for.
        count: messages at most.
        rng: which draws.

    >>> drawn("(hi|hello) there", {}, 10, np.random.default_rng(0))
    ['hello there', 'hi there']
    """
    count = min(count, _ways(line))
    # as keys: each once, in the order in which they are drawn
    texts: dict[str, None] = {}
    for _ in range(_TRIES * count):
        texts[_filled(line, slots, rng)] = None
        if len(texts) == count:
            break
    return list(texts)


def _ways(line: str) -> int:
    """Return how many messages a line is taken to stand for."""
    choices = [choice.count("|") + 1 for choice in _CHOICE.findall(line)]
    slots = len(_SLOT.findall(line))
    return math.prod([*choices, *[_SLOT_WEIGHT] * slots])


def _filled(line: str, slots: Slots, rng: np.random.Generator) -> str:
    def choice(match: re.Match[str]) -> str:
        return str(rng.choice(match[1].split("|")))

    def slot(match: re.Match[str]) -> str:
        return str(rng.choice(slots[match[1]]))

    text = _SLOT.sub(slot, _CHOICE.sub(choice, line))
    return " ".join(text.split())
