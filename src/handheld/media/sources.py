"""Frames from anywhere: video files, folders of pictures, arrays, cameras."""

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handheld.errors import MediaError
from handheld.media.frame import Frame, Image, as_rgb
from handheld.media.images import IMAGE_SUFFIXES, read_image
from handheld.media.video import VideoReader, open_video


@dataclass(frozen=True)
class FrameSource:
    """Frames with what is known of them beforehand; each ``for`` starts anew (a camera goes on).

    Attributes:
        fps: nominal frames per second.
        frames: how many there will be, or ``None``.
        live: whether they come in real time and wait for nobody.
    """

    make: Callable[[], Iterator[Frame]]
    fps: float
    frames: int | None
    live: bool = field(default=False)

    def __iter__(self) -> Iterator[Frame]:
        return self.make()


def open_arrays(images: Iterable[Any], *, fps: float = 30.0) -> FrameSource:
    """Give pictures (see :func:`as_rgb` for what they may be) times at a steady rate, from 0."""
    frames = len(images) if isinstance(images, Sized) else None
    return FrameSource(lambda: _timed((as_rgb(image) for image in images), fps), fps, frames)


def open_folder(folder: str | Path, *, fps: float = 30.0) -> FrameSource:
    """Open the pictures of a folder, in the order of their names, as a video of ``fps`` frames per second."""
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise MediaError(f"{folder}: expected a folder with pictures ({', '.join(sorted(IMAGE_SUFFIXES))}), found none")
    return FrameSource(lambda: _timed(map(read_image, paths), fps), fps, len(paths))


def open_camera(
    index: int = 0,
    *,
    clock: Callable[[], float] = time.monotonic,
    capture: Callable[[int], Any] | None = None,
) -> FrameSource:
    """Open a camera by its number; frames carry the time at which they were taken from it, from 0.

    Args:
        index: 0 is the first camera.
        clock: seconds.
        capture: opens a camera; OpenCV's ``VideoCapture`` by default.
    """
    if capture is None:
        from handheld.media._opencv import cv2

        capture = cv2.VideoCapture
    camera = capture(index)
    if not camera.isOpened():
        camera.release()
        raise MediaError(f"camera {index} cannot be opened: is there one, is it free, and may this user read it?")
    fps = float(camera.get(5)) or 30.0  # CAP_PROP_FPS
    return FrameSource(lambda: _camera_frames(camera, index, clock), fps, None, live=True)


def open_source(source: str | Path, *, fps: float = 30.0) -> VideoReader | FrameSource:
    """Open whatever ``source`` names: a number is a camera, a folder is pictures, anything else is a video file."""
    text = str(source)
    if text.isdecimal():
        return open_camera(int(text))
    path = Path(source)
    if path.is_dir():
        return open_folder(path, fps=fps)
    if path.suffix.lower() in IMAGE_SUFFIXES and path.suffix.lower() not in {".gif", ".webp"}:
        return open_arrays([read_image(path)], fps=fps)
    return open_video(path)


def _timed(images: Iterable[Image], fps: float) -> Iterator[Frame]:
    for index, image in enumerate(images):
        yield Frame(image, round(index * 1_000_000 / fps), index)


def _camera_frames(camera: Any, index: int, clock: Callable[[], float]) -> Iterator[Frame]:
    start, last = clock(), -1
    number = 0
    try:
        while True:
            grabbed, bgr = camera.read()
            if not grabbed:
                raise MediaError(f"camera {index} stopped giving frames after {number}")
            t_us = max(last + 1, round((clock() - start) * 1_000_000))
            yield Frame(as_rgb(bgr[:, :, ::-1]), t_us, number)
            last, number = t_us, number + 1
    finally:
        camera.release()
