"""Machine learning that runs, learns and stays on the device.

Importing the package costs nothing: a room (``handheld.graph``, ``handheld.hands``, ...) is loaded when it is first used.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from handheld import _extras

if TYPE_CHECKING:
    from handheld import (
        cluster,
        compile,  # noqa: A004  (the name of the room)
        compress,
        config,
        data,
        engine,
        errors,
        federated,
        graph,
        hands,
        media,
        pictures,
        projection,
        propagation,
        reply,
        service,
        training,
    )

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "cluster",
    "compile",
    "compress",
    "config",
    "data",
    "engine",
    "errors",
    "federated",
    "graph",
    "hands",
    "media",
    "pictures",
    "projection",
    "propagation",
    "reply",
    "service",
    "training",
]

_extras.install()


def __getattr__(name: str) -> ModuleType:
    """Load a room on first use, so that ``import handheld; handheld.media.open_video(...)`` works."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(f"{__name__}.{name}")
    except ImportError as error:
        # What a package cannot give is an AttributeError: help(), inspect and hasattr count on it (PEP 562).
        raise AttributeError(str(error)) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
