"""Video files, read with their own timestamps, and as a player would show them."""

import os
import re
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
_USUAL_FPS = 25  # of a film that does not say

# How files begin that list others, and the suffixes under which they say so. Under another name
# nobody expects it, and FFmpeg would open whatever they list.
_LISTS = {
    b"ffconcat": (".ffconcat",),
    b"#EXTM3U": (".m3u8", ".m3u"),
    b"<?xml": (".mpd",),
    b"<MPD": (".mpd",),
}
_MARK_AND_SPACE = b"\xef\xbb\xbf \t\r\n"  # what may stand before: a byte order mark, white space
_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)\0?", re.ASCII)  # 00:00:04.000000000
_NO_SIZES = (0, 2**32 - 1)  # of an AVI that was not finished
_LIST_HEAD = 64  # bytes in which such a file has said what it is

# A film counts as truncated where it ends before so much of the length that it names, less a bit:
# lengths are rounded. Where it is that of the sound too, less a second, which is often longer.
_LENGTH_SHARE = 0.9
_LENGTH_SLACK_S = 0.2
_SOUND_SLACK_S = 1.0

# Frames count as missing below so much of the number that the file names ...
_COUNT_SHARE = 0.95
# ... if the longest gap is so many times as long as nine in ten of the others.
_HOLE_TIMES = 3
_USUAL_SHARE = 0.9


class MediaWarning(UserWarning):
    """Frames could be read or written, but not all of them, or not as they were."""


