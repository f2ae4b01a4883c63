"""Time by operator, which LiteRT's interpreter does not tell: each operator is run alone.

Alone it can take another time than in its graph, where the runtime joins some and keeps data in the
caches: so the share of all operators alone in the whole model's time is told beside them.
"""

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

_WHOLE = "the whole model"
_WARMUP = 3


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

    Args:
        path: of a ``.tflite`` file.
        threads: of the interpreter, 1 or more.
        core: that the thread keeps to; None: it keeps to none.
        rounds: runs of each, 1 or more.

    Raises:
        ModelError: the file cannot be opened.
        InputError: ``rounds`` or the core is out of range.
    """
    with ExitStack() as stack:
        model = stack.enter_context(Model.open(path, threads=threads))
        singles = list(_opened_singles(stack, model, threads))
        candidates: dict[str, Candidate] = {_WHOLE: _staged(model)}
        for number, single in enumerate(singles):
            if single is not None:
                candidates[str(number)] = _staged(single)
        stack.enter_context(pinned(core))
        samples = sample(candidates, rounds=rounds, warmup=_WARMUP)
        medians = {name: float(np.median(of.wall)) for name, of in samples.items()}
    operators = [
        OperatorTime(
            number=number,
            name=name,
            output=_outputs(single),
            seconds=medians.get(str(number)),
        )
        for number, (name, single) in enumerate(zip(model.operators, singles, strict=True))
    ]
    return OperatorTimes(operators=tuple(operators), model=medians[_WHOLE])


def seconds_by_operator(path: Path, threads: int, core: int | None) -> dict[str, float] | None:
    """Return the seconds of all operators of a name together, the longest first.

    Left out are those that cannot run alone.
    """
    totals = operator_times(path, threads=threads, core=core).by_name()
    return {name: seconds for name, seconds in totals.items() if seconds}


def _opened_singles(stack: ExitStack, model: Model, threads: int) -> Iterator[Model | None]:
    for content in single_operators(model.content):
        single = None
        if content is not None:
            single = _runnable(stack, content, threads)
        yield single


def _runnable(stack: ExitStack, content: bytes, threads: int) -> Model | None:
    """Open an operator that runs on noise; None for one that needs values that make sense."""
    try:
        single = stack.enter_context(Model.load(content, threads=threads))
        single.run(*noise(single))
    except HandheldError:
        return None
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
