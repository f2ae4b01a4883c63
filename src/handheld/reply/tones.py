"""How replies sound: which may be offered where something is wrong."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from handheld.errors import InputError
from handheld.reply.sections import read_sections

# Numbers that rise with cheer, since what fits is a range of them; a bundle stores them.
SORRY = -1
"""Fits bad news, and nothing else."""
GENTLE = 0
"""Fits bad news too."""
KIND = 1
"""Fits a conversation in which something grave was said before."""
NEUTRAL = 2
"""Fits where there is a doubt."""
CHEERFUL = 3
"""Fits all else only."""
_NAMES: Mapping[str, int] = {"sorry": SORRY, "gentle": GENTLE, "kind": KIND, "neutral": NEUTRAL}
# Asks for colour; the same emoji is written with and without it.
_COLOUR_MARK = "\ufe0f"


class ToneRange(NamedTuple):
    """Tones that fit a message.

    Attributes:
        saddest, most_cheerful: both fit, and what lies between.
    """

    saddest: int
    most_cheerful: int

    def have(self, tone: int) -> bool:
        """Return whether a tone is among them."""
        return self.saddest <= tone <= self.most_cheerful


ALL_TONES = ToneRange(SORRY, CHEERFUL)


def read_tones(path: Path, intents: Sequence[str]) -> tuple[int, ...]:
    """Return the tone of each intent; one that the file does not name is cheerful.

    Raises:
        InputError: a file that cannot be read, or a tone that there is not.
    """
    tones: dict[str, int] = {}
    for line in read_sections(path):
        if line.section not in _NAMES:
            raise InputError(f"{path}: [{line.section}] is no tone; expected {', '.join(_NAMES)}")
        tones[line.text] = _NAMES[line.section]
    return tuple(tones.get(intent, CHEERFUL) for intent in intents)


def shipped_emoji() -> dict[str, tuple[str, ...]]:
    """Return the replies to each emoji of ``assets/emoji.txt``."""
    with resources.as_file(resources.files("handheld.reply") / "assets" / "emoji.txt") as path:
        lines = read_sections(path)
    replies: dict[str, tuple[str, ...]] = {}
    for line in lines:
        for emoji in line.section.replace(_COLOUR_MARK, "").split():
            replies[emoji] = (*replies.get(emoji, ()), line.text)
    return replies
