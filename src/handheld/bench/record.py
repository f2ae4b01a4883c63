"""Results as they are kept: JSON lines, with the machine and the versions that made them."""

import json
import math
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from handheld import __version__
from handheld.errors import InputError
from handheld.files import atomic_path, is_special, locked_file
from handheld.untrusted import read_json, require_file

_PATIENCE = 30.0  # seconds; whoever adds lines is done in a moment
_DISTRIBUTIONS = ("ai-edge-litert", "numpy")


def describe_machine() -> dict[str, Any]:
    """Return what figures depend on: processor, cores, system, versions, and the time of now."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "handheld": __version__,
        **{name: _version(name) for name in _DISTRIBUTIONS},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def append_records(path: str | os.PathLike[str], records: Iterable[Mapping[str, Any]]) -> None:
    """Add lines of JSON to a file, all of them or none.

    Numbers that are not finite become null. Two processes that add at once both do.

    Args:
        path: of the file; it may be missing.
        records: one a line.

    Raises:
        InputError: another process adds to it for half a minute.
        FileError: it cannot be written.
    """
    target = Path(path)
    lines = "".join(json.dumps(_plain(record), ensure_ascii=False) + "\n" for record in records)
    # What is no file has no end to add to, and nobody waits for it.
    if is_special(target):
        with atomic_path(target) as temporary:
            temporary.write_bytes(lines.encode("utf-8", "backslashreplace"))
        return
    with locked_file(target, patience=_PATIENCE):
        content = b""
        if target.exists():
            content = target.read_bytes()
        # A last line without its end would swallow the next one.
        if content and not content.endswith(b"\n"):
            content += b"\n"
        with atomic_path(target) as temporary:
            # backslashreplace: a path in a record may hold bytes that are no UTF-8.
            temporary.write_bytes(content + lines.encode("utf-8", "backslashreplace"))


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the lines of a file of results.

    Raises:
        InputError: it cannot be read; names the line that is no JSON object.
    """
    try:
        require_file(path)
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be read ({error.strerror})") from error
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = read_json(line)
        except ValueError as error:
            raise InputError(f"{os.fspath(path)}, line {number}: no JSON ({error})") from error
        if not isinstance(record, dict):
            raise InputError(f"{os.fspath(path)}, line {number}: expected an object")
        records.append(record)
    return records


def _plain(value: Any) -> Any:
    """Return a value in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
