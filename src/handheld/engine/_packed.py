"""The stored form of a model: a ``.tflite`` file compressed by xz.

It is smaller on disk and on the way to the device. A pruned network's zeros, which a ``.tflite``
file stores like any other weight, take next to no room here. Opened, it is the same model: neither
memory nor time is saved. LZMA and not a sparse encoding, because every Python, and any phone's
system, unpacks it, and because it also finds what else repeats.
"""

import lzma

from handheld.engine._file import read
from handheld.errors import ModelError

UNPACK_LIMIT = 2**30
"""Bytes that a stored file may unpack to, unless the caller says otherwise.

A few kB can claim to hold any number.
"""

_MAGIC = b"\xfd7zXZ\0"  # of every xz file
_MEMORY = 160 << 20  # of the decoder; a file of ``xz -9`` takes 65 MiB, most of it the window
# Bytes of the window: the format has none below, and ``xz -9`` none above.
_MIN_WINDOW = 1 << 12
_MAX_WINDOW = 1 << 26


def compact(content: bytes) -> bytes:
    """Return the stored form of a model file, which ``Model.open`` takes like the file itself.

    Equal files give equal bytes. Embed a card first: it is read from the stored form as well.

    Args:
        content: a ``.tflite`` file, or a stored form, which is returned as it is.

    Raises:
        ModelError: it is no model file.
    """
    read(unpacked(content, "the model to compact"), "the model to compact")
    if is_packed(content):
        return content
    # A window longer than the file only costs the reader memory.
    window = 1 << (len(content) - 1).bit_length()
    window = min(max(window, _MIN_WINDOW), _MAX_WINDOW)
    preset = 9 | lzma.PRESET_EXTREME
    filters = [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": window}]
    return lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)


def is_packed(content: bytes) -> bool:
    """Whether these are the first bytes of a stored form."""
    return content.startswith(_MAGIC)


def unpacked(content: bytes, path: str, limit: int = UNPACK_LIMIT) -> bytes:
    """Return the ``.tflite`` file that a stored form holds; what is none is returned as it is.

    Args:
        content: what a file holds.
        path: of the file, for messages.
        limit: bytes that it may unpack to.

    Raises:
        ModelError: it is damaged or cut short, holds more than ``limit``, or goes on behind its
            end.
    """
    if not is_packed(content):
        return content
    file = f"{path} ({len(content)} bytes, xz)"
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
    try:
        # One byte more than the limit tells a file that goes on from one that just fits.
        model = decoder.decompress(content, max_length=limit + 1)
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        advice = "fetch it again, or make it with compact"
        raise ModelError(f"{file} cannot be unpacked: {error}; {advice}") from error
    if len(model) > limit:
        raise ModelError(f"{file} unpacks to more than the {limit} bytes that are accepted")
    if not decoder.eof:
        raise ModelError(f"{file} ends in the middle; the file is cut short: fetch it again")
    if decoder.unused_data:
        behind = f"goes on {len(decoder.unused_data)} bytes behind its end"
        raise ModelError(f"{path} {behind}; expected one xz stream")
    return model
