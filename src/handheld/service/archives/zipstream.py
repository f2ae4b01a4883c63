"""A ZIP archive that is sent while it is made."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_CHUNK = 1 << 16


class _Sink(io.RawIOBase):
    """Keeps what was written since it was last taken.

    That it cannot seek makes zipfile write sizes after the content.
    """

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    # The base class takes any buffer; zipfile writes bytes.
    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._written.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        written = b"".join(self._written)
        self._written = []
        return written


def stream_zip(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """Give the bytes of an archive of some files, by their names in it, holding one piece in memory
    at a time.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            # Dates before 1980, which a ZIP cannot hold, are moved rather than refused.
            info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
            info.compress_type = zipfile.ZIP_DEFLATED
            with (
                path.open("rb") as source,
                archive.open(info, "w", force_zip64=info.file_size >= 1 << 31) as member,
            ):
                while chunk := source.read(_CHUNK):
                    member.write(chunk)
                    if data := sink.take():
                        yield data
            yield sink.take()
    yield sink.take()
