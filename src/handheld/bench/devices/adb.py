"""An Android phone, reached by adb, with the benchmark binary that the user brings. Experimental:
it was tested on transcripts, and on no phone.

The binary is ``benchmark_model`` of LiteRT or TensorFlow Lite, built for the phone's processor. It
runs models on noise and says how long calls took all together. So there is no accuracy and no
interval here, and the verdict rests on what the tool and the phone say, which each result tells.
"""

import re
import secrets
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, nan
from pathlib import Path
from typing import Any

from handheld import __version__
from handheld.bench.conditions import RunConditions
from handheld.bench.devices.adb_log import BinaryLog, RunStatistics, failure_of, parse_log
from handheld.bench.devices.device import BenchJob, DeviceAddress, Say
from handheld.bench.facts import ModelFacts
from handheld.bench.memory import PeakMemory
from handheld.bench.metric import MetricEstimate
from handheld.bench.protocol import OFFICIAL_QUERIES, OFFICIAL_SECONDS, BenchProtocol
from handheld.bench.run import BenchResult, LatencyFigures
from handheld.bench.trust import TrustVerdict
from handheld.engine import Model
from handheld.errors import DeviceError, InputError

_SHORT_CALL = 60.0  # seconds for what takes a moment
_PUSH = 600.0
_LONGER = 300.0  # seconds beyond those of the runs, for opening and warming up
_MAX_OUTPUT = 8 << 20  # bytes
_CHUNK = 1 << 16
_FAREWELL = 10.0  # seconds from the end of the output to that of adb
_WARMUP_RUNS = 5
_PROFILE_RUNS = 10
_SLOWEST = 10.0  # times the asked seconds, after which the tool ends by itself
_HOME = "/data/local/tmp"
_STATUS = "handheld-status:"
# Quartiles of a run lie 10 % of the median apart at most (trust.py). The tool says the 5th and the
# 95th percentile, which lie 2.44 times as far apart where times are normal, or their deviation
# alone.
_MOST_SPREAD = 0.10 * 2.44
_MOST_DEVIATION = 0.10 / 1.349
_THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
_TENTH = 10.0  # battery temperatures are in tenths of a degree
_STATES = {
    "unauthorized": "it asks on its screen whether this computer may use it: say yes there",
    "offline": "it does not answer: unplug it and plug it in again, or 'adb reconnect'",
    "no permissions": "this user may not use USB devices: see adb's page on udev rules",
    "recovery": "it is in recovery: start it as usual",
    "bootloader": "it is in its bootloader: start it as usual",
}
_PROPERTIES = {
    "device": "ro.product.model",
    "maker": "ro.product.manufacturer",
    "processor": "ro.soc.model",
    "android": "ro.build.version.release",
    "abi": "ro.product.cpu.abi",
}
# One line a core: its number and its highest clock rate, where the kernel tells.
_CORES = (
    "for f in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq; do "
    'echo "$f $(cat $f)"; done'
)
_CORE_LINE = re.compile(r"/cpu(\d+)/cpufreq/cpuinfo_max_freq (\d+)")


@dataclass(frozen=True)
class PhoneState:
    """How a phone is at a moment; None: it does not tell.

    Args:
        thermal: its thermal status, 0 (none) to 6.
        battery: temperature of the battery, degrees Celsius.
    """

    thermal: int | None
    battery: float | None


