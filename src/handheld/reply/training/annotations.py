"""The hand-written files: intents with their replies, situations with the intents that answer them,
sensitive messages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.reply.conversation import Message, canonical, read_turns
from handheld.reply.sections import SectionLine, expanded, read_sections
from handheld.untrusted import require_file


@dataclass(frozen=True, eq=False)
class Situations:
    """Messages, and what answers them.

    Attributes:
        texts: messages.
        intents: (messages, intents) shares: each intent of the list counts half as much as the
            one before it.
    """

    texts: tuple[str, ...]
    intents: NDArray[np.float32]


class JudgedMessage(NamedTuple):
    """A message that was read by a person.

    Attributes:
        messages: of the conversation.
        intents: numbers of those that would be a good answer.
    """

    messages: tuple[Message, ...]
    intents: frozenset[int]


def read_intents(path: Path) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """Return the names of intents, and replies with the number of theirs. Raises
    :class:`InputError`.
    """
    lines = read_sections(path)
    names = tuple(dict.fromkeys(line.section for line in lines))
    if len(names) < 2:
        raise InputError(f"{path} names {len(names)} intents: expected two or more")
    found: dict[str, tuple[str, int]] = {}
    for line in lines:
        found.setdefault(canonical(line.text), (line.text, names.index(line.section)))
    return names, list(found.values())


def read_situations(path: Path, names: Sequence[str], most: int) -> Situations:
    """Return the messages of a file, ``most`` of a line. Raises :class:`InputError` for intents
    that there are not.
    """
    number = {name: place for place, name in enumerate(names)}
    texts: list[str] = []
    shares: list[NDArray[np.float32]] = []
    for line in read_sections(path):
        share = _shares(line, number, path)
        for text in expanded(line.text, most):
            texts.append(text)
            shares.append(share)
    return Situations(tuple(texts), np.array(shares, np.float32).reshape(-1, len(names)))


def read_judged(path: Path, names: Sequence[str]) -> list[JudgedMessage]:
    """Return messages and the intents that a person would answer; an empty set where no few words
    fit.

    Each line is ``MESSAGE<TAB>intent; intent``; turns are joined by `` || ``, the user's own begin
    with ``me: ``.

    Raises:
        InputError: a file that cannot be read, or an intent that there is not.
    """
    number = {name: place for place, name in enumerate(names)}
    judged: list[JudgedMessage] = []
    try:
        require_file(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        message, _, intents = line.partition("\t")
        wanted = [name.strip() for name in intents.split(";") if name.strip()]
        if unknown := [name for name in wanted if name not in number]:
            raise InputError(
                f"{path}: {message!r} names the intent {unknown[0]!r}, which there is not"
            )
        judged.append(
            JudgedMessage(read_turns(message), frozenset(number[name] for name in wanted))
        )
    return judged


def _shares(line: SectionLine, number: Mapping[str, int], path: Path) -> NDArray[np.float32]:
    found = np.zeros(len(number), np.float32)
    for rank, name in enumerate(part.strip() for part in line.section.split(";")):
        if name not in number:
            raise InputError(
                f"{path}: [{line.section}] names the intent {name!r}, which there is not"
            )
        found[number[name]] = 2.0**-rank
    return np.asarray(found / found.sum(), np.float32)
