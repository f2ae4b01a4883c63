"""Files that graphs name by MediaPipe's paths: looked up in a pack, never in the file system."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from handheld.engine.store import Bundle, stored
from handheld.errors import FileError, InputError
from handheld.graph.text import OptionReader
from handheld.hands.mediapipe.values import ResourceFile
from handheld.hands.packs import MEDIAPIPE_HANDS
from handheld.untrusted import require_file

Resources = Mapping[str, bytes]
"""Path, as graphs have it -> content."""

_MOST_NAMED = 12
# Of a hand that is not mirrored the model says "Left" of a right one: see landmark.py.
_HANDEDNESS = {"mediapipe/modules/hand_landmark/handedness.txt": b"Left\nRight\n"}


class BundleFiles(Resources):
    """The files of a fetched bundle, by their paths in its wheel.

    Args:
        bundle: whose files are read, and their hashes taken, when they are asked for.
        more: small files that are not in the bundle.
    """

    def __init__(self, bundle: Bundle, more: Resources | None = None) -> None:
        self._bundle = bundle
        self._names = {member: name for name, (member, _) in bundle.files.items()}
        self._more = dict(more or {})

    def __getitem__(self, path: str) -> bytes:
        """Return a file's content. Raises :class:`FetchError` if it was not fetched yet."""
        if path in self._more:
            return self._more[path]
        return stored(self._bundle, self._names[path]).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter([*self._names, *self._more])

    def __len__(self) -> int:
        return len(self._names) + len(self._more)


class FolderFiles(Resources):
    """The files of a folder: by their paths below it, or by their names alone.

    So ``mediapipe/modules/a/b.tflite`` is ``FOLDER/mediapipe/modules/a/b.tflite`` or, if there is
    none, ``FOLDER/b.tflite``.

    Args:
        folder: with the files.
        more: small files where the folder has none.

    Raises:
        FileError: there is no such folder.
    """

    def __init__(
        self, folder: str | os.PathLike[str], more: Resources | None = _HANDEDNESS
    ) -> None:
        self._folder = Path(folder)
        self._more = dict(more or {})
        if not os.path.isdir(self._folder):
            raise FileError(f"{self._folder}: expected a folder with the files that graphs name")

    def __getitem__(self, path: str) -> bytes:
        """Return a file's content. Raises ``KeyError``, and :class:`FileError` if it is none."""
        for relative in (PurePosixPath(path), PurePosixPath(PurePosixPath(path).name)):
            if self._is_inside(relative):
                return self._read(self._folder / relative)
        return self._more[path]

    def _is_inside(self, relative: PurePosixPath) -> bool:
        # A graph of a stranger may not read what lies beside the folder.
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            return False
        return os.path.isfile(self._folder / relative)

    def _read(self, path: Path) -> bytes:
        try:
            require_file(path)
            return path.read_bytes()
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror or error}") from error

    def __iter__(self) -> Iterator[str]:
        files = (path for path in sorted(self._folder.rglob("*")) if path.is_file())
        return iter([*(path.relative_to(self._folder).as_posix() for path in files), *self._more])

    def __len__(self) -> int:
        return sum(1 for _ in self)


MEDIAPIPE_FILES: Resources = BundleFiles(MEDIAPIPE_HANDS, _HANDEDNESS)
"""MediaPipe's hand models, which ``handheld models fetch mediapipe-hands`` brings."""


def resource(files: Resources, path: str) -> ResourceFile:
    """Return a file that a graph names.

    Raises:
        InputError: there is none of that path; names those that there are.
        FetchError: it was not fetched yet; names the command.
    """
    try:
        return ResourceFile(path, files[path])
    except KeyError:
        names = list(files)
        listed = ", ".join(names[:_MOST_NAMED]) or "none"
        if len(names) > _MOST_NAMED:
            listed += f" and {len(names) - _MOST_NAMED} more"
        raise InputError(f"no file {path!r} among those that graphs may name: {listed}") from None


@dataclass(frozen=True)
class ClassLabel:
    """What a class is called: by programs, and by people."""

    name: str
    display_name: str = ""


LabelMap = Mapping[int, ClassLabel]
"""Number of a class -> its names."""


def label_file(files: Resources, path: str) -> LabelMap:
    """Return the classes of a file with one name a line. Raises what :func:`resource` does."""
    try:
        text = resource(files, path).content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected names of classes in UTF-8, one a line") from error
    return {number: ClassLabel(line) for number, line in enumerate(text.splitlines())}


def opened_labels(files: Resources, path: str, labels: LabelMap) -> dict[str, LabelMap]:
    """Return the argument ``labels``: of a file where a path is given, else those given."""
    return {"labels": label_file(files, path) if path else labels}


def label_items(options: OptionReader) -> LabelMap:
    """Return the classes of the option ``label_items``, a map from numbers to names.

    Raises:
        GraphTextError: two have one number, or a field is none.
    """
    labels: dict[int, ClassLabel] = {}
    for item in options.messages("label_items"):
        with item:
            key = item.whole("key")
            with item.message("value") as value:
                value.ignore("child_name")
                label = ClassLabel(value.text("name"), value.text("display_name"))
        if key in labels:
            raise options.located("label_items", f"two labels for class {key}")
        labels[key] = label
    return labels
