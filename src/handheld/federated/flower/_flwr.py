"""What this room takes from Flower: the one file that imports it."""

from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    MessageType,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp.typing import ClientAppCallable, Mod
from flwr.serverapp import Grid
from flwr.serverapp.exception import InconsistentMessageReplies
from flwr.serverapp.strategy import FedAvg
from flwr.serverapp.strategy.strategy_utils import validate_message_reply_consistency

__all__ = [
    "Array",
    "ArrayRecord",
    "ClientAppCallable",
    "ConfigRecord",
    "Context",
    "Error",
    "FedAvg",
    "Grid",
    "InconsistentMessageReplies",
    "Message",
    "MessageType",
    "MetricRecord",
    "Mod",
    "RecordDict",
    "validate_message_reply_consistency",
]
