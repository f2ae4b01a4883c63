"""One model, measured: the figures of a run and whether they can be trusted."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.bench.calibration import CalibrationProfile
from handheld.bench.conditions import (
    RunConditions,
    SystemSnapshot,
    conditions_between,
    snapshot,
)
from handheld.bench.facts import ModelFacts
from handheld.bench.memory import PeakMemory, peak_memory
from handheld.bench.metric import MetricEstimate, WallTimeScore, quantile
from handheld.bench.noise import noise
from handheld.bench.operators import seconds_by_operator
from handheld.bench.protocol import BenchProtocol
from handheld.bench.record import describe_machine
from handheld.bench.task import (
    BenchTask,
    JudgingTask,
    MeasuredSystem,
    SystemTask,
    TaskSession,
    score_within,
)
from handheld.bench.trust import RunEvidence, TrustVerdict, verdict
from handheld.bench.unlike import LEAST_ROUNDS, evened
from handheld.bench.warmup import warmup_length
from handheld.engine import Model, RunLimits
from handheld.engine.measure import Clock, Samples, StagedCall, last_core, pinned, sample
from handheld.errors import HandheldError, ModelError

THIS_MACHINE = "this"
"""How the machine that runs this is called among devices."""

MOST_CALLS = 2 * 10**7
"""Calls at most: of calls that take a microsecond, twenty seconds."""

# Of the queries: what is found to be warm-up after the fact must not make the run too short.
_RESERVE = 0.1
_ENERGY_CALLS = 20  # at least, and for a second: counters of energy move once in a millisecond
_ENERGY_SECONDS = 1.0
_MOST_READY = 256 << 20  # bytes of inputs that are kept ready; more are made when they are needed

TakeSnapshot = Callable[[int | None], SystemSnapshot]
"""Returns the counters of now, for the core of a number."""


@dataclass(frozen=True)
class LatencyFigures:
    """Times of one call in seconds, one example each.

    Args:
        open: of opening the file.
        first: of the very first call.
        warmup_calls: calls before the times were steady.
        warmup_seconds: that they took together.
        p50, p90, p99: of the steady calls.
        mean: of them.
        cpu: median CPU time of them.
        calls: that were counted.
        seconds: that they took together.
    """

    open: float
    first: float
    warmup_calls: int
    warmup_seconds: float
    p50: MetricEstimate
    p90: MetricEstimate
    p99: MetricEstimate
    mean: float
    cpu: float
    calls: int
    seconds: float


@dataclass(frozen=True)
class BenchResult:
    """One model's run.

    Args:
        model: the file.
        protocol: that was followed.
        latency: of one example.
        verdict: whether the figures can be trusted.
        conditions: that the run had.
        task: name of what it was judged by; "" if by nothing.
        metric: name of the task's figure.
        examples: of the task.
        data_digest: of the task's examples.
        accuracy: the plain metric, over all examples; None where nothing judges.
        scores: within the wall time of each budget, in the order of the protocol.
        refusal: why the model was not judged, though there is a task; "" if it was.
        memory: of a process that runs the model once; None where the system does not tell.
        joules: energy of one call, with all that the packages did meanwhile; None likewise.
        core: that the thread kept to; None where it kept to none.
        machine: what figures depend on, by name.
        device: on which it ran, as ``handheld bench --device`` names it.
        operator_seconds: time by operator, the longest first: on this machine of each alone, which
            together may be another time than that of a call; None where it is not known.
        calibration: of the device, by which other devices are set beside it; None: not known.
        unit: what one call does, such as "frame".
        details: figures of the task beside its metric, by name.
    """

    model: ModelFacts
    protocol: BenchProtocol
    latency: LatencyFigures
    verdict: TrustVerdict
    conditions: RunConditions
    task: str
    metric: str
    examples: int
    data_digest: str
    accuracy: MetricEstimate | None
    scores: tuple[WallTimeScore, ...]
    refusal: str
    memory: PeakMemory | None
    joules: float | None
    core: int | None
    machine: dict[str, Any]
    device: str = THIS_MACHINE
    operator_seconds: dict[str, float] | None = None
    calibration: CalibrationProfile | None = None
    unit: str = "example"
    details: dict[str, float] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Calls that are done in a second, one after the other: frames per second of a tracker."""
        return 1 / self.latency.mean

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        values: dict[str, Any] = asdict(self)
        return values


