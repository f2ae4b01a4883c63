"""Packets as lines of JSON: ``{"timestamp": 40000, "payload": [1, 2]}``.

So a graph can be fed from a file, and what it sends be written into one, by any program.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import Any

from handheld.errors import InputError
from handheld.graph.graph import Graph
from handheld.graph.packet import Packet
from handheld.untrusted import read_json, require_file

_MOST_LETTERS = 1 << 26  # of a line: an array of ten million numbers
_KEYS = {"timestamp", "payload"}


def read_packets(path: str | os.PathLike[str]) -> Iterator[Packet[Any]]:
    """Yield the packets of a file, one line each; empty lines are left out.

    Args:
        path: of the file; ``/dev/stdin`` too.

    Raises:
        InputError: it cannot be read, or a line is no packet or its timestamp not larger than that
            of the line before; names the line.
    """
    name = os.fspath(path)
    try:
        require_file(path)
        with Path(path).open(encoding="utf-8-sig") as file:
            yield from _packets(file, name)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not in UTF-8: save it in that encoding") from error


def _packets(file: Any, name: str) -> Iterator[Packet[Any]]:
    last: int | None = None
    number = 0
    while line := file.readline(_MOST_LETTERS):
        number += 1
        if not line.strip():
            continue
        packet = _packet(line, f"{name}:{number}")
        if last is not None and packet.timestamp <= last:
            raise InputError(
                f"{name}:{number}: expected a timestamp after {last}, got {packet.timestamp}"
            )
        last = packet.timestamp
        yield packet


def _packet(line: str, location: str) -> Packet[Any]:
    try:
        table = read_json(line)
    except ValueError as error:
        raise InputError(f"{location}: no JSON: {error}") from error
    timestamp = table.get("timestamp") if isinstance(table, dict) else None
    # True is a whole number to Python.
    if type(timestamp) is not int or set(table) != _KEYS:
        raise InputError(
            f'{location}: expected {{"timestamp": microseconds, "payload": ...}}, got '
            f"{line.strip()[:80]}"
        )
    return Packet(table["payload"], timestamp)


def packet_line(packet: Packet[Any]) -> str:
    """Return a packet as a line, with its line feed.

    >>> packet_line(Packet({"x": 0.5}, 40))
    '{"timestamp": 40, "payload": {"x": 0.5}}\\n'

    Raises:
        InputError: JSON has no form for the payload.
    """
    table = {"timestamp": int(packet.timestamp), "payload": packet.payload}
    try:
        return json.dumps(table, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        type_name = type(packet.payload).__qualname__
        raise InputError(
            f"a payload of type {type_name} at {packet.timestamp} has no form in JSON: {error}"
        ) from error


def _plain(value: Any) -> Any:
    """Return what JSON has a form for: of arrays and numbers of numpy, their lists and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__qualname__} is none of its types")


def feed(graph: Graph, inputs: Mapping[str, Iterable[Packet[Any]]]) -> None:
    """Put the packets of several inputs into a graph, in the order of their timestamps.

    An input without a packet at a timestamp is settled there, so that nothing waits for it.

    Args:
        graph: open.
        inputs: stream -> packets, with timestamps that increase.

    Raises:
        CalculatorError: a calculator failed.
    """
    tagged = [_tagged(stream, packets) for stream, packets in inputs.items()]
    merged = merge(*tagged, key=lambda entry: entry[1].timestamp)
    for timestamp, entries in groupby(merged, key=lambda entry: entry[1].timestamp):
        behind = set(inputs)
        for stream, packet in entries:
            graph.add(stream, packet.payload, timestamp)
            behind.discard(stream)
        for stream in sorted(behind):
            graph.set_bound(stream, timestamp + 1)


def _tagged(stream: str, packets: Iterable[Packet[Any]]) -> Iterator[tuple[str, Packet[Any]]]:
    for packet in packets:
        yield stream, packet
