"""Texts of many users as letters: who says what in plays, or one file for each user; and windows of letters to learn from."""

import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.data._checks import require_share, require_whole
from handheld.data.users.partitions import Partition
from handheld.errors import InputError

ALPHABET = "\n !\"&'(),-.0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz"
"""Letters that are known; all others count as one more, whose number is 0."""

_SPEAKER = re.compile(r"([A-Z][A-Za-z' .,&-]*)\t(.*)")
_HEADING = re.compile(r"(ACT|SCENE|PROLOGUE|EPILOGUE|INDUCTION)\b")
_MOST_BYTES = 1 << 28


@dataclass(frozen=True, eq=False)
class Windows:
    """Letters to learn from.

    Attributes:
        inputs: (n, length) int32 numbers of letters.
        targets: (n, length) int64 numbers of the letters that follow; -1 where there is none.
        partition: whose they are.
        test_inputs: (m, length), of all users.
        test_targets: (m, length).
    """

    inputs: NDArray[np.int32]
    targets: NDArray[np.int64]
    partition: Partition
    test_inputs: NDArray[np.int32]
    test_targets: NDArray[np.int64]


def plays(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read what each role says, line by line, from plays in which a speaker's name stands before a tab.

    Stage directions in brackets are left out, and all that stands before the first act.

    Args:
        path: folder of ``.txt`` files, or a ``.tar.gz`` of them.

    Returns:
        Lines by ``play/ROLE``.

    Raises:
        InputError: nothing there, or no play.
    """
    found: dict[str, list[str]] = {}
    for name, text in _files(Path(path)):
        for role, line in _lines(text):
            found.setdefault(f"{name}/{role}", []).append(line)
    if not found:
        raise InputError(
            f"{os.fspath(path)}: no plays: expected lines such as HAMLET<tab>Words, words, words."
        )
    return found


def one_each(folder: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read texts of users, a ``.txt`` file for each. Raises :class:`InputError` where there are none."""
    found = {name: text.splitlines() for name, text in _files(Path(folder))}
    if not found:
        raise InputError(f"{os.fspath(folder)}: no .txt files, one for each user")
    return found


def windows(
    texts: Mapping[str, Sequence[str]], *, length: int = 80, test: float = 0.2, least: int = 2
) -> Windows:
    """Cut users' lines into windows of letters; each user's last lines are to test on.

    Args:
        texts: lines by user.
        length: letters of a window.
        test: share of a user's lines.
        least: lines that a user needs; others are left out, as in arXiv 1602.05629.

    Raises:
        InputError: nobody has as many lines, or a share that is none.
    """
    require_share("test", test)
    require_whole("length", length, least=1)
    require_whole("least", least, least=0)
    kept = {
        user: list(lines) for user, lines in sorted(texts.items()) if len(lines) >= max(1, least)
    }
    if not kept:
        raise InputError(f"no user has {least} lines or more")
    trains, tests = [], []
    for lines in kept.values():
        cut = max(1, round(len(lines) * (1 - test)))
        trains.append(_windows("\n".join(lines[:cut]) + "\n", length))
        tests.append(_windows("\n".join(lines[cut:]), length))
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in trains])]).astype(np.int64)
    train, rest = np.concatenate(trains), np.concatenate(tests)
    partition = Partition(np.arange(len(train)), offsets, tuple(kept))
    return Windows(*_pairs(train), partition, *_pairs(rest))


def numbers(text: str) -> NDArray[np.int64]:
    """Return (letters,) numbers of a text's letters, 1 and up; 0 for letters that are not known."""
    return np.array([ALPHABET.find(letter) + 1 for letter in text], np.int64)


def _windows(text: str, length: int) -> NDArray[np.int64]:
    """Return (n, length + 1) numbers of letters, -1 after the end; windows share one letter with the next."""
    found = numbers(text)
    count = max(0, -(-(len(found) - 1) // length))
    padded = np.full(count * length + 1, -1, np.int64)
    padded[: min(len(found), len(padded))] = found[: len(padded)]
    return np.asarray(padded[np.arange(count)[:, None] * length + np.arange(length + 1)])


def _pairs(found: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    return np.maximum(found[:, :-1], 0).astype(np.int32), np.ascontiguousarray(found[:, 1:])


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield who says a line, and the line."""
    role, aside, begun = None, False, False
    for line in text.splitlines():
        if _HEADING.match(line):
            role, begun = None, True
            continue
        if begins := _SPEAKER.match(line):
            role, line = begins[1].strip(), begins[2]
        elif not line.startswith("\t"):
            role = role if not line.strip() else None
            continue
        said = line.strip()
        direction = aside or said.startswith("[")
        aside = direction and "]" not in said
        if begun and role and said and not direction:
            yield role, said


def _files(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the names of .txt files without their ending, and what they hold."""
    if path.is_dir():
        for file in sorted(path.glob("*.txt")):
            yield file.stem, file.read_text("utf-8-sig", "replace")
        return
    try:
        with tarfile.open(path) as archive:
            for member in sorted(archive.getmembers(), key=lambda each: each.name):
                file_object = (
                    archive.extractfile(member)
                    if member.isfile() and member.name.endswith(".txt")
                    else None
                )
                if file_object is not None:
                    if member.size > _MOST_BYTES:
                        raise InputError(
                            f"{path}: {member.name} has {member.size:,} bytes, at most {_MOST_BYTES:,} are read"
                        )
                    yield Path(member.name).stem, file_object.read().decode("utf-8", "replace")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read as a folder or .tar.gz of texts: {error}"
        ) from error