@dataclass(frozen=True)
class BenchTools:
    """What a run uses of the world; tests bring their own.

    Args:
        clock: wall time in seconds.
        cpu_clock: CPU time of the process in seconds.
        snapshot: counters of the machine.
        memory: returns the peak memory of a process that runs a file.
        operators: returns the seconds of a file's operators, by name, on so many threads and a
            core; None: it is not looked at.
    """

    clock: Clock = time.perf_counter
    cpu_clock: Clock = time.process_time
    snapshot: TakeSnapshot = snapshot
    memory: Callable[[Path, int], PeakMemory | None] = peak_memory
    operators: Callable[[Path, int, int | None], dict[str, float] | None] = seconds_by_operator


def bench(  # noqa: PLR0913  # options by keyword, each by itself
    path: str | PathLike[str],
    task: BenchTask | SystemTask | None = None,
    *,
    protocol: BenchProtocol | None = None,
    name: str = "",
    isolated: bool | RunLimits | None = None,
    strict: bool = True,
    tools: BenchTools | None = None,
) -> BenchResult:
    """Measure a model file, or what a task opens: a pack of models, a bundle.

    The calls are those of one thread on one core. They go through the task's examples in order,
    and round again until there are as many as the protocol asks; the times of the first round are
    those of the score. Only the call itself is timed: inputs are in their place before it. The
    examples of a :class:`SystemTask` may be of unlike work: they go round four times at least, and
    whether times are steady is asked of each example beside itself.

    Args:
        path: a ``.tflite`` file; of a :class:`SystemTask`, what it opens.
        task: that judges its outputs; None: noise goes in, and nothing is judged.
        protocol: the rules; None: the challenge's, with a short run.
        name: that results call it; "" is the file's own without its ending.
        isolated: as ``Model.open`` takes it, of a model file. A model in a process of its own is
            timed with the way there and back.
        strict: whether a model that cannot do the task is refused; else it is timed on noise, and
            the result says why.
        tools: clocks and counters.

    Raises:
        ModelError: the file cannot be opened or run, or cannot do the task.
        InputError: the core cannot be used.
    """
    path = Path(path)
    protocol = protocol or BenchProtocol()
    tools = tools or BenchTools()
    with ExitStack() as stack:
        start = tools.clock()
        subject: _Subject
        if isinstance(task, SystemTask):
            system = stack.enter_context(closing(task.open(str(path), protocol)))
            opened = tools.clock() - start
            worker = SystemWorker(system, task)
            subject = _Subject(worker, system.facts(name or path.stem), system.is_isolated)
        else:
            model = stack.enter_context(
                Model.open(path, threads=protocol.threads, isolated=isolated)
            )
            opened = tools.clock() - start
            file_worker = _worker(model, task, protocol, strict=strict)
            facts = ModelFacts.of(model, name or path.stem)
            subject = _Subject(file_worker, facts, model.isolated)
        measured = _measured(subject.worker, path, protocol, tools)
    # What a task opens, the task alone knows to open.
    if isinstance(task, SystemTask):
        return _result(subject, measured, protocol, opened=opened, memory=None)
    # Only now: a second process beside the timed calls would disturb them.
    memory = tools.memory(path, protocol.threads)
    result = _result(subject, measured, protocol, opened=opened, memory=memory)
    # What has to run in a process of its own does not run here in parts.
    if subject.apart:
        return result
    seconds = tools.operators(path, protocol.threads, measured.core)
    return replace(result, operator_seconds=seconds)


class _Subject(NamedTuple):
    """What is measured.

    Attributes:
        worker: that runs it.
        facts: of its files.
        apart: whether it runs in a process of its own.
    """

    worker: "Worker | SystemWorker"
    facts: ModelFacts
    apart: bool


class _Measured(NamedTuple):
    """What came out of a run.

    Attributes:
        samples: its times.
        conditions: that they had.
        joules: of one call.
        core: that the thread kept to.
    """

    samples: Samples
    conditions: RunConditions
    joules: float | None
    core: int | None


def _measured(
    worker: "Worker | SystemWorker", path: Path, protocol: BenchProtocol, tools: BenchTools
) -> _Measured:
    core = chosen_core(protocol)
    with pinned(core), runtime_errors(path):
        before = tools.snapshot(core)
        samples = _sampled(worker, protocol, tools)
        after = tools.snapshot(core)
        joules = _energy(worker, core, tools)
    return _Measured(samples, conditions_between(before, after), joules, core)


