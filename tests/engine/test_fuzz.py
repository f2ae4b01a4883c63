"""Damaged files, opened and run in a process of their own: every one is answered, none kills the
process.
"""

import re
import subprocess
import sys

import fuzz
import fuzz_structure
import pytest
import zoo


def test_damaged_fixtures_never_kill_the_process(fixture_file):
    counts, deaths = fuzz.fuzz(fixture_file, 0, 150)
    assert deaths == []
    assert sum(counts.values()) == 150
    assert counts["rejected"] > 50
    assert counts["ran"] > 5, "the damage is so heavy that the runtime is not reached"


@pytest.mark.parametrize(
    "name", ["depthwise_conv_2d", "reshape_int8", "pad", "add_int8", "squared_difference_int8"]
)
def test_operators_that_once_killed_the_process(name, tmp_path):
    (tmp_path / "model.tflite").write_bytes(zoo.models()[name]())
    assert fuzz.fuzz(tmp_path / "model.tflite", 0, 150)[1] == []


def test_damaged_places_of_weights_never_kill_the_process(fixtures, tmp_path):
    (tmp_path / "model.tflite").write_bytes(
        zoo.weights_behind((fixtures / "tiny_palm.tflite").read_bytes())
    )
    counts, deaths = fuzz.fuzz(tmp_path / "model.tflite", 0, 150)
    assert deaths == []
    assert min(counts["rejected"], counts["ran"]) > 30, counts


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="poisons memory as glibc does")
def test_files_of_another_structure_are_refused_or_run_without_harm():
    """In a process of its own: threads that other tests started here would not be there after a
    fork.
    """
    command = [sys.executable, fuzz_structure.__file__, "--cases", "250"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = {name: int(count) for name, count in re.findall(r"'(\w+)': (\d+)", report)}
    assert ", 0 findings" in report, report
    assert counts["ran"] > 40, counts
    assert counts["rejected"] > 60, counts
    assert counts["doubted"] > 3, counts
