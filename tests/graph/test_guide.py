"""The guide's blocks run as they stand, one after the other, and print what their comments say."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "write-a-graph.md"

# A comment that says what a line prints: behind a print, or where a node prints while packets come.
EXPECTED = re.compile(r"(?:print\(.*\)|graph\.add_all\(.*\)|graph\.set_bound\(.*\))  # (.+)$")


def blocks(page: Path) -> list[str]:
    return [block.partition("```")[0] for block in page.read_text().split("```python\n")[1:]]


def expected_of(block: str) -> list[str]:
    matches = [EXPECTED.search(line) for line in block.splitlines()]
    return [match.group(1) for match in matches if match is not None]


@pytest.mark.parametrize(("name", "least"), [("write-a-graph.md", 13), ("graph-recording.md", 3)])
def test_each_block_prints_what_it_says(
    name: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "guide"}
    told = 0
    for number, block in enumerate(blocks(DOCS / name), start=1):
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile(block, f"block {number}", "exec"), names)
        lines = out.getvalue().splitlines()
        expected = expected_of(block)
        if expected and len(lines) > len(expected):
            # A loop says it once for each turn.
            expected *= len(lines) // len(expected)
        assert lines == expected, f"block {number}"
        told += len(lines)
    assert told >= least


def test_the_guide_shows_what_readers_were_stuck_at() -> None:
    text = PAGE.read_text()
    for words in [
        "context.finish()",
        "Node(RunningSum()",
        "SyncSetPolicy(((",
        "send_side",
        "side=",
        "optional=",
        "FlowLimiter(",
        "process_bounds",
        "PRE_STREAM",
        "never drops",
    ]:
        assert words in text, words
