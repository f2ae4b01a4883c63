"""Pillow, for what is written and drawn; ``handheld.pictures`` reads."""

from handheld.errors import MissingDependencyError

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError as error:
    raise MissingDependencyError("pillow", "hands", "reading and writing pictures") from error

__all__ = ["Image", "ImageDraw", "ImageFont"]
