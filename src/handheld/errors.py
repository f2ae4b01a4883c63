"""Every error that a person can cause, in one tree.

Whoever catches the first of them catches all::

    HandheldError
    ├── MissingDependencyError   an optional package is not installed; says which extra brings it
    ├── FileError                a file that cannot be written: no permission, a full disk
    ├── MediaError               a picture, video or camera that cannot be read or written
    │   └── TooManyPixelsError   a picture that is larger than memory is for
    ├── ModelError               a model file that is corrupt, unsupported or of the wrong geometry
    ├── CompileError             a network whose model file cannot be made, or does not agree
    ├── TrainingError            training that cannot go on, as a loss that is no number
    ├── FetchError               what could not be downloaded, or has another hash
    ├── InputError               a value outside what a function accepts (shape, type, range)
    │   └── ArchiveError         an archive that is broken, hostile, or larger than its limits
    ├── ServiceError             a server without its database, its folder or its port
    │   └── BusyError            a server that takes nothing more now: its queue or its disk is full
    ├── DeviceError              a device that cannot be reached, or that does not do what is asked
    └── GraphError
        ├── GraphValidationError a graph that is wired wrongly, found before it runs
        │   └── GraphTextError   a graph's text that says so, with file, line and column
        ├── TimestampError       a packet or bound that goes back in time, or may not be sent
        ├── CalculatorError      a calculator raised; names the node, the cause is chained
        └── GraphStuckError      a graph that cannot make progress; names who waits for what
"""

from typing import Any


def advice(*extras: str) -> str:
    """Return the command that installs extras. The package is on no index yet: it is installed from
    where its source is.
    """
    return f"pip install '.[{','.join(extras)}]' in the folder of handheld's source"


class HandheldError(Exception):
    """Base of every error of this package that a person can cause."""


class MissingDependencyError(HandheldError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package!r}, which is not installed: {advice(extra)}")
        self.package = package
        self.extra = extra
        self.purpose = purpose

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException is rebuilt from its message alone, which is not what this class takes.
        return type(self), (self.package, self.extra, self.purpose)


class FileError(HandheldError):
    """A file cannot be written; what was there before is kept."""


class MediaError(HandheldError):
    """A picture, video or camera cannot be read or written."""


class TooManyPixelsError(MediaError):
    """A picture has more pixels than are read."""


class ModelError(HandheldError):
    """A model file is corrupt, unsupported, or not of the geometry that was expected."""


class CompileError(HandheldError):
    """A network cannot become a model file, or the file does not agree with the network."""


class TrainingError(HandheldError):
    """Training cannot go on: the loss is no number, or a network gives what it must not."""


class FetchError(HandheldError):
    """A download failed, or what came is not what its hash promises."""


class InputError(HandheldError, ValueError):
    """A value is outside what a function accepts."""


class ArchiveError(InputError):
    """An archive is broken, hostile, or larger than its limits; nothing of it was kept."""


class ServiceError(HandheldError):
    """A server cannot do what is asked of it."""


class BusyError(ServiceError):
    """A server takes nothing more now, because its queue or its disk is full."""


class DeviceError(HandheldError):
    """A device cannot be reached, or does not do what is asked of it."""


class GraphError(HandheldError):
    """Base of the errors of a graph."""


class GraphValidationError(GraphError):
    """A graph is wired wrongly; found before it runs."""


class GraphTextError(GraphValidationError):
    """A graph's text cannot be read, or says what no graph can be.

    Attributes:
        reason: what was expected, and what stands there.
        source: file, or another name of the text; may be empty.
        line: from 1; 0 where the text has none.
        column: of the letter, from 1; 0 where the text has none.
    """

    def __init__(self, reason: str, *, source: str = "", line: int = 0, column: int = 0) -> None:
        location = ""
        if source and line:
            location = f"{source}:{line}:{column}: "
        elif line:
            location = f"line {line}, column {column}: "
        elif source:
            location = f"{source}: "
        super().__init__(location + reason)
        self.reason = reason
        self.source = source
        self.line = line
        self.column = column

    def __reduce__(self) -> tuple[Any, ...]:
        # By its state: the message alone is not what this class takes.
        return _restored, (type(self), self.args, self.__dict__)


class TimestampError(GraphError, ValueError):
    """A timestamp goes back in time or may not be sent on a stream."""


class CalculatorError(GraphError):
    """A calculator raised an exception, which is chained as ``__cause__``."""

    def __init__(self, node: str, timestamp: object, cause: BaseException) -> None:
        super().__init__(
            f"node {node!r} failed at timestamp {timestamp}: {type(cause).__name__}: "
            f"{_words(cause)}"
        )
        self.node = node
        self.timestamp = timestamp

    def __reduce__(self) -> tuple[Any, ...]:
        # By its state, since the cause need not survive pickling; the message holds what it said.
        return _restored, (type(self), self.args, self.__dict__)


class GraphRecordError(GraphError):
    """A recording of a graph cannot be read, or a value cannot be recorded."""


class GraphStuckError(GraphError):
    """A graph cannot make progress; the message names each waiting node, its stream and the
    timestamp.
    """


def _words(error: BaseException) -> str:
    try:
        return str(error)
    # a mistake of its author must not hide where it came from
    except Exception:
        return "(an error whose text cannot be made)"


def _restored(
    error_class: type[HandheldError], args: tuple[Any, ...], state: dict[str, Any]
) -> HandheldError:
    """Return an error as it was pickled, without calling its own ``__init__``."""
    error = error_class.__new__(error_class, *args)
    error.__dict__.update(state)
    return error
