"""Which columns of a table hold the labels and the texts: by the names that data sets use, or as
somebody says."""

from collections.abc import Sequence
from dataclasses import dataclass

from handheld.errors import InputError

LABEL_NAMES = frozenset({
    "label", "labels", "label_text", "category", "categories", "class", "class_index",
    "classname", "class_name", "intent", "target", "sentiment", "emotion", "topic", "tag", "v1",
    "y", "lang", "language", "spam", "polarity"
})  # fmt: skip
TEXT_NAMES = frozenset({
    "text", "texts", "sentence", "utterance", "message", "tweet", "review", "reviews",
    "content", "comment", "comments", "body", "question", "query", "headline", "document",
    "description", "sms", "v2", "x", "post", "phrase", "input"
})  # fmt: skip
JOINED = (("title", "description"), ("title", "content"), ("title", "text"), ("title", "body"), ("subject", "body"))
"""Names of columns that are one text together, in this order."""

HOW = "name them: --label-column NAME --text-column NAME (numbers from 1 where there is no header)"


@dataclass(frozen=True)
class Columns:
    """Places of the columns.

    Attributes:
        label: of the labels, from 0.
        texts: of the texts, one or more; they are joined by a blank.
        has_header: whether the first row holds names.
    """

    label: int
    texts: tuple[int, ...]
    has_header: bool


@dataclass(frozen=True)
class Wanted:
    """What a person says of the columns.

    Attributes:
        label: name of the column of labels, or its number from 1; None: found by its name.
        texts: names or numbers of the columns of texts; none: found by their names.
    """

    label: str | None = None
    texts: tuple[str, ...] = ()


def columns_of(first: Sequence[str], wanted: Wanted, where: str) -> Columns | None:
    """Return the columns by the first row, or None where nothing in it is a name that is known.

    Args:
        first: fields of the first row.
        wanted: what was said of them.
        where: of messages.

    Raises:
        InputError: a column that is not there, or names that fit two columns.
    """
    names = [_plain(field) for field in first]
    if wanted.label is not None or wanted.texts:
        return _as_said(names, wanted, where)
    texts = _named_texts(names, where)
    labels = [place for place, name in enumerate(names) if name in LABEL_NAMES and place not in texts]
    if len(labels) > 1 and texts:
        raise InputError(f"{where}: columns {_listed(names, labels)} could all be the labels: {HOW}")
    if not labels or not texts:
        return None
    return Columns(labels[0], texts, has_header=True)


def _named_texts(names: list[str], where: str) -> tuple[int, ...]:
    for pair in JOINED:
        if all(name in names for name in pair):
            return tuple(names.index(name) for name in pair)
    texts = [place for place, name in enumerate(names) if name in TEXT_NAMES]
    has_label = any(name in LABEL_NAMES for name in names)
    if len(texts) > 1 and has_label:
        raise InputError(f"{where}: columns {_listed(names, texts)} could all be the texts: {HOW}")
    return tuple(texts[:1])


def _as_said(names: list[str], wanted: Wanted, where: str) -> Columns:
    said = [wanted.label, *wanted.texts]
    by_number = all(name is None or name.isdecimal() for name in said) and not any(
        name is not None and _plain(name) in names for name in said
    )
    places = [None if name is None else _place(name, names, by_number, where) for name in said]
    label, texts = places[0], tuple(place for place in places[1:] if place is not None)
    if label is None or not texts:
        others = [place for place in range(len(names)) if place != label and place not in texts]
        found = [place for place in others if names[place] in (LABEL_NAMES if label is None else TEXT_NAMES)]
        candidates = found if len(found) == 1 else others
        if len(candidates) != 1:
            missing = "--label-column" if label is None else "--text-column"
            raise InputError(f"{where}: {missing} is not given, and columns {_listed(names, others)} could be it: {HOW}")
        label, texts = (candidates[0], texts) if label is None else (label, (candidates[0],))
    return Columns(label, texts, has_header=not by_number)


def _place(name: str, names: list[str], by_number: bool, where: str) -> int:
    if by_number:
        if not 1 <= int(name) <= len(names):
            raise InputError(f"{where}: no column {name}; the first row has {len(names)}")
        return int(name) - 1
    if _plain(name) not in names:
        raise InputError(f"{where}: no column {name!r}; the first row has {', '.join(map(repr, names))}")
    return names.index(_plain(name))


def _listed(names: list[str], places: Sequence[int]) -> str:
    return ", ".join(repr(names[place]) for place in places)


def _plain(name: str) -> str:
    return "_".join(name.strip().lower().split())
