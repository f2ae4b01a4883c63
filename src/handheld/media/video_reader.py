"""Video files, read with their own timestamps, and as a player would show them."""

import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import numpy as np

from handheld.errors import MediaError
from handheld.files import STANDARD_OUTPUT, is_special
from handheld.media._pyav import av, usual_matrix
from handheld.media.frame import Frame, Image
from handheld.pictures import MAX_PIXELS

_MICROSECONDS = Fraction(1, 1_000_000)
_UNSPECIFIED = 2  # colour matrix, ITU-T H.273
_STANDARD_INPUT = STANDARD_OUTPUT  # the same sign, "-", means either
_LISTS = {b"ffconcat": (".ffconcat",), b"#EXTM3U": (".m3u8", ".m3u"), b"<?xml": (".mpd",), b"<MPD": (".mpd",)}


class MediaWarning(UserWarning):
    """Frames could be read or written, but not all of them, or not as they were."""


class VideoReader:
    """The frames of a video, in order; each ``for`` starts anew. Made by :func:`open_video`. A context manager.

    What can be read only once (``-`` for standard input, a pipe) gives its frames to the first ``for``. Colours of a film
    that does not name its matrix are BT.709 from 1280 columns or 577 lines on and BT.601 below, as players take them.

    Attributes:
        name: of the file, for messages.
        width, height: pixels as shown: after the rotation or mirror image that the file asks for (phones film sideways),
            and with square pixels. Frames of another size may follow in the same file.
        fps: nominal frames per second.
        frames: number of frames that the file says it holds, an estimate, or ``None``.
        seconds: that the file says it lasts, or ``None``.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self._source = os.fspath(source)
        self.name = "standard input" if self._source == _STANDARD_INPUT else self._source
        opened = self._open()
        self._opened: _Opened | None = opened  # given to the first "for", so that a pipe is read once
        self.height, self.width = _as_shown(opened.first, opened.aspect).shape[:2]
        self.fps = float(opened.stream.average_rate or opened.stream.guessed_rate or 25)
        self.seconds = _seconds(opened.container, opened.stream) or None
        by_time = round(self.seconds * self.fps) if self.seconds else None
        self.frames: int | None = opened.stream.frames or by_time

    def __iter__(self) -> Iterator[Frame]:
        opened, self._opened = self._opened, None
        return self._read(opened or self._open_again())

    def close(self) -> None:
        """Close the file, if nobody has begun to read it."""
        if self._opened is not None:
            self._opened.container.close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self, opened: "_Opened") -> Iterator[Frame]:
        timeline = _Timeline(round(1_000_000 / self.fps), opened.aspect)
        with opened.container:
            yield timeline.frame(opened.first)
            for picture in opened.rest:
                yield timeline.frame(picture)
            self._tell_losses(opened, timeline)

    def _open_again(self) -> "_Opened":
        if self._source == _STANDARD_INPUT or is_special(self._source):
            raise MediaError(f"{self.name}: can be read only once, and has been")
        return self._open()

    def _open(self) -> "_Opened":
        container = self._open_container()
        try:
            stream = self._stream(container)
            pictures = self._decode(container, stream)
            first = next(pictures, None)
            if first is None:
                codec = stream.codec_context.name
                raise MediaError(f"{self.name}: holds no frame that can be decoded (codec {codec})")
        except BaseException:
            container.close()
            raise
        return _Opened(container, stream, first, pictures)

    def _open_container(self) -> Any:
        if self._source == _STANDARD_INPUT:
            source: Any = sys.stdin.buffer
        else:
            source = self._source
            if os.path.isfile(source) and not os.path.getsize(source):
                raise MediaError(f"{self.name}: expected a video, got an empty file")
            if os.path.isfile(source) and _is_list(source):
                raise MediaError(f"{self.name}: is a list of other files, not a video; name these")
        try:
            return av.open(source, mode="r", metadata_errors="replace")  # an odd title is no reason
        except (av.error.FFmpegError, OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise MediaError(f"{self.name}: cannot be read as a video: {why}") from error

    def _stream(self, container: Any) -> Any:
        """Return the stream of the film: a cover picture is a video stream too, and may come first."""
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            also = "; it has a cover picture" if container.streams.video else ""
            raise MediaError(f"{self.name}: holds no video stream; it may be sound only, or truncated{also}")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise MediaError(f"{self.name}: no decoder for its video stream is installed")
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        stream.thread_type = "SLICE"
        return stream

    def _decode(self, container: Any, stream: Any) -> Iterator[Any]:
        """Decode what can be decoded; a broken packet costs its frames, with one warning."""
        broken = 0
        try:
            for packet in container.demux(stream):
                try:
                    for picture in packet.decode():
                        self._check_size(round(picture.width * _aspect(stream)), picture.height)
                        yield picture
                except av.error.InvalidDataError:
                    broken += 1
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{self.name}: reading failed part way: {error.strerror or error}") from error
        if broken:
            _warn(f"{self.name}: {broken} broken packets were left out")

    def _check_size(self, width: int, height: int) -> None:
        if width * height > MAX_PIXELS:
            raise MediaError(f"{self.name}: has frames of {width} x {height} pixels; at most {MAX_PIXELS:,} are read")

    def _tell_losses(self, opened: "_Opened", timeline: "_Timeline") -> None:
        start = float((opened.stream.start_time or 0) * opened.stream.time_base)
        # Some formats count their length from 0, others from the first frame: take what asks for less.
        is_short = self.seconds is not None and timeline.last / 1e6 < start + 0.9 * (self.seconds - start) - 1.0
        if self.seconds is not None and is_short:
            _warn(f"{self.name}: truncated: frames end at {timeline.last / 1e6:.1f} s of {self.seconds:.1f} s")
        elif timeline.has_hole(self.frames):
            hole = timeline.longest
            _warn(
                f"{self.name}: frames are missing: {timeline.count} came of about {self.frames}; the longest gap, "
                f"of {hole.length / 1e6:.2f} s, begins at {hole.start / 1e6:.2f} s"
            )


def open_video(path: str | os.PathLike[str]) -> VideoReader:
    """Open a video; iterate over the result for :class:`Frame` objects with the file's own times.

    Args:
        path: a file, a URL that FFmpeg knows, a pipe, or ``-`` for standard input.

    Raises:
        MediaError: a missing, empty, truncated or foreign file, a missing codec, frames of too many pixels. A file that ends
            early, or lacks frames in its middle, gives the frames that it has, then a :class:`MediaWarning`.
    """
    return VideoReader(path)


@dataclass(frozen=True, eq=False)
class _Opened:
    """A file that is open: its first picture, which had to be decoded to know its size, and the others."""

    container: Any
    stream: Any
    first: Any
    rest: Iterator[Any]

    @property
    def aspect(self) -> float:
        """Width of a pixel over its height."""
        return _aspect(self.stream)


@dataclass
class _Hole:
    """The time between two frames, microseconds."""

    start: int
    length: int


@dataclass
class _Timeline:
    """When frames are shown, and what that says of those that are missing.

    Attributes:
        step: microseconds from frame to frame, as the file says.
        aspect: width of a pixel over its height.
        last: microseconds, of the last frame.
        count: of the frames so far.
        steps: microseconds between frames -> how often; coarse, so that it stays small.
        longest: time between two frames.
    """

    step: int
    aspect: float
    last: int = -1
    count: int = 0
    steps: dict[int, int] = field(default_factory=dict)
    longest: _Hole = field(default_factory=lambda: _Hole(0, 0))

    def frame(self, picture: Any) -> Frame:
        """Return a picture as a frame with its time, and note that time."""
        t_us = self.last + self.step
        if picture.pts is not None:
            stamped = round(picture.pts * picture.time_base / _MICROSECONDS)
            if not self.count or stamped > self.last:  # else timing is broken in the file: keep it increasing
                t_us = stamped
        if self.count:
            length = t_us - self.last
            milliseconds = length // 1000
            self.steps[milliseconds] = self.steps.get(milliseconds, 0) + 1
            if length > self.longest.length:
                self.longest = _Hole(self.last, length)
        frame = Frame(_as_shown(picture, self.aspect), t_us, self.count)
        self.last = t_us
        self.count += 1
        return frame

    def has_hole(self, expected: int | None) -> bool:
        """Whether frames are missing: fewer than the file says, and a gap that sets itself apart from all others.

        Both, since files with a variable rate have long gaps by their nature, and often guess their number of frames.
        """
        if not expected or self.count >= 0.95 * expected:
            return False
        usual = 0
        below = 0
        for milliseconds in sorted(self.steps):
            usual = milliseconds
            below += self.steps[milliseconds]
            if below >= 0.9 * (self.count - 1):
                break
        return self.longest.length / 1000 > 3 * max(usual, 1)


def _is_list(path: str) -> bool:
    """Whether a file is a list of others, which FFmpeg would open, under a name that does not say so."""
    with open(path, "rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    return any(start.startswith(sign) and not path.lower().endswith(names) for sign, names in _LISTS.items())


def _aspect(stream: Any) -> float:
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 0.1 < aspect < 10 else 1.0  # beyond: a damaged header


def _as_shown(picture: Any, aspect: float) -> Image:
    """Return a decoded picture as a player shows it: pixels square, upright, mirrored where the file says so."""
    if picture.colorspace == _UNSPECIFIED:
        picture.colorspace = usual_matrix(picture.width, picture.height)
    width = max(1, round(picture.width * aspect))
    if width != picture.width:
        picture = picture.reformat(width=width, height=picture.height, format="rgb24")
    image: Image = picture.to_ndarray(format="rgb24")
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        image = _transformed(image, np.frombuffer(bytes(matrix), np.int32))
    return np.ascontiguousarray(image)  # FFmpeg pads the lines of some widths


def _transformed(image: Image, matrix: Any) -> Image:
    """Return an image as one of the eight ways to lay a picture down that a display matrix comes nearest to.

    The matrix, nine numbers in rows (a b u, c d v, x y w), takes a pixel (x, y) to (a x + c y, b x + d y): ISO/IEC 14496-12.
    """
    a, b, _, c, d = matrix[:5].tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):  # lines become columns
        image = image.transpose(1, 0, 2)
        across = c
        down = b
    else:
        across = a
        down = d
    if across < 0:
        image = image[:, ::-1]
    if down < 0:
        image = image[::-1]
    return image


def _seconds(container: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else 0.0


def _warn(message: str) -> None:
    warnings.warn(message, MediaWarning, stacklevel=4)
