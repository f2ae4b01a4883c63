"""The one place that imports Pillow."""

from handheld.errors import MissingDependencyError

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as error:
    raise MissingDependencyError("pillow", "hands", "reading and writing pictures") from error

__all__ = ["Image", "ImageOps", "UnidentifiedImageError"]
