"""Tables of labelled texts."""

import gc
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.data._checks import path_of, require_names, require_text
from handheld.data._columns import HELP, ColumnNames, Columns, columns_of
from handheld.data._rows import TableRow, TextTable, read_rows
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError

# Rows from which the order of two nameless columns is doubted, and any label that stands once and
# first: in fewer, texts and labels may each occur once by chance.
_MIN_ROWS_TO_DOUBT = 8

# Share of the rows with a label of their own from which on they are no labels.
_MAX_DISTINCT = 0.5

# What a column is called, and hardly what a text says: one short word.
_NAME = re.compile(r"[^\W\d][\w-]{0,24}")


def read_table(
    path: Path,
    classes: tuple[str, ...] | None = None,
    *,
    label_column: str | None = None,
    text_columns: Sequence[str] = (),
    keep_unknown: bool = False,
) -> tuple[Dataset, list[Skipped]]:
    """Read labelled texts.

    ============================  ==============================================================
    ``.csv``                      quoted fields, by a header or label first
    ``.tsv``                      label TAB text, or by a header; fields are not quoted, a text
                                  may hold tabs
    ``.jsonl``, ``.ndjson``       an object a line; ``.json``: a list of objects
    ``.txt``, ``.tsv``, ``.csv``  fastText's lines, ``__label__NAME text``
    ============================  ==============================================================

    Each also as ``.gz``, in any capitals, with LF, CRLF or CR, in UTF-8 or in UTF-16 with its
    mark. A header is known by its names (label, category, class, intent, sentiment, v1 ...; text,
    sentence, review, tweet, v2 ...; title and description together).

    Args:
        path: of the file.
        classes: names in their order, if another file has set it; else sorted by name.
        label_column: name of the labels' column, or its number from 1 where there is no header;
            None: found by its name.
        text_columns: names or numbers of the texts' columns, which are joined by a blank; none:
            found by their names.
        keep_unknown: labels that ``classes`` does not have become further classes, behind these;
            else such rows are left out.

    Returns:
        The texts, and the rows that were left out: without a text or a label, or with a label that
        is not known.

    Raises:
        InputError: no such file, no text, columns that nothing says the meaning of, a row that is
            broken; with its line.
    """
    path = path_of(path)
    require_text("label_column", label_column)
    require_names("text_columns", text_columns)
    if classes is not None:
        require_names("classes", classes)
    said = ColumnNames(label_column, tuple(text_columns))
    with _collector_paused():
        return _read(path, classes, said, keep_unknown=keep_unknown)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Let Python's collector of cycles rest.

    Rows have no cycles, and it would look through all of them again and again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(
    path: Path, classes: tuple[str, ...] | None, said: ColumnNames, *, keep_unknown: bool
) -> tuple[Dataset, list[Skipped]]:
    table = read_rows(path)
    # Blank lines before it would hide a header.
    table = table._replace(rows=list(dropwhile(_is_blank, table.rows)))
    columns = _columns(table, said, path, doubt=classes is None)
    # Where a table has names of its own, its header is none of the rows.
    is_header_a_row = columns.has_header and not table.names
    rows = table.rows[int(is_header_a_row) :]
    known = None
    if classes is not None and not keep_unknown:
        # A set, as it is looked into for each row.
        known = frozenset(classes)
    labels: list[str] = []
    texts: list[str] = []
    skipped: list[Skipped] = []
    for row, label, text in _fields(rows, columns, table, path):
        if label and text and (known is None or label in known):
            labels.append(label)
            texts.append(text)
        elif not row.is_blank:  # which nobody would miss
            name = f"{path}, line {row.line}"
            skipped.append(Skipped(name, _reason_against(label, text)))
    # Of what was kept: a label whose every text was left out is no class.
    names = _class_names(set(labels), classes)
    return Dataset(tuple(texts), _indices(labels, names), names), skipped


def _is_blank(row: TableRow) -> bool:
    return row.is_blank


def _reason_against(label: str, text: str) -> str:
    """Return why a row is left out."""
    if label and text:
        return f"label {label!r} is not among the classes"
    missing = "no label"
    if not text:
        missing = "no text"
    if not label and not text:
        missing = "no label and no text"
    return f"expected a label and a text, got {missing}"


