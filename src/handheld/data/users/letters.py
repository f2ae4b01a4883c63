"""Texts of many users as letters: who says what in plays, or one file for each user; and windows
of letters to learn from.
"""

import math
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.data.users.partitions import Partition
from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range
from handheld.untrusted import require_file

ALPHABET = "\n !\"&'(),-.0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz"
"""Letters that are known; all others count as one more, whose number is 0."""

_SPEAKER = re.compile(r"([A-Z][A-Za-z' .,&-]*)\t(.*)")
_HEADING = re.compile(r"(ACT|SCENE|PROLOGUE|EPILOGUE|INDUCTION)\b")

# Bytes of one text in an archive: far above all plays together (5 MB), far below memory.
_MAX_BYTES = 1 << 28


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
    """Read what each role says, line by line, from plays in which a speaker stands before a tab.

    Stage directions in brackets are left out, and all that stands before the first act.

    Args:
        path: folder of ``.txt`` files, or a ``.tar.gz`` of them.

    Returns:
        Lines by ``play/ROLE``.

    Raises:
        InputError: nothing there, or no play.
    """
    lines: dict[str, list[str]] = {}
    for play, text in _files(Path(path)):
        for role, line in _spoken_lines(text):
            lines.setdefault(f"{play}/{role}", []).append(line)
    if not lines:
        raise InputError(
            f"{os.fspath(path)}: no plays: expected lines such as HAMLET<tab>Words, words, words."
        )
    return lines


def one_each(folder: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read texts of users, a ``.txt`` file for each.

    Raises :class:`InputError` where there are none.
    """
    lines = {}
    for user, text in _files(Path(folder)):
        lines[user] = text.splitlines()
    if not lines:
        raise InputError(f"{os.fspath(folder)}: no .txt files, one for each user")
    return lines


def windows(
    texts: Mapping[str, Sequence[str]], *, length: int = 80, test: float = 0.2, min_lines: int = 2
) -> Windows:
    """Cut users' lines into windows of letters; each user's last lines are to test on.

    Args:
        texts: lines by user.
        length: letters of a window; 80 as in LEAF (arXiv 1812.01097).
        test: fraction of a user's lines.
        min_lines: that a user needs; others are left out, as in arXiv 1602.05629.

    Raises:
        InputError: nobody has as many lines, or a fraction that is none.
    """
    in_range("test", test, low=0, high=1, high_open=True)
    whole_in_range("length", length, low=1)
    whole_in_range("min_lines", min_lines, low=0)
    # One line at least, whatever is asked for: of none there is nothing to learn from.
    required = max(1, min_lines)
    # Sorted, so that one order of users stands for one set of texts.
    users = [user for user, lines in sorted(texts.items()) if len(lines) >= required]
    if not users:
        raise InputError(f"no user has {min_lines} lines or more")
    trains = []
    tests = []
    for user in users:
        train_text, test_text = _split_text(texts[user], test)
        trains.append(_windows(train_text, length))
        tests.append(_windows(test_text, length))
    partition = _one_after_another(users, trains)
    inputs, targets = _inputs_and_targets(np.concatenate(trains))
    test_inputs, test_targets = _inputs_and_targets(np.concatenate(tests))
    return Windows(inputs, targets, partition, test_inputs, test_targets)


def _one_after_another(users: Sequence[str], cuts: Sequence[NDArray[np.int64]]) -> Partition:
    """Return whose the windows are, where each user's follow those of the user before."""
    ends = np.cumsum(list(map(len, cuts)))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    return Partition(np.arange(offsets[-1]), offsets, tuple(users))


def _split_text(lines: Sequence[str], test: float) -> tuple[str, str]:
    """Return a user's first lines, one at least, and the others: who speaks goes on."""
    cut = max(1, round(len(lines) * (1 - test)))
    train_text = "\n".join(lines[:cut]) + "\n"
    test_text = "\n".join(lines[cut:])
    return train_text, test_text


def numbers(text: str) -> NDArray[np.int64]:
    """Return (letters,) numbers of a text's letters, 1 and up; 0 for letters that are not known."""
    # What is not found is at -1, and so becomes 0.
    positions = np.fromiter(map(ALPHABET.find, text), np.int64, len(text))
    return positions + 1


def _windows(text: str, length: int) -> NDArray[np.int64]:
    """Return (n, length + 1) numbers of letters, -1 after the end.

    Windows share one letter with the next: the last to predict of one is the first input of the
    other, so that each letter but the first is predicted once.
    """
    letters = numbers(text)
    to_predict = len(letters) - 1
    count = max(0, math.ceil(to_predict / length))
    padded = np.full(count * length + 1, -1, np.int64)
    # It always fits: without any window, of one letter or none, one number is left.
    padded[: len(letters)] = letters
    starts = np.arange(count)[:, None] * length
    steps = np.arange(length + 1)
    return np.asarray(padded[starts + steps])


def _inputs_and_targets(
    cut: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    # Inputs are looked up in a table, which has no row -1; targets of -1 are left out of the loss.
    inputs = np.maximum(cut[:, :-1], 0).astype(np.int32)
    return inputs, np.ascontiguousarray(cut[:, 1:])


def _spoken_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield who says a line, and the line."""
    role: str | None = None
    has_begun = False
    in_direction = False
    for line in text.splitlines():
        if _HEADING.match(line):
            role = None
            has_begun = True
            continue
        role, said = _spoken(line, role)
        # Directions may run over several lines, up to their closing bracket.
        in_direction = in_direction or said.startswith("[")
        if in_direction:
            in_direction = "]" not in said
        elif has_begun and role and said:
            yield role, said


def _spoken(line: str, role: str | None) -> tuple[str | None, str]:
    """Return who speaks from a line on, and what is said on it."""
    if speaker := _SPEAKER.match(line):
        return speaker[1].strip(), speaker[2].strip()
    if line.startswith("\t"):
        return role, line.strip()
    # A blank line leaves the speaker as it is; any other is nobody's.
    if line.strip():
        role = None
    return role, ""


def _files(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the names of .txt files without their ending, and what they hold."""
    try:
        if path.is_dir():
            yield from _files_in(path)
        else:
            with tarfile.open(path) as archive:
                yield from _archived_files(archive, path)
    # zlib's is no OSError: a packed file that is damaged in the middle.
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read as a folder or .tar.gz of texts: {error}"
        ) from error


def _files_in(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.glob("*.txt")):
        # A folder may end so too; a pipe would be waited for, and is refused.
        if file.is_dir():
            continue
        require_file(file)
        _require_size(file.name, file.stat().st_size, folder)
        yield file.stem, file.read_text("utf-8-sig", "replace")


def _require_size(name: str, size: int, path: Path) -> None:
    if size > _MAX_BYTES:
        raise InputError(f"{path}: {name} has {size:,} bytes, at most {_MAX_BYTES:,} are read")


def _archived_files(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, str]]:
    for member in sorted(archive.getmembers(), key=_member_name):
        # A link or a folder may end so too, and has nothing to read.
        if not (member.name.endswith(".txt") and member.isfile()):
            continue
        _require_size(member.name, member.size, path)
        content = archive.extractfile(member)
        if content is not None:
            yield Path(member.name).stem, content.read().decode("utf-8", "replace")


def _member_name(member: tarfile.TarInfo) -> str:
    return member.name
