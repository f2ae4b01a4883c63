"""Flower's records: models as arrays, and our own bytes beside them."""

from typing import Any

from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.flower._flwr import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Error,
    Message,
    MessageType,
    RecordDict,
)
from handheld.federated.flower.messages import RECORD
from handheld.federated.flower.plan import NamedArrays

_PRECONDITION = 6
"""``flwr.common.constant.ErrorCode.MOD_FAILED_PRECONDITION``."""

_EXAMPLES = "num_examples"
"""How apps of Flower's older interface name what they count by."""


def arrays_of(record: ArrayRecord) -> dict[str, NDArray[Any]]:
    """Return arrays by name."""
    return {name: array.numpy() for name, array in record.items()}


def record_of(arrays: NamedArrays) -> ArrayRecord:
    """Return arrays as Flower carries them."""
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def model_key(content: RecordDict) -> str:
    """Return the name of the record that has the model. Raises :class:`InputError` without one."""
    names = list(content.array_records)
    if len(names) != 1:
        raise InputError(f"expected one record of arrays in a message, got {len(names)}")
    return str(names[0])


def model_of(content: RecordDict) -> dict[str, NDArray[Any]]:
    """Return the arrays of the model in a message. Raises :class:`InputError` without one."""
    return arrays_of(content.array_records[model_key(content)])


def weight_of(content: RecordDict, name: str) -> float:
    """Return by how much an answer counts, as its metrics say.

    Args:
        content: of the answer.
        name: of the metric.

    Raises:
        InputError: no metric has that name.
    """
    for record in content.metric_records.values():
        for key in (name, _EXAMPLES):
            if key in record:
                value = record[key]
                if isinstance(value, list):
                    raise InputError(f"{key}: expected a number, got a list")
                return float(value)
    raise InputError(f"expected a metric {name!r}, by which the client counts")


def put_bytes(content: RecordDict, key: str, value: bytes) -> None:
    """Let bytes of ours travel in a message."""
    content[RECORD] = ConfigRecord({key: value})


def get_bytes(content: RecordDict, key: str) -> bytes | None:
    """Return bytes of ours that came in a message; None without."""
    if RECORD not in content.config_records:
        return None
    value = content.config_records[RECORD].get(key)
    if not isinstance(value, bytes):
        return None
    return value


def is_training(message: Message) -> bool:
    """Return whether a message asks for training, by whatever function of an app."""
    # As in "train" and "train.my_function".
    category: str = message.metadata.message_type
    return category.split(".")[0] == str(MessageType.TRAIN)


def reason_of(reply: Message) -> str:
    """Return why a client could not answer."""
    return reply.error.reason or "it does not say why"


def refusal(message: Message, reason: str) -> Message:
    """Return the answer to a message that is refused."""
    return Message(Error(code=_PRECONDITION, reason=reason), reply_to=message)
