import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_examples_run(path):
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    if "handheld models fetch" in done.stderr:
        pytest.skip("MediaPipe's models have not been fetched")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_python_in_the_docs_is_valid(path):
    blocks = path.read_text("utf-8").split("```python\n")[1:]
    for block in blocks:
        compile(block.partition("```")[0], str(path), "exec")
