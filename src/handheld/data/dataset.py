"""Examples with labels, and how they are divided."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.data._checks import require_share, require_whole
from handheld.errors import InputError
from handheld.untrusted import is_whole

_MOSTLY = 0.5  # of the examples with a label of their own: then they are no classes


class Skipped(NamedTuple):
    """Something that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled examples in memory.

    Attributes:
        inputs: (n, ...) array, pictures as (n, height, width, channels) uint8; or n texts.
        labels: (n,) int64, indices into ``classes``.
        classes: names, in the order of a model's outputs.
    """

    inputs: NDArray[Any] | tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise InputError(
                f"{len(self.inputs)} examples, but {len(self.labels)} labels: each example needs one"
            )
        if self.labels.ndim != 1 or self.labels.dtype.kind not in "iu":
            raise InputError(
                f"expected labels (n,) of whole numbers, got {self.labels.dtype} {list(self.labels.shape)}"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            low, high = self.labels.min(), self.labels.max()
            raise InputError(
                f"labels run from {low} to {high}, but there are {len(self.classes)} classes"
            )
        for name in self.classes:
            if not is_whole(name):
                raise InputError(
                    f"the name of class {name!r} is no text that UTF-8 can write; rename it"
                )
        if twice := [name for name, count in Counter(self.classes).items() if count > 1]:
            raise InputError(f"two classes have the name {twice[0]!r}: give each a name of its own")
        if isinstance(self.inputs, np.ndarray):
            _require_finite(self.inputs)
        elif not is_whole("".join(self.inputs)):
            cut = next(number for number, text in enumerate(self.inputs) if not is_whole(text))
            raise InputError(
                f"example {cut} holds half a letter, which no file can take: {self.inputs[cut]!r:.100}; leave it out"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_text(self) -> bool:
        """Whether the examples are texts."""
        return not isinstance(self.inputs, np.ndarray)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(classes,) examples of each class."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)

    @property
    def digest(self) -> str:
        """Sha256 of examples, labels and classes, in hexadecimal: the same data gives the same one
        everywhere.
        """
        hasher = hashlib.sha256("\0".join(self.classes).encode())
        hasher.update(self.labels.astype("<i8").tobytes())
        if isinstance(self.inputs, np.ndarray):
            hasher.update(f"{self.inputs.dtype.str}{self.inputs.shape}".encode())
            hasher.update(np.ascontiguousarray(self.inputs).tobytes())
        else:
            hasher.update("\0".join(self.inputs).encode())
        return hasher.hexdigest()

    def shared(self, other: "Dataset") -> int:
        """Return how many of these examples have an input that another data set has too, bit for
        bit.
        """
        known = set(_keys(other.inputs))
        return sum(key in known for key in _keys(self.inputs))

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> "Dataset":
        """Return some of the examples, in the order given."""
        chosen = np.asarray(indices, dtype=np.int64)
        inputs = (
            self.inputs[chosen]
            if isinstance(self.inputs, np.ndarray)
            else tuple(self.inputs[i] for i in chosen)
        )
        return Dataset(inputs, self.labels[chosen], self.classes)

    def split(
        self, fraction: float, *, seed: int, keep_single: bool = False
    ) -> tuple["Dataset", "Dataset"]:
        """Return the rest and a random part that holds ``fraction`` of each class, one example of
        each at least.

        The same seed gives the same split on every machine. The only example of a class is refused
        with an :class:`InputError`, or with ``keep_single`` belongs to the rest.
        """
        require_share("fraction", fraction)
        require_whole("seed", seed, least=0)
        if fraction == 0:
            raise InputError("expected a fraction above 0: nothing else is set apart")
        rng, taken = np.random.default_rng(seed), np.zeros(len(self), dtype=bool)
        alone = np.flatnonzero(self.counts == 1)
        is_quantity = len(alone) > _MOSTLY * len(self) and all(
            _is_number(self.classes[label]) for label in alone
        )
        if is_quantity and not keep_single:
            raise InputError(
                f"{len(alone)} of {len(self)} examples have a label that no other has: expected classes; a quantity is to be "
                "put into a few ranges first"
            )
        for label, count in enumerate(self.counts):
            if count == 1 and not keep_single:
                raise InputError(
                    f"class {self.classes[label]!r} has one example: it cannot be divided; add another, or leave the class out"
                )
            members = rng.permutation(np.flatnonzero(self.labels == label))
            taken[
                members[: min(count - 1, max(1, round(fraction * int(count))))]
                if count
                else members
            ] = True
        return self.subset(np.flatnonzero(~taken)), self.subset(np.flatnonzero(taken))


@dataclass(frozen=True, eq=False)
class Splits:
    """Data to train on, to choose by, and to report on; with what was left out while reading, and
    what to know of it.

    Attributes:
        train, valid, test: the splits.
        skipped: what was left out, and why.
        notes: sentences on what is odd about the data, such as examples that two splits share.
    """

    train: Dataset
    valid: Dataset
    test: Dataset
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, part in (("train", self.train), ("valid", self.valid), ("test", self.test)):
            if not len(part):
                raise InputError(f"the {name} split is empty" + _why(self.skipped))
            if part.classes != self.train.classes:
                raise InputError(
                    f"the {name} split has classes {list(part.classes)}, train has {list(self.train.classes)}"
                )
            _check_form(name, part, self.train)
        if (present := int((self.train.counts > 0).sum())) < 2:
            raise InputError(
                f"expected examples of two classes or more to learn from, got {present}"
                + _why(self.skipped)
            )

    @classmethod
    def of(
        cls,
        parts: Mapping[str, Dataset],
        skipped: Sequence[Skipped] = (),
        notes: Sequence[str] = (),
        *,
        valid: float,
        test: float,
        seed: int,
    ) -> "Splits":
        """Return the parts named train, valid and test; fractions of each class are set apart for
        those that are missing.

        Examples that two of them share are noted.
        """
        train, held_out = (
            parts["train"],
            {name: part for name, part in parts.items() if name != "train"},
        )
        for name, fraction in (("test", test), ("valid", valid)):
            if name not in held_out:
                train, held_out[name] = train.split(fraction, seed=seed)
        made = cls(train, held_out["valid"], held_out["test"], tuple(skipped))
        return replace(made, notes=(*notes, *_overlaps(made)))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.train.classes


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _require_finite(inputs: NDArray[Any]) -> None:
    """Raise :class:`InputError` for the first example that holds no numbers."""
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        bad = int(np.flatnonzero(~np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1))[0])
        raise InputError(f"example {bad} holds values that are not finite")


def _check_form(name: str, part: Dataset, train: Dataset) -> None:
    """Raise :class:`InputError` for a split whose examples have another shape than those to learn
    from.
    """
    here = _form_of(part)
    there = _form_of(train)
    if here == there:
        return
    is_of_pictures = isinstance(train.inputs, np.ndarray) and train.inputs.ndim == 4
    remedy = "make them alike"
    if is_of_pictures:
        remedy += "; pictures of files are with size=(height, width) and grey=True, "
        remedy += "under [data] of a configuration size and grey"
    raise InputError(f"the {name} examples are {here}, the train examples {there}: {remedy}")


def _form_of(part: Dataset) -> str:
    if not isinstance(part.inputs, np.ndarray):
        return "texts"
    return " x ".join(map(str, part.inputs.shape[1:])) or "single numbers"


def overlap_note(train: Dataset, other: Dataset, name: str, beside: str = "training") -> str:
    """Return a sentence on the examples of a split that are in another too; an empty text where
    there are none.
    """
    shared = other.shared(train)
    if not shared:
        return ""
    return f"{shared:,} of the {len(other):,} {name} examples also in the {beside} split: accuracy on them says little"


def _overlaps(splits: Splits) -> list[str]:
    notes = (
        overlap_note(splits.train, splits.valid, "validation"),
        overlap_note(splits.train, splits.test, "test"),
        overlap_note(splits.valid, splits.test, "test", "validation"),
    )
    return [note for note in notes if note]


def _keys(inputs: NDArray[Any] | tuple[str, ...]) -> Iterable[Hashable]:
    """Yield what tells each input from others."""
    if not isinstance(inputs, np.ndarray):
        yield from inputs
        return
    for row in inputs:
        yield hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def _why(skipped: Sequence[Skipped]) -> str:
    return (
        f"; {len(skipped)} were left out, the first {skipped[0].name}: {skipped[0].reason}"
        if skipped
        else ""
    )
