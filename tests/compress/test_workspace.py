import json
import subprocess
import sys
from pathlib import Path

import pytest

from handheld.compress.workspace import workspace
from handheld.errors import InputError


def test_two_runs_in_one_folder(tmp_path: Path):
    with workspace(tmp_path / "family", {"a": 1}), pytest.raises(InputError, match="another run uses"):  # noqa: SIM117
        with workspace(tmp_path / "family", {"a": 1}):
            pass


def test_a_killed_run_leaves_no_lock(tmp_path: Path):
    code = f"""
import os
from handheld.compress.workspace import workspace
with workspace({str(tmp_path)!r}, {{"a": 1}}):
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    with workspace(tmp_path, {"a": 1}) as space:
        assert space.file("plan.json").exists()


def test_another_plan_is_refused_and_says_what_changed(tmp_path: Path):
    with workspace(tmp_path, {"seed": 1, "targets": ["70KB"]}):
        pass
    with pytest.raises(InputError, match=r"other settings \(targets\)"), workspace(tmp_path, {"seed": 1, "targets": []}):
        pass
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["targets"] == ["70KB"]


def test_a_damaged_plan_is_not_gone_on_from(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text("{half")
    with pytest.raises(InputError, match="cannot be read"), workspace(tmp_path, {"seed": 1}):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), workspace(tmp_path / "file" / "family", {}):
        pass


def test_clearing_leaves_the_plan(tmp_path: Path):
    with workspace(tmp_path, {}) as space:
        space.file("joint.pt").write_bytes(b"x" * 1000)
        space.clear()
        assert {path.name for path in space.state.iterdir()} == {"lock", "plan.json"}
