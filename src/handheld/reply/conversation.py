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

# how a person who types a whole conversation marks what is theirs
_MINE = re.compile(r"^\s*me:\s*", re.IGNORECASE)
# where a sentence ends
_END = re.compile(r"(?<=[.!?])\s+")
LONGEST = 2000
"""Characters of a message that are read: rules and networks take time with them."""
# Of a line in a file: a conversation of 500 long messages; a file of one endless line must not fill
# the memory.
_MOST_BYTES = 1 << 20
# the first bytes of any gzip file (RFC 1952)
_GZIP = b"\x1f\x8b"


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


Messages = str | Message | Sequence[str | Message]
"""The last messages of a conversation, the newest last; plain texts are the other person's."""


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


def context_of(messages: Messages, count: int) -> list[str]:
    """Return the last texts, the latest first, one for all that a person said in a row.

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
    """Return a message as a person types it for us.

    The user's own begin with ``me:``, in any case.
    """
    said = _MINE.sub("", text)
    return Message(said, mine=said != text)


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


def turns_of(messages: Messages, count: int) -> list[Turn]:
    """Return the last ``count`` turns, the latest first.

    Arguments and errors are those of :func:`context_of`.
    """
    turns: list[Turn] = []
    for said in reversed(_sequence(messages)):
        message = said if isinstance(said, Message) else Message(said)
        if turns and turns[-1].mine == message.mine:
            turns[-1] = _said_before(message, turns[-1])
        elif len(turns) == count:
            # not before: what was said in a row belongs to the turn, however many messages it has
            break
        else:
            text = _cut(message.text)
            turns.append(Turn(text, text, message.mine))
    return turns


def _sequence(messages: Messages) -> Sequence[str | Message]:
    """Return messages, of which one alone is a sequence too. Raises :class:`InputError`."""
    if isinstance(messages, str | Message):
        messages = [messages]
    if not isinstance(messages, Sequence) or not messages:
        raise InputError("expected one message or more, got none")
    return messages


def _said_before(message: Message, turn: Turn) -> Turn:
    """Return a turn that began with one message more."""
    # a line of its own, so that no clause runs over from one message to the next
    text = f"{message.text}\n{turn.text}"
    return turn._replace(text=text[-LONGEST:])


def _cut(text: str) -> str:
    """Return the beginning and the end of a text that is too long to read.

    Something grave may stand in either.
    """
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2 - 1]}\n{text[-LONGEST // 2 :]}"


def own_texts(messages: Messages) -> list[str]:
    """Return what the person to whom replies are suggested said."""
    if isinstance(messages, str | Message):
        messages = [messages]
    return [said.text for said in messages if isinstance(said, Message) and said.mine]


def canonical(text: str) -> str:
    """Return what makes two texts the same but for case and marks.

    >>> canonical("Yes, I do!!"), canonical("?")
    ('yes i do', '?')
    """
    return " ".join(spoken(words_of([text]).tokens))


def spoken(tokens: Sequence[str]) -> Sequence[str]:
    """Return the words among some tokens; all tokens, if there are marks alone."""
    words = [token for token in tokens if any(map(str.isalnum, token))]
    return words or tokens


def beginnings(text: str) -> tuple[str, str]:
    """Return the canonical form of a text, and that of its first sentence.

    So "Yes. I saw it too" begins as "Yes" does.
    """
    first_sentence = _END.split(text)[0]
    return canonical(text), canonical(first_sentence)


def read_conversations(path: str | os.PathLike[str]) -> Conversations:
    """Read a file of conversations, one a line, as text or in gzip.

    A line is such as ``{"id": "7", "turns": [["ann", "lunch?"], ["bob", "sure"]]}``. Lines that are
    broken are named and left out; a file that ends early keeps what came before.

    Raises:
        InputError: no such file, or no conversation in it.
    """
    # late: suggesting replies needs no data sets, and less memory
    from handheld.data import Skipped

    location = os.fspath(path)
    conversations: list[Conversation] = []
    skipped: list[Skipped] = []
    try:
        for number, line in enumerate(_lines(Path(path)), 1):
            if not line.strip():
                continue
            try:
                conversations.append(_conversation(line, number))
            except ValueError as error:
                skipped.append(Skipped(f"{location}:{number}", str(error)))
    # before OSError, of which BadGzipFile is one
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        skipped.append(Skipped(location, f"the file ends early, or is damaged: {error}"))
    except OSError as error:
        raise InputError(f"{location} cannot be read: {error}") from error
    if not conversations:
        reason = f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
        raise InputError(f"{location} holds no conversation{reason}")
    return Conversations(conversations, skipped)


def _lines(path: Path) -> Iterator[bytes]:
    require_file(path)
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    with gzip.open(path) if is_packed else path.open("rb") as file:
        while line := file.readline(_MOST_BYTES):
            yield line


def _conversation(line: bytes, number: int) -> Conversation:
    """Read a line. Raises ``ValueError`` that says what is wrong."""
    # readline() stops there: the rest of the line would be read as another one
    if len(line) == _MOST_BYTES:
        raise ValueError(f"a line longer than {_MOST_BYTES} bytes")
    content: Any = read_json(line)
    turns = content.get("turns") if isinstance(content, dict) else None
    if not isinstance(turns, list) or not all(map(_is_turn, turns)):
        raise ValueError('expected {"id": ..., "turns": [[speaker, text], ...]}')
    joined: list[tuple[str, str]] = []
    for speaker, text in turns:
        text = text.strip()
        if not text:
            continue
        # what a speaker says in a row is one turn, as it is in turns_of
        if joined and joined[-1][0] == speaker:
            _, before = joined[-1]
            joined[-1] = (speaker, f"{before} {text}")
        else:
            joined.append((speaker, text))
    return Conversation(str(content.get("id", number)), tuple(joined))


def _is_turn(turn: Any) -> bool:
    if not isinstance(turn, list) or len(turn) != 2:
        return False
    return all(isinstance(entry, str) for entry in turn)
