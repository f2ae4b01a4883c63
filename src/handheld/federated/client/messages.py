"""A client's answer as bytes, where uploads are plain: secure ones are whole numbers alone."""

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from handheld.errors import InputError
from handheld.federated.client.answer import ClientAnswer
from handheld.federated.stages import Upload
from handheld.federated.updates.encoder import are_finite

VERSION = 1
OVERHEAD_BYTES = 256
"""What an answer may take beside its update, its statistics and what the algorithm wants."""

_FLOAT = 4  # bytes
_Number = Annotated[int, Meta(ge=0, lt=1 << 31)]


class PlainAnswer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What travels.

    Args:
        version: of the form.
        number: by which the server knows seeds of the device's encoders.
        content: of the update.
        weight: by which it counts.
        loss: of its examples.
        extra: float32 numbers that the algorithm wants besides, low byte first.
        statistics: float32 numbers of its model.
    """

    version: int = VERSION
    number: _Number
    content: bytes
    weight: float
    loss: float
    extra: bytes = b""
    statistics: bytes = b""


def answer_bytes(answer: ClientAnswer, number: int) -> bytes:
    """Return an answer as it travels.

    Args:
        answer: with bytes of an update; whole numbers travel masked.
        number: by which the device drew what the server needs to decode.
    """
    if isinstance(answer.upload.content, np.ndarray):
        raise InputError("whole numbers travel through secure aggregation, not plainly")
    extra = b""
    if answer.extra is not None:
        extra = answer.extra.astype("<f4").tobytes()
    message = PlainAnswer(
        number=number,
        content=bytes(answer.upload.content),
        weight=float(answer.weight),
        loss=float(answer.loss),
        extra=extra,
        statistics=answer.statistics.astype("<f4").tobytes(),
    )
    return msgspec.msgpack.encode(message)


def answer_from(content: bytes, statistics: int, extra: int) -> tuple[ClientAnswer, int]:
    """Return the answer that bytes from outside hold, and its device's number.

    Args:
        content: no longer than the server allows.
        statistics: numbers of the model's statistics.
        extra: numbers that the algorithm wants besides.

    Raises:
        InputError: they hold something else, another version, or numbers that are not finite.
    """
    try:
        message = msgspec.msgpack.decode(content, type=PlainAnswer)
    # The two others are what msgspec lets through, as in secure aggregation's messages.
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"answer: {error}") from error
    if message.version != VERSION:
        raise InputError(f"answer: expected version {VERSION}, got {message.version}")
    if not (math.isfinite(message.weight) and message.weight > 0):
        raise InputError(f"answer: expected a weight above 0, got {message.weight}")
    if not math.isfinite(message.loss):
        raise InputError(f"answer: its loss is {message.loss}, no finite number")
    corrections = None
    if extra:
        corrections = _numbers("extra", message.extra, extra)
    elif message.extra:
        raise InputError("answer: expected nothing beside the update")
    answer = ClientAnswer(
        Upload(message.content, len(message.content)),
        message.weight,
        message.loss,
        corrections,
        _numbers("statistics", message.statistics, statistics).astype(np.float64),
    )
    return answer, message.number


def _numbers(name: str, content: bytes, count: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    if len(content) != _FLOAT * count:
        raise InputError(f"answer: {name}: expected {_FLOAT * count:,} bytes, got {len(content):,}")
    # A copy, in this machine's order of bytes: arrays upon bytes cannot be written to.
    numbers = np.frombuffer(content, "<f4").astype(np.float32)
    if not are_finite(numbers):
        raise InputError(f"answer: {name}: expected finite numbers")
    return numbers
