"""Frames in and out: pictures, videos, folders, cameras, arrays; crops; drawing.

Everything is (height, width, 3) uint8 RGB with a time in microseconds. Pictures go through Pillow, video through PyAV,
cameras, crops and drawing through OpenCV; each is imported in one file when it is first needed.
"""

from typing import TYPE_CHECKING, Any

from handheld._extras import lazily
from handheld.media.frame import Frame, Image
from handheld.media.rect import Rect, letterbox

if TYPE_CHECKING:
    from handheld.media.animation import write_animation
    from handheld.media.drawing import (
        PALETTE,
        LabelBox,
        draw_label,
        draw_polygon,
        draw_skeleton,
        draw_trace,
        label_box,
    )
    from handheld.media.images import read_image, write_image
    from handheld.media.sources import FrameSource, open_animation, open_arrays, open_camera, open_folder, open_source
    from handheld.media.video_reader import MediaWarning, VideoReader, open_video
    from handheld.media.video_writer import VideoWriter
    from handheld.media.warp import Border, crop

_MODULES = {
    "animation": ("write_animation",),
    "drawing": ("PALETTE", "LabelBox", "draw_label", "draw_polygon", "draw_skeleton", "draw_trace", "label_box"),
    "images": ("read_image", "write_image"),
    "sources": ("FrameSource", "open_animation", "open_arrays", "open_camera", "open_folder", "open_source"),
    "video_reader": ("MediaWarning", "VideoReader", "open_video"),
    "video_writer": ("VideoWriter",),
    "warp": ("Border", "crop"),
}
_HOME = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}

__all__ = [
    "PALETTE",
    "Border",
    "Frame",
    "FrameSource",
    "Image",
    "LabelBox",
    "MediaWarning",
    "Rect",
    "VideoReader",
    "VideoWriter",
    "crop",
    "draw_label",
    "draw_polygon",
    "draw_skeleton",
    "draw_trace",
    "label_box",
    "letterbox",
    "open_animation",
    "open_arrays",
    "open_camera",
    "open_folder",
    "open_source",
    "open_video",
    "read_image",
    "write_animation",
    "write_image",
]


def __getattr__(name: str) -> Any:
    return lazily(__name__, _HOME, name)