def _result(
    subject: _Subject,
    measured: _Measured,
    protocol: BenchProtocol,
    *,
    opened: float,
    memory: PeakMemory | None,
) -> BenchResult:
    worker = subject.worker
    evidence = evidence_of(
        measured.samples,
        measured.conditions,
        apart=subject.apart,
        core=measured.core,
        unlike=worker.unlike,
    )
    result = BenchResult(
        model=subject.facts,
        protocol=protocol,
        latency=latency_figures(measured.samples, evidence, opened),
        verdict=verdict(evidence, protocol),
        conditions=evidence.conditions,
        task="",
        metric="",
        examples=0,
        data_digest="",
        accuracy=None,
        scores=(),
        refusal=worker.refusal,
        memory=memory,
        joules=measured.joules,
        core=measured.core,
        machine=describe_machine(),
    )
    return _judged(result, worker, measured.samples.wall)


@contextmanager
def runtime_errors(subject: str | Path) -> Iterator[None]:
    """Say what fails in the interpreter as an error of the model.

    Raises:
        ModelError: in the runtime's words.
    """
    try:
        yield
    except HandheldError:
        raise
    # What LiteRT's bindings raise.
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"{subject}: the runtime failed: {str(error).strip()}") from error


def chosen_core(protocol: BenchProtocol) -> int | None:
    """Return the core that a run keeps to; None for several threads, or where a system has none."""
    # Threads that LiteRT starts inherit the mask: on one core they would stand in each other's way.
    if protocol.threads > 1:
        return None
    if protocol.core is not None:
        return protocol.core
    return last_core()


class Worker:
    """Gives a model the examples in turn, and keeps its answers.

    Args:
        model: open.
        session: its way with the task; None: noise.
        task: that judges; None: nothing does.
        refusal: why there is noise although there is a task.
    """

    def __init__(
        self,
        model: Model,
        session: TaskSession | None,
        task: BenchTask | None,
        refusal: str = "",
    ) -> None:
        self.task = task
        self.refusal = refusal
        self.answers: list[Any] = []
        self._model = model
        self._stages = model.stages()
        self._session = session
        self._examples = len(task) if task else 1
        self._position = 0
        self._ready: dict[int, Sequence[NDArray[Any]]] = {}
        self._ready_bytes = 0
        if session is None:
            self._ready[0] = noise(model)

    unlike = 0
    """Examples whose work differs by what they are: a model does the same for each."""

    @property
    def least_calls(self) -> int:
        """How many calls there must be: each example is run once."""
        return self._examples

    def staged(self) -> StagedCall:
        """Return what is timed, and what is done before and after it."""
        # The rule's time is the interpreter's alone: without the way of inputs and outputs.
        return StagedCall(self._stages.compute, self._load, self._keep)

    def _load(self) -> None:
        number = self._position % self._examples
        # The runtime may write over its inputs, so they are put there for each call.
        for position, array in enumerate(self._inputs(number)):
            np.copyto(self._model.input_view(position), array)

    def _inputs(self, number: int) -> Sequence[NDArray[Any]]:
        if number in self._ready:
            return self._ready[number]
        assert self._session is not None
        arrays = self._session.feed(number)
        size = sum(array.nbytes for array in arrays)
        if self._ready_bytes + size <= _MOST_READY:
            self._ready[number] = arrays
            self._ready_bytes += size
        return arrays

    def _keep(self, result: object) -> None:
        if self._session is not None and self._position < self._examples:
            self.answers.append(self._session.answer(self._stages.read()))
        self._position += 1


class SystemWorker:
    """Gives a system the examples of its task in turn, and keeps its answers.

    Args:
        system: open.
        task: that opened it and judges.
    """

    refusal = ""

    def __init__(self, system: MeasuredSystem, task: SystemTask) -> None:
        self.task: JudgingTask = task
        self.answers: list[Any] = []
        self._system = system
        self._examples = len(task)
        self._position = 0

    @property
    def unlike(self) -> int:
        """Examples whose work differs by what they are: all of them."""
        return self._examples

    @property
    def least_calls(self) -> int:
        """How many calls there must be: an example is set beside itself in other rounds."""
        return LEAST_ROUNDS * self._examples

    def staged(self) -> StagedCall:
        """Return what is timed, and what is done before and after it."""
        return StagedCall(self._system.call, self._load, self._keep)

    def _load(self) -> None:
        self._system.load(self._position % self._examples)

    def _keep(self, result: Any) -> None:
        if self._position < self._examples:
            self.answers.append(self._system.answer(result))
        self._position += 1


