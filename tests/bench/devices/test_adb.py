"""A phone by adb, from transcripts.

They were put together by hand from the formats that the sources and the documentation of adb, of
Android's ``dumpsys`` and of ``benchmark_model`` give; none was taken from a phone of ours.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from handheld.bench import BenchProtocol, ClassificationTask
from handheld.bench.devices import AdbDevice, BenchJob, DeviceAddress, TaskOption
from handheld.bench.devices.adb import (
    PhoneState,
    adb_devices,
    binary_verdict,
    fastest_core,
    phone_state,
    run_adb,
)
from handheld.bench.devices.adb_log import RunStatistics, parse_log
from handheld.data import Dataset
from handheld.errors import DeviceError, InputError

HEAD = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [20]
INFO: Graph: [/data/local/tmp/handheld-bench-0/m.tflite]
INFO: Loaded model /data/local/tmp/handheld-bench-0/m.tflite
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 24.6229
INFO: Initialized session in 119.515ms.
INFO: Running benchmark for at least 5 iterations and at least 0.5 seconds.
INFO: count=9 first=87112 curr=51629 min=51629 max=87112 avg=58147.4 std=11478 p5=51629 \
median=51962 p95=87112

INFO: Running benchmark for at least 20 iterations and at least 1 seconds.
"""
COUNTED = (
    "INFO: count=24 first=42468 curr=41938 min=41938 max=42840 avg=42394.8 std=188 p5=42133 "
    "median=42419 p95=42671\n\n"
)
TAIL = """INFO: Inference timings in us: Init: 119515, First inference: 87112, \
Warmup (avg): 58147.4, Inference (avg): 42394.8
INFO: Note: as the benchmark tool itself affects memory footprint, it is only APPROXIMATE.
INFO: Memory footprint delta from the start of the tool (MB): init=23.5938 overall=26
INFO: Overall peak memory footprint (MB) via periodic monitoring: 48.5
"""
PROFILE = """INFO: Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
\t  [node type]\t  [first]\t [avg ms]\t  [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t AllocateTensors\t 414.653\t 207.330\t 42.863%\t100.000%\t 0.000\t 2\tAllocateTensors/0

Timings (microseconds): count=1 curr=967410

INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
  [node type]  [first]  [avg ms]  [%]  [cdf%]  [mem KB]  [times called]  [Name]
  QUANTIZE  0.199  0.203  1.328%  1.328%  0.000  1  [tfl.quantize]:0
 Convolution (NHWC, QC8) IGEMM  0.398  0.407  2.658%  3.986%  0.000  1  Delegate/Conv:0
 Convolution (NHWC, QC8) IGEMM  0.398  0.100  4.317%  8.304%  0.000  13  Delegate/Conv:1

============================== Top by Computation Time ==============================
  [node type]  [first]  [avg ms]  [%]  [cdf%]  [mem KB]  [times called]  [Name]
  QUANTIZE  9.999  9.999  1.328%  1.328%  0.000  1  [tfl.quantize]:0
"""
OLD = """STARTING!
Initialized session in 38.467ms.
count=6 first=79449 curr=81350 min=77385 max=88213 avg=83235 std=1929

count=50 first=79449 curr=81350 min=77385 max=88213 avg=79732 std=1929

Average inference timings in us: Warmup: 83235, Init: 38467, Inference: 79732
"""
THERMAL = "IsStatusOverride: false\nThermal Status: {}\nCached temperatures:\n"
BATTERY = "Current Battery Service state:\n  level: 80\n  temperature: 305\n"
CORES = "".join(
    f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq {rate}\n"
    for core, rate in ((0, 1800000), (1, 1800000), (6, 2850000), (7, 2850000), (10, 2400000))
)
ONE = ["devices$", "List of devices attached\nA1\tdevice\n\n", 0]
SERVER = "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n"
ROUTINE = (
    ONE,
    ["getprop ro.product.model", "Pixel 9\n", 0],
    ["getprop ro.soc.model", "Tensor G4\n", 0],
    ["getprop", "\n", 0],
    ["cpuinfo_max_freq", CORES, 0],
    ["thermalservice", THERMAL.format(0), 0],
    ["dumpsys battery", BATTERY, 0],
    ["shell (mkdir|chmod|rm) ", "", 0],
    [" push ", "m.tflite: 1 file pushed, 0 skipped. 30.1 MB/s (1 bytes in 0.001s)\n", 0],
)
TIMED = ["--num_runs=20 ", HEAD + COUNTED + TAIL, 0]
PROFILED = ["--enable_op_profiling=true", HEAD + COUNTED + TAIL + PROFILE, 0]
SHORT = BenchProtocol(min_queries=20, min_seconds=1)
COOL = (PhoneState(0, 30.0), PhoneState(0, 30.0))


