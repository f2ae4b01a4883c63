"""Tables of labelled texts."""

import gc
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path

import numpy as np

from handheld.data._checks import path_of, require_names, require_text
from handheld.data._columns import HOW, Columns, Wanted, columns_of
from handheld.data._rows import Row, Table, read_rows
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError

_ENOUGH = 8  # rows from which the order of two nameless columns is doubted, and any label that stands once and first
_NAME = re.compile(r"[^\W\d][\w-]{0,24}")  # what a column is called, and hardly what a text says
_MOSTLY = 0.5  # of the rows with a label of their own: then they are no labels


def read_table(
    path: Path,
    classes: tuple[str, ...] | None = None,
    *,
    label_column: str | None = None,
    text_columns: Sequence[str] = (),
    keep_unknown: bool = False,
) -> tuple[Dataset, list[Skipped]]:
    """Read labelled texts.

    ============================  ================================================================================
    ``.csv``                      quoted fields, by a header or label first
    ``.tsv``                      label TAB text, or by a header; fields are not quoted, a text may hold tabs
    ``.jsonl``, ``.ndjson``       an object a line; ``.json``: a list of objects
    ``.txt``, ``.tsv``, ``.csv``  fastText's lines, ``__label__NAME text``
    ============================  ================================================================================

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
    with _collector_paused():
        return _read(
            path, classes, Wanted(label_column, tuple(text_columns)), keep_unknown=keep_unknown
        )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Let Python's collector of cycles rest: rows have none, and it would look through all of them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(
    path: Path, classes: tuple[str, ...] | None, wanted: Wanted, *, keep_unknown: bool
) -> tuple[Dataset, list[Skipped]]:
    table = read_rows(path)
    table = table._replace(rows=list(dropwhile(_is_blank, table.rows)))
    columns = _columns(table, wanted, path, doubt=classes is None)
    rows = table.rows[1:] if columns.has_header and not table.names else table.rows
    labels: list[str] = []
    texts: list[str] = []
    skipped: list[Skipped] = []
    known = None if classes is None or keep_unknown else set(classes)
    for row, label, text in _fields(rows, columns, table, path):
        if not label or not text:
            if not _is_blank(row):
                skipped.append(Skipped(f"{path}, line {row.line}", _lack(label, text)))
        elif known is not None and label not in known:
            skipped.append(
                Skipped(f"{path}, line {row.line}", f"label {label!r} is not among the classes")
            )
        else:
            labels.append(label)
            texts.append(text)
    names = _names(set(labels), classes)
    number_of = {name: number for number, name in enumerate(names)}
    numbers = np.fromiter(map(number_of.__getitem__, labels), np.int64, len(labels))
    return Dataset(tuple(texts), numbers, names), skipped


def _lack(label: str, text: str) -> str:
    missing = [what for what, value in (("label", label), ("text", text)) if not value]
    return f"expected a label and a text, got no {' and no '.join(missing)}"


def _is_blank(row: Row) -> bool:
    return not any(field and field.strip() for field in row.fields)


def _names(present: set[str], classes: tuple[str, ...] | None) -> tuple[str, ...]:
    if classes is None:
        return tuple(sorted(present))
    return (*classes, *sorted(present.difference(classes)))


def _columns(table: Table, wanted: Wanted, path: Path, *, doubt: bool) -> Columns:
    if table.names:
        columns = columns_of(table.names, wanted, str(path))
        if columns is None:
            raise InputError(
                f"{path}: nothing says which of {', '.join(map(repr, table.names))} are label and text: {HOW}"
            )
        return columns
    if not table.rows:
        return Columns(0, (1,), has_header=False)
    first = table.rows[0]
    columns = columns_of([field or "" for field in first.fields], wanted, str(path))
    if columns is not None:
        return columns
    widest = 2 if table.may_hold_tabs else max(len(row.fields) for row in table.rows)
    if widest > 2:
        raise InputError(
            f"{path}, line {first.line}: {len(first.fields)} columns, and nothing says which are label and text: {HOW}"
        )
    if doubt:
        _doubt(table.rows, path)
    return Columns(0, (1,), has_header=False)


def _doubt(rows: Sequence[Row], path: Path) -> None:
    """Refuse two nameless columns of which the second, not the first, looks like the labels; or a
    header that is not known."""
    pairs = [
        (row.fields[0], row.fields[1]) for row in rows if len(row.fields) >= 2 and row.fields[0]
    ]
    firsts = [first for first, _ in pairs]
    seconds = {second for _, second in pairs}
    is_enough = len(pairs) >= _ENOUGH
    if is_enough and len(set(firsts)) > max(_MOSTLY * len(pairs), len(seconds)):
        raise InputError(f"{path}: the second column, not the first, looks like the labels: {HOW}")
    # In a small table each label may stand once; where all but the first come again, the first is odd there too.
    others = Counter(firsts[1:])
    is_odd = bool(others) and firsts[0] not in others and (is_enough or min(others.values()) > 1)
    if is_odd and all(_NAME.fullmatch(field or "") for field in pairs[0]):
        raise InputError(
            f"{path}, line {rows[0].line}: {firsts[0]!r} is a label of no other line, so this may be a header: {HOW}"
        )


def _fields(
    rows: Sequence[Row], columns: Columns, table: Table, path: Path
) -> Iterator[tuple[Row, str, str]]:
    """Yield each row with its label and its text, empty where it has none."""
    width = (
        len(table.rows[0].fields)
        if columns.has_header and table.rows
        else max(columns.label, *columns.texts) + 1
    )
    last = max(columns.label, *columns.texts)
    for row in rows:
        fields = row.fields
        if len(fields) > width and not table.names:
            if not (table.may_hold_tabs and columns.texts[-1] == last == width - 1):
                raise InputError(
                    f"{path}, line {row.line}: {len(fields)} columns, expected {width}: is a separator inside a text?"
                )
            fields = (*fields[: width - 1], "\t".join(field or "" for field in fields[width - 1 :]))
        texts = [_at(fields, place) for place in columns.texts]
        yield (
            row,
            _at(fields, columns.label),
            texts[0] if len(texts) == 1 else " ".join(filter(None, texts)),
        )


def _at(fields: Sequence[str | None], place: int) -> str:
    return (fields[place] or "").strip() if place < len(fields) else ""