def _worker(
    model: Model, task: BenchTask | None, protocol: BenchProtocol, *, strict: bool
) -> Worker:
    if task is None:
        return Worker(model, None, None)
    try:
        return Worker(model, task.begin(model, protocol), task)
    except ModelError as error:
        if strict:
            raise
        return Worker(model, None, None, str(error))


def with_reserve(amount: float) -> int:
    """Return what a run is planned for, so that its steady calls alone reach an amount."""
    return math.ceil(amount * (1 + _RESERVE))


def _sampled(worker: Worker | SystemWorker, protocol: BenchProtocol, tools: BenchTools) -> Samples:
    rounds = max(worker.least_calls, with_reserve(protocol.min_queries))
    samples = sample(
        {"model": worker.staged()},
        rounds=rounds,
        min_seconds=with_reserve(protocol.min_seconds),
        max_rounds=max(rounds, MOST_CALLS),
        seed=protocol.seed,
        clock=tools.clock,
        cpu_clock=tools.cpu_clock,
    )
    return samples["model"]


def evidence_of(
    samples: Samples,
    conditions: RunConditions,
    *,
    apart: bool,
    core: int | None,
    unlike: int = 0,
) -> RunEvidence:
    """Return what a verdict is formed on: the calls behind the warm-up that the times show.

    Args:
        samples: of all calls.
        conditions: that they had.
        apart: whether they were made in a process of its own.
        core: that they kept to.
        unlike: examples of unlike work that took turns; 0: each call does the same.
    """
    times = np.concatenate([samples.warmup, samples.wall])
    if unlike:
        times = evened(samples.warmup, samples.wall, unlike)
    warmup = warmup_length(times)
    settled = 2 * warmup <= len(times)
    # Calls of the harness's own warm-up are not counted in any case.
    skipped = max(0, warmup - len(samples.warmup))
    if not settled:
        skipped = 0
    even = None
    if unlike:
        even = times[len(samples.warmup) + skipped :]
    return RunEvidence(
        wall=samples.wall[skipped:],
        cpu=samples.cpu[skipped:],
        settled=settled,
        conditions=conditions,
        apart=apart,
        pinned=core is not None,
        even=even,
        warmup=warmup,
    )


def latency_figures(samples: Samples, evidence: RunEvidence, opened: float) -> LatencyFigures:
    """Return the figures of the steady calls, and what came before them.

    Args:
        samples: of all calls.
        evidence: with those that are steady.
        opened: seconds of opening the file.
    """
    times = np.concatenate([samples.warmup, samples.wall])
    warmup = evidence.warmup
    wall = evidence.wall
    return LatencyFigures(
        open=opened,
        first=float(times[0]),
        warmup_calls=warmup,
        warmup_seconds=float(times[:warmup].sum()),
        p50=quantile(wall, 0.5),
        p90=quantile(wall, 0.9),
        p99=quantile(wall, 0.99),
        mean=float(wall.mean()),
        cpu=float(np.median(evidence.cpu)),
        calls=len(wall),
        seconds=float(wall.sum()),
    )


def _judged(
    result: BenchResult, worker: Worker | SystemWorker, wall: NDArray[np.float64]
) -> BenchResult:
    """Return a result with what the task says of the answers."""
    task = worker.task
    if task is None:
        return result
    if isinstance(task, SystemTask):
        result = replace(result, unit=task.unit, details=task.details(worker.answers))
    times = wall[: len(task)]
    scores = [
        score_within(task, worker.answers, times, budget) for budget in result.protocol.budgets
    ]
    return replace(
        result,
        task=task.name,
        metric=task.metric,
        examples=len(task),
        data_digest=task.digest,
        accuracy=task.judge(worker.answers),
        scores=tuple(scores),
    )


def _energy(worker: Worker | SystemWorker, core: int | None, tools: BenchTools) -> float | None:
    """Return the joules of one call; None where the machine does not tell."""
    before = tools.snapshot(core)
    if before.joules is None:
        return None
    call = worker.staged().call
    # One example again and again: putting others in place would take energy too.
    samples = sample(
        {"model": call},
        rounds=_ENERGY_CALLS,
        warmup=0,
        min_seconds=_ENERGY_SECONDS,
        max_rounds=MOST_CALLS,
        clock=tools.clock,
        cpu_clock=tools.cpu_clock,
    )
    conditions = conditions_between(before, tools.snapshot(core))
    if conditions.joules is None:
        return None
    return conditions.joules / len(samples["model"].wall)
