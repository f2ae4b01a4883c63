"""What this room takes from Flower's older interface, apart: it may go before the rest does."""

from handheld.errors import MissingDependencyError

try:
    from flwr.compat.common import recorddict_compat
    from flwr.server import LegacyContext
    from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
except ImportError as error:
    raise MissingDependencyError("flwr", "flower", "an app of Flower's older interface") from error

__all__ = [
    "MAIN_CONFIGS_RECORD",
    "MAIN_PARAMS_RECORD",
    "Key",
    "LegacyContext",
    "recorddict_compat",
]
