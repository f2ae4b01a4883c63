"""Video files, read and written with their own timestamps."""

import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from handheld.errors import InputError, MediaError
from handheld.media._pyav import av
from handheld.media.atomic import atomic_path
from handheld.media.frame import Frame, Image, as_rgb

_MICROSECONDS = Fraction(1, 1_000_000)


class MediaWarning(UserWarning):
    """A video could be read, but not the whole of it."""


class VideoReader:
    """The frames of a video file, in order; each ``for`` starts anew. Made by :func:`open_video`.

    Attributes:
        width, height: pixels, after the rotation that the file asks for (phones film sideways).
        fps: nominal frames per second.
        frames: number of frames that the file says it holds, an estimate, or ``None``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self._open() as container:
            stream = container.streams.video[0]
            first = next(self._decode(container), None)
            if first is None:
                raise MediaError(f"{self.path}: holds no frame that can be decoded (codec {stream.codec_context.name})")
            self.height, self.width = _upright(first).shape[:2]
            self.fps = float(stream.average_rate or stream.guessed_rate or 25)
            seconds = _seconds(container, stream)
            self.frames: int | None = stream.frames or (round(seconds * self.fps) if seconds else None)

    def __iter__(self) -> Iterator[Frame]:
        last, step = -1, round(1_000_000 / self.fps)
        index = 0
        with self._open() as container:
            stream = container.streams.video[0]
            for picture in self._decode(container):
                t_us = last + step if picture.pts is None else round(picture.pts * picture.time_base / _MICROSECONDS)
                if index and t_us <= last:  # broken timing in the file: keep it increasing
                    t_us = last + step
                yield Frame(_upright(picture), t_us, index)
                last, index = t_us, index + 1
            self._check_end(container, stream, last)

    def _open(self) -> Any:
        try:
            if self.path.is_file() and not self.path.stat().st_size:
                raise MediaError(f"{self.path}: expected a video, got an empty file")
            container = av.open(str(self.path), mode="r")
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{self.path}: cannot be read as a video: {error.strerror or error}") from error
        if not container.streams.video:
            container.close()
            raise MediaError(f"{self.path}: holds no video stream; it may be sound only, or truncated")
        if container.streams.video[0].codec_context is None:
            container.close()
            raise MediaError(f"{self.path}: no decoder for its video stream is installed")
        container.streams.video[0].thread_type = "SLICE"
        return container

    def _decode(self, container: Any) -> Iterator[Any]:
        """Decode what can be decoded; a broken packet costs its frames, with one warning."""
        broken = 0
        try:
            for packet in container.demux(video=0):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    broken += 1
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{self.path}: reading failed part way: {error.strerror or error}") from error
        if broken:
            warnings.warn(f"{self.path}: {broken} broken packets were left out", MediaWarning, stacklevel=3)

    def _check_end(self, container: Any, stream: Any, last: int) -> None:
        seconds = _seconds(container, stream)
        start = float((stream.start_time or 0) * stream.time_base)
        if seconds and last / 1e6 - start < 0.9 * seconds - 1.0:
            warnings.warn(
                f"{self.path}: truncated: frames end at {last / 1e6:.1f} s of {start + seconds:.1f} s",
                MediaWarning,
                stacklevel=3,
            )


class VideoWriter:
    """Writes frames to a video file (H.264; VP9 for ``.webm``) at the frames' own times. A context manager.

    The file appears when the writer closes without an error. An odd width or height is padded by one pixel.
    """

    def __init__(self, path: str | os.PathLike[str], *, fps: float = 30.0, quality: int = 23) -> None:
        self.path = Path(path)
        self._fps, self._quality = Fraction(fps).limit_denominator(1001), quality
        self._last: int | None = None
        self._stream: Any = None
        self._size = (0, 0)

    def __enter__(self) -> Self:
        self._atomic = atomic_path(self.path)
        self._temporary = self._atomic.__enter__()
        try:
            self._container = av.open(str(self._temporary), mode="w")
        except (av.error.FFmpegError, ValueError) as error:
            self._atomic.__exit__(MediaError, MediaError(str(error)), None)
            raise MediaError(f"{self.path}: no video format has this suffix; use .mp4, .mkv or .webm") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._stream is None:
                raise MediaError(f"{self.path}: no frame was written")
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except (av.error.FFmpegError, OSError) as failure:
            error = MediaError(f"{self.path}: cannot be finished: {failure}")
            kind = MediaError
            raise error from failure
        except MediaError as failure:
            kind, error = MediaError, failure
            raise
        finally:
            self._leave(kind, error, trace)

    def _leave(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._atomic.__exit__(None, None, None)
            return
        try:
            self._atomic.__exit__(kind, error, trace)
        except BaseException as same:
            if same is not error:
                raise

    def write(self, image: Image, t_us: int) -> None:
        """Add a frame.

        Args:
            image: (height, width, 3) uint8 RGB, the same size each time.
            t_us: microseconds, larger than the one before.
        """
        image = as_rgb(image)
        if self._stream is None:
            self._size = image.shape[:2]
            self._stream = self._add_stream(*self._size)
        if image.shape[:2] != self._size:
            raise InputError(f"{self.path}: expected frames of {self._size} (height, width), got {image.shape[:2]}")
        if self._last is not None and t_us <= self._last:
            raise InputError(f"{self.path}: frame at {t_us} us does not follow the one at {self._last} us")
        height, width = self._size
        padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else image
        frame = av.VideoFrame.from_ndarray(padded, format="rgb24")
        frame.pts, frame.time_base = t_us, _MICROSECONDS
        self._last = t_us
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{self.path}: cannot be written: {error}") from error

    def _add_stream(self, height: int, width: int) -> Any:
        codec = "libvpx-vp9" if self.path.suffix == ".webm" else "libx264"
        stream: Any
        try:
            stream = self._container.add_stream(codec, rate=self._fps)
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(f"{self.path}: this build of FFmpeg cannot write {codec}: {error}") from error
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _MICROSECONDS
        stream.options = {"crf": str(self._quality), "preset": "veryfast"} if codec == "libx264" else {"crf": "32", "b:v": "0"}
        return stream


def open_video(path: str | os.PathLike[str]) -> VideoReader:
    """Open a video file; iterate over the result for :class:`Frame` objects with the file's own times.

    Raises :class:`MediaError` for a missing, empty, truncated or foreign file, and for a missing codec.
    A file that ends early gives the frames that it has, then a :class:`MediaWarning`.
    """
    return VideoReader(path)


def _upright(picture: Any) -> Image:
    image: Image = picture.to_ndarray(format="rgb24")
    turns = round(getattr(picture, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns))  # FFmpeg pads the lines of some widths


def _seconds(container: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else 0.0