class AdbDevice:
    """A phone.

    Args:
        address: with its serial number, or without where it is the only one.
        binary: ``benchmark_model``, built for the phone.
        adb: the program; "" looks for it.

    Raises:
        DeviceError: there is no adb here.
        InputError: the binary is missing.
    """

    def __init__(self, address: DeviceAddress, binary: Path, *, adb: str = "") -> None:
        self._adb = adb_program(adb)
        self._address = address
        self._binary = binary
        if not binary.is_file():
            raise InputError(f"--benchmark-binary: {binary} is no file")

    @property
    def name(self) -> str:
        """As ``handheld bench --device`` names it."""
        return str(self._address)

    def run(
        self, models: Sequence[Path], job: BenchJob, say: Say | None = None
    ) -> Iterator[BenchResult]:
        """Time models there; see :class:`Device`."""
        if job.task is not None or job.options:
            raise InputError(
                "--data: on a phone the benchmark binary runs models on noise, and nothing is "
                "judged; judge them on this machine"
            )
        serial = self._chosen()
        machine = self._describe(serial)
        core = self._core(serial, job.protocol)
        with self._folder(serial) as folder:
            binary = f"{folder}/benchmark_model"
            self._push(serial, self._binary, binary)
            self._shell(serial, f"chmod 755 {binary}")
            for number, path in enumerate(models):
                if say is not None:
                    say(f"{path} on {self.name} (experimental) ...")
                with Model.open(path) as model:
                    facts = ModelFacts.of(model, job.name_of(number, path))
                remote = f"{folder}/{facts.sha256}.tflite"
                self._push(serial, path, remote)
                yield self._measured(serial, binary, remote, facts, job.protocol, machine, core)
                self._shell(serial, f"rm -f {remote}")

    def _measured(  # noqa: PLR0913  # all that a result holds
        self,
        serial: str,
        binary: str,
        remote: str,
        facts: ModelFacts,
        protocol: BenchProtocol,
        machine: dict[str, str],
        core: int | None,
    ) -> BenchResult:
        """Run the tool twice: to time, and to look into the model, which makes it slower."""
        words = [binary, f"--graph={remote}", f"--num_threads={protocol.threads}"]
        if core is not None:
            words = ["taskset", f"{1 << core:x}", *words]
        before = self._state(serial)
        log = self._tool(serial, [*words, *_length_words(protocol)], _patience(protocol))
        after = self._state(serial)
        profile_words = [
            f"--num_runs={_PROFILE_RUNS}",
            "--min_secs=0",
            "--enable_op_profiling=true",
            "--report_peak_memory_footprint=true",
        ]
        profile = self._tool(serial, [*words, *profile_words], _patience(protocol))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        facts_of_run = machine | _state_words(after) | {"time": now}
        return result_of_logs(
            log,
            profile,
            facts=facts,
            protocol=protocol,
            states=(before, after),
            core=core,
            machine=facts_of_run,
            device=self.name,
        )

    def _tool(self, serial: str, words: Sequence[str], patience: float) -> BinaryLog:
        command = " ".join(map(shlex.quote, words))
        text = self._shell(serial, f"{command} 2>&1", patience=patience, check=False)
        return parse_log(text)

    def _chosen(self) -> str:
        """Return the phone's serial number. Raises :class:`DeviceError` if it cannot be used."""
        phones = adb_devices(self._adb)
        serial_number = self._address.host
        if not serial_number and len(phones) > 1:
            raise DeviceError(
                f"adb: several devices ({', '.join(phones)}): say which, as --device adb:SERIAL"
            )
        if not phones:
            raise DeviceError("adb: no device; is USB debugging on, and is it plugged in?")
        serial = serial_number or next(iter(phones))
        if serial not in phones:
            raise DeviceError(f"adb: no device {serial}; there are {', '.join(phones)}")
        if phones[serial] != "device":
            state = phones[serial]
            raise DeviceError(f"adb:{serial} is {state}: {_STATES.get(state, 'it is not ready')}")
        return serial

    def _describe(self, serial: str) -> dict[str, str]:
        """Return what the phone says of itself."""
        facts = {"handheld": __version__}
        for name, key in _PROPERTIES.items():
            words = self._shell(serial, f"getprop {key}", check=False).strip()
            if words:
                facts[name] = words[:200]
        facts["cpu"] = facts.get("processor", facts.get("device", "unknown"))
        return facts

    def _core(self, serial: str, protocol: BenchProtocol) -> int | None:
        """Return the core to keep to: the last of the fastest; None where none is known."""
        if protocol.threads > 1:
            return None
        if protocol.core is not None:
            return protocol.core
        return fastest_core(self._shell(serial, _CORES, check=False))

    def _state(self, serial: str) -> PhoneState:
        thermal = self._shell(serial, "dumpsys thermalservice", check=False)
        battery = self._shell(serial, "dumpsys battery", check=False)
        return phone_state(thermal, battery)

    @contextmanager
    def _folder(self, serial: str) -> Iterator[str]:
        """Give a folder on the phone that is removed in the end."""
        folder = f"{_HOME}/handheld-bench-{secrets.token_hex(8)}"
        self._shell(serial, f"mkdir -m 700 {folder}")
        try:
            yield folder
        finally:
            # Where the phone is gone there is nobody to ask.
            with suppress(DeviceError):
                self._shell(serial, f"rm -rf {folder}", check=False)

    def _push(self, serial: str, path: Path, remote: str) -> None:
        # Absolute: what begins with a dash would be an option.
        words = ["-s", serial, "push", str(path.absolute()), remote]
        status, text = run_adb(self._adb, words, patience=_PUSH)
        if status:
            raise DeviceError(f"adb:{serial}: {path} cannot be sent: {_reason(text)}")

    def _shell(
        self, serial: str, command: str, *, patience: float = _SHORT_CALL, check: bool = True
    ) -> str:
        """Run a command of ours on the phone and return what it prints.

        Raises :class:`DeviceError` where the phone is lost, or, with ``check``, the command fails.
        """
        # Phones before Android 7 do not hand the status on.
        words = ["-s", serial, "shell", f"{command}; echo {_STATUS}$?"]
        _, text = run_adb(self._adb, words, patience=patience)
        output, mark, status = text.rpartition(_STATUS)
        if not mark:
            raise DeviceError(f"adb:{serial}: {_reason(text)}")
        if check and status.strip() != "0":
            raise DeviceError(f"adb:{serial}: {_reason(output)}")
        return output