class VideoReader:
    """The frames of a video, in order; each ``for`` starts anew.

    Made by :func:`open_video`. A context manager.

    What can be read only once (``-`` for standard input, a pipe) gives its frames to the first
    ``for``. Colours of a film that does not name its matrix are BT.709 from 1280 columns or 577
    lines on and BT.601 below, as players take them.

    Attributes:
        name: of the file, for messages.
        width, height: pixels as shown: after the rotation or mirror image that the file asks for
            (phones film sideways), and with square pixels. Frames of another size may follow in the
            same file.
        fps: nominal frames per second.
        frames: number of frames that the file says it holds, an estimate, or ``None``.
        seconds: that the file says it lasts, or ``None``.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self._source = os.fspath(source)
        self.name = "standard input" if self._source == _STANDARD_INPUT else self._source
        opened = self._open()
        # Given to the first "for", so that a pipe is read once.
        self._opened: _OpenedVideo | None = opened
        self.height, self.width = _as_shown(opened.first, opened.aspect).shape[:2]
        stream = opened.stream
        self.fps = float(stream.average_rate or stream.guessed_rate or _USUAL_FPS)
        self.seconds = _seconds(opened.container, stream) or None
        self.frames: int | None = stream.frames or None
        if self.frames is None and self.seconds is not None:
            self.frames = round(self.seconds * self.fps)

    def __iter__(self) -> Iterator[Frame]:
        opened = self._opened or self._open_again()
        self._opened = None
        return self._read(opened)

    def close(self) -> None:
        """Close the file, if nobody has begun to read it."""
        if self._opened is not None:
            self._opened.container.close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, opened: "_OpenedVideo") -> Iterator[Frame]:
        timeline = _Timeline(round(1_000_000 / self.fps), opened.aspect)
        with opened.container:
            yield timeline.frame(opened.first)
            for picture in opened.following:
                yield timeline.frame(picture)
            self._tell_losses(opened, timeline)

    def _open_again(self) -> "_OpenedVideo":
        if self._source == _STANDARD_INPUT or is_special(self._source):
            raise MediaError(f"{self.name}: can be read only once, and has been")
        return self._open()

    def _open(self) -> "_OpenedVideo":
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
        return _OpenedVideo(container, stream, first, pictures)

    def _open_container(self) -> Any:
        source: Any = self._source
        if source == _STANDARD_INPUT:
            source = sys.stdin.buffer
        elif os.path.isfile(source):
            # Before FFmpeg sees them: of an empty file it says that its data are invalid.
            if not os.path.getsize(source):
                raise MediaError(f"{self.name}: expected a video, got an empty file")
            if _is_list(source):
                raise MediaError(f"{self.name}: is a list of other files, not a video; name these")
        try:
            # A title that is no UTF-8 is no reason not to read a film.
            return av.open(source, mode="r", metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise MediaError(f"{self.name}: cannot be read as a video: {reason}") from error

    def _stream(self, container: Any) -> Any:
        """Return the stream of the film.

        A cover picture is a video stream too, and may come first.
        """
        cover = av.stream.Disposition.attached_pic
        streams = [stream for stream in container.streams.video if not stream.disposition & cover]
        if not streams:
            hint = "; it has a cover picture" if container.streams.video else ""
            raise MediaError(
                f"{self.name}: holds no video stream; it may be sound only, or truncated{hint}"
            )
        # FFmpeg's choice, which goes by size and length, unless that is the cover picture.
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise MediaError(f"{self.name}: no decoder for its video stream is installed")
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        # Not by frames, where each thread would hold back some of them.
        stream.thread_type = "SLICE"
        return stream

    def _decode(self, container: Any, stream: Any) -> Iterator[Any]:
        """Decode what can be decoded; a broken packet costs its frames, with one warning."""
        broken = 0
        try:
            for packet in container.demux(stream):
                try:
                    for picture in packet.decode():
                        # Each, since a film may change its size on the way.
                        width = round(picture.width * _aspect(stream))
                        self._check_size(width, picture.height)
                        yield picture
                except av.error.InvalidDataError:
                    broken += 1
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(
                f"{self.name}: reading failed part way: {error.strerror or error}"
            ) from error
        if broken:
            _warn(f"{self.name}: {broken} broken packets were left out")

    def _check_size(self, width: int, height: int) -> None:
        if width * height > MAX_PIXELS:
            raise MediaError(
                f"{self.name}: has frames of {width} x {height} pixels; "
                f"at most {MAX_PIXELS:,} are read"
            )

    def _tell_losses(self, opened: "_OpenedVideo", timeline: "_Timeline") -> None:
        start = float((opened.stream.start_time or 0) * opened.stream.time_base)
        end = timeline.end / 1e6
        slack = _LENGTH_SLACK_S if opened.knows_length else _SOUND_SLACK_S
        if self.seconds is not None and end < _earliest_end(start, self.seconds) - slack:
            _warn(f"{self.name}: truncated: frames end at {end:.1f} s of {self.seconds:.1f} s")
        elif _is_cut_avi(self._source):
            _warn(f"{self.name}: truncated: {timeline.count} frames came")
        elif timeline.has_hole(self.frames):
            hole = timeline.longest
            _warn(
                f"{self.name}: frames are missing: "
                f"{timeline.count} came of about {self.frames}; the longest gap, "
                f"of {hole.length / 1e6:.2f} s, begins at {hole.start / 1e6:.2f} s"
            )


def open_video(path: str | os.PathLike[str]) -> VideoReader:
    """Open a video; iterate over the result for :class:`Frame` objects with the file's own times.

    Args:
        path: a file, a URL that FFmpeg knows, a pipe, or ``-`` for standard input.

    Raises:
        MediaError: a missing, empty, truncated or foreign file, a missing codec, frames of too many
            pixels. A file that ends early, or lacks frames in its middle, gives the frames that it
            has, then a :class:`MediaWarning`.
    """
    return VideoReader(path)


@dataclass(frozen=True, eq=False)
class _OpenedVideo:
    """A file that is open.

    Attributes:
        container: PyAV's.
        stream: of the film.
        first: picture, which had to be decoded to know its size.
        following: the other pictures.
    """

    container: Any
    stream: Any
    first: Any
    following: Iterator[Any]

    @property
    def aspect(self) -> float:
        """Width of a pixel over its height."""
        return _aspect(self.stream)

    @property
    def knows_length(self) -> bool:
        """Whether the length that the file names is the film's, not that of its sound too."""
        if _own_seconds(self.stream) or len(self.container.streams) == 1:
            return True
        # Elsewhere what a stream says of itself may be FFmpeg's estimate, of all of them.
        return bool(self.stream.duration) and self.container.format.name.startswith("mov")


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
        end: microseconds until which the last frame is shown.
        count: of the frames so far.
        steps: microseconds between frames -> how often; coarse, so that it stays small.
        longest: time between two frames.
    """

    step: int
    aspect: float
    last: int = -1
    end: int = 0
    count: int = 0
    steps: dict[int, int] = field(default_factory=dict)
    longest: _Hole = field(default_factory=lambda: _Hole(0, 0))

    def frame(self, picture: Any) -> Frame:
        """Return a picture as a frame with its time, and note that time."""
        t_us = self._time_of(picture)
        if self.count:
            self._note_step(t_us - self.last)
        frame = Frame(_as_shown(picture, self.aspect), t_us, self.count)
        self.last = t_us
        self.end = t_us + self._length_of(picture)
        self.count += 1
        return frame

    def _time_of(self, picture: Any) -> int:
        # Streams without times of their own, such as raw H.264, begin at 0.
        next_us = self.last + self.step if self.count else 0
        if picture.pts is None:
            return next_us
        stamped: int = round(picture.pts * picture.time_base / _MICROSECONDS)
        # Where timing is broken in the file, keep it increasing. The first may be before 0.
        if self.count and stamped <= self.last:
            return next_us
        return stamped

    def _length_of(self, picture: Any) -> int:
        """Return for how many microseconds a picture is shown."""
        if not picture.duration or picture.time_base is None:
            return self.step
        length: int = round(picture.duration * picture.time_base / _MICROSECONDS)
        return length

    def _note_step(self, length: int) -> None:
        milliseconds = length // 1000
        self.steps[milliseconds] = self.steps.get(milliseconds, 0) + 1
        if length > self.longest.length:
            self.longest = _Hole(self.last, length)

    def has_hole(self, expected: int | None) -> bool:
        """Whether frames are missing.

        That is fewer than the file says, and a gap that sets itself apart from all others. Both,
        since files with a variable rate have long gaps by their nature, and often guess their
        number of frames.
        """
        if not expected or self.count >= _COUNT_SHARE * expected:
            return False
        usual_ms = max(1, self._usual_step())
        return self.longest.length / 1000 > _HOLE_TIMES * usual_ms

    def _usual_step(self) -> int:
        """Return the milliseconds within which nine in ten frames follow the one before."""
        below = 0
        for milliseconds in sorted(self.steps):
            below += self.steps[milliseconds]
            if below >= _USUAL_SHARE * (self.count - 1):
                return milliseconds
        return 0


def _earliest_end(start: float, seconds: float) -> float:
    """Return the seconds before which a film that starts then and lasts so long may not end, by
    much.
    """
    # Some formats count their length from 0, others from the first frame: take what asks for less.
    return start + _LENGTH_SHARE * (seconds - start)


def _is_list(path: str) -> bool:
    """Whether a file is a list of others under a name that does not say so.

    FFmpeg would open it, and them.
    """
    with open(path, "rb") as file:
        head = file.read(_LIST_HEAD).lstrip(_MARK_AND_SPACE)
    for sign, suffixes in _LISTS.items():
        if head.startswith(sign):
            return not path.lower().endswith(suffixes)
    return False


def _is_cut_avi(path: str) -> bool:
    """Whether an AVI is shorter than it says in its first bytes: RIFF, a size, AVI.

    Its frames have no times of their own, and of a still picture no frames come.
    """
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"AVI ":
        return False
    size = int.from_bytes(head[4:8], "little")
    # Who writes into a pipe cannot say a size.
    return size not in _NO_SIZES and os.path.getsize(path) < size + 8


def _aspect(stream: Any) -> float:
    aspect = float(stream.sample_aspect_ratio or 1)
    # Beyond, the header is damaged: no film has such pixels.
    if not 0.1 < aspect < 10:
        return 1.0
    return aspect


def _as_shown(picture: Any, aspect: float) -> Image:
    """Return a decoded picture as a player shows it.

    Its pixels are square; it is upright, and mirrored where the file says so.
    """
    if picture.colorspace == _UNSPECIFIED:
        picture.colorspace = usual_matrix(picture.width, picture.height)
    width = max(1, round(picture.width * aspect))
    if width != picture.width:
        picture = picture.reformat(width=width, height=picture.height, format="rgb24")
    image: Image = picture.to_ndarray(format="rgb24")
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        image = _transformed(image, np.frombuffer(bytes(matrix), np.int32))
    # FFmpeg pads the lines of some widths, and a turned picture is a view.
    return np.ascontiguousarray(image)


def _transformed(image: Image, matrix: Any) -> Image:
    """Return an image laid down as a display matrix says: the nearest of eight ways.

    The matrix, nine numbers in rows (a b u, c d v, x y w), takes a pixel (x, y) to
    (a x + c y, b x + d y): ISO/IEC 14496-12.
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


def _own_seconds(stream: Any) -> float:
    """Return the length of the film alone that Matroska tells in a tag, or 0."""
    clock = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if clock is None:
        return 0.0
    hours, minutes, seconds = map(float, clock.groups())
    return 3600 * hours + 60 * minutes + seconds


def _seconds(container: Any, stream: Any) -> float:
    if seconds := _own_seconds(stream):
        return seconds
    if stream.duration:
        return float(stream.duration * stream.time_base)
    # The container's length counts the sound too.
    if container.duration:
        return float(container.duration / av.time_base)
    return 0.0


def _warn(message: str) -> None:
    # At the line that asks for frames.
    warnings.warn(message, MediaWarning, stacklevel=4)
