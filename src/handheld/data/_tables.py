"""Tables of labelled texts."""

import csv
import io
from pathlib import Path

import numpy as np

from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError


def read_table(path: Path, classes: tuple[str, ...] | None = None) -> tuple[Dataset, list[Skipped]]:
    """Read a ``.csv``, or a ``.tsv`` whose fields are not quoted: label and text, or columns of those names.

    Args:
        path: UTF-8 text.
        classes: names in their order, if another file has set it; else sorted by name.

    A row without a text, or with a label that ``classes`` does not have, is left out.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    rows = _quoted(text, path) if path.suffix == ".csv" else [line.rstrip("\r").split("\t") for line in text.split("\n")]
    at_label, at_text, first = 0, 1, 0
    if rows and {"label", "text"} <= {field.strip().lower() for field in rows[0]}:
        header = [field.strip().lower() for field in rows[0]]
        at_label, at_text, first = header.index("label"), header.index("text"), 1
    pairs, skipped = [], []
    for number, row in enumerate(rows[first:], start=first + 1):
        if len(row) <= max(at_label, at_text) or not row[at_label].strip() or not row[at_text].strip():
            if any(field.strip() for field in row):
                skipped.append(Skipped(f"{path}, line {number}", "expected a label and a text"))
        elif classes is not None and row[at_label].strip() not in classes:
            skipped.append(Skipped(f"{path}, line {number}", f"label {row[at_label].strip()!r} is not among the classes"))
        else:
            pairs.append((row[at_label].strip(), row[at_text].strip()))
    names = classes or tuple(sorted({label for label, _ in pairs}))
    number_of = {name: number for number, name in enumerate(names)}
    labels = np.array([number_of[label] for label, _ in pairs], dtype=np.int64)
    return Dataset(tuple(sentence for _, sentence in pairs), labels, names), skipped


def _quoted(text: str, path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as a table: {error}; is a quotation mark missing?") from error
