"""The one place that imports PyAV."""

from handheld.errors import MissingDependencyError

try:
    import av
except ImportError as error:
    raise MissingDependencyError("av", "hands", "reading and writing video") from error

__all__ = ["av", "usual_matrix"]

# Numbers of ITU-T H.273.
_BT709 = 1
_BT601 = 6

# The largest film of standard definition, by mpv's rule (mp_csp_guess_colorspace).
_WIDEST_SD = 1279
_TALLEST_SD = 576


def usual_matrix(width: int, height: int) -> int:
    """Return the colour matrix of a film that names none.

    That is BT.709 from 1280 columns or 577 lines on, else BT.601. So mpv and SDL's players guess;
    FFmpeg's own conversions, and OpenCV, take BT.601 for all.
    """
    if width <= _WIDEST_SD and height <= _TALLEST_SD:
        return _BT601
    return _BT709
