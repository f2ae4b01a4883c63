import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from handheld._extras import EXTRAS
from handheld._rooms import ROOMS
from handheld.cli.doctor import check_isolation, check_rooms
from handheld.engine import isolation

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))[
    "project"
]


def rows(find):
    return {name.partition(":")[0]: (works, how) for name, works, how in check_rooms(find=find)}


def test_what_is_missing_is_named_with_the_extra_that_brings_it():
    found = rows(lambda module: None if module == "av" else 1)
    assert found["graph"] == (True, "")
    assert found["engine"][0]
    assert not found["hands"][0]
    assert "pip install '.[hands]'" in found["hands"][1]
    assert "missing: av" in found["hands"][1]


def test_every_room_is_told():
    assert list(rows(lambda _: 1)) == [room.name for room in ROOMS]


def test_what_rooms_need_is_known_with_its_extra():
    for room in ROOMS:
        assert set(room.needs) <= EXTRAS.keys(), room.name


def brought_by(extra):
    """Return the distributions that an extra of pyproject brings, those of the extras in it too."""
    names = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        if inner := re.match(r"handheld\[(.*?)\]", requirement):
            names |= {name for one in inner[1].split(",") for name in brought_by(one)}
        else:
            names.add(re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower())
    return names


@pytest.mark.parametrize(("distribution", "extra"), EXTRAS.values(), ids=EXTRAS)
def test_an_extra_brings_what_is_said_of_it(distribution, extra):
    assert distribution.lower() in brought_by(extra)


def test_a_program_gets_json(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "handheld", "doctor", "--json", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    parts = json.loads(done.stdout)["parts"]
    assert {"part", "can_run", "how"} == parts[0].keys()


def test_a_terminal_that_knows_few_letters_gets_others():
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "handheld", "doctor"],
        capture_output=True,
        env={
            "PATH": "/usr/bin",
            "PYTHONIOENCODING": "ascii",
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_isolates_models_is_told():
    assert check_isolation() == ("isolated models", True, isolation())