def _class_names(present: set[str], classes: tuple[str, ...] | None) -> tuple[str, ...]:
    if classes is None:
        return tuple(sorted(present))
    return (*classes, *sorted(present.difference(classes)))


def _indices(labels: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    index_of = dict(zip(names, range(len(names)), strict=True))
    return np.fromiter(map(index_of.__getitem__, labels), np.int64, len(labels))


def _columns(table: TextTable, said: ColumnNames, path: Path, *, doubt: bool) -> Columns:
    """Return where label and text are: by names, as somebody says, or else first and second.

    With ``doubt`` nameless columns that look the other way round are refused.
    """
    if table.names:
        columns = columns_of(table.names, said, str(path))
        if columns is None:
            names = ", ".join(map(repr, table.names))
            raise InputError(f"{path}: nothing says which of {names} are label and text: {HELP}")
        return columns
    if table.rows:
        first_row = [field or "" for field in table.rows[0].fields]
        if columns := columns_of(first_row, said, str(path)):
            return columns
        _check_nameless(table, path, doubt=doubt)
    return Columns(0, (1,), has_header=False)


def _check_nameless(table: TextTable, path: Path, *, doubt: bool) -> None:
    """Raise :class:`InputError` unless the columns may be label and text."""
    # Tabs behind the second column may be the text's own.
    if not table.may_hold_tabs and any(map(_has_more_than_two, table.rows)):
        first = table.rows[0]
        raise InputError(
            f"{path}, line {first.line}: {len(first.fields)} columns, and nothing says which are "
            f"label and text: {HELP}"
        )
    if doubt:
        _doubt(table.rows, path)


def _has_more_than_two(row: TableRow) -> bool:
    return len(row.fields) > 2


def _is_filled(row: TableRow) -> bool:
    return len(row.fields) >= 2 and bool(row.fields[0])


def _doubt(rows: Sequence[TableRow], path: Path) -> None:
    """Refuse two nameless columns that seem to be in the other order, or to have a header."""
    # What is blank or broken says nothing of the order, and is left out or refused later.
    filled = list(filter(_is_filled, rows))
    firsts = [row.fields[0] for row in filled]
    seconds = {row.fields[1] for row in filled}
    are_enough = len(filled) >= _MIN_ROWS_TO_DOUBT
    most_distinct = max(_MAX_DISTINCT * len(filled), len(seconds))
    if are_enough and len(set(firsts)) > most_distinct:
        raise InputError(f"{path}: the second column, not the first, looks like the labels: {HELP}")
    if _is_odd(firsts, are_enough) and all(map(_is_name, filled[0].fields[:2])):
        raise InputError(
            f"{path}, line {rows[0].line}: {firsts[0]!r} is a label of no other line, so this may "
            f"be a header: {HELP}"
        )


def _is_odd(labels: Sequence[str | None], are_enough: bool) -> bool:
    """Whether the first label is none like the others.

    In a small table each label may stand once; where all but the first come again, the first is
    odd there too.
    """
    others = Counter(labels[1:])
    if not others or labels[0] in others:
        return False
    return are_enough or min(others.values()) > 1


def _is_name(field: str | None) -> bool:
    return _NAME.fullmatch(field or "") is not None


def _fields(
    rows: Sequence[TableRow], columns: Columns, table: TextTable, path: Path
) -> Iterator[tuple[TableRow, str, str]]:
    """Yield each row with its label and its text, empty where it has none."""
    width = columns.last + 1
    if columns.has_header and table.rows:
        width = len(table.rows[0].fields)
    is_text_last = columns.texts[-1] == columns.last == width - 1
    for row in rows:
        # Rows of JSON name their fields: none is one too many.
        if len(row.fields) > width and not table.names:
            if not (table.may_hold_tabs and is_text_last):
                raise InputError(
                    f"{path}, line {row.line}: {len(row.fields)} columns, expected {width}: "
                    "is a separator inside a text?"
                )
            row = row.folded(width)
        text = row.at(columns.texts[0])
        # Nearly always there is one, and this runs for each row of what may be millions.
        if len(columns.texts) > 1:
            text = " ".join(filter(None, map(row.at, columns.texts)))
        yield row, row.at(columns.label), text