@pytest.fixture
def phone(fake_adb, tmp_path):
    """Return a device whose adb answers from a table, in front of what it answers as usual."""
    binary = tmp_path / "benchmark_model"
    binary.write_bytes(b"\x7fELF")

    def make(*table, name="adb"):
        fake_adb(*table, *ROUTINE, PROFILED, TIMED)
        return AdbDevice(DeviceAddress.of(name), binary)

    make.calls = fake_adb.calls
    return make


@pytest.fixture
def timing():
    return BenchJob(protocol=SHORT)


def test_a_model_on_a_phone(phone, model_file, timing):
    said = []
    (result,) = phone().run([model_file], timing, said.append)
    assert (result.device, result.model.name, result.core) == ("adb", "tiny", 7)
    latency = result.latency
    assert (latency.open, latency.first) == (0.119515, 0.087112)
    assert (latency.warmup_calls, latency.calls) == (9, 24)
    assert latency.p50.value == pytest.approx(0.042419)
    assert latency.mean == pytest.approx(0.0423948)
    assert latency.seconds == pytest.approx(24 * 0.0423948)
    assert result.memory.process == 48.5 * 2**20
    assert result.memory.model == 26 * 2**20
    assert result.operator_seconds == pytest.approx(
        {"Convolution (NHWC, QC8) IGEMM": 0.001707, "QUANTIZE": 0.000203}
    )
    assert next(iter(result.operator_seconds)).startswith("Convolution")
    assert result.verdict.valid
    assert result.machine["cpu"] == "Tensor G4"
    assert result.machine["battery"] == "30.5 °C"
    assert any("experimental" in note for note in result.verdict.notes)
    assert "(experimental)" in said[0]


def test_what_the_tool_does_not_say_is_not_there(phone, model_file, timing):
    (result,) = phone().run([model_file], timing)
    unknown = (
        result.latency.p50.low,
        result.latency.p50.high,
        result.latency.p90.value,
        result.latency.p99.value,
        result.latency.cpu,
    )
    assert all(map(math.isnan, unknown))
    assert (result.accuracy, result.joules, result.scores) == (None, None, ())
    assert result.conditions.core_others is None
    assert any("no times of single calls" in note for note in result.verdict.notes)


def test_what_adb_is_told(phone, model_file, timing):
    list(phone().run([model_file], timing))
    words = [" ".join(call) for call in phone.calls()]
    (timed,) = [line for line in words if "--num_runs=20" in line]
    assert "taskset 80 /data/local/tmp/handheld-bench-" in timed
    for flag in ("--num_threads=1", "--min_secs=1", "--warmup_runs=5", "--graph=/data/local/tmp/"):
        assert flag in timed
    # Looking makes it slower: the run that counts is without.
    assert "profiling" not in timed
    assert "memory" not in timed
    assert words[-1].startswith("-s A1 shell rm -rf /data/local/tmp/handheld-bench-")


