"""What a run gives: members, how good each is, and which one fits."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from handheld.compress.targets import Target
from handheld.config import from_table
from handheld.errors import InputError, ModelError
from handheld.files import atomic_path
from handheld.ranges import in_range, whole_in_range
from handheld.untrusted import read_json, require_file

FORMAT = 1
FAMILY_FILES = ("family.json", "report.html", "teacher.safetensors")
"""What a run writes into its folder beside its members."""

# What reading a file raises that was changed or cut short.
_DAMAGE = (
    OSError,
    ArithmeticError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
)


class Latency(NamedTuple):
    """Of one example on one thread, in seconds: median, 90th percentile, distance of the quartiles;
    and samples.
    """

    median: float
    p90: float
    iqr: float
    runs: int

    def clearly_below(self, other: "Latency") -> bool:
        """Whether this is less than another beyond the noise of both: their middle halves do not
        overlap.

        >>> Latency(201e-6, 0, 34e-6, 40).clearly_below(Latency(219e-6, 0, 34e-6, 40))
        False
        """
        return self.median + self.iqr / 2 < other.median - other.iqr / 2


class Layer(NamedTuple):
    """A layer's bytes in the file and multiply-accumulate operations."""

    name: str
    size: int
    macs: int


class TechniqueStep(NamedTuple):
    """What a technique made of a member: accuracy on the validation split, bytes of its file."""

    technique: str
    accuracy: float
    size: int


