"""MLPerf's own generator, LoadGen, drives a model (``mlcommons-loadgen``, the extra ``loadgen``).

It sends the queries, takes the times and gives the verdict; its logs stay in a folder as they are,
to be handed in. Beside its verdict stands what our own rule says of the same run.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from handheld.bench.metric import binomial_cdf
from handheld.bench.noise import noise
from handheld.bench.protocol import BenchProtocol
from handheld.bench.run import chosen_core
from handheld.bench.task import BenchTask, TaskSession
from handheld.bench.trust import enough
from handheld.engine import Model
from handheld.engine.measure import pinned
from handheld.errors import FileError, InputError

Scenario = Literal["SingleStream", "Offline"]
"""One query after the other, or all samples at once."""

SCENARIOS: tuple[Scenario, ...] = ("SingleStream", "Offline")

_SUMMARY = "mlperf_log_summary.txt"
_READY = 1024  # samples that are kept in memory, as LoadGen's rule for performance runs asks
_CONFIDENCE = 0.99  # of its early stopping
_LEVEL = 0.9  # the percentile of a single stream
_MILLISECOND = 1e3
_NANOSECONDS = 1e9  # in a second
_TRIES = 5


@dataclass(frozen=True)
class LoadgenRun:
    """What LoadGen says of a run, and what we do.

    Args:
        scenario: of the run.
        valid: LoadGen's verdict.
        reasons: what LoadGen says to it, in its words: of a VALID run too, on early stopping.
        agrees: whether our rule gives the same.
        ours: our verdict.
        summary: all of LoadGen's figures, by the names that it gives them.
        queries: that were answered.
        seconds: from when the samples were there to the end of the last query.
        p90: seconds of the 90th percentile of single queries, measured by us; NaN offline.
        logs: folder of LoadGen's logs.
    """

    scenario: Scenario
    valid: bool
    reasons: tuple[str, ...]
    agrees: bool
    ours: bool
    summary: dict[str, str]
    queries: int
    seconds: float
    p90: float
    logs: str

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        values: dict[str, Any] = asdict(self)
        return values


def run_loadgen(
    path: str | PathLike[str],
    logs: str | PathLike[str],
    task: BenchTask | None = None,
    *,
    scenario: Scenario = "SingleStream",
    protocol: BenchProtocol | None = None,
) -> LoadgenRun:
    """Let LoadGen drive a model, and keep its logs.

    Args:
        path: a ``.tflite`` file.
        logs: folder for the logs; it is made.
        task: whose examples are the samples; None: noise.
        scenario: how queries come.
        protocol: of which queries, seconds, threads and core count.

    Raises:
        ModelError: the file cannot be opened or run, or cannot do the task.
        FileError: the logs cannot be written.
        MissingDependencyError: LoadGen is not installed.
    """
    import mlperf_loadgen as loadgen

    protocol = protocol or BenchProtocol()
    if scenario not in SCENARIOS:
        raise InputError(f"scenario: expected one of {', '.join(SCENARIOS)}, got {scenario!r}")
    folder = Path(logs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: cannot be made ({error.strerror})") from error
    with Model.open(path, threads=protocol.threads) as model, pinned(chosen_core(protocol)):
        session = task.begin(model, protocol) if task else None
        system = _System(model, session, loadgen)
        library = _Library(system, len(task) if task else 1)
        settings = _settings(loadgen, scenario, protocol, system.quickest())
        _start(loadgen, system, library, settings, folder)
    return _told(system, scenario, protocol, folder)


class _System:
    """The system under test: answers what LoadGen issues, in the thread that issues it."""

    def __init__(self, model: Model, session: TaskSession | None, loadgen: Any) -> None:
        self._model = model
        self._session = session
        self._loadgen = loadgen
        self._noise = noise(model)
        self._ready: dict[int, Any] = {}
        self.times: list[float] = []
        self.begun = 0.0
        self.ended = 0.0
        self.failure: BaseException | None = None

    def quickest(self) -> float:
        """Return the seconds of the quickest of a few calls on noise."""
        times = []
        for _ in range(_TRIES):
            start = time.perf_counter()
            self._run(self._noise)
            times.append(time.perf_counter() - start)
        return min(times)

    def _run(self, arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
        for position, array in enumerate(arrays):
            np.copyto(self._model.input_view(position), array)
        return np.ascontiguousarray(self._model.invoke(finite=True)[0])

    def load(self, indices: list[int]) -> None:
        for index in indices:
            self._ready[index] = self._inputs(index)
        # LoadGen's clock starts when the samples are there.
        self.begun = time.perf_counter()

    def unload(self, indices: list[int]) -> None:
        for index in indices:
            self._ready.pop(index, None)

    def _inputs(self, index: int) -> Any:
        if self._session is None:
            return self._noise
        return self._session.feed(index)

    def issue(self, queries: Any) -> None:
        """Answer queries, each with the bytes of its first output."""
        # An exception that left here would end the process, in LoadGen's own thread.
        try:
            for query in queries:
                self._answer(query)
        except BaseException as error:
            self.failure = error
            # Without bytes: LoadGen waits for an answer to each query, whatever became of it.
            self._complete([(query.id, 0, 0) for query in queries])

    def _answer(self, query: Any) -> None:
        start = time.perf_counter()
        output = self._run(self._ready[query.index])
        self.ended = time.perf_counter()
        self.times.append(self.ended - start)
        # LoadGen is done with the bytes when this returns: the array need not live longer.
        self._complete([(query.id, output.ctypes.data, output.nbytes)])

    def _complete(self, answers: list[tuple[int, int, int]]) -> None:
        responses = [self._loadgen.QuerySampleResponse(*answer) for answer in answers]
        self._loadgen.QuerySamplesComplete(responses)

    def flush(self) -> None:
        """Nothing waits."""


@dataclass(frozen=True)
class _Library:
    """The samples, as LoadGen asks for them."""

    system: _System
    count: int


def _settings(loadgen: Any, scenario: Scenario, protocol: BenchProtocol, quickest: float) -> Any:
    """Return LoadGen's settings.

    It makes its queries before the run, from what it is told to expect; of too few it says INVALID.
    So it is told of a model twice as quick as the quickest call.
    """
    expected = quickest / 2
    settings = loadgen.TestSettings()
    settings.scenario = getattr(loadgen.TestScenario, scenario)
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_query_count = protocol.min_queries
    settings.min_duration_ms = round(protocol.min_seconds * _MILLISECOND)
    settings.single_stream_expected_latency_ns = max(1, round(expected * _NANOSECONDS))
    settings.offline_expected_qps = 1 / expected
    return settings


def _start(loadgen: Any, system: _System, library: _Library, settings: Any, folder: Path) -> None:
    output = loadgen.LogOutputSettings()
    output.outdir = str(folder)
    output.copy_summary_to_stdout = False
    log = loadgen.LogSettings()
    log.log_output = output
    log.enable_trace = False
    sut = loadgen.ConstructSUT(system.issue, system.flush)
    qsl = loadgen.ConstructQSL(
        library.count, min(library.count, _READY), system.load, system.unload
    )
    try:
        loadgen.StartTestWithLogSettings(sut, qsl, settings, log)
    finally:
        loadgen.DestroyQSL(qsl)
        loadgen.DestroySUT(sut)
    if system.failure is not None:
        raise system.failure


def _told(system: _System, scenario: Scenario, protocol: BenchProtocol, folder: Path) -> LoadgenRun:
    summary, reasons = read_summary(folder / _SUMMARY)
    times = np.asarray(system.times)
    # From end to end, as LoadGen counts: its own work between queries is in it.
    seconds = system.ended - system.begun
    ours = our_verdict(len(times), seconds, scenario, protocol)
    valid = summary.get("Result is") == "VALID"
    p90 = float("nan")
    if scenario == "SingleStream":
        p90 = float(np.quantile(times, _LEVEL))
    return LoadgenRun(
        scenario=scenario,
        valid=valid,
        reasons=reasons,
        agrees=valid == ours,
        ours=ours,
        summary=summary,
        queries=len(times),
        seconds=seconds,
        p90=p90,
        logs=str(folder),
    )


def our_verdict(queries: int, seconds: float, scenario: Scenario, protocol: BenchProtocol) -> bool:
    """Return whether a run is long enough by our rule.

    A single stream also has to have so many queries that a quantile can be told: LoadGen's early
    stopping, from 64 of them.
    """
    long_enough = enough(queries, seconds, protocol)
    if scenario == "Offline":
        return long_enough
    return long_enough and early_stopping_rank(queries) is not None


def early_stopping_rank(queries: int) -> int | None:
    """Return which of so many times, from the smallest, is the early-stopping 90th percentile.

    So many lie above it that fewer of them, or as many, beyond the true percentile would be a
    chance of 1 %; None where no number is so small.

    >>> early_stopping_rank(63), early_stopping_rank(64)
    (None, 64)
    """
    start, beyond = binomial_cdf(queries, 1 - _LEVEL)
    # The largest number of slow ones that is still too small to be chance; the estimate is the
    # fastest of these.
    slow = start + int(np.searchsorted(beyond, 1 - _CONFIDENCE, side="right")) - 1
    if slow < 1:
        return None
    return queries - slow + 1


def read_summary(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return LoadGen's figures by name, and its reasons against a run.

    Raises:
        InputError: it wrote no summary.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: LoadGen left no summary; look at its other logs") from error
    figures = {}
    reasons = []
    for line in lines:
        name, colon, value = line.partition(":")
        if line.startswith((" *", "  *")):
            reasons.append(re.sub(r"^[\s*]+", "", line))
        elif colon:
            figures[name.strip()] = value.strip()
    return figures, tuple(reasons)