def test_names_that_would_do_harm(phone, make_classifier, tmp_path, timing, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "-rf; reboot $(reboot) 'x'.tflite"
    model.write_bytes(make_classifier())
    (result,) = phone().run([model.relative_to(tmp_path)], timing)
    assert result.model.name == model.stem
    for call in phone.calls():
        if "shell" in call:
            assert "reboot" not in " ".join(call)
        if "push" in call:
            assert call[3].startswith("/")


def test_several_models(phone, model_file, timing):
    running = phone().run([model_file, model_file], timing)
    assert [result.model.name for result in running] == ["tiny", "tiny"]


@pytest.mark.parametrize(
    ("listed", "name", "message"),
    [
        ("", "adb", "no device; is USB debugging on"),
        ("A1\tunauthorized\n", "adb", "A1 is unauthorized: it asks on its screen"),
        ("A1\toffline\n", "adb", "A1 is offline: it does not answer"),
        ("A1\tno permissions (udev); see [x]\n", "adb", "A1 is no permissions: this user"),
        ("A1\tsideload\n", "adb", "A1 is sideload: it is not ready"),
        ("A1\tdevice\nB2\tdevice\n", "adb", r"several devices \(A1, B2\): say which"),
        ("A1\tdevice\n", "adb:B2", "no device B2; there are A1"),
    ],
)
def test_phones_that_cannot_be_used(phone, model_file, timing, listed, name, message):
    answer = f"{SERVER}List of devices attached\n{listed}\n"
    with pytest.raises(DeviceError, match=message) as caught:
        list(phone(["devices$", answer, 0], name=name).run([model_file], timing))
    assert "\n" not in str(caught.value)


def test_one_of_several_phones(phone, model_file, timing):
    listed = ["devices$", "List of devices attached\nB2\tunauthorized\nA1\tdevice\n\n", 0]
    (result,) = phone(listed, name="adb:A1").run([model_file], timing)
    assert result.device == "adb:A1"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (["devices$", "error: cannot connect to daemon\n", 1], "adb: cannot connect to daemon"),
        (
            [
                " push ",
                "adb: error: failed to copy 'm' to 'n': remote No space left on device\n",
                1,
            ],
            "cannot be sent: no space is left on it",
        ),
        (["chmod", "chmod: Permission denied\n", 1], "Permission denied"),
        (
            ["--num_runs=20 ", "sh: not executable: 64-bit ELF file\n", 126],
            "gave no times: sh: not",
        ),
        (
            ["--num_runs=20 ", HEAD + "ERROR: Node number 57 failed to prepare.\nERROR: x\n", 1],
            "gave no times: ERROR: Node number 57",
        ),
        (["--num_runs=20 ", "", 139], "gave no times: it printed nothing"),
    ],
)
def test_failures_are_a_line(phone, model_file, timing, rule, message):
    with pytest.raises(DeviceError, match=message) as caught:
        list(phone(rule).run([model_file], timing))
    assert "\n" not in str(caught.value)


def test_a_phone_that_is_pulled_out(phone, model_file, timing, tmp_path):
    running = phone().run([model_file, model_file], timing)
    assert next(running).latency.calls == 24
    # adb itself says so, and no shell of the phone any more.
    script = tmp_path / "bin" / "adb"
    script.write_text("#!/bin/sh\necho \"error: device 'A1' not found\"\nexit 1\n", "utf-8")
    with pytest.raises(DeviceError, match="device 'A1' not found"):
        next(running)


def test_nothing_is_judged_on_a_phone(phone, model_file, timing):
    option = TaskOption(name="--task", text="classification")
    pictures = np.zeros((2, 2, 2, 3), np.uint8)
    task = ClassificationTask.of(Dataset(pictures, np.arange(2), ("a", "b")))
    for job in (replace(timing, options=(option,)), replace(timing, task=task)):
        with pytest.raises(InputError, match="nothing is judged"):
            list(phone().run([model_file], job))


def test_an_old_build_gives_no_median():
    with pytest.raises(DeviceError, match=r"an old one, and tells averages alone \(Average inf"):
        parse_log(OLD)
    # Builds between those two say the first inference, and no percentiles.
    log = parse_log(HEAD + "count=24 first=4 curr=4 min=4 max=4 avg=4.0 std=0\n" + TAIL)
    assert (log.regular.median, log.regular.mean) == (None, 4e-6)
    assert log.operators == {}