@dataclass(frozen=True)
class Member:
    """A model file and its measured figures.

    Attributes:
        name: unique in the family.
        file: name in the family's folder.
        how: what it is, in words.
        precision: of the file: float32, float16, int8, or mixed (int8 with some layers in float32).
        size: bytes of the file.
        macs: multiply-accumulate operations of one example; 0: not counted.
        parameters: numbers that were learned.
        latency: of the file, measured among the whole family.
        accuracy: share of the test split that the file answers right, in [0, 1].
        accuracy_float: likewise of the float32 file.
        valid: likewise of the file on the validation split; members are chosen by it.
        size_float: bytes of the float32 file.
        latency_float: of the float32 file.
        target: what it was made for; an empty text if for nothing in particular.
        met: whether it reached that.
        reason: why it did not, or an empty text.
        pareto: whether no member is better in one of size, latency and accuracy (validation) and as
            good in the others.
        steps: what each technique contributed, in order.
        layers: by size.
        confusion: ``[true class][answered class]`` counts on the test split.
        curve: (step, loss) of its last training.
        kept_float: layers that stayed in float32 where the precision is mixed, the most sensitive
            first.
    """

    name: str
    file: str
    how: str
    precision: str
    size: int
    macs: int
    parameters: int
    latency: Latency
    accuracy: float
    accuracy_float: float
    valid: float
    size_float: int
    latency_float: Latency
    target: str = ""
    met: bool = True
    reason: str = ""
    pareto: bool = False
    steps: tuple[TechniqueStep, ...] = ()
    layers: tuple[Layer, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    curve: tuple[tuple[int, float], ...] = ()
    kept_float: tuple[str, ...] = ()

    @property
    def recall(self) -> tuple[float | None, ...]:
        """Share of each class's test examples that are answered right; None without any."""
        return tuple(_recall(row, number) for number, row in enumerate(self.confusion))

    @property
    def balanced(self) -> float | None:
        """Balanced accuracy: the mean of :attr:`recall`, in which each class counts alike.

        None without a confusion.
        """
        # a class without test examples has no share that could count
        known = [share for share in self.recall if share is not None]
        if not known:
            return None
        return sum(known) / len(known)

    def __post_init__(self) -> None:
        # a family's file may come from a stranger: copy() must not leave the folder
        if self.file in ("", ".", "..") or set(self.file) & set("/\\\0"):
            raise InputError(
                f"file: expected the name of a file in the family's folder, got {self.file!r}"
            )
        for name in ("accuracy", "accuracy_float", "valid"):
            in_range(name, getattr(self, name), low=0, high=1)
        for name in ("size", "macs", "parameters", "size_float"):
            whole_in_range(name, getattr(self, name), low=0)
        for name in ("latency", "latency_float"):
            for figure, seconds in getattr(self, name)._asdict().items():
                in_range(f"{name}.{figure}", seconds, low=0)
        self._require_lists()

    def _require_lists(self) -> None:
        for number, step in enumerate(self.steps):
            in_range(f"steps[{number}].accuracy", step.accuracy, low=0, high=1)
            whole_in_range(f"steps[{number}].size", step.size, low=0)
        for number, layer in enumerate(self.layers):
            whole_in_range(f"layers[{number}].size", layer.size, low=0)
            whole_in_range(f"layers[{number}].macs", layer.macs, low=0)
        for number, row in enumerate(self.confusion):
            for count in row:
                whole_in_range(f"confusion[{number}]", count, low=0)
        for number, (_, loss) in enumerate(self.curve):
            in_range(f"curve[{number}]", loss)


@dataclass(frozen=True)
class Family:
    """A teacher and what was made of it.

    Attributes:
        folder: where the files are.
        classes: names of the outputs.
        teacher: the large network's figures; its file is float32.
        members: largest first.
        curves: (step, loss) of the shared training, by name.
        quantised: the teacher's file in int8, calibrated after training and nothing more: what
            members must beat to be worth their training. None where eight bits were not asked for.
        teacher_file: a model file that all learned from, where a person brought one: what members
            are compared with. It stays where it was; the family's folder does not hold it.
        record: how it came about, in what JSON can hold. The report shows of it, where present:
            ``seed``; ``settings`` and ``teacher``, mappings; ``seconds``, stage -> seconds;
            ``machine`` and ``versions``, texts or mappings; ``notes``, a list of texts that a
            person should know; ``data``, a mapping: ``counts``, class -> examples; ``skipped``, a
            list of [name, reason]; ``notes``, texts; ``digest``; ``train``, ``valid`` and ``test``,
            numbers of examples; ``joint``, a mapping: ``ratio``, the time of a step of joint
            training over that of a step of the largest member alone.
    """

    folder: Path
    classes: tuple[str, ...]
    teacher: Member
    members: tuple[Member, ...]
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    quantised: Member | None = None
    teacher_file: Member | None = None

    def __post_init__(self) -> None:
        # Of tuples, so that what is read back equals what was written.
        curves = {name: tuple(map(_pair, curve)) for name, curve in self.curves.items()}
        object.__setattr__(self, "curves", curves)
        named = (*self.beside, *self.members)
        _require_unique("names", [member.name for member in named])
        # A person's own file stands elsewhere and may be called as one of ours.
        _require_unique("files", [member.file for member in (*self.references, *self.members)])
        for member in named:
            self._check_confusion(member)
        for name, curve in curves.items():
            for number, (_, loss) in enumerate(curve):
                in_range(f"curves.{name}[{number}]", loss)

    def _check_confusion(self, member: Member) -> None:
        count = len(self.classes)
        if [len(row) for row in member.confusion] not in ([], [count] * count):
            raise InputError(f"{member.name!r}: expected a confusion of {count} by {count} classes")

    @property
    def reference(self) -> Member:
        """What members are compared with: the file that a person brought as the teacher, or else
        the large network.
        """
        if self.teacher_file is None:
            return self.teacher
        # all learned from it, the large network among them
        return self.teacher_file

    @property
    def beside(self) -> tuple[Member, ...]:
        """All that members are set beside, :attr:`reference` first."""
        if self.teacher_file is None:
            return self.references
        return (self.teacher_file, *self.references)

    @property
    def references(self) -> tuple[Member, ...]:
        """The large network's file, and that in int8 if there is one; both are in the folder."""
        if self.quantised is None:
            return (self.teacher,)
        return (self.teacher, self.quantised)

    def pick(self, target: Target) -> Member:
        """Return the most accurate member (on the validation split) that fits a target.

        Raises:
            InputError: none does; the message names the nearest and by how much it misses.
        """
        if not self.members:
            raise InputError(f"no member fits {target}: the family in {self.folder} has none")
        fitting = [member for member in self.members if not target.misses(member, self.reference)]
        # an error and not the nearest: who gives limits has no use for what exceeds them
        if not fitting:
            nearest = min(self.members, key=lambda member: target.excess(member, self.reference))
            why = "; ".join(target.misses(nearest, self.reference))
            raise InputError(f"no member fits {target}; the nearest is {nearest.name}: {why}")
        # by the validation split: the test split would no longer say how good the choice is
        return max(fitting, key=lambda member: (member.valid, -member.size, member.name))

    def copy(self, member: Member, out: str | os.PathLike[str]) -> Path:
        """Copy a member's file to a path, or into a folder that exists, and return its path.

        Raises:
            ModelError: the family's folder does not hold the file.
            FileError: it cannot be written.
        """
        source = self.folder / member.file
        path = Path(out)
        if path.is_dir():
            path /= member.file
        if not source.is_file():
            raise ModelError(
                f"{source} is gone: expected the file of member {member.name!r}; "
                "run `handheld compress` again"
            )
        with atomic_path(path) as temporary:
            shutil.copyfile(source, temporary)
        return path

    def save(self) -> Path:
        """Write ``family.json``; the folder itself is not part of it.

        Raises :class:`InputError` for what JSON cannot hold.
        """
        content: dict[str, Any] = {"format": FORMAT}
        for field_ in fields(self):
            if field_.name != "folder":
                content[field_.name] = getattr(self, field_.name)
        content["members"] = [_written(member) for member in self.members]
        for name in _REFERENCES:
            member = getattr(self, name)
            if member is not None:
                content[name] = _written(member)
        try:
            # no NaN: other readers of JSON refuse it
            text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"the family holds what JSON cannot: {error}; "
                "expected texts, finite numbers, lists, mappings"
            ) from error
        path = self.folder / "family.json"
        with atomic_path(path) as temporary:
            temporary.write_bytes(text)
        return path

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Family":
        """Read a family's folder. Raises :class:`ModelError` for what is none, or was damaged."""
        path = Path(folder) / "family.json"
        try:
            require_file(path)
            text = path.read_bytes()
            content = read_json(text, parse_constant=_refuse)
            json.dumps(content, allow_nan=False)  # refuses 1e999
            if content.pop("format") != FORMAT:
                raise ModelError(
                    f"{path} is of another format, this version reads {FORMAT}; "
                    "run `handheld compress` again"
                )
            _drop_derived(content)
            return from_table(cls, content, "", folder=Path(folder))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelError(
                f"{folder} holds no family.json: "
                "expected the folder of a finished `handheld compress`"
            ) from error
        except _DAMAGE as error:
            raise ModelError(f"{path} is damaged: {type(error).__name__}: {error}") from error


# For those who read the file; they follow from the confusion.
_DERIVED = ("recall", "balanced")
# Members of their own beside the list of them.
_REFERENCES = ("teacher", "quantised", "teacher_file")


def _recall(counts: Sequence[int], true: int) -> float | None:
    """Return which share of a class's examples is answered right; None without any."""
    if not any(counts):
        return None
    return counts[true] / sum(counts)


def _pair(point: Sequence[Any]) -> tuple[Any, Any]:
    step, loss = point
    return step, loss


def _require_unique(names_of: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise InputError(f"expected {names_of} that differ, got {names}")


def _written(member: Member) -> dict[str, Any]:
    return {**asdict(member), **{name: getattr(member, name) for name in _DERIVED}}


def _drop_derived(content: dict[str, Any]) -> None:
    for member in (*content["members"], *map(content.get, _REFERENCES)):
        for name in _DERIVED:
            (member or {}).pop(name, None)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no figure")
