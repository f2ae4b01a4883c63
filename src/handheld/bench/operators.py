"""Time by operator, which LiteRT's interpreter does not tell: each operator is run alone.

Alone it can take another time than in its graph, where the runtime joins some and keeps data in the
caches: so the share of all operators alone in the whole model's time is told beside them.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.bench.noise import noise
from handheld.engine import Model
from handheld.engine.measure import Candidate, StagedCall, pinned, sample
from handheld.engine.operators import single_operators
from handheld.errors import HandheldError
from handheld.ranges import whole_in_range

_WHOLE = "the whole model"
_WARMUP = 3
_MOST_OPEN = 256 << 20  # bytes of operators that are open together


@dataclass(frozen=True, kw_only=True)
class OperatorTime:
    """What one operator takes.

    Args:
        number: its place in the order of execution, from 0.
        name: as the schema has it (``CONV_2D``).
        output: what it gives, as text.
        seconds: median of its runs alone; None where it cannot run alone.
    """

    number: int
    name: str
    output: str
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class OperatorTimes:
    """What the operators of a model take.

    Args:
        operators: in the order of execution.
        model: median seconds of the whole model, in turns with them.
    """

    operators: tuple[OperatorTime, ...]
    model: float

    @property
    def covered(self) -> float:
        """The times of all operators alone, as a share of the whole model's."""
        return sum(operator.seconds or 0.0 for operator in self.operators) / self.model

    def by_name(self) -> dict[str, float]:
        """Return the seconds of all operators of a name together, the longest first."""
        totals: dict[str, float] = {}
        for operator in self.operators:
            totals[operator.name] = totals.get(operator.name, 0.0) + (operator.seconds or 0.0)
        return dict(sorted(totals.items(), key=lambda item: -item[1]))


def operator_times(
    path: str | PathLike[str], *, threads: int = 1, core: int | None = None, rounds: int = 30
) -> OperatorTimes:
    """Time each operator of a model alone, in turns with all others and with the whole model.

    Operators that need more than 256 MiB together take turns in groups, the whole model with the
    first ones.

    Args:
        path: of a ``.tflite`` file.
        threads: of the interpreter, 1 or more.
        core: that the thread keeps to; None: it keeps to none.
        rounds: runs of each, 1 or more.

    Raises:
        ModelError: the file cannot be opened.
        InputError: ``rounds`` or the core is out of range.
    """
    whole_in_range("rounds", rounds, low=1)
    rows: list[OperatorTime] = []
    model_seconds = 0.0
    with Model.open(path, threads=threads) as model, pinned(core):
        for singles in _groups(model, threads):
            # Beside the first ones alone: of a large model there are many groups, and beside each
            # the whole would run for minutes.
            medians = _medians(singles, None if rows else model, rounds)
            model_seconds = medians.pop(_WHOLE, model_seconds)
            for position, single in enumerate(singles):
                number = len(rows)
                row = OperatorTime(
                    number=number,
                    name=model.operators[number],
                    output=_outputs(single),
                    seconds=medians.get(str(position)),
                )
                rows.append(row)
    return OperatorTimes(operators=tuple(rows), model=model_seconds)


def seconds_by_operator(path: Path, threads: int, core: int | None) -> dict[str, float] | None:
    """Return the seconds of all operators of a name together, the longest first.

    Left out are those that cannot run alone.
    """
    totals = operator_times(path, threads=threads, core=core).by_name()
    return {name: seconds for name, seconds in totals.items() if seconds}


def _groups(model: Model, threads: int) -> Iterator[list[Model | None]]:
    """Yield the operators in their order, open, as many at a time as there is memory for.

    Those of a group are closed when the next one is asked for. There is one group at least.
    """
    singles: list[Model | None] = []
    size = 0
    with ExitStack() as stack:
        for content in single_operators(model.content):
            if size > _MOST_OPEN:
                yield singles
                stack.close()
                singles = []
                size = 0
            single = None
            if content is not None:
                single = _runnable(stack, content, threads)
            if single is not None:
                size += _memory_of(single)
            singles.append(single)
        yield singles


def _memory_of(single: Model) -> int:
    """Return about how many bytes an open model takes: constants as they are in the file and as the
    runtime packs them, what goes in (twice, as it is put there for each run) and what comes out.
    """
    size = 2 * len(single.content)
    for info in (*single.inputs, *single.inputs, *single.outputs):
        size += math.prod(info.shape) * info.dtype.itemsize
    return size


def _medians(singles: Sequence[Model | None], model: Model | None, rounds: int) -> dict[str, float]:
    """Return the median seconds of models in turns, by their position."""
    candidates: dict[str, Candidate] = {}
    if model is not None:
        candidates[_WHOLE] = _staged(model)
    for position, single in enumerate(singles):
        if single is not None:
            candidates[str(position)] = _staged(single)
    if not candidates:
        return {}
    samples = sample(candidates, rounds=rounds, warmup=_WARMUP)
    return {name: float(np.median(of.wall)) for name, of in samples.items()}


def _runnable(stack: ExitStack, content: bytes, threads: int) -> Model | None:
    """Open an operator that runs on noise; None for one that needs values that make sense."""
    with ExitStack() as opening:
        try:
            single = opening.enter_context(Model.load(content, threads=threads))
            single.run(*noise(single))
        except HandheldError:
            return None
        stack.enter_context(opening.pop_all())
    return single


def _staged(model: Model) -> StagedCall:
    arrays: Sequence[NDArray[Any]] = noise(model)

    def put() -> None:
        # The runtime may write over its inputs.
        for position, array in enumerate(arrays):
            np.copyto(model.input_view(position), array)

    return StagedCall(model.stages().compute, put, lambda result: None)


def _outputs(single: Model | None) -> str:
    if single is None:
        return ""
    return ", ".join(f"{list(info.shape)} {info.dtype.name}" for info in single.outputs)
