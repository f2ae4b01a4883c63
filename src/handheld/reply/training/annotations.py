"""The hand-written files: intents with their replies, situations, messages that a person judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.reply.conversation import Message, canonical, read_turns
from handheld.reply.sections import SectionLine, expanded, read_lines, read_sections


@dataclass(frozen=True, eq=False)
class Situations:
    """Messages, and what answers them.

    Attributes:
        texts: messages.
        intents: (messages, intents) shares: each intent of the list counts half as much as the one
            before it.
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
    """Return the names of intents, and replies with the number of theirs.

    Raises:
        InputError: a file that cannot be read, or fewer than two intents.
    """
    lines = read_sections(path)
    names = tuple(dict.fromkeys(line.section for line in lines))
    if len(names) < 2:
        raise InputError(f"{path} names {len(names)} intents: expected two or more")
    replies: dict[str, tuple[str, int]] = {}
    for line in lines:
        # a reply belongs to the first intent that names it
        replies.setdefault(canonical(line.text), (line.text, names.index(line.section)))
    return names, list(replies.values())


def read_situations(path: Path, names: Sequence[str], count: int) -> Situations:
    """Return the messages of a file of situations.

    Args:
        path: of the file: sections named after intents, the best first, joined by ``;``.
        names: of all intents.
        count: messages of a line at most.

    Raises:
        InputError: a file that cannot be read, or an intent that there is not.
    """
    numbers = _numbers(names)
    texts: list[str] = []
    shares: list[NDArray[np.float32]] = []
    for line in read_sections(path):
        messages = expanded(line.text, count)
        texts += messages
        shares += [_shares(line, numbers, path)] * len(messages)
    # reshaped: a file without messages has shares of all intents too
    return Situations(tuple(texts), np.array(shares, np.float32).reshape(-1, len(names)))


def read_judged(path: Path, names: Sequence[str]) -> list[JudgedMessage]:
    """Return messages and the intents that a person would answer; none where no few words fit.

    Each line is ``MESSAGE<TAB>intent; intent``; turns are joined by `` || ``, the user's own begin
    with ``me: ``.

    Args:
        path: of the file.
        names: of all intents.

    Raises:
        InputError: a file that cannot be read, or an intent that there is not.
    """
    numbers = _numbers(names)
    judged: list[JudgedMessage] = []
    for line in read_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        message, _, entry = line.partition("\t")
        intents = [name for name in _split(entry) if name]
        for name in intents:
            if name not in numbers:
                raise InputError(
                    f"{path}: {message!r} names the intent {name!r}, which there is not"
                )
        answers = frozenset(numbers[name] for name in intents)
        judged.append(JudgedMessage(read_turns(message), answers))
    return judged


def _numbers(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(";")]


def _shares(line: SectionLine, numbers: Mapping[str, int], path: Path) -> NDArray[np.float32]:
    """Return (intents,) how much each intent of a line's section counts; they add up to 1."""
    shares = np.zeros(len(numbers), np.float32)
    for rank, name in enumerate(_split(line.section)):
        if name not in numbers:
            raise InputError(
                f"{path}: [{line.section}] names the intent {name!r}, which there is not"
            )
        shares[numbers[name]] = 2.0**-rank
    return np.asarray(shares / shares.sum(), np.float32)
