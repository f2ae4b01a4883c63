"""Which columns of a table hold the labels and the texts: by the names that data sets use, or as
somebody says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from handheld.errors import InputError

# As public sets of labelled texts have them: class_index is AG News's, v1 and v2 are the SMS spam
# collection's, intent is that of sets for assistants.
LABEL_NAMES = frozenset(
    {
        "label",
        "labels",
        "label_text",
        "category",
        "categories",
        "class",
        "class_index",
        "classname",
        "class_name",
        "intent",
        "target",
        "sentiment",
        "emotion",
        "topic",
        "tag",
        "v1",
        "y",
        "lang",
        "language",
        "spam",
        "polarity",
    }
)
TEXT_NAMES = frozenset(
    {
        "text",
        "texts",
        "sentence",
        "utterance",
        "message",
        "tweet",
        "review",
        "reviews",
        "content",
        "comment",
        "comments",
        "body",
        "question",
        "query",
        "headline",
        "document",
        "description",
        "sms",
        "v2",
        "x",
        "post",
        "phrase",
        "input",
    }
)
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
"""Names of columns that only say which row it is; a text only where somebody names them."""

HELP = (
    "name them: label_column and text_columns, on the command line --label-column NAME "
    "--text-column NAME (numbers from 1 where there is no header)"
)


@dataclass(frozen=True)
class Columns:
    """Where the columns are.

    Attributes:
        label: of the labels, from 0.
        texts: of the texts, one or more; they are joined by a blank.
        has_header: whether the first row holds names.
    """

    label: int
    texts: tuple[int, ...]
    has_header: bool

    @property
    def last(self) -> int:
        """The last of them."""
        return max(self.label, *self.texts)


@dataclass(frozen=True)
class ColumnNames:
    """What a person says of the columns.

    Attributes:
        label: name of the column of labels, or its number from 1; None: found by its name.
        texts: names or numbers of the columns of texts; none: found by their names.
    """

    label: str | None = None
    texts: tuple[str, ...] = ()


def columns_of(first_row: Sequence[str], said: ColumnNames, location: str) -> Columns | None:
    """Return the columns by the first row, or None where nothing in it is a name that is known.

    Args:
        first_row: its fields.
        said: what a person said of the columns.
        location: of messages: the file.

    Raises:
        InputError: a column that is not there, or names that fit two columns.
    """
    header = _Header(tuple(map(plain, first_row)), location)
    if said.label is not None or said.texts:
        return _said_columns(header, said)
    return _named_columns(header)


@dataclass(frozen=True)
class _Header:
    """Names of the columns, if they are names, and the file that they are of."""

    names: tuple[str, ...]
    location: str

    def indices(self, known: frozenset[str]) -> list[int]:
        """Return the columns that have one of the names."""
        return self.among(range(len(self.names)), known)

    def among(self, indices: Iterable[int], known: frozenset[str]) -> list[int]:
        """Return those of some columns that have one of the names."""
        return [index for index in indices if self.names[index] in known]

    def without(self, indices: Iterable[int]) -> list[int]:
        """Return all columns but these."""
        others = set(range(len(self.names))).difference(indices)
        return sorted(others)

    def joined(self) -> tuple[str, ...] | None:
        """Return the names of columns that are one text together; None where there are none."""
        return self.joined_without(None)

    def joined_without(self, label: str | None) -> tuple[str, ...] | None:
        """Return the same, where none of them is the label."""
        for pair in JOINED:
            if set(pair) <= set(self.names) and label not in pair:
                return pair
        return None

    def indices_of(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the first column of each name; all names are there."""
        return tuple(map(self.names.index, names))

    def listed(self, indices: Iterable[int]) -> str:
        """Return the names of columns, for a message."""
        names = map(self.names.__getitem__, indices)
        return ", ".join(map(repr, names))

    def error(self, problem: str) -> InputError:
        """Return an error that says how to name columns."""
        return InputError(f"{self.location}: {problem}: {HELP}")


def _named_columns(header: _Header) -> Columns | None:
    """Return the columns whose names are known; None where there are none such."""
    texts = _named_texts(header)
    labels = header.indices(LABEL_NAMES)
    if not labels or not texts:
        return None
    if len(labels) > 1:
        raise header.error(f"columns {header.listed(labels)} could all be the labels")
    return Columns(labels[0], texts, has_header=True)


def _named_texts(header: _Header) -> tuple[int, ...]:
    if pair := header.joined():
        return header.indices_of(pair)
    texts = header.indices(TEXT_NAMES)
    # Without a label it may be no header at all, but a first row of short texts.
    if len(texts) > 1 and header.indices(LABEL_NAMES):
        raise header.error(f"columns {header.listed(texts)} could all be the texts")
    return tuple(texts[:1])


def _said_columns(header: _Header, said: ColumnNames) -> Columns:
    """Return the columns that a person names; of labels or texts that are not named, by names."""
    by_number = _are_numbers(header, said)
    # The label first: of two columns that are not there it is the one that is told.
    label = None
    if said.label is not None:
        label = _said_index(said.label, header, by_number)
    texts = tuple(_said_index(name, header, by_number) for name in said.texts)
    if label in texts:
        raise InputError(
            f"{header.location}: column {said.label!r} is said to be both the labels and a text: "
            "name another"
        )
    if label is None:
        label = _only(header, header.without(texts), LABEL_NAMES, "labels")
    if not texts:
        texts = _texts_beside(label, header)
    return Columns(label, texts, has_header=not by_number)


def _are_numbers(header: _Header, said: ColumnNames) -> bool:
    """Whether columns are said by number: a column may have a number as its name too."""
    words = list(said.texts)
    if said.label is not None:
        words.append(said.label)
    if not set(map(plain, words)).isdisjoint(header.names):
        return False
    return all(map(str.isdecimal, words))


def _said_index(name: str, header: _Header, by_number: bool) -> int:
    count = len(header.names)
    if not by_number and plain(name) not in header.names:
        names = ", ".join(map(repr, header.names))
        raise InputError(f"{header.location}: no column {name!r}; the first row has {names}")
    if not by_number:
        return header.names.index(plain(name))
    if not 1 <= int(name) <= count:
        raise InputError(f"{header.location}: no column {name}; the first row has {count}")
    return int(name) - 1


def _texts_beside(label: int, header: _Header) -> tuple[int, ...]:
    """Return the columns of the texts where that of the labels is known."""
    if pair := header.joined_without(header.names[label]):
        return header.indices_of(pair)
    # Without numbers of rows, "id,text,label" has one column left.
    ids = header.indices(ID_NAMES)
    others = header.without([label, *ids])
    return (_only(header, others, TEXT_NAMES, "texts"),)


def _only(header: _Header, indices: Sequence[int], known: frozenset[str], role: str) -> int:
    """Return the one column whose name is known, or else the only column there is."""
    named = header.among(indices, known)
    # A name that is known is worth more than being the only one.
    for candidates in (named, indices):
        if len(candidates) == 1:
            return candidates[0]
    problem = "no column is left for them"
    if indices:
        problem = f"columns {header.listed(indices)} could be them"
    raise header.error(f"nothing says which are the {role}: {problem}")


def plain(name: str) -> str:
    """Return a column's name as the names here are written: small letters, blanks as ``_``."""
    return "_".join(name.lower().split())