def test_tables_with_tabs():
    table = PROFILE.partition("INFO: Operator-wise")[0]
    log = parse_log(HEAD + COUNTED + TAIL + table)
    assert log.operators == {"AllocateTensors": pytest.approx(0.41466)}


@pytest.mark.parametrize("text", ["", "x", "avg=", "count=1 avg=1", HEAD, HEAD + COUNTED])
def test_logs_that_end_early(text):
    with pytest.raises(DeviceError, match="gave no times"):
        parse_log(text)


def test_numbers_that_are_none():
    with pytest.raises(DeviceError, match="expected a number"):
        parse_log(HEAD + COUNTED.replace("188", "1.8.8") + TAIL)


def statistics(**values):
    usual = {"count": 24, "mean": 0.1, "min": 0.1, "max": 0.1, "deviation": 0.0}
    return RunStatistics(**usual | {"median": 0.1, "p5": 0.1, "p95": 0.1} | values)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"count": 19}, "19 calls were counted, 20 are needed"),
        ({"mean": 0.01}, "1 s are needed"),
        ({"p95": 0.125}, "percentile are 25% of the median apart"),
        ({"p95": 0.124}, ""),
        ({"median": None, "deviation": 0.008}, "deviation 8% of the mean"),
        ({"median": None, "deviation": 0.007}, ""),
    ],
)
def test_what_speaks_against_a_run(values, reason):
    judged = binary_verdict(statistics(**values), SHORT, COOL, 7)
    assert judged.valid is not bool(reason)
    assert reason in " ".join(judged.reasons)


def test_a_phone_that_is_hot():
    judged = binary_verdict(statistics(), SHORT, (COOL[0], PhoneState(3, 45.0)), 7)
    assert judged.reasons == ("the phone says that it is slowed by heat: severe",)
    judged = binary_verdict(statistics(), SHORT, (PhoneState(None, None),) * 2, None)
    assert judged.valid
    assert any("no thermal status" in note for note in judged.notes)
    assert any("kept to no core" in note for note in judged.notes)


def test_states_and_cores():
    assert phone_state(THERMAL.format(2), BATTERY) == PhoneState(2, 30.5)
    assert phone_state("Can't find service: thermalservice", "") == PhoneState(None, None)
    assert fastest_core(CORES) == 7
    assert fastest_core("cat: No such file") is None


@pytest.mark.parametrize(
    ("said", "now"),
    [
        ("count=24", "count=" + "9" * 5000),
        ("avg=42394.8", "avg=-7"),
        ("avg=42394.8", "avg=1e400"),
        ("Init: 119515", "Init: -1"),
        ("via periodic monitoring: 48.5", "via periodic monitoring: 1e400"),
    ],
)
def test_figures_that_no_tool_prints_are_refused(said, now):
    """Some ended in a traceback, some in a record that could not be read back."""
    text = HEAD + COUNTED + TAIL
    assert said in text
    with pytest.raises(DeviceError, match=r"expected a number of 0 or more|gave no times"):
        parse_log(text.replace(said, now))


def test_memory_that_shrank_is_not_known():
    log = parse_log(HEAD + COUNTED + TAIL.replace("overall=26", "overall=-1.5"))
    assert log.model_bytes is None


def test_a_phone_that_prints_without_end_fills_no_memory(tmp_path):
    """What it prints was kept until its time was over: gigabytes."""
    endless = tmp_path / "adb"
    endless.write_text("#!/bin/sh\nexec yes 'words and words'\n", "utf-8")
    endless.chmod(0o755)
    with pytest.raises(DeviceError, match="adb devices: printed more than 8,388,608 bytes"):
        adb_devices(str(endless))


def test_a_phone_that_says_nothing_is_given_up(tmp_path):
    silent = tmp_path / "adb"
    silent.write_text("#!/bin/sh\nexec sleep 60\n", "utf-8")
    silent.chmod(0o755)
    with pytest.raises(DeviceError, match=r"adb devices: no answer within 0\.2 s"):
        run_adb(str(silent), ["devices"], patience=0.2)
