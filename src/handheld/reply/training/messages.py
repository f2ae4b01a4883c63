"""Hand-written messages by topic: a small grammar, read and drawn from.

A line in brackets names a topic, each line below it is a message: (a|b) is one of a and b, (a|)
    may be left out, and {kin} is any
line of the section [kin] in ``slots.txt``. What differs in meaning is written out; the grammar only
multiplies what does not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handheld.errors import InputError
from handheld.reply.sections import read_sections

HARMLESS = "harmless"
MILD = "bad news"
_CHOICE = re.compile(r"\(([^()|]*\|[^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")
_SLOT_WEIGHT = 6  # ways in which a slot is taken to multiply a line, however many words it has


@dataclass(frozen=True)
class WrittenMessage:
    """A message that is learned from.

    Attributes:
        topic: what it is about.
        text: the message.
        source: file and line that it was drawn from; those of one line are learned from or held
            out together.
    """

    topic: str
    text: str
    source: tuple[str, int]


def read_messages(folder: Path, most: int, seed: int) -> list[WrittenMessage]:
    """Return the messages of all files of a folder.

    Args:
        folder: of text files; ``slots.txt`` holds what slots stand for.
        most: messages drawn from a line.
        seed: of the draw.

    Raises:
        InputError: a file that cannot be read, a slot without words, or no message at all.
    """
    slots: dict[str, list[str]] = {}
    if (folder / "slots.txt").exists():
        for line in read_sections(folder / "slots.txt"):
            slots.setdefault(line.section, []).append(line.text)
    lessons: list[WrittenMessage] = []
    for path in sorted(folder.glob("*.txt")):
        if path.name != "slots.txt":
            lessons += _read_file(path, slots, most, seed)
    if not lessons:
        raise InputError(
            f"{folder} holds no messages: expected .txt files with a [topic] and lines below it"
        )
    return lessons


def _read_file(
    path: Path, slots: Mapping[str, Sequence[str]], most: int, seed: int
) -> list[WrittenMessage]:
    lessons: list[WrittenMessage] = []
    for number, line in enumerate(read_sections(path)):
        for slot in _SLOT.findall(line.text):
            if slot not in slots:
                raise InputError(f"{path}: {{{slot}}} in {line.text!r} is no section of slots.txt")
        # a line of its own for the draw, so that adding one elsewhere changes nothing here
        rng = np.random.default_rng([seed, number, sum(path.name.encode())])
        lessons += [
            WrittenMessage(line.section, text, (path.stem, number))
            for text in drawn(line.text, slots, most, rng)
        ]
    return lessons


def drawn(
    line: str, slots: Mapping[str, Sequence[str]], most: int, rng: np.random.Generator
) -> list[str]:
    """Return different messages that a line stands for, ``most`` or fewer, drawn at random.

    >>> drawn("(hi|hello) there", {}, 10, np.random.default_rng(0))
    ['hello there', 'hi there']
    """
    ways = 1
    for choice in _CHOICE.findall(line):
        ways *= choice.count("|") + 1
    ways *= _SLOT_WEIGHT ** len(_SLOT.findall(line))
    wanted = min(ways, most)
    texts: dict[str, None] = {}
    for _ in range(4 * wanted):  # a draw may repeat; four tries for each find nearly all
        texts[_filled(line, slots, rng)] = None
        if len(texts) == wanted:
            break
    return list(texts)


def _filled(line: str, slots: Mapping[str, Sequence[str]], rng: np.random.Generator) -> str:
    def choice(found: re.Match[str]) -> str:
        return str(rng.choice(found[1].split("|")))

    def slot(found: re.Match[str]) -> str:
        return str(rng.choice(slots[found[1]]))

    return " ".join(_SLOT.sub(slot, _CHOICE.sub(choice, line)).split())
