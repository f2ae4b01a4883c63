"""The hand-written files: intents with their replies, situations with the intents that answer them, sensitive messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.reply.conversation import canonical
from handheld.reply.sections import Line, expanded, read_sections


@dataclass(frozen=True, eq=False)
class Situations:
    """Messages, and what answers them.

    Attributes:
        texts: messages.
        intents: (messages, intents) shares: each intent of the list counts half as much as the one before it.
    """

    texts: tuple[str, ...]
    intents: NDArray[np.float32]


def read_intents(path: Path) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """Return the names of intents, and replies with the number of theirs. Raises :class:`InputError`."""
    lines = read_sections(path)
    names = tuple(dict.fromkeys(line.section for line in lines))
    if len(names) < 2:
        raise InputError(f"{path} names {len(names)} intents: expected two or more")
    found: dict[str, tuple[str, int]] = {}
    for line in lines:
        found.setdefault(canonical(line.text), (line.text, names.index(line.section)))
    return names, list(found.values())


def read_situations(path: Path, names: Sequence[str], most: int) -> Situations:
    """Return the messages of a file, ``most`` of a line. Raises :class:`InputError` for intents that there are not."""
    number = {name: place for place, name in enumerate(names)}
    texts: list[str] = []
    shares: list[NDArray[np.float32]] = []
    for line in read_sections(path):
        share = _shares(line, number, path)
        for text in expanded(line.text, most):
            texts.append(text)
            shares.append(share)
    return Situations(tuple(texts), np.array(shares, np.float32).reshape(-1, len(names)))


def read_topics(path: Path, most: int) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """Return the names of topics, and messages with the number of theirs. Raises :class:`InputError`."""
    lines = read_sections(path)
    names = tuple(dict.fromkeys(line.section for line in lines))
    return names, [(text, names.index(line.section)) for line in lines for text in expanded(line.text, most)]


def _shares(line: Line, number: Mapping[str, int], path: Path) -> NDArray[np.float32]:
    found = np.zeros(len(number), np.float32)
    for rank, name in enumerate(part.strip() for part in line.section.split(";")):
        if name not in number:
            raise InputError(f"{path}: [{line.section}] names the intent {name!r}, which there is not")
        found[number[name]] = 2.0**-rank
    return np.asarray(found / found.sum(), np.float32)
