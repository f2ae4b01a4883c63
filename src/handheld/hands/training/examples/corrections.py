"""What a person corrected: lines beside the labels, which stay as they are.

``labels.corrections.jsonl`` lies beside ``labels.jsonl`` and is read with it wherever labels are.
A line is a photo's labels as they shall be, in the same form; the last one of a photo counts.
Besides, it has ``version``, the number of changes so far, and ``reviewed``, whether a person has
seen all of its hands. A line that a killed process did not finish is none.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.hands.training.examples.photos import read_lines
from handheld.hands.training.examples.records import require_record

Record: TypeAlias = dict[str, Any]


def corrections_file(labels: Path) -> Path:
    """Return where the corrections of a file of labels are, if there are any."""
    if labels.is_symlink():
        # Beside the file, not the link: by every name these are the corrections of one file.
        labels = Path(os.path.realpath(labels))
    return labels.with_name(f"{labels.stem}.corrections.jsonl")


def read_records(labels: Path) -> Iterator[Record]:
    """Give the line of each photo in a file of labels, or what a person made of it.

    Raises:
        InputError: a file that cannot be read, a line that is none, a photo that is labelled twice,
            a correction of a photo that has no labels.
    """
    if not labels.is_file():
        raise InputError(
            f"{labels}: no such file: make it with `handheld hands pseudo-label` or "
            "`handheld hands import`"
        )
    corrected = read_corrections(corrections_file(labels))
    names: set[str] = set()
    for number, record in enumerate(read_lines(labels), 1):
        name = str(record.get("photo"))
        # Two lines would have one correction, and a training would learn from one of them only.
        if name in names:
            raise InputError(f"{labels}: line {number}: {name} is labelled twice")
        names.add(name)
        yield corrected.pop(name, record)
    if corrected:
        raise InputError(
            f"{corrections_file(labels)}: photo {min(corrected)} is not in {labels}: these are "
            "corrections of other labels; move them away"
        )


def read_corrections(path: Path) -> dict[str, Record]:
    """Return the last correction of each photo by its name; none where there is no file."""
    if not path.is_file():
        return {}
    corrected: dict[str, Record] = {}
    for number, record in enumerate(read_lines(path, whole_only=True), 1):
        try:
            require_record(record)
        except InputError as error:
            raise InputError(f"{path}: line {number}: not a photo's labels: {error}") from error
        corrected[record["photo"]] = record
    return corrected


def ensure_no_corrections(labels: Path) -> None:
    """Refuse to write labels anew where corrections of the old ones lie beside them.

    Raises:
        InputError: they do.
    """
    path = corrections_file(labels)
    if path.exists():
        raise InputError(
            f"{path}: corrects the labels that {labels} had: move it away, or name another file"
        )


def write_corrections(path: Path, corrected: dict[str, Record]) -> None:
    """Write corrections anew, one line a photo: what came before a line is gone, and so is a line
    that was not finished.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as lines:
        for record in corrected.values():
            lines.write(line_of(record))


def append_correction(path: Path, record: Record) -> None:
    """Add a line, which is on the disk when this returns.

    Raises:
        OSError: it is full; what was written before stays.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        content = line_of(record).encode()
        try:
            # One call: a process that is killed has written all of it or, on a full disk, a part.
            if os.write(descriptor, content) < len(content):
                raise OSError(28, os.strerror(28))
            os.fsync(descriptor)
        except OSError:
            # The next line would else be appended to half of this one.
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def apply_corrections(labels: Path) -> None:
    """Write the corrections into the labels themselves, and remove their file.

    Killed between the two, the corrections are there still, and say the same as the labels.
    """
    path = corrections_file(labels)
    if not path.is_file():
        return
    with atomic_path(labels) as temporary, temporary.open("w", encoding="utf-8") as lines:
        for record in read_records(labels):
            lines.write(line_of(record))
    path.unlink()


def line_of(record: Record) -> str:
    """Return a record as a line of JSON."""
    # ASCII: names of files that are no text are escaped, as JSON writes them.
    return json.dumps(record, separators=(",", ":")) + "\n"
