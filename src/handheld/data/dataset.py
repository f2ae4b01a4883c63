"""Examples with labels, and how they are divided."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range
from handheld.untrusted import is_whole

# Share of the examples with a label of their own from which on they are no classes: a quantity,
# such as a price, was taken for one.
_MAX_DISTINCT = 0.5


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
                f"{len(self.inputs)} examples, but {len(self.labels)} labels: "
                "each example needs one"
            )
        # Here, and not where data is read: whoever builds one by hand is told the same.
        _check_labels(self.labels, len(self.classes))
        _check_classes(self.classes)
        if isinstance(self.inputs, np.ndarray):
            _require_finite(self.inputs)
        else:
            _require_whole_texts(self.inputs)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_text(self) -> bool:
        """Whether the examples are texts."""
        return not isinstance(self.inputs, np.ndarray)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(classes,) examples of each class."""
        # Also of classes behind the last one that occurs.
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return counts.astype(np.int64)

    @property
    def digest(self) -> str:
        """Sha256 of examples, labels and classes, in hexadecimal; the same on every machine."""
        hasher = hashlib.sha256("\0".join(self.classes).encode())
        # Little-endian, so that machines of the other order give the same.
        hasher.update(self.labels.astype("<i8").tobytes())
        if isinstance(self.inputs, np.ndarray):
            hasher.update(f"{self.inputs.dtype.str}{self.inputs.shape}".encode())
            hasher.update(np.ascontiguousarray(self.inputs).tobytes())
        else:
            hasher.update("\0".join(self.inputs).encode())
        return hasher.hexdigest()

    def shared(self, other: "Dataset") -> int:
        """Return how many of these examples' inputs another data set has too, bit for bit."""
        # By digests: pictures of a large set would not fit a second time.
        known = set(_keys(other.inputs))
        return sum(map(known.__contains__, _keys(self.inputs)))

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> "Dataset":
        """Return some of the examples, in the order given."""
        chosen = np.asarray(indices, dtype=np.int64)
        labels = self.labels[chosen]
        if isinstance(self.inputs, np.ndarray):
            return Dataset(self.inputs[chosen], labels, self.classes)
        texts = tuple(map(self.inputs.__getitem__, chosen))
        return Dataset(texts, labels, self.classes)

    def split(
        self, fraction: float, *, seed: int, keep_single: bool = False
    ) -> tuple["Dataset", "Dataset"]:
        """Return all but a random fraction of each class, and that fraction.

        It has one example of each class at least. The same seed gives the same split on every
        machine.

        Args:
            fraction: of each class, in (0, 1).
            seed: of which examples are drawn.
            keep_single: whether the only example of a class stays out of the fraction.

        Raises:
            InputError: a class has a single example, which cannot be divided, and is not to be
                kept; or another fraction.
        """
        in_range("fraction", fraction, low=0, high=1, high_open=True)
        whole_in_range("seed", seed, low=0)
        if fraction == 0:
            raise InputError("expected a fraction above 0: nothing else is set apart")
        if not keep_single:
            self._require_several()
        rng = np.random.default_rng(seed)
        is_drawn = np.zeros(len(self), dtype=bool)
        # Of each class in turn, also of one without examples: another order is another split.
        for label, count in enumerate(self.counts.tolist()):
            members = rng.permutation(np.flatnonzero(self.labels == label))
            is_drawn[members[: _drawn_count(count, fraction)]] = True
        others = self.subset(np.flatnonzero(~is_drawn))
        return others, self.subset(np.flatnonzero(is_drawn))

    def _require_several(self) -> None:
        """Raise :class:`InputError` where a class has one example, which cannot be divided."""
        single = np.flatnonzero(self.counts == 1)
        if not len(single):
            return
        names = [self.classes[label] for label in single]
        are_many = len(single) > _MAX_DISTINCT * len(self)
        # Names too may be many and stand once; only numbers are taken for a quantity.
        if are_many and all(map(_is_number, names)):
            raise InputError(
                f"{len(single)} of {len(self)} examples have a label that no other has: expected "
                "classes; a quantity is to be put into a few ranges first"
            )
        raise InputError(
            f"class {names[0]!r} has one example: it cannot be divided; add another, or leave the "
            "class out"
        )


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
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
        for name, split in splits.items():
            # Empty first: what was left out explains more than a form that differs.
            if not len(split):
                raise InputError(f"the {name} split is empty{_why(self.skipped)}")
            if split.classes != self.train.classes:
                raise InputError(
                    f"the {name} split has classes {list(split.classes)}, "
                    f"train has {list(self.train.classes)}"
                )
            _check_form(name, split, self.train)
        present = int((self.train.counts > 0).sum())
        if present < 2:
            raise InputError(
                f"expected examples of two classes or more to learn from, got {present}"
                f"{_why(self.skipped)}"
            )

    @classmethod
    def of(
        cls,
        data: Mapping[str, Dataset],
        skipped: Sequence[Skipped] = (),
        notes: Sequence[str] = (),
        *,
        valid: float,
        test: float,
        seed: int,
    ) -> "Splits":
        """Return train, valid and test, of which the latter two are set apart where they lack.

        Examples that two of them share are noted.

        Args:
            data: the splits there are, train among them, by these names.
            skipped, notes: what was left out, and what to know of the data.
            valid, test: fractions of each class of train, for those that are missing.
            seed: of that division.
        """
        splits = dict(data)
        # Test first: what is reported on does not depend on how much is chosen by.
        for name, fraction in (("test", test), ("valid", valid)):
            if name not in splits:
                splits["train"], splits[name] = splits["train"].split(fraction, seed=seed)
        divided = cls(splits["train"], splits["valid"], splits["test"], tuple(skipped))
        return replace(divided, notes=(*notes, *_overlaps(divided)))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.train.classes


