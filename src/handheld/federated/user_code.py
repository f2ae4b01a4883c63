"""Which of a user's own classes raised an error, in one line instead of a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from handheld.errors import HandheldError, TrainingError

# Characters: a few lines of a terminal.
_LONGEST = 200
# What own classes are made of: an error within these is named by who called them.
_LIBRARIES = frozenset(
    {"handheld", "numba", "numpy", "scipy", "torch"}
) | sys.stdlib_module_names - {"__main__"}


def said(error: BaseException) -> str:
    """Return what an error says, in one line."""
    # The first line alone: torch's errors go on for pages.
    lines = str(error).strip().splitlines()
    text = type(error).__name__
    if lines:
        text += f": {lines[0]}"
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 3]}..."


def raised(error: BaseException) -> str:
    """Return what an error says and, if a user's own code raised it, which.

    ``own:Fading.apply raises KeyError: 3``.
    """
    name = _raiser(error)
    if not name:
        return said(error)
    return f"{name} raises {said(error)}"


@contextmanager
def naming_own_code() -> Iterator[None]:
    """Name the user's class or function that raises within.

    Errors of this package, and those of which no code of the user's is a part, pass as they are.

    Raises:
        TrainingError: with that name; the error is chained.
    """
    try:
        yield
    except (HandheldError, MemoryError):
        raise
    except Exception as error:
        if not _raiser(error):
            raise  # a bug of ours, with its trace
        raise TrainingError(raised(error)) from error


def _raiser(error: BaseException) -> str:
    """Return the first function towards an error that is no library's, ``module:Class.method``."""
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module and module.partition(".")[0] not in _LIBRARIES:
            return f"{module}:{trace.tb_frame.f_code.co_qualname}"
        trace = trace.tb_next
    return ""
