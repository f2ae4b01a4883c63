import subprocess
import sys
from pathlib import Path

import pytest

from handheld.errors import InputError

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_examples_run(path):
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


FEDERATED = sorted((ROOT / "examples" / "federated").glob("*.toml"))


@pytest.mark.parametrize("path", FEDERATED, ids=[path.stem for path in FEDERATED])
def test_federated_examples_make_a_population(path):
    pytest.importorskip("torch")
    from handheld.config import find
    from handheld.federated.config import read

    config = read(path)
    needed = (
        config.data.path
        or {"gestures": "hands/mesh", "replies": "text/chitchat.jsonl.gz"}[path.stem]
    )
    try:
        find(needed, path.parent)
    except InputError:
        pytest.skip(f"HANDHELD_DATA has no {needed}")
    learner = config.learner()
    assert len(learner.start()) > 0
    assert learner.examples.sum() > 0


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_python_in_the_docs_is_valid(path):
    blocks = path.read_text("utf-8").split("```python\n")[1:]
    for block in blocks:
        compile(block.partition("```")[0], str(path), "exec")
