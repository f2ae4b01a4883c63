"""Frames from anywhere: video files, folders of pictures, animations, arrays, cameras."""

import math
import mimetypes
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from handheld.errors import InputError, MediaError
from handheld.media.frame import Frame, Image
from handheld.media.images import read_content, read_image
from handheld.media.video_reader import MediaWarning, VideoReader, open_video
from handheld.pictures import SUFFIXES, as_rgb, decode, decode_animation, is_animated
from handheld.ranges import in_range, whole_in_range

# Read by Pillow, though they may be animated: FFmpeg before 9 does not read animated WebP. It does
# read GIF, with a better clock.
_PICTURES = SUFFIXES - {".gif"} | {".apng"}

# Pictures that we do not read, besides what mimetypes knows, which depends on the machine.
_OTHER_PICTURES = frozenset(
    {
        ".arw",
        ".cr2",
        ".cr3",
        ".dng",
        ".exr",
        ".heic",
        ".heif",
        ".jxl",
        ".nef",
        ".orf",
        ".psd",
        ".raf",
    }
)

# Failed reads in a row until a camera counts as gone: one that changes its exposure may miss a
# frame.
_CAMERA_TRIES = 5
_LAST_CAMERA = 2**31 - 1  # that OpenCV can count to
_USUAL_FPS = 30.0  # of cameras whose driver does not know
_CAP_PROP_FPS = 5  # of OpenCV, which is not needed here where ``capture`` is passed

# Frames a second: beyond, two would share a microsecond.
_FASTEST = 1_000_000
_SHOWN_NAMES = 3  # in a warning: one knows the folder by then


def _close_nothing() -> None:
    """Pictures and arrays hold nothing open."""


@dataclass(frozen=True)
class FrameSource:
    """Frames with what is known of them beforehand.

    Each ``for`` starts anew, but a camera goes on. A context manager.

    Attributes:
        make: starts anew; what ``for`` calls.
        fps: nominal frames per second.
        frames: how many there will be, or ``None``.
        live: whether they come in real time and wait for nobody.
        close: gives back what the source holds, such as a camera.
    """

    make: Callable[[], Iterator[Frame]]
    fps: float
    frames: int | None
    live: bool = False
    close: Callable[[], None] = _close_nothing

    def __iter__(self) -> Iterator[Frame]:
        return self.make()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_arrays(images: Iterable[Any], *, fps: float = 30.0) -> FrameSource:
    """Give pictures times at a steady rate, from 0.

    Args:
        images: see :func:`as_rgb` for what they may be; they are read as frames are asked for.
        fps: frames per second, in (0, 1,000,000].

    Raises:
        InputError: ``fps`` is out of its range.
    """
    _ensure_rate(fps)
    frames = len(images) if isinstance(images, Sized) else None
    # As they are asked for: a generator need not end.
    return FrameSource(lambda: _timed(map(as_rgb, images), fps), fps, frames)


def open_folder(folder: str | Path, *, fps: float = 30.0) -> FrameSource:
    """Open the pictures of a folder, in the order of their names, as a video of a steady rate.

    Hidden files and files that are no pictures are left out. So are pictures of a format that is
    not known (.heic) and those that cannot be read (links that lead nowhere and pipes too), but
    these are told in a :class:`MediaWarning`; the time of the latter passes without a frame.

    Args:
        folder: with the pictures.
        fps: frames per second, in (0, 1,000,000].

    Raises:
        MediaError: there is no such folder, no picture in it, or none can be read.
        InputError: ``fps`` is out of its range.
    """
    _ensure_rate(fps)
    try:
        files = sorted(path for path in Path(folder).iterdir() if _is_visible(path))
    except (OSError, ValueError) as error:  # ValueError: its name holds a NUL
        raise MediaError(f"{folder}: cannot be read as a folder: {error}") from error
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not pictures:
        raise MediaError(
            f"{folder}: expected a folder with pictures ({', '.join(sorted(SUFFIXES))}), found none"
        )
    # Told, since a folder of a phone's pictures would be half empty without a word.
    unknown = [path.name for path in files if _is_unknown_picture(path)]
    if unknown:
        _warn(
            f"{folder}: left out {len(unknown)} of formats that are not read: {_shortened(unknown)}"
        )
    return FrameSource(lambda: _folder_frames(pictures, fps), fps, len(pictures))


def open_animation(path: str | Path) -> FrameSource:
    """Open an animated picture (WebP, GIF, APNG, AVIF) as a video with the file's own times.

    Raises :class:`MediaError` for a missing, truncated or foreign file.
    """
    content = read_content(path)
    name = str(path)
    # Decoded once for their number and times, and again for each loop: pictures are not kept, of
    # which a clip may have more than memory holds.
    seconds = [timed.seconds for timed in decode_animation(content, name)]
    frames = len(seconds)
    return FrameSource(lambda: _animation_frames(content, name), frames / sum(seconds), frames)


def open_camera(
    index: int = 0,
    *,
    clock: Callable[[], float] = time.monotonic,
    capture: Callable[[int], Any] | None = None,
) -> FrameSource:
    """Open a camera by its number; frames carry the time at which they were taken from it, from 0.

    Each ``for`` goes on where the one before ended. ``close`` frees the camera for others.

    Args:
        index: 0 is the first camera.
        clock: seconds.
        capture: opens a camera; OpenCV's ``VideoCapture`` by default.

    Raises:
        InputError: ``index`` is no number of a camera.
        MediaError: there is none of that number, or it cannot be opened.
    """
    # OpenCV 5 takes -1 as "any", and ends the process where there is none.
    whole_in_range("camera", index, low=0, high=_LAST_CAMERA)
    if capture is None:
        # Late: whoever reads a folder needs no OpenCV.
        from handheld.media._opencv import cv2

        capture = cv2.VideoCapture
    device = capture(index)
    if not device.isOpened():
        device.release()
        raise MediaError(
            f"camera {index} cannot be opened: is there one, is it free, and may this user read it?"
        )
    camera = _Camera(device, index, clock)
    return FrameSource(camera.frames, camera.fps, None, live=True, close=device.release)


