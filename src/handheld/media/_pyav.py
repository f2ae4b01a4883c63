"""The one place that imports PyAV."""

from handheld.errors import MissingDependencyError

try:
    import av
except ImportError as error:
    raise MissingDependencyError("av", "hands", "reading and writing video") from error

__all__ = ["av"]
