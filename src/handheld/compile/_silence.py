"""Silence for libraries that report their progress to whoever listens."""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop output, logs and warnings of the code inside, native code's too.

    What is raised comes through.
    """
    # all loggers at once: what the converter calls has loggers of its own
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            _native_errors_dropped(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _native_errors_dropped() -> Iterator[None]:
    """Point the process's standard error elsewhere.

    The converter's C++ writes to it whatever Python says.
    """
    if sys.__stderr__ is not None:
        sys.__stderr__.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing is written anywhere
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