def open_source(source: str | Path, *, fps: float = 30.0) -> VideoReader | FrameSource:
    """Open whatever ``source`` names.

    A folder is pictures, ``-`` is a video on standard input, a number for which there is no file or
    folder is a camera, a picture is one frame, or as many as it has where it is animated, and
    anything else is a video file or a URL.

    Args:
        source: what to open.
        fps: of what has no times of its own: folders and single pictures.

    Raises:
        InputError: an empty name, or a rate out of its range.
        MediaError: it cannot be opened.
    """
    text = str(source)
    if not text:  # which Path takes for the working folder
        raise InputError("expected a video, a folder, a URL or the number of a camera, got ''")
    path = Path(source)
    if os.path.isdir(path):
        return open_folder(path, fps=fps)
    if text.isdecimal() and not os.path.exists(path):
        return open_camera(int(text))
    # Before its suffix is looked at, and as text: a Path would make one slash of two.
    if "://" in text:
        return open_video(text)
    if path.suffix.lower() not in _PICTURES:
        return open_video(text)
    content = read_content(path)
    if is_animated(content, text):
        return open_animation(path)
    return open_arrays([decode(content, text)], fps=fps)


class _Camera:
    """A camera, its clock, and how far it has come; several loops follow one another."""

    def __init__(self, device: Any, index: int, clock: Callable[[], float]) -> None:
        self._device = device
        self._index = index
        self._clock = clock
        self._start: float | None = None
        self._last = -1
        self._number = 0

    @property
    def fps(self) -> float:
        """Nominal frames per second."""
        fps = float(self._device.get(_CAP_PROP_FPS))
        # 0, -1 or no number where the driver does not know.
        if not (math.isfinite(fps) and fps > 0):
            return _USUAL_FPS
        return fps

    def frames(self) -> Iterator[Frame]:
        """Yield frames as long as the camera gives any."""
        if self._start is None:
            self._start = self._clock()
        while True:
            image = self._read()
            elapsed = round((self._clock() - self._start) * 1_000_000)
            # Two frames of one microsecond would be refused by whoever needs rising times.
            self._last = max(self._last + 1, elapsed)
            self._number += 1
            yield Frame(image, self._last, self._number - 1)

    def _read(self) -> Image:
        for _ in range(_CAMERA_TRIES):
            is_grabbed, picture = self._device.read()
            if is_grabbed and picture is not None:  # some drivers say yes, and give nothing
                if picture.ndim == 2:  # an infrared camera's
                    return as_rgb(picture)
                return as_rgb(picture[:, :, 2::-1])  # OpenCV's order is blue, green, red
        raise MediaError(f"camera {self._index} stopped giving frames after {self._number}")


def _is_unknown_picture(path: Path) -> bool:
    """Whether a file's name says that it is a picture, of a format that we do not read."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return False
    if suffix in _OTHER_PICTURES:
        return True
    media_type, _ = mimetypes.guess_type(path.name)
    return media_type is not None and media_type.startswith("image/")


def _is_visible(path: Path) -> bool:
    """Whether an entry is none of those that nobody means by the pictures of a folder."""
    # Links that lead nowhere and pipes stay: whoever counts on them is told that they cannot be
    # read. Systems put files of their own into folders of pictures, such as ._photo.jpg.
    return not os.path.isdir(path) and not path.name.startswith(".")


def _shortened(names: list[str]) -> str:
    shown = names[:_SHOWN_NAMES]
    if len(names) > _SHOWN_NAMES:
        shown.append("...")
    return ", ".join(shown)


def _ensure_rate(fps: float) -> None:
    in_range("fps", fps, low=0, high=_FASTEST, low_open=True)


def _timed(images: Iterable[Image], fps: float) -> Iterator[Frame]:
    for index, image in enumerate(images):
        yield Frame(image, _time_of(index, fps), index)


def _time_of(index: int, fps: float) -> int:
    """Return the microseconds at which a frame is shown at a steady rate."""
    # From the start, not from the frame before: rounding errors must not add up.
    return round(index * 1_000_000 / fps)


def _folder_frames(paths: list[Path], fps: float) -> Iterator[Frame]:
    failures: list[str] = []
    for index, path in enumerate(paths):
        try:
            image = read_image(path)
        except MediaError as error:
            failures.append(str(error))
            continue
        yield Frame(image, _time_of(index, fps), index)
    # Only now: whoever reads on has the pictures before the broken one.
    if len(failures) == len(paths):
        raise MediaError(f"none of {len(paths)} pictures can be read; the first: {failures[0]}")
    if failures:
        _warn(f"{len(failures)} of {len(paths)} pictures were left out; the first: {failures[0]}")


def _animation_frames(content: bytes, name: str) -> Iterator[Frame]:
    seconds = 0.0
    for index, timed in enumerate(decode_animation(content, name)):
        yield Frame(timed.picture, round(seconds * 1_000_000), index)
        seconds += timed.seconds


def _warn(message: str) -> None:
    # At the line that called this module or that asks for frames.
    warnings.warn(message, MediaWarning, stacklevel=3)
