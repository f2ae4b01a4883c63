"""The stored form of a model: a ``.tflite`` file compressed by xz, smaller on disk and on the way to the device.

A pruned network's zeros, which a ``.tflite`` file stores like any other weight, take next to no room here. Opened, it is
the same model: neither memory nor time is saved. LZMA and not a sparse encoding, because every Python, and any phone's
system, unpacks it, and because it also finds what else repeats.
"""

import lzma

from handheld.engine._file import read
from handheld.errors import ModelError

UNPACK_LIMIT = 2**30
"""Bytes that a stored file may unpack to, unless the caller says otherwise: a few kB can claim to hold any number."""

_MAGIC = b"\xfd7zXZ\0"
_MEMORY = 160 << 20  # of the decoder; a file of ``xz -9`` takes 65 MiB, most of it the window
_WINDOW = (1 << 12, 1 << 26)


def compact(content: bytes) -> bytes:
    """Return the stored form of a model file, which ``Model.open`` and ``Model.load`` take like the file itself.

    Equal files give equal bytes. Embed a card first: it is read from the stored form as well.

    Args:
        content: a ``.tflite`` file, or a stored form, which is returned as it is.

    Raises:
        ModelError: it is no model file.
    """
    read(unpacked(content, "the model to compact"), "the model to compact")
    if is_packed(content):
        return content
    least, most = _WINDOW  # a window longer than the file only costs the reader memory
    window = min(max(1 << (len(content) - 1).bit_length(), least), most)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}]
    return lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)


def is_packed(content: bytes) -> bool:
    """Whether these are the first bytes of a stored form."""
    return content[: len(_MAGIC)] == _MAGIC


def unpacked(content: bytes, where: str, limit: int = UNPACK_LIMIT) -> bytes:
    """Return the ``.tflite`` file that a stored form holds; what is none is returned as it is.

    Args:
        content: what a file holds.
        where: its path, for messages.
        limit: bytes that it may unpack to.

    Raises:
        ModelError: it is damaged or cut short, holds more than ``limit``, or goes on behind its end.
    """
    if not is_packed(content):
        return content
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
    try:
        found = decoder.decompress(content, max_length=limit + 1)
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        raise ModelError(
            f"{where} ({len(content)} bytes, xz) cannot be unpacked: {error}; fetch it again, or make it with compact"
        ) from error
    if len(found) > limit:
        raise ModelError(
            f"{where} ({len(content)} bytes, xz) unpacks to more than the {limit} bytes that are accepted"
        )
    if not decoder.eof:
        raise ModelError(
            f"{where} ({len(content)} bytes, xz) ends in the middle; the file is cut short: fetch it again"
        )
    if decoder.unused_data:
        raise ModelError(
            f"{where} goes on {len(decoder.unused_data)} bytes behind its end; expected one xz stream"
        )
    return found
