"""One measurement of one submission, in a job's process: validate, measure, write what came out.

The file runs in a child of this process alone, see ``handheld.engine``: without network and files
where bubblewrap is installed, and with limits on memory and time in any case. Examples go to the
child one by one; labels never do.
"""

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from handheld.bench.challenge.boxes import BoxedPictures
from handheld.bench.challenge.files import ModelFiles
from handheld.bench.challenge.rules import (
    PUBLIC,
    ChallengeData,
    ChallengeFolder,
    are_pictures,
)
from handheld.bench.classification import ClassificationTask
from handheld.bench.conditions import SystemSnapshot, snapshot
from handheld.bench.protocol import BenchProtocol
from handheld.bench.run import BenchResult, BenchTools, bench, chosen_core
from handheld.bench.task import BenchTask
from handheld.bench.validate import validate_model
from handheld.errors import ModelError
from handheld.files import atomic_path
from handheld.service.jobs.kinds import JobKind, Report, Spec

RESULT_FILE = "measurement.json"
_PICTURES = 4  # of the public part, on which a file is tried before it is measured
_MAX_FAULTS = 5
_VALIDATED = 0.2  # of the progress
_CHILDREN = "/proc/{}/task/{}/children"


def device_kind(device: str) -> str:
    """Return the kind of the jobs of a device: a worker takes those of its own."""
    return f"device_{device}"


def measurement_kind(device: str) -> JobKind:
    """Return the kind of job that measures on a device; its files do not come from a form."""
    return JobKind(
        name=device_kind(device),
        title=f"Measurement on {device}",
        entry="handheld.bench.challenge.job:measure_submission",
    )


def measure_submission(folder: Path, spec: Spec, report: Report) -> None:
    """Measure a submission, and write the outcome into ``result``.

    Args:
        folder: of the job.
        spec: ``challenge`` (its folder), ``files`` (where submitted files are), ``sha256``,
            ``data`` ("public" or "hidden"), ``device``.
        report: takes the progress.

    Raises:
        ModelError: the file cannot take part; says why.
    """
    challenge = ChallengeFolder.read(spec["challenge"])
    device = challenge.rules.device(spec["device"])
    protocol = challenge.rules.measurement.protocol(challenge.rules.budget, device.core)
    with (
        _one_at_a_time(challenge, device.name, report),
        # Behind the wait: however many jobs there are, a device needs room for one copy.
        _copied(spec, folder / "work" / "model.tflite") as path,
        _only_core(protocol),
    ):
        report(0.0, "validating")
        data = challenge.data(PUBLIC)
        _validate(challenge, path, data)
        if spec["data"] != PUBLIC:
            data = challenge.data(spec["data"])
        result = _measure(challenge, path, data, protocol, report)
    with atomic_path(folder / "result" / RESULT_FILE) as temporary:
        temporary.write_text(json.dumps(_outcome(result), allow_nan=False), "utf-8")


def _validate(challenge: ChallengeFolder, path: Path, data: ChallengeData) -> None:
    """Refuse a file that cannot take part. Raises :class:`ModelError` with its faults."""
    rules = challenge.rules.submission(data)
    # Rows of numbers have no rules of their own: the task asks for their shape.
    if rules is None:
        return
    checked = validate_model(
        path, rules=rules, limits=challenge.rules.limits.of_run, pictures=_tried(data)
    )
    if checked.valid:
        return
    # The path is this server's.
    faults = [fault.replace(str(path), "the model") for fault in checked.faults[:_MAX_FAULTS]]
    if len(checked.faults) > _MAX_FAULTS:
        faults.append(f"and {len(checked.faults) - _MAX_FAULTS} more")
    raise ModelError("\n".join(faults))


def _tried(data: ChallengeData) -> list[np.ndarray]:
    """Return pictures of the public part on which a file is tried."""
    if isinstance(data, BoxedPictures):
        return list(data.pictures[:_PICTURES])
    if are_pictures(data):
        return [_coloured(np.asarray(picture)) for picture in data.inputs[:_PICTURES]]
    return []


def _task(challenge: ChallengeFolder, data: ChallengeData) -> BenchTask:
    if isinstance(data, BoxedPictures):
        return data.task()
    return ClassificationTask.of(data, black_white=challenge.rules.black_white)


def _coloured(picture: np.ndarray) -> np.ndarray:
    if picture.shape[2] == 1:
        return np.repeat(picture, 3, axis=2)
    return picture


