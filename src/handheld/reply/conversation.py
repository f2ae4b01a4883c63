"""Conversations: who said what, from a program or from a file."""

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from handheld.errors import InputError
from handheld.projection.words import words_of
from handheld.untrusted import read_json, require_file

if TYPE_CHECKING:
    from handheld.data import Skipped

_MINE = re.compile(r"^\s*me:\s*", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?])\s+")
LONGEST = 2000  # characters of a message that are read
_MOST_BYTES = 1 << 20  # of a line in a file


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        text: what was said, in any language.
        mine: whether the person to whom replies are suggested said it.
    """

    text: str
    mine: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InputError(f"expected a message's text, got {type(self.text).__name__}")


class Conversation(NamedTuple):
    """A conversation of a file.

    Attributes:
        id: of the conversation.
        turns: (speaker, text), in order; messages of one speaker in a row are joined.
    """

    id: str
    turns: tuple[tuple[str, str], ...]


class Conversations(NamedTuple):
    """What a file holds, and what of it could not be read."""

    conversations: list[Conversation]
    skipped: "list[Skipped]"


def context_of(messages: str | Message | Sequence[str | Message], count: int) -> list[str]:
    """Return the last ``count`` texts, the latest first, one for all that a person said in a row.

    Args:
        messages: the last of a conversation; plain texts are those of the other person.
        count: of texts; the list is shorter where there are fewer.

    Raises:
        InputError: no messages, or something else.
    """
    return [turn.text for turn in turns_of(messages, count)]


def read_turns(text: str) -> tuple[Message, ...]:
    """Return the messages that one line stands for; see :func:`read_message`.

    >>> [message.mine for message in read_turns("lunch? || Me: sure, where || at mine")]
    [False, True, False]
    """
    return tuple(map(read_message, text.split(" || ")))


def read_message(text: str) -> Message:
    """Return a message as a person types it for us: the user's own begin with ``me:``, in any
    case.
    """
    own = _MINE.sub("", text)
    return Message(own, mine=own != text)


class Turn(NamedTuple):
    """All that a person said in a row.

    Attributes:
        text: the messages, joined.
        last: the last of them alone.
        mine: whether the person to whom replies are suggested said it.
    """

    text: str
    last: str
    mine: bool


def turns_of(messages: str | Message | Sequence[str | Message], count: int) -> list[Turn]:
    """Return the last ``count`` turns, the latest first; see :func:`context_of` for the arguments
    and errors.
    """
    if isinstance(messages, str | Message):
        messages = [messages]
    if not isinstance(messages, Sequence) or not messages:
        raise InputError("expected one message or more, got none")
    turns: list[Turn] = []
    for said in reversed(messages):
        message = said if isinstance(said, Message) else Message(said)
        if turns and turns[-1].mine == message.mine:
            turn = turns[-1]
            # a line of its own, so that no clause runs over from one message to the next
            turns[-1] = turn._replace(text=f"{message.text}\n{turn.text}"[-LONGEST:])
        elif len(turns) == count:
            break
        else:
            cut = _cut(message.text)
            turns.append(Turn(cut, cut, message.mine))
    return turns


def _cut(text: str) -> str:
    """Return the beginning and the end of a text that is too long to read: something grave may
    stand in either.
    """
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2 - 1]}\n{text[-LONGEST // 2 :]}"


def own_texts(messages: str | Message | Sequence[str | Message]) -> list[str]:
    """Return what the person to whom replies are suggested said."""
    if isinstance(messages, str | Message):
        messages = [messages]
    return [each.text for each in messages if isinstance(each, Message) and each.mine]


def canonical(text: str) -> str:
    """Return what makes two texts the same but for case and marks.

    >>> canonical("Yes, I do!!"), canonical("?")
    ('yes i do', '?')
    """
    return " ".join(spoken(words_of([text]).tokens))


def spoken(tokens: Sequence[str]) -> Sequence[str]:
    """Return the words among some tokens without the marks; all of them, if there are marks
    alone.
    """
    return [token for token in tokens if any(letter.isalnum() for letter in token)] or tokens


def beginnings(text: str) -> tuple[str, str]:
    """Return the canonical form of a text, and that of its first sentence: "Yes. I saw it too"
    begins as "Yes" does.
    """
    return canonical(text), canonical(_END.split(text)[0])


def read_conversations(path: str | os.PathLike[str]) -> Conversations:
    """Read a file of lines such as ``{"id": "7", "turns": [["ann", "lunch?"], ["bob", "sure"]]}``,
    or such lines in gzip.

    Lines that are broken are named and left out; a file that ends early keeps what came before.

    Raises:
        InputError: no such file, or no conversation in it.
    """
    from handheld.data import (
        Skipped,
    )  # late: suggesting replies needs no data sets, and less memory

    found: list[Conversation] = []
    skipped: list[Skipped] = []
    try:
        for number, line in enumerate(_lines(Path(path)), 1):
            if not line.strip():
                continue
            try:
                found.append(_conversation(line, number))
            except ValueError as error:
                skipped.append(Skipped(f"{os.fspath(path)}:{number}", str(error)))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        skipped.append(Skipped(os.fspath(path), f"the file ends early, or is damaged: {error}"))
    except OSError as error:
        raise InputError(f"{os.fspath(path)} cannot be read: {error}") from error
    if not found:
        reason = f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
        raise InputError(f"{os.fspath(path)} holds no conversation{reason}")
    return Conversations(found, skipped)


def _lines(path: Path) -> Iterator[bytes]:
    require_file(path)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        while line := file.readline(_MOST_BYTES):
            yield line


def _conversation(line: bytes, number: int) -> Conversation:
    """Read a line. Raises ``ValueError`` that says what is wrong."""
    if len(line) == _MOST_BYTES:
        raise ValueError(f"a line longer than {_MOST_BYTES} bytes")
    content: Any = read_json(line)
    turns = content.get("turns") if isinstance(content, dict) else None
    if not isinstance(turns, list) or not all(_is_turn(turn) for turn in turns):
        raise ValueError('expected {"id": ..., "turns": [[speaker, text], ...]}')
    joined: list[tuple[str, str]] = []
    for speaker, text in turns:
        if not text.strip():
            continue
        if joined and joined[-1][0] == speaker:
            joined[-1] = (speaker, f"{joined[-1][1]} {text.strip()}")
        else:
            joined.append((speaker, text.strip()))
    return Conversation(str(content.get("id", number)), tuple(joined))


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and all(isinstance(part, str) for part in turn)
