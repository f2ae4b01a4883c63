"""XZ streams within bounded memory: a header may ask for a dictionary of 4 GiB, which ``lzma.open``
would give it.
"""

import io
import lzma
from typing import IO, Any

_MEMORY = 256 << 20  # four times what ``xz -9`` needs
_CHUNK = 1 << 16


class XZReader(io.RawIOBase):
    """The content of an .xz file.

    ``read`` raises :class:`lzma.LZMAError` for a broken one or one that needs much memory.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._decoder = self._new()
        self._left = b""

    @classmethod
    def open(cls, raw: IO[bytes]) -> io.BufferedReader:
        """Return a buffered reader of the content."""
        return io.BufferedReader(cls(raw), _CHUNK)

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return 0 at the end."""
        size = len(buffer)
        while True:
            if self._decoder.eof:  # one file may hold several streams, one after the other
                self._left = (self._decoder.unused_data or self._raw.read(_CHUNK)).lstrip(b"\0")
                if not self._left:
                    return 0
                self._decoder = self._new()
            elif self._decoder.needs_input and not self._left:
                self._left = self._raw.read(_CHUNK)
                if not self._left:
                    raise lzma.LZMAError("the file ends in the middle")
            chunk = self._decoder.decompress(self._left, size)
            self._left = b""
            if chunk:
                buffer[: len(chunk)] = chunk
                return len(chunk)

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