def _measure(
    challenge: ChallengeFolder,
    path: Path,
    data: ChallengeData,
    protocol: BenchProtocol,
    report: Report,
) -> BenchResult:
    """Measure until a run is VALID, or as often as the rules allow."""
    rules = challenge.rules
    task = _task(challenge, data)
    # What a hostile file needs of memory is bounded, and not measured outside of that bound.
    tools = BenchTools(snapshot=_snapshot_with_children, memory=lambda _path, _threads: None)
    attempts = rules.measurement.attempts
    for attempt in range(attempts):
        share = _VALIDATED + (1 - _VALIDATED) * attempt / attempts
        report(share, f"measuring, run {attempt + 1} of at most {attempts}")
        try:
            result = bench(path, task, protocol=protocol, isolated=rules.limits.of_run, tools=tools)
        except ModelError as error:
            raise ModelError(str(error).replace(str(path), "the model")) from error
        if result.verdict.valid:
            break
    return result


def _outcome(result: BenchResult) -> dict[str, Any]:
    """Return the figures of a run as a row takes them, and all of them as text."""
    (score,) = result.scores
    assert result.accuracy is not None
    # Of this server: nobody's business.
    facts = replace(result.model, file="", name="")
    return {
        "score": score.score.value,
        "accuracy": result.accuracy.value,
        "accuracy_low": _finite(result.accuracy.low),
        "accuracy_high": _finite(result.accuracy.high),
        "latency": result.latency.p50.value,
        "latency_p90": result.latency.p90.value,
        "reached": score.reached,
        "examples": score.examples,
        "valid": result.verdict.valid,
        "reasons": list(result.verdict.reasons),
        "result": json.dumps(_plain(replace(result, model=facts).to_json())),
    }


def _finite(value: float) -> float | None:
    if math.isfinite(value):
        return value
    return None


def _plain(value: Any) -> Any:
    """Return a value in JSON's own types: NaN becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return _finite(value)
    return value


@contextlib.contextmanager
def _copied(spec: Spec, path: Path) -> Iterator[Path]:
    """Give a copy of the submitted file, and remove it: the job's folder stays for a while."""
    try:
        ModelFiles(spec["files"]).fetch(spec["sha256"], path)
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _one_at_a_time(challenge: ChallengeFolder, device: str, report: Report) -> Iterator[None]:
    """Wait until nobody else measures on this device, whichever process of this machine."""
    import fcntl  # not at the top: elsewhere than on Unix this module can be imported at least

    challenge.state.mkdir(exist_ok=True, mode=0o700)
    # A folder may be shared by machines; a device is one of them.
    with (challenge.state / f"{os.uname().nodename}-{device}.lock").open("wb") as file:
        report(0.0, "waiting for the device")
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _only_core(protocol: BenchProtocol) -> Iterator[None]:
    """Keep this process to the core, so that the model's own, which inherits it, keeps to it too.

    While the model computes, this process waits for it.
    """
    core = chosen_core(protocol)
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):  # ``bench`` says which cores there are
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _snapshot_with_children(
    core: int | None, *, take: Callable[[int | None], SystemSnapshot] = snapshot
) -> SystemSnapshot:
    """Return the counters of now, in which the model's own process is no stranger.

    Its CPU time is ours. This process and that one take turns on one core, thousands of times a
    second: each turn counts as a preemption, and as a task that waits, so these two say nothing of
    others here, whose time on the core is told apart in any case.
    """
    taken = take(core)
    ticks = os.sysconf("SC_CLK_TCK")
    seconds = sum(map(_cpu_ticks, _descendants(os.getpid()))) / ticks
    return replace(taken, own_cpu=taken.own_cpu + seconds, preempted=None, pressure=None)


def _descendants(process: int) -> list[int]:
    """Return the ids of all processes below one; none where the system does not list them."""
    below: list[int] = []
    waiting = [process]
    while waiting:
        parent = waiting.pop()
        # Linux keeps a list for each thread that started some.
        for listed in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children = list(map(int, listed.read_text("utf-8").split()))
                below += children
                waiting += children
    return below


def _cpu_ticks(process: int) -> int:
    """Return the ticks of CPU time that a process used; 0 if it has ended."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    # Behind the name, which may hold anything: the 12th and 13th are utime and stime (proc(5)).
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
