"""One fault at a time, each in one line, and nothing of a hostile file reaches this process."""

import numpy as np
import pytest

from handheld.bench import SubmissionRules, validate_model
from handheld.engine import RunLimits
from handheld.errors import InputError

LIMITS = RunLimits(seconds=20)


def look(path, **rules):
    return validate_model(path, rules=SubmissionRules(**rules), limits=LIMITS)


def test_a_model_that_can_take_part(model_file):
    report = look(model_file, classes=3)
    assert report.faults == ()
    assert report.valid
    assert report.facts["macs"] == 36
    assert report.to_json()["valid"] is True


@pytest.mark.parametrize(
    ("shape", "rules", "fault"),
    [
        ({"side": 2}, {"max_side": 1}, "input: a height of 2, expected 1 to 1"),
        ({"channels": 1}, {}, "input: 1 channels, expected 3"),
        ({}, {"classes": 10}, "output: 3 scores, expected 10"),
        ({}, {"outputs": 4}, "output: 1 tensors, expected 4"),
        ({}, {"max_bytes": 100}, "format: "),
    ],
)
def test_a_fault_is_one_line(tmp_path, make_classifier, shape, rules, fault):
    path = tmp_path / "m.tflite"
    path.write_bytes(make_classifier(**shape))
    report = look(path, **rules)
    assert any(line.startswith(fault) for line in report.faults), report.faults
    assert all("\n" not in line for line in report.faults)


def test_a_model_of_something_else(fixtures_folder):
    report = look(fixtures_folder / "tiny_add.tflite")
    assert any(line.startswith("input: 2 of them") for line in report.faults)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\0" * 300])
def test_what_is_no_model(tmp_path, content):
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    (fault,) = look(path).faults
    assert fault.startswith("format: ")


def test_a_model_that_is_cut_short(tmp_path, make_classifier):
    path = tmp_path / "m.tflite"
    path.write_bytes(make_classifier()[:-40])
    (fault,) = look(path).faults
    assert fault.startswith("format: ")


@pytest.mark.parametrize("name", ["missing.tflite", "a\0b"])
def test_no_file(tmp_path, name):
    (fault,) = look(f"{tmp_path}/{name}").faults
    assert "cannot be read" in fault


def test_a_folder(tmp_path):
    assert not look(tmp_path).valid


def test_scores_that_are_no_numbers_are_a_fault(tmp_path, make_classifier):
    # the first weight becomes NaN: 1.0 is found where the unit matrix begins
    content = make_classifier()
    one = np.float32(1).tobytes()
    path = tmp_path / "m.tflite"
    path.write_bytes(content.replace(one, np.float32(np.nan).tobytes(), 1))
    assert any("not finite" in fault for fault in look(path).faults)


def test_pictures_of_the_challenge_are_run(model_file):
    picture = np.zeros((9, 5, 3), np.uint8)
    assert validate_model(model_file, limits=LIMITS, pictures=[picture]).valid
    with pytest.raises(InputError, match=r"pictures\[0\]"):
        validate_model(model_file, pictures=[picture.astype(float)])