def adb_program(name: str = "") -> str:
    """Return the path of adb. Raises :class:`DeviceError` where there is none."""
    program = shutil.which(name or "adb")
    if program is None:
        raise DeviceError("adb is not installed here: it comes with Android's platform tools")
    return program


def adb_devices(program: str) -> dict[str, str]:
    """Return the devices that adb sees, the state of each by its serial number.

    Raises:
        DeviceError: adb fails.
    """
    status, text = run_adb(program, ["devices"], patience=_SHORT_CALL)
    if status:
        raise DeviceError(f"adb: {_reason(text)}")
    phones = {}
    _, _, listed = text.partition("List of devices attached")
    for line in listed.splitlines():
        serial, tab, state = line.partition("\t")
        if tab:
            # "no permissions (...)" says why in brackets.
            phones[serial.strip()] = state.partition("(")[0].strip()
    return phones


def run_adb(program: str, words: Sequence[str], *, patience: float) -> tuple[int, str]:
    """Run adb and return its status and all that it printed.

    Raises:
        DeviceError: it does not end in time, or prints more than 8 MiB.
    """
    process = subprocess.Popen(
        [program, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = bytearray()
    # In a thread: a pipe has no time-out, and what a phone prints may never end.
    reader = threading.Thread(target=_read_bounded, args=(process, output), daemon=True)
    reader.start()
    try:
        reader.join(patience)
        has_ended = not reader.is_alive()
        is_flood = len(output) > _MAX_OUTPUT
        if has_ended and not is_flood:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_FAREWELL)
    finally:
        process.kill()
        process.wait()
        reader.join(_FAREWELL)
        if not reader.is_alive():
            assert process.stdout is not None
            process.stdout.close()
    if is_flood:
        raise DeviceError(f"adb {words[-1]:.60}: printed more than {_MAX_OUTPUT:,} bytes")
    if not has_ended:
        raise DeviceError(f"adb {words[-1]:.60}: no answer within {patience:g} s")
    return process.returncode, output.decode("utf-8", "replace")


def _read_bounded(process: "subprocess.Popen[bytes]", output: bytearray) -> None:
    """Take what a process prints, and no more than one piece beyond what is kept."""
    assert process.stdout is not None
    while len(output) <= _MAX_OUTPUT:
        chunk = process.stdout.read1(_CHUNK)  # type: ignore[attr-defined]
        if not chunk:
            return
        output += chunk


def _reason(text: str) -> str:
    """Return why adb failed, in its words."""
    line = failure_of(text)
    if "No space left" in text:
        return "no space is left on it"
    return line.removeprefix("adb: ").removeprefix("error: ")


def fastest_core(text: str) -> int | None:
    """Return the number of the last core of the highest clock rate.

    >>> fastest_core('''/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq 1800000
    ... /sys/devices/system/cpu/cpu7/cpufreq/cpuinfo_max_freq 2850000''')
    7
    """
    cores = [(int(rate), int(core)) for core, rate in _CORE_LINE.findall(text)]
    if not cores:
        return None
    return max(cores)[1]


def phone_state(thermal: str, battery: str) -> PhoneState:
    """Read ``dumpsys thermalservice`` and ``dumpsys battery``."""
    status = re.search(r"^\s*Thermal Status: (\d)", thermal, re.MULTILINE)
    tenths = re.search(r"^\s*temperature: (-?\d{1,4})\s*$", battery, re.MULTILINE)
    return PhoneState(
        int(status[1]) if status else None,
        int(tenths[1]) / _TENTH if tenths else None,
    )


def _state_words(state: PhoneState) -> dict[str, str]:
    words = {}
    if state.battery is not None:
        words["battery"] = f"{state.battery:.1f} °C"
    if state.thermal is not None:
        words["thermal status"] = _thermal_word(state.thermal)
    return words


def _thermal_word(status: int) -> str:
    if status < len(_THERMAL):
        return _THERMAL[status]
    return str(status)


def _length_words(protocol: BenchProtocol) -> list[str]:
    return [
        f"--num_runs={protocol.min_queries}",
        f"--min_secs={protocol.min_seconds:g}",
        f"--max_secs={ceil(_most_seconds(protocol))}",
        f"--warmup_runs={_WARMUP_RUNS}",
    ]


def _most_seconds(protocol: BenchProtocol) -> float:
    return max(_LONGER, _SLOWEST * protocol.min_seconds)


def _patience(protocol: BenchProtocol) -> float:
    return _most_seconds(protocol) + _LONGER


def result_of_logs(  # noqa: PLR0913  # all that a result holds
    log: BinaryLog,
    profile: BinaryLog,
    *,
    facts: ModelFacts,
    protocol: BenchProtocol,
    states: tuple[PhoneState, PhoneState],
    core: int | None,
    machine: dict[str, Any],
    device: str,
) -> BenchResult:
    """Return the result of a model whose times and whose profile the tool told."""
    regular = log.regular
    return BenchResult(
        model=facts,
        protocol=protocol,
        latency=_latency(log),
        verdict=binary_verdict(regular, protocol, states, core),
        conditions=_unknown(regular.count * regular.mean),
        task="",
        metric="",
        examples=0,
        data_digest="",
        accuracy=None,
        scores=(),
        refusal="",
        memory=_memory(profile),
        joules=None,
        core=core,
        machine=machine,
        device=device,
        operator_seconds=profile.operators or None,
    )


def _latency(log: BinaryLog) -> LatencyFigures:
    regular = log.regular
    median = nan if regular.median is None else regular.median
    unknown = MetricEstimate(nan, nan, nan, regular.count)
    return LatencyFigures(
        open=log.open,
        first=log.first,
        warmup_calls=log.warmup.count,
        warmup_seconds=log.warmup.count * log.warmup.mean,
        # Without the time of each call nothing says how sure the median is.
        p50=MetricEstimate(median, nan, nan, regular.count),
        p90=unknown,
        p99=unknown,
        mean=regular.mean,
        cpu=nan,
        calls=regular.count,
        seconds=regular.count * regular.mean,
    )


def _memory(profile: BinaryLog) -> PeakMemory | None:
    if profile.peak_bytes is None or profile.model_bytes is None:
        return None
    return PeakMemory(profile.peak_bytes, profile.model_bytes)


def _unknown(seconds: float) -> RunConditions:
    names = RunConditions.__dataclass_fields__.keys() - {"seconds"}
    return RunConditions(seconds=seconds, **dict.fromkeys(names))


def binary_verdict(
    regular: RunStatistics,
    protocol: BenchProtocol,
    states: tuple[PhoneState, PhoneState],
    core: int | None,
) -> TrustVerdict:
    """Return whether a run of the binary can be trusted, by the little that it tells.

    Args:
        regular: what it says of the calls that count.
        protocol: that was asked for.
        states: of the phone, before and after.
        core: that it was kept to; None: to none.
    """
    reasons = tuple(_reasons(regular, protocol, states))
    return TrustVerdict(not reasons, reasons, tuple(_notes(protocol, core, states[1])))


def _reasons(
    regular: RunStatistics, protocol: BenchProtocol, states: tuple[PhoneState, PhoneState]
) -> Iterator[str]:
    if regular.count < protocol.min_queries:
        yield f"{regular.count:,} calls were counted, {protocol.min_queries:,} are needed"
    seconds = regular.count * regular.mean
    # The tool counts what lies between calls too: a hundredth is not held against it.
    if seconds < 0.99 * protocol.min_seconds:
        yield f"the calls took {seconds:.3g} s, {protocol.min_seconds:g} s are needed"
    yield from _spread(regular)
    hottest = max(state.thermal or 0 for state in states)
    if hottest:
        yield f"the phone says that it is slowed by heat: {_thermal_word(hottest)}"


def _spread(regular: RunStatistics) -> Iterator[str]:
    if regular.median and regular.p5 is not None and regular.p95 is not None:
        spread = (regular.p95 - regular.p5) / regular.median
        if spread > _MOST_SPREAD:
            yield (
                f"times spread too far: the 5th and the 95th percentile are {spread:.0%} of the "
                "median apart"
            )
        return
    if regular.mean and regular.deviation / regular.mean > _MOST_DEVIATION:
        yield f"times spread too far: deviation {regular.deviation / regular.mean:.0%} of the mean"


def _notes(protocol: BenchProtocol, core: int | None, after: PhoneState) -> Iterator[str]:
    yield "experimental: this way was tested on transcripts of adb, and on no phone"
    yield (
        "the verdict rests on number, spread and thermal status: benchmark_model tells no times of "
        "single calls, so there are no intervals, and drift and other load are not seen"
    )
    yield "memory and times by operator are of a second run, which was slowed by looking at them"
    if not protocol.is_official:
        yield (
            f"shorter than MLPerf's {OFFICIAL_QUERIES:,} queries and {OFFICIAL_SECONDS:g} s: "
            "--official asks for them"
        )
    if core is None:
        yield "it was kept to no core: the phone does not tell which is fast, or has threads enough"
    if after.thermal is None:
        yield "the phone tells no thermal status"
