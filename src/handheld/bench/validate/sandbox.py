"""How a file behaves when it is run, in a process of its own with limits."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.bench.preprocessing import stored_picture
from handheld.bench.validate.file import SubmissionRules, file_faults
from handheld.engine import Model, RunLimits, TensorInfo, isolation
from handheld.errors import HandheldError, InputError, ModelError

_RUNS = 3  # of random input
_LIMITS = RunLimits(seconds=20.0)
_SIDE = 256  # pixels of the drawn picture


@dataclass(frozen=True)
class ValidationReport:
    """What was looked at, and what is wrong.

    Args:
        file: that was looked at.
        faults: a line each; () if the file can take part.
        facts: name and value of what it is, as far as it could be read.
        isolation: what held it while it ran.
    """

    file: str
    faults: tuple[str, ...]
    facts: dict[str, Any]
    isolation: str

    @property
    def valid(self) -> bool:
        """Whether the file can take part."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {**asdict(self), "valid": self.valid}


def validate_model(
    path: str | PathLike[str],
    *,
    rules: SubmissionRules | None = None,
    limits: RunLimits | None = None,
    pictures: Sequence[NDArray[np.uint8]] = (),
) -> ValidationReport:
    """Look at a file, and run it in a process of its own on noise and on pictures.

    Nothing that a file does raises: a crash, an endless run or a flood is a fault.

    Args:
        path: of the file.
        rules: what it must be; None: OVIC's.
        limits: of the process; None: 20 s for a run and 4 GiB.
        pictures: (rows, columns, 3) uint8 each, of the challenge's public part; one is drawn if
            there are none.

    Raises:
        InputError: a picture is none.
    """
    rules = rules or SubmissionRules()
    limits = limits or _LIMITS
    for number, picture in enumerate(pictures):
        if picture.ndim != 3 or picture.dtype != np.uint8:
            raise InputError(f"pictures[{number}]: expected (rows, columns, channels) uint8")
    faults: list[str] = []
    facts: dict[str, Any] = {}
    try:
        _ensure_small(Path(path), rules)
        with Model.open(path, isolated=limits, unpack_limit=rules.max_bytes) as model:
            facts = _facts(model)
            faults += file_faults(model, rules)
            # One that takes something else has nothing to be run on.
            if not _has_fault(faults, "input"):
                faults += _run_faults(model, pictures or (drawn_picture(),))
    except HandheldError as error:
        faults.append(f"format: {_line(error)}")
    return ValidationReport(str(path), tuple(faults), facts, isolation())


def _ensure_small(path: Path, rules: SubmissionRules) -> None:
    """Refuse a file that is too large before it is read into memory."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file can have such a name"
        raise ModelError(f"{path}: cannot be read ({reason})") from error
    if size > rules.max_bytes:
        raise ModelError(f"{path}: {size:,} bytes, at most {rules.max_bytes:,} are allowed")


def _has_fault(faults: Sequence[str], subject: str) -> bool:
    return any(fault.startswith(f"{subject}:") for fault in faults)


def _facts(model: Model) -> dict[str, Any]:
    cost = model.cost
    return {
        "bytes": model.size,
        "sha256": model.sha256,
        "inputs": list(map(str, model.inputs)),
        "outputs": list(map(str, model.outputs)),
        "operators": dict(model.operator_counts),
        "macs": cost.macs,
        "parameters": cost.parameters,
    }


def drawn_picture() -> NDArray[np.uint8]:
    """Return a picture with edges, colours and a slope of brightness, (256, 256, 3) uint8."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    picture = np.stack([rows, columns, (rows + columns) // 2], axis=2).astype(np.uint8)
    picture[64:128, 64:192] = (200, 30, 40)
    return picture


def _run_faults(model: Model, pictures: Sequence[NDArray[np.uint8]]) -> list[str]:
    """Run on noise, then on pictures; the first run that fails ends it."""
    rng = np.random.default_rng(0)
    try:
        for _ in range(_RUNS):
            noise = _random(model.inputs[0], rng)
            first = model.run(noise)
            # A model that keeps a state or draws at random cannot be judged by one run of each
            # example.
            again = model.run(noise)
            problem = _unlike(first, again) or _not_finite(first)
            if problem:
                return [f"random input: {problem}"]
    except HandheldError as error:
        return [f"random input: {_line(error)}"]
    return list(_picture_faults(model, pictures))


def _picture_faults(model: Model, pictures: Sequence[NDArray[np.uint8]]) -> Iterator[str]:
    try:
        for picture in pictures:
            outputs = model.run(stored_picture(picture, model, crop=1.0))
            problem = _not_finite(outputs)
            if problem:
                yield f"real input: {problem}"
                return
    except HandheldError as error:
        yield f"real input: {_line(error)}"


def _random(info: TensorInfo, rng: np.random.Generator) -> NDArray[Any]:
    if info.dtype.kind == "f":
        return rng.uniform(-1.0, 1.0, info.shape).astype(info.dtype)
    limits = np.iinfo(info.dtype)
    return rng.integers(limits.min, limits.max, info.shape, info.dtype, endpoint=True)


def _unlike(first: Sequence[NDArray[Any]], again: Sequence[NDArray[Any]]) -> str:
    for one, other in zip(first, again, strict=True):
        if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            return "the same input gives other outputs the second time"
    return ""


def _not_finite(outputs: Sequence[NDArray[Any]]) -> str:
    for output in outputs:
        if output.dtype.kind == "f" and not np.isfinite(output).all():
            return "an output holds values that are not finite"
    return ""


def _line(error: Exception) -> str:
    """Return an error as one line, whatever a file's names hold."""
    return " ".join(str(error).split())
