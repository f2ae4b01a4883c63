"""What every benchmark writes beside its numbers: when, of which commit, on which machine."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
Row = Mapping[str, Any]

# Of rich, in characters, where there is no terminal that has one; tables take what they need.
_PIPE_WIDTH = 1000


def machine() -> dict[str, Any]:
    """Return what a figure depends on: processor, cores, system, Python, date and commit."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
    }


def show(title: str, rows: Sequence[Row], columns: Sequence[str] | None = None) -> None:
    """Print rows as a table."""
    columns = columns or _columns(rows)
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console().print(table)


def console() -> Console:
    """Return where tables go: as wide as they need to be in a pipe, so that no figure is cut."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def write(name: str, rows: Sequence[Row], columns: Sequence[str] | None = None) -> None:
    """Write rows to ``results/<name>.json`` and, of ``columns`` or all, a table to
    ``results/<name>.md``.
    """
    columns, about = columns or _columns(rows), machine()
    RESULTS.mkdir(exist_ok=True)
    record = {"name": name, "machine": about, "rows": [dict(row) for row in rows]}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    lines = [
        columns,
        ["---"] * len(columns),
        *([_cell(row.get(column)) for column in columns] for row in rows),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    where = ", ".join(f"{key} {value}" for key, value in about.items())
    (RESULTS / f"{name}.md").write_text(f"# {name}\n\n{where}\n\n{table}\n")


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=RESULTS.parent, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (
        "+changes" if git("status", "--porcelain") else ""
    )
