"""Video files, written at the frames' own times."""

import os
import warnings
from dataclasses import dataclass, field, replace
from fractions import Fraction
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from handheld.errors import InputError, MediaError
from handheld.files import atomic_path, uninterrupted
from handheld.media._pyav import av, usual_matrix
from handheld.media.frame import Image
from handheld.media.images import reason_of
from handheld.media.video_reader import MediaWarning
from handheld.pictures import as_rgb
from handheld.ranges import in_range, whole_in_range

_MICROSECONDS = Fraction(1, 1_000_000)
_FASTEST = 10_000  # frames a second; beyond, files lose frames in silence
_WORST_QUALITY = 51  # of H.264's crf
_LATEST = 1 << 53  # microseconds, 285 years: formats count in 64 bits, some in smaller steps
_H264 = "libx264"
_VP9 = "libvpx-vp9"
_MATRICES = {1: "ITU709", 6: "ITU601"}  # PyAV's names
_LIMITED = 1  # range of colours: 16 to 235


@dataclass(frozen=True)
class _FilmFormat:
    """A form of files.

    Attributes:
        name: FFmpeg's.
        codec: of the frames.
        tick: microseconds to which it rounds times.
        longest: microseconds that may lie between two frames.
        latest: microseconds of the last frame.
        options: of FFmpeg's writer.
        codec_options: of the encoder.
    """

    name: str
    codec: str = _H264
    tick: Fraction = Fraction(1)
    longest: int = _LATEST
    latest: int = _LATEST
    options: dict[str, str] = field(default_factory=dict)
    codec_options: dict[str, str] = field(default_factory=dict)


# MP4 counts the steps between frames in 32 bits, and some four of them together; the start of a
# film in thousandths of a second unless it is told.
_MP4 = _FilmFormat("mp4", longest=300_000_000, options={"movie_timescale": "1000000"})
_FORMATS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": replace(_MP4, name="mov"),
    ".mkv": _FilmFormat("matroska", tick=Fraction(1000)),
    ".webm": _FilmFormat("webm", codec=_VP9, tick=Fraction(1000)),
    # Steps of 1/90000 s in 33 bits. Frames that wait for later ones would move all times by as
    # many.
    ".ts": _FilmFormat(
        "mpegts",
        tick=Fraction(100, 9),
        latest=95_000_000_000,
        codec_options={"bf": "0"},
    ),
}


