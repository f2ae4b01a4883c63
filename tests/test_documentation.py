"""What README and docs show can be copied: Python has the types that it says, under mypy too, and
commands exist.
"""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from handheld.cli.app import app
from handheld.hands import HandTracker

pytest.importorskip("mypy")
pytest.importorskip("torch")

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# What a reader has, and the pages do not make.
BROUGHT = """
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.engine import Model
from handheld.federated.algorithms import ServerState
from handheld.federated.learning import ClientTask

crop: NDArray[np.float32]
encoder: Any
example: torch.Tensor
full: Model
image: NDArray[np.uint8]
lite: Model
network: torch.nn.Module
photos: list[torch.Tensor]
picture: NDArray[np.uint8]
shared: ServerState
task: ClientTask
torch_dataset: torch.utils.data.TensorDataset
"""


# A command within code, up to what a shell or a sentence has behind it.
COMMAND = re.compile(r"(?:^|`|\\$ )handheld ([^`#|<>\n]+)", re.MULTILINE)


def blocks_of(page):
    return [block.partition("```")[0] for block in page.read_text("utf-8").split("```python\n")[1:]]


def test_blocks_type_check(tmp_path):
    # The blocks of a page are read one after the other, so names of the first are known in the
    # next.
    scripts = {
        page.stem.replace("-", "_"): "\n".join([BROUGHT, *blocks_of(page)])
        for page in PAGES
        if blocks_of(page)
    }
    assert {"README", "run_a_model"} <= scripts.keys()
    for name, script in scripts.items():
        (tmp_path / f"{name}.py").write_text(script)
    config = ["--config-file", ROOT / "pyproject.toml", "--cache-dir", tmp_path / "cache"]
    command = [sys.executable, "-m", "mypy", "--strict", *config, *sorted(tmp_path.glob("*.py"))]
    done = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def command_of(words):
    """Return the command that words begin with, or the group where they name no more, and take its
    words away.
    """
    command = typer.main.get_command(app)
    while (inner := getattr(command, "commands", {})) and words and not words[0].startswith("--"):
        # "handheld compress FILE" is "handheld compress run FILE".
        name = words.pop(0) if words[0] in inner else "run"
        assert name in inner, f"{command.name} has no command {words[0]}"
        command = inner[name]
    return command


def test_options_of_the_tracker_that_no_command_has_are_named_as_such():
    page = (ROOT / "docs" / "track-hands.md").read_text("utf-8")
    (told,) = re.findall(r"The scores, (.*) are options of Python", page)
    options = {option.name for option in command_of(["hands", "track"]).params}
    missing = set(inspect.signature(HandTracker).parameters) - options
    assert set(re.findall("`(.*?)`", told)) == {
        name for name in missing if not name.endswith("_score")
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page):
    for shown in COMMAND.findall(page.read_text("utf-8")):
        words = shown.split()
        options = {name for option in command_of(words).params for name in option.opts}
        asked = {word.rstrip(",.;:)") for word in words if word.startswith("--")}
        assert asked <= options, f"handheld {shown}: no such option"
