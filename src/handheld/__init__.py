"""Machine learning that runs, learns and stays on the device.

Importing the package costs nothing: a room (``handheld.graph``, ``handheld.hands``, ...) is loaded when it is first used.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = ("compile", "compress", "data", "engine", "errors", "graph", "hands", "media", "service")

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> ModuleType:
    """Load a room on first use, so that ``import handheld; handheld.media.open_video(...)`` works."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