class VideoWriter:
    """Writes frames to a video file (H.264; VP9 for ``.webm``) at the frames' own times.

    A context manager.

    The file appears when the writer closes without an error. An odd width or height is padded by
    one pixel. Frames of another size than the first are scaled to it, with one
    :class:`MediaWarning`. Times are kept to a microsecond, in .mkv and .webm to a thousandth of a
    second, in .ts to 1/90000 s. A film that begins before 0, which no file can, is moved to begin
    at 0, with one warning. Colours are written as BT.709 from 1280 columns or 577 lines on, else as
    BT.601, and the file says so.

    Args:
        path: ends in .mp4, .mkv, .webm, .mov, .m4v or .ts, in capitals or not.
        fps: nominal frames per second, above 0.
        quality: of H.264, 0 (best) to 51.

    Raises:
        InputError: a rate or a quality outside of these.
        MediaError: another suffix, or a file that cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, fps: float = 30.0, quality: int = 23
    ) -> None:
        self.path = Path(path)
        self._format = _format_of(self.path)
        in_range("fps", fps, low=0, high=_FASTEST, low_open=True)
        whole_in_range("quality", quality, low=0, high=_WORST_QUALITY)
        # 1001 is the largest denominator of a rate in use: 30000/1001, that of NTSC.
        self._fps = Fraction(fps).limit_denominator(1001)
        self._quality = quality
        self._last: int | None = None
        self._moved = 0  # microseconds, of all frames
        self._stream: Any = None
        self._size = (0, 0)
        self._has_scaled = False
        # FFmpeg crashes on packets behind a header that could not be written.
        self._is_broken = False

    def __enter__(self) -> Self:
        self._atomic = atomic_path(self.path)
        temporary = self._atomic.__enter__()
        try:
            self._container = av.open(
                str(temporary),
                mode="w",
                format=self._format.name,
                options=self._format.options,
            )
        except (av.error.FFmpegError, ValueError, OSError) as error:
            failure = MediaError(f"{self.path}: cannot be written: {reason_of(error)}")
            self._leave(failure)
            raise failure from error
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with uninterrupted():  # a second Ctrl-C must not lose what the first one kept
            self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        """Write the end of the file, and let it appear unless there was an error, or is one now."""
        try:
            if error is None:
                self._ensure_complete()
            if self._stream is not None and not self._is_broken:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except (av.error.FFmpegError, OSError) as failure:
            if self._is_broken:  # which was said when it happened
                return
            error = MediaError(f"{self.path}: cannot be finished: {reason_of(failure)}")
            raise error from failure
        except MediaError as failure:
            error = failure
            raise
        finally:
            self._leave(error)

    def _ensure_complete(self) -> None:
        if self._stream is None:
            raise MediaError(f"{self.path}: no frame was written")
        if self._is_broken:
            raise MediaError(f"{self.path}: cannot be finished: a frame could not be written")

    def _leave(self, error: BaseException | None) -> None:
        """Leave the block that writes the file atomically, with an error where there is one."""
        if error is None:
            self._atomic.__exit__(None, None, None)
            return
        try:
            self._atomic.__exit__(type(error), error, error.__traceback__)
        except BaseException as raised:
            # The error itself goes on its own way.
            if raised is not error:
                raise

    def write(self, image: Image, t_us: int) -> None:
        """Add a frame.

        Args:
            image: any picture that :func:`as_rgb` takes.
            t_us: microseconds, larger than the one before.

        Raises:
            InputError: a time that does not follow the one before, or that this form of file cannot
                tell from it, or that lies too far behind it (5 minutes in .mp4, .m4v and .mov) or
                too late (26 hours in .ts).
            MediaError: the file cannot be written.
        """
        image = as_rgb(image)
        self._ensure_follows(t_us)
        if self._stream is None:
            # Only now: before the first frame nobody knows the size of a film.
            self._size = image.shape[:2]
            self._stream = self._add_stream(*self._size)
        frame = self._encodable(image)
        frame.pts = int(t_us) + self._moved
        frame.time_base = _MICROSECONDS
        self._last = int(t_us)
        try:
            # Between these two a packet would be lost, and all that builds on it.
            with uninterrupted():
                self._container.mux(self._stream.encode(frame))
        except (av.error.FFmpegError, OSError) as error:
            self._is_broken = True
            raise MediaError(f"{self.path}: cannot be written: {reason_of(error)}") from error

    def _ensure_follows(self, t_us: int) -> None:
        """Refuse a time that the file could not give back."""
        if not isinstance(t_us, Integral) or not abs(t_us) < _LATEST:
            raise InputError(
                f"{self.path}: expected a time in whole microseconds on a frame, got {t_us!r}"
            )
        if self._last is not None:
            self._ensure_step(self._last, t_us)
        else:
            self._moved = max(0, -int(t_us))
            if self._moved:
                self._warn(
                    f"begins at {t_us} us; no file begins before 0, "
                    f"so all frames are moved by {self._moved} us"
                )
        latest = self._format.latest
        if t_us + self._moved > latest:
            raise InputError(
                f"{self.path}: frame at {t_us} us; "
                f"this form of file ends at {latest} us: write .mkv"
            )

    def _ensure_step(self, last: int, t_us: int) -> None:
        """Refuse a time that does not follow the one before, or not so that the file shows it."""
        tick = self._format.tick
        longest = self._format.longest
        if t_us <= last:
            raise InputError(
                f"{self.path}: frame at {t_us} us does not follow the one at {last} us"
            )
        if round(t_us / tick) == round(last / tick):
            raise InputError(
                f"{self.path}: frames at {last} and {t_us} us are one time in a file that counts "
                f"in steps of {float(tick):g} us; leave one out, or write .mp4"
            )
        if t_us - last > longest:
            raise InputError(
                f"{self.path}: frame at {t_us} us comes {t_us - last} us after the one before; "
                f"at most {longest} in this form of file: write .mkv"
            )

    def _warn(self, text: str) -> None:
        # At the line that writes a frame.
        warnings.warn(f"{self.path}: {text}", MediaWarning, stacklevel=4)

    def _encodable(self, image: Image) -> Any:
        """Return a picture as a frame of the film's size, with even sides."""
        height, width = self._size
        if image.shape[:2] != self._size:
            if not self._has_scaled:
                self._warn(
                    f"frames of {image.shape[1]} x {image.shape[0]} pixels are scaled to "
                    f"{width} x {height}, the size of the first"
                )
            self._has_scaled = True
            image = _scaled(image, width, height)
        pixels = np.ascontiguousarray(_even(image))
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        matrix = _MATRICES[usual_matrix(width, height)]
        return frame.reformat(format="yuv420p", dst_colorspace=matrix)

    def _add_stream(self, height: int, width: int) -> Any:
        codec = self._format.codec
        stream: Any
        try:
            stream = self._container.add_stream(codec, rate=self._fps)
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self.path}: this build of FFmpeg cannot write {codec}: {error}"
            ) from error
        stream.width = width + width % 2
        stream.height = height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = _MICROSECONDS
        stream.codec_context.time_base = _MICROSECONDS
        stream.codec_context.colorspace = usual_matrix(width, height)
        stream.codec_context.color_range = _LIMITED
        stream.options = self._codec_options()
        return stream

    def _codec_options(self) -> dict[str, str]:
        if self._format.codec == _VP9:
            # A constant quality needs a rate of 0 beside it, else it is only a limit.
            return {"crf": "32", "b:v": "0"}
        # Fast rather than small: a film is often written beside the work that it shows.
        return {"crf": str(self._quality), "preset": "veryfast", **self._format.codec_options}


def _format_of(path: Path) -> _FilmFormat:
    film_format = _FORMATS.get(path.suffix.lower())
    if film_format is None:
        raise MediaError(
            f"{path}: no video format has this suffix; use .mp4, .mkv or .webm "
            "(media.write_animation makes .webp and .gif)"
        )
    return film_format


def _even(image: Image) -> Image:
    """Pad a picture to even sides, since colours are stored for squares of two by two pixels."""
    height, width = image.shape[:2]
    if not (height % 2 or width % 2):
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _scaled(image: Image, width: int, height: int) -> Image:
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    scaled = frame.reformat(width=width, height=height)
    return np.asarray(scaled.to_ndarray(format="rgb24"), np.uint8)
