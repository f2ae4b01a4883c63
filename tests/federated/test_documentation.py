"""What docs/learn-across-devices.md shows runs as it is written."""

import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("pyarrow")

from handheld.federated.choices import ALGORITHMS, ENCODERS, ROBUST, STAGES, STRUCTURES
from handheld.federated.config import PLAIN_ENTRIES
from handheld.federated.learning import ClientWork
from handheld.federated.population import NetworkConfig, UserDataConfig
from handheld.federated.simulator import Devices
from handheld.networks.zoo.federated import NETWORKS

PAGE = (Path(__file__).parents[2] / "docs" / "learn-across-devices.md").read_text()
BLOCKS = [block.partition("```")[0] for block in PAGE.split("```python\n")[1:]]


def run(tmp_path, block):
    (tmp_path / "script.py").write_text(block)
    command = [sys.executable, "-W", "error", "script.py"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_the_first_block_is_a_script_that_runs_in_two_processes(tmp_path):
    done = run(tmp_path, BLOCKS[0])
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"50 % after \d+ rounds", done.stdout.strip())
    names = {path.name for path in (tmp_path / "run").iterdir()} - {".lock"}
    assert names == {"state.npz", "model.safetensors", "rounds.parquet", "report.html"}


def test_few_features_of_very_many(tmp_path):
    block = next(block for block in BLOCKS if "FSVRG" in block)
    done = run(tmp_path, block)
    assert done.returncode == 0, done.stderr
    assert "rounds," in done.stdout


def test_the_own_algorithm_is_that_of_the_examples(tmp_path):
    block = next(block for block in BLOCKS if "class Fading" in block)
    assert run(tmp_path, block).returncode == 0


@pytest.mark.parametrize(
    "names",
    [
        PLAIN_ENTRIES,
        [
            field.name
            for kind in (UserDataConfig, NetworkConfig, ClientWork, Devices)
            for field in fields(kind)
        ],
        [*ALGORITHMS, *ROBUST, *ENCODERS, *STRUCTURES, *NETWORKS],
        STAGES,
    ],
)
def test_each_entry_is_in_a_table(names):
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    missing = [name for name in names if f"`{name}`" not in rows]
    assert missing == []


def documented_fields():
    """Return what the table of fields says of each name."""
    table = PAGE.partition("| name | fields, and their defaults |")[2].partition("\n\n")[0]
    told = {}
    for row in table.splitlines()[2:]:
        names, words = [cell.strip() for cell in row.strip("| ").split(" | ")]
        each = words.split("; ")
        for number, name in enumerate(re.findall(r"`(\w+)`", names)):
            told[name] = each[number] if len(each) > 1 else words
    return told


@pytest.mark.parametrize("classes", [ALGORITHMS, ROBUST, STAGES, ENCODERS, STRUCTURES])
def test_fields_of_what_has_a_name_are_told_with_their_defaults(classes):
    told = documented_fields()
    for name, made in classes.items():
        expected = []
        for field in fields(made):
            has_default = field.default not in (MISSING, None)
            default = f" {str(field.default).lower()}" if has_default else ""
            expected.append(f"`{field.name}`{default}")
        words = re.sub(r" \(.*?\)", "", told[name])
        assert words == (", ".join(expected) or "none"), name
