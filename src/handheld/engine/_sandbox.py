"""What a child that runs a stranger's model sees of this machine, and how it is started."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

_CHILD = Path(__file__).with_name("_child.py")
# What the interpreter's and the runtimes' own libraries are loaded from.
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/ld.so.conf")
# Nothing of the parent's namespaces, terminal or environment, and no life beyond the parent's.
_APART = "--unshare-all --die-with-parent --new-session --clearenv"
_DEVICES = "--proc /proc --dev /dev --tmpfs /tmp"


@cache
def bubblewrap() -> str:
    """Path of a ``bwrap`` that works here, or ""."""
    path = shutil.which("bwrap")
    if not path:
        return ""
    # Installed is not enough: many systems forbid users the namespaces that it needs.
    command = [path, *_namespace(()), sys.executable, "-S", "-c", "pass"]
    try:
        result = subprocess.run(command, capture_output=True, timeout=20, check=False, env={})
    except (OSError, subprocess.SubprocessError):
        return ""
    if result.returncode:
        return ""
    return path


def isolation() -> str:
    """What holds a model that is opened with ``isolated=True`` on this machine, in words."""
    if bubblewrap():
        return "bubblewrap: no network, no files but the interpreter's, limits on memory and time"
    if sys.platform.startswith("linux"):
        advice = "(install bubblewrap to take network and files away too)"
        return f"limits on memory and time {advice}"
    return "a process of its own with a time-out (no limit on memory on this system)"


def command(
    packages: Sequence[str], files: Mapping[str, str] | None = None
) -> tuple[list[str], dict[str, str]]:
    """The command that starts the child, and its whole environment.

    Args:
        packages: that it imports, by name.
        files: that it may read beside these: where it finds them, and where they are.
    """
    variables = _variables(packages)
    # -P and -s: no module from the working folder or a user's own; -B: no file is written.
    python = [sys.executable, "-P", "-s", "-B", str(_CHILD)]
    wrapper = bubblewrap()
    if not wrapper:
        return python, variables
    words = [wrapper, *_namespace(packages)]
    for seen, path in (files or {}).items():
        words += ["--ro-bind", path, seen]
    for name, value in variables.items():
        words += ["--setenv", name, value]
    return words + python, {}


def _variables(packages: Sequence[str]) -> dict[str, str]:
    # numpy's and LiteRT's helper threads would spin on a small machine beside the parent's.
    variables = {
        "PYTHONPATH": os.pathsep.join(_search_path(packages)),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # each takes 128 MB of the address space, one for each thread
        "LANG": "C.UTF-8",
    }
    if os.name == "nt":  # without it Windows cannot load a library of its own
        variables["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")
    return variables


def _namespace(packages: Sequence[str]) -> list[str]:
    """What the process sees of the file system: the interpreter and its packages, to read."""
    options = [*_APART.split(), *_DEVICES.split()]
    interpreter = [sys.prefix, sys.base_prefix]
    readable = [*_SYSTEM, *interpreter, *_search_path(packages), str(_CHILD.parent)]
    for path in _unique(readable):
        # /lib is a link into /usr on most systems; bound, it would be a second copy of it.
        if os.path.islink(path) and path in _SYSTEM:
            options += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            options += ["--ro-bind", path, path]
    return options


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def _search_path(packages: Sequence[str]) -> list[str]:
    """Folders of the packages that the child imports, and no others.

    A script's own folder, which Python searches too, may be a home.
    """
    folders = []
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folders.append(str(Path(spec.origin).parents[1]))
    return _unique(folders)
