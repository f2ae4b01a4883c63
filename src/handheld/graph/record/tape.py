"""The file of a recording: blocks of bytes, each with its length and checksum.

So a file that was cut, or changed, is read up to there. See docs/graph-recording.md.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from handheld.errors import GraphRecordError

MAGIC = b"handheld graph recording 1\n"
MOST_STREAMS = 4096
MOST_NAME = 1000
MOST_BLOCK = 2**30
"""Bytes of one block: a packet larger than this is refused, on writing and on reading."""

_HEAD = struct.Struct("<II")  # length, checksum
_ENTRY = struct.Struct("<cHq")  # what it is, number of the stream, timestamp
_READ_AT_ONCE = 1 << 20

PACKET = b"P"
BOUND = b"B"
HEADER = b"H"
RESET = b"R"
END = b"E"


@dataclass(frozen=True)
class TapeEntry:
    """One entry of a recording.

    Attributes:
        mark: ``PACKET``, ``BOUND``, ``HEADER``, ``RESET`` or ``END``.
        stream: its number.
        timestamp: of the packet, or the bound.
        data: of the value; empty without one.
    """

    mark: bytes
    stream: int
    timestamp: int
    data: memoryview


def first_block(streams: list[str], codecs: list[str]) -> bytes:
    """Return the block that describes a recording.

    Raises :class:`GraphRecordError` for names that :func:`read_first` would refuse.
    """
    _check_streams(_names(streams))
    _names(codecs)
    return block(json.dumps({"streams": streams, "codecs": codecs}).encode())


def entry_block(mark: bytes, stream: int, timestamp: int, data: bytes = b"") -> bytes:
    """Return an entry as a block."""
    return block(_ENTRY.pack(mark, stream, timestamp) + data)


def block(data: bytes) -> bytes:
    """Return bytes with their length and checksum before them."""
    if len(data) > MOST_BLOCK:
        raise GraphRecordError(f"a packet of {len(data)} bytes; at most {MOST_BLOCK} are recorded")
    # Against cuts and bad disks, not against forgers, who can write a checksum too.
    return _HEAD.pack(len(data), zlib.crc32(data)) + data


def read_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a file up to its end.

    Raises :class:`GraphRecordError` where a block is cut off or changed.
    """
    while head := file.read(_HEAD.size):
        if len(head) < _HEAD.size:
            raise GraphRecordError("the file ends in the middle of a block")
        length, checksum = _HEAD.unpack(head)
        if length > MOST_BLOCK:
            raise GraphRecordError(f"a block of {length} bytes; at most {MOST_BLOCK} are allowed")
        data = _read(file, length)
        if len(data) < length:
            raise GraphRecordError("the file ends in the middle of a block")
        if zlib.crc32(data) != checksum:
            raise GraphRecordError("a block has another checksum than it says: it was changed")
        yield data


def read_first(file: IO[bytes]) -> tuple[list[str], list[str]]:
    """Return the streams and codecs of a recording.

    Raises :class:`GraphRecordError` for a file that is none.
    """
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise GraphRecordError("it is no recording of a graph, or of another version")
    data = next(read_blocks(file), None)
    if data is None:
        raise GraphRecordError("the file ends before it says what it holds")
    try:
        about = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise GraphRecordError(f"its description is no JSON: {error}") from error
    if not isinstance(about, dict):
        raise GraphRecordError("its description is no object of JSON")
    streams = _names(about.get("streams"))
    _check_streams(streams)
    return streams, _names(about.get("codecs"))


def parse_entry(data: bytes, streams: int) -> TapeEntry:
    """Return the entry of a block. Raises :class:`GraphRecordError` for what is none."""
    if len(data) < _ENTRY.size:
        raise GraphRecordError("an entry is cut off")
    mark, stream, timestamp = _ENTRY.unpack_from(data)
    # max: a recording of no stream has entries of number 0 too, its resets and its end.
    if mark not in (PACKET, BOUND, HEADER, RESET, END) or stream >= max(1, streams):
        raise GraphRecordError(f"an entry {mark!r} of stream number {stream}")
    return TapeEntry(mark, stream, timestamp, memoryview(data)[_ENTRY.size :])


def _read(file: IO[bytes], length: int) -> bytes:
    """Read so many bytes, or what there is.

    In pieces, so that a length that lies takes no more memory than the file has.
    """
    pieces = []
    while length > 0:
        piece = file.read(min(length, _READ_AT_ONCE))
        if not piece:
            break
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _check_streams(streams: list[str]) -> None:
    if len(set(streams)) < len(streams):
        raise GraphRecordError("its description names a stream twice")


def _names(names: Any) -> list[str]:
    is_list = isinstance(names, list) and len(names) <= MOST_STREAMS
    if not is_list or not all(isinstance(n, str) and len(n) <= MOST_NAME for n in names):
        raise GraphRecordError(
            "its description names no streams and codecs: a list of at most "
            f"{MOST_STREAMS} texts, each of at most {MOST_NAME} characters"
        )
    return list(names)
