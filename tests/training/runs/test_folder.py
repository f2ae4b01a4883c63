import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handheld.errors import InputError
from handheld.training.runs import open_run, read_kept


def test_two_runs_in_one_folder(tmp_path: Path):
    with (
        open_run(tmp_path / "family", {"a": 1}),
        pytest.raises(InputError, match="another run uses"),
        open_run(tmp_path / "family", {"a": 1}),
    ):
        pass


def test_a_killed_run_leaves_no_lock(tmp_path: Path):
    code = f"""
import os
from handheld.training.runs import open_run
with open_run({str(tmp_path)!r}, {{"a": 1}}):
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    with open_run(tmp_path, {"a": 1}) as run:
        assert run.file("plan.json").exists()


def test_another_plan_is_refused_and_says_what_changed(tmp_path: Path):
    with open_run(tmp_path, {"seed": 1, "targets": ["70KB"]}):
        pass
    with (
        pytest.raises(InputError, match=r"other settings \(targets\)"),
        open_run(tmp_path, {"seed": 1, "targets": []}),
    ):
        pass
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["targets"] == ["70KB"]


def test_a_damaged_plan_is_not_gone_on_from(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text("{half")
    with pytest.raises(InputError, match="cannot be read"), open_run(tmp_path, {"seed": 1}):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot be written"),
        open_run(tmp_path / "file" / "family", {}),
    ):
        pass


def test_clearing_leaves_the_plan(tmp_path: Path):
    with open_run(tmp_path, {}) as run:
        run.file("joint.pt").write_bytes(b"x" * 1000)
        run.clear()
        assert {path.name for path in run.state.iterdir()} == {"lock", "plan.json"}


def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "report.html").write_text("mine")
    message = r"holds 'report.html', which is of no run: name a folder that is empty"
    with pytest.raises(InputError, match=message), open_run(tmp_path, {}):
        pass
    assert (tmp_path / "report.html").read_text() == "mine"
    assert not (tmp_path / "run").exists()


def test_bytes_in_place_of_a_plan_are_told(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_bytes(b"\xff\x00")
    with (
        pytest.raises(InputError, match="its plan cannot be read"),
        open_run(tmp_path, {"seed": 1}),
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"{half", b"\xff\xfe", b"[" * 100_000])
def test_what_a_run_kept_and_is_damaged_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "run" / "candidates.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(
        InputError,
        match=r"candidates\.json is damaged, so the run cannot go on: delete .* to begin again",
    ):
        read_kept(path)


def test_a_pipe_among_what_a_run_kept_is_named(tmp_path: Path):
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "plan.json")
    with (
        pytest.raises(InputError, match=r"plan\.json is damaged, .* it is a pipe"),
        open_run(tmp_path, {"seed": 1}),
    ):
        pass
