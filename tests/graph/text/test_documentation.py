"""What docs/graph-text.md shows runs as it is written, one block after the other."""

from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "graph-text.md").read_text("utf-8")
BLOCKS = [block.partition("```")[0] for block in PAGE.split("```python\n")[1:]]


def test_the_blocks_run_and_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    script = "\n".join(BLOCKS)
    exec(compile(script, "graph-text.md", "exec"), {"__name__": "__main__"})
    said = [line.partition("  # ")[2] for line in script.splitlines() if "print(" in line]
    assert said
    assert capsys.readouterr().out.splitlines() == said
