import json
import math
from dataclasses import replace

import pytest

from handheld.bench import BenchProtocol, append_records, bench
from handheld.bench.results import read_results, result_of
from handheld.errors import InputError

SHORT = BenchProtocol(min_queries=3, min_seconds=0)


@pytest.fixture
def result(model_file, quiet):
    # Three calls: too few for an interval.
    return bench(model_file, protocol=SHORT, tools=quiet(2.0).tools)


def test_what_is_recorded_is_read_back(result, tmp_path):
    path = tmp_path / "r.jsonl"
    timed = replace(result, operator_seconds={"CONV_2D": 0.001}, device="ssh:lab")
    append_records(path, [result.to_json(), timed.to_json()])
    first, second = read_results(path)
    assert math.isnan(result.latency.p99.high)
    assert math.isnan(first.latency.p99.high)
    assert first.latency.p50.value == result.latency.p50.value == 2.0
    assert (first.model, first.protocol) == (result.model, result.protocol)
    assert (first.verdict, first.conditions) == (result.verdict, result.conditions)
    assert (second.device, second.operator_seconds) == ("ssh:lab", {"CONV_2D": 0.001})


def test_results_of_before_there_were_devices(result):
    values = result.to_json()
    for name in ("device", "operator_seconds", "calibration"):
        del values[name]
    read = result_of(json.loads(json.dumps(values)))
    assert (read.device, read.operator_seconds, read.calibration) == ("this", None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("core", "one"),
        ("scores", [1]),
        ("machine", []),
        ("operator_seconds", {"CONV_2D": -1}),
        ("operator_seconds", {"CONV_2D": None}),
        ("calibration", {"name": "x"}),
        ("examples", 1.5),
        ("examples", -4),
        ("core", -7),
        ("joules", -1.0),
        ("memory", {"process": -5, "model": 0}),
    ],
)
def test_the_entry_that_is_wrong_is_named(result, name, value):
    values = json.loads(json.dumps(result.to_json())) | {name: value}
    with pytest.raises(InputError, match=rf"result\.?.*{name}"):
        result_of(values)


def test_a_verdict_that_contradicts_itself(result):
    values = json.loads(json.dumps(result.to_json()))
    values["verdict"] = {"valid": True, "reasons": ["it was not"], "notes": []}
    with pytest.raises(InputError, match="verdict: it is valid, and gives reasons"):
        result_of(values)


@pytest.mark.parametrize("value", ["x" * 10_001, ["x"] * 20_001, [[[[[[[[[[[[[[]]]]]]]]]]]]]]])
def test_what_is_too_large(result, value):
    with pytest.raises(InputError, match="too many for a result"):
        result_of(result.to_json() | {"task": value})


@pytest.mark.parametrize("value", [None, 1, "x", []])
def test_what_is_no_table(value):
    with pytest.raises(InputError, match="expected a table"):
        result_of(value)


def test_the_line_that_is_no_result(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"a": 1}\n')
    with pytest.raises(InputError, match=r"r\.jsonl, result 1: no entry 'a'"):
        read_results(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": 0, "low": 0, "high": 0}, "expected a time above 0"),
        ({"low": 9.0, "high": 1.0}, "ends .* before it begins"),
        ({"count": -1}, "count: expected a whole number"),
    ],
)
def test_medians_that_no_run_has(result, change, message):
    """The first ended in a division by zero, in the page."""
    values = json.loads(json.dumps(result.to_json()))
    values["latency"]["p50"] |= change
    with pytest.raises(InputError, match=rf"latency\.p50.*{message}"):
        result_of(values)
