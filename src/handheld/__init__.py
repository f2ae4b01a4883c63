"""Machine learning that runs, learns and stays on the device.

Importing the package costs nothing: a room (``handheld.graph``, ``handheld.hands``, ...) is loaded
when it is first used.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from handheld import _extras
from handheld._rooms import ROOMS

# For type checkers and editors, which run nothing; a test holds it equal to the table.
if TYPE_CHECKING:
    from handheld import (
        arrays,
        bench,
        cli,
        cluster,
        compile,
        compress,
        config,
        data,
        demo,
        engine,
        errors,
        federated,
        files,
        graph,
        hands,
        media,
        networks,
        pictures,
        projection,
        propagation,
        ranges,
        reply,
        reports,
        service,
        training,
        untrusted,
    )

__version__ = "0.1.0"

__all__ = ["__version__", *(room.name for room in ROOMS)]

_extras.install()


def __getattr__(name: str) -> ModuleType:
    """Load a room on first use, so that
    ``import handheld; handheld.media.open_video(...)`` works.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(f"{__name__}.{name}")
    except ImportError as error:
        # What a package cannot give is an AttributeError: help(), inspect and hasattr count on it
        # (PEP 562).
        raise AttributeError(str(error)) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
