"""Which columns of a table hold the labels and the texts: by the names that data sets use, or as
somebody says.
"""

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
JOINED = (
    ("title", "description"),
    ("title", "content"),
    ("title", "text"),
    ("title", "body"),
    ("subject", "body"),
)
"""Names of columns that are one text together, in this order."""

ID_NAMES = frozenset(
    {"id", "ids", "idx", "index", "guid", "uuid", "uid", "row_id", "text_id", "sentence_id"}
)
"""Names of columns that only say which row it is; they are a text where somebody names them, and
never otherwise.
"""

HOW = (
    "name them: label_column and text_columns, on the command line --label-column NAME --text-column NAME "
    "(numbers from 1 where there is no header)"
)


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
    names = [plain(field) for field in first]
    if wanted.label is not None or wanted.texts:
        return _as_said(names, wanted, where)
    texts = _named_texts(names, where)
    labels = [
        place for place, name in enumerate(names) if name in LABEL_NAMES and place not in texts
    ]
    if len(labels) > 1 and texts:
        raise InputError(
            f"{where}: columns {_listed(names, labels)} could all be the labels: {HOW}"
        )
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
        name is not None and plain(name) in names for name in said
    )
    places = [None if name is None else _place(name, names, by_number, where) for name in said]
    label, texts = places[0], tuple(place for place in places[1:] if place is not None)
    if label in texts:
        raise InputError(
            f"{where}: column {wanted.label!r} is said to be both the labels and a text: name another"
        )
    if label is None:
        label = _only(
            names,
            [place for place in range(len(names)) if place not in texts],
            LABEL_NAMES,
            "labels",
            where,
        )
    if not texts:
        texts = _texts_beside(label, names, where)
    return Columns(label, texts, has_header=not by_number)


def _texts_beside(label: int, names: list[str], where: str) -> tuple[int, ...]:
    """Return the columns of the texts where that of the labels is known."""
    for pair in JOINED:
        if all(name in names for name in pair) and names[label] not in pair:
            return tuple(names.index(name) for name in pair)
    others = [place for place, name in enumerate(names) if place != label and name not in ID_NAMES]
    return (_only(names, others, TEXT_NAMES, "texts", where),)


def _only(names: list[str], places: list[int], known: frozenset[str], what: str, where: str) -> int:
    """Return the one place whose name is known, or else the only place there is."""
    candidates = [place for place in places if names[place] in known]
    if len(candidates) != 1:
        candidates = places
    if len(candidates) != 1:
        could = (
            f"columns {_listed(names, places)} could be them"
            if places
            else "no column is left for them"
        )
        raise InputError(f"{where}: nothing says which are the {what}: {could}: {HOW}")
    return candidates[0]


def _place(name: str, names: list[str], by_number: bool, where: str) -> int:
    if by_number:
        if not 1 <= int(name) <= len(names):
            raise InputError(f"{where}: no column {name}; the first row has {len(names)}")
        return int(name) - 1
    if plain(name) not in names:
        raise InputError(
            f"{where}: no column {name!r}; the first row has {', '.join(map(repr, names))}"
        )
    return names.index(plain(name))


def _listed(names: list[str], places: Sequence[int]) -> str:
    return ", ".join(repr(names[place]) for place in places)


def plain(name: str) -> str:
    """Return a column's name as the names here are written: small letters, blanks as ``_``."""
    return "_".join(name.strip().lower().split())