def _check_labels(labels: NDArray[Any], classes: int) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(
            f"expected labels (n,) of whole numbers, got {labels.dtype} {list(labels.shape)}"
        )
    if not len(labels):
        return
    # Else a loss would fail on the accelerator, without saying which label it was.
    low = labels.min()
    high = labels.max()
    if low < 0 or high >= classes:
        raise InputError(f"labels run from {low} to {high}, but there are {classes} classes")


def _check_classes(classes: Sequence[str]) -> None:
    for name in classes:
        if not is_whole(name):
            raise InputError(
                f"the name of class {name!r} is no text that UTF-8 can write; rename it"
            )
    for name, count in Counter(classes).items():
        if count > 1:
            raise InputError(f"two classes have the name {name!r}: give each a name of its own")


def _require_finite(inputs: NDArray[Any]) -> None:
    """Raise :class:`InputError` for the first example that holds no numbers."""
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        rows = inputs.reshape(len(inputs), -1)
        is_finite = np.isfinite(rows).all(axis=1)
        first = int(np.flatnonzero(~is_finite)[0])
        raise InputError(f"example {first} holds values that are not finite")


def _require_whole_texts(texts: Sequence[str]) -> None:
    """Raise :class:`InputError` for the first text that cannot be written."""
    # All at once, as nearly always they are whole, and a loop takes far longer.
    if is_whole("".join(texts)):
        return
    for number, text in enumerate(texts):
        if not is_whole(text):
            raise InputError(
                f"example {number} holds half a letter, which no file can take: {text!r:.100}; "
                "leave it out"
            )


def _drawn_count(count: int, fraction: float) -> int:
    """Return how many of a class are drawn: one at least, and never all."""
    drawn = max(1, round(fraction * count))
    # Of a class without examples count - 1 is below 0.
    return max(0, min(count - 1, drawn))


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _check_form(name: str, split: Dataset, train: Dataset) -> None:
    """Raise :class:`InputError` for a split whose examples have another shape than train's."""
    form = _form_of(split)
    expected = _form_of(train)
    if form == expected:
        return
    remedy = "make them alike"
    if isinstance(train.inputs, np.ndarray) and train.inputs.ndim == 4:
        remedy += (
            "; pictures of files are with size=(height, width) and grey=True, "
            "under [data] of a configuration size and grey"
        )
    raise InputError(f"the {name} examples are {form}, the train examples {expected}: {remedy}")


def _form_of(data: Dataset) -> str:
    if not isinstance(data.inputs, np.ndarray):
        return "texts"
    return " x ".join(map(str, data.inputs.shape[1:])) or "single numbers"


def overlap_note(train: Dataset, other: Dataset, name: str, beside: str = "training") -> str:
    """Return a sentence on the examples of a split that are in another too.

    It is an empty text where there are none.

    Args:
        train: the split that is learned from, or chosen by.
        other: the one that is reported on.
        name: of ``other``, in the sentence.
        beside: of ``train``, in the sentence.
    """
    shared = other.shared(train)
    if not shared:
        return ""
    return (
        f"{shared:,} of the {len(other):,} {name} examples also in the {beside} split: "
        "accuracy on them says little"
    )


def _overlaps(splits: Splits) -> list[str]:
    notes = (
        overlap_note(splits.train, splits.valid, "validation"),
        overlap_note(splits.train, splits.test, "test"),
        overlap_note(splits.valid, splits.test, "test", "validation"),
    )
    return list(filter(None, notes))


def _keys(inputs: NDArray[Any] | tuple[str, ...]) -> Iterable[Hashable]:
    """Yield what tells each input from others."""
    if not isinstance(inputs, np.ndarray):
        yield from inputs
        return
    for row in inputs:
        # 16 bytes: two of a million pictures agree by chance once in 10^26 data sets.
        yield hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def _why(skipped: Sequence[Skipped]) -> str:
    """Return what was left out, for the end of a message."""
    if not skipped:
        return ""
    name, reason = skipped[0]
    return f"; {len(skipped)} were left out, the first {name}: {reason}"
