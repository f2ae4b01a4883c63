"""Pillow, imported in this file alone."""

from handheld.errors import MissingDependencyError

try:
    from PIL import Image, ImageDraw, ImageFont, ImageOps, ImageSequence, UnidentifiedImageError
except ImportError as error:
    raise MissingDependencyError("pillow", "hands", "reading and writing pictures") from error

__all__ = ["Image", "ImageDraw", "ImageFont", "ImageOps", "ImageSequence", "UnidentifiedImageError"]
