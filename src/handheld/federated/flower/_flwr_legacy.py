"""What this room takes from Flower's older interface, apart: it may go before the rest does."""

from flwr.compat.common import recorddict_compat
from flwr.server import LegacyContext
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key

__all__ = [
    "MAIN_CONFIGS_RECORD",
    "MAIN_PARAMS_RECORD",
    "Key",
    "LegacyContext",
    "recorddict_compat",
]
