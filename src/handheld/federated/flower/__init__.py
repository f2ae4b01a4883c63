"""For who runs Flower already: our compressors, noise, algorithms and secure aggregation in it.

An ``UpdatePlan`` says how updates travel, in a ClientApp and its ServerApp alike. Clients have a
mod: ``update_mod``, ``compression_mod`` or ``secure_aggregation_mod``. Servers have a strategy:
``FederationStrategy`` or ``SecureAggregationStrategy``; with Flower's older interface
``SecureAggregationWorkflow``. Flower (extra ``flower``) is imported when one of these is first
used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handheld.federated.flower.plan import UpdatePlan

if TYPE_CHECKING:
    from handheld.federated.flower.mods import (
        compression_mod,
        secure_aggregation_mod,
        update_mod,
    )
    from handheld.federated.flower.strategy import FederationStrategy, SecureAggregationStrategy
    from handheld.federated.flower.workflow import SecureAggregationWorkflow

__all__ = [
    "FederationStrategy",
    "SecureAggregationStrategy",
    "SecureAggregationWorkflow",
    "UpdatePlan",
    "compression_mod",
    "secure_aggregation_mod",
    "update_mod",
]

_MODULES = {
    "FederationStrategy": "strategy",
    "SecureAggregationStrategy": "strategy",
    "SecureAggregationWorkflow": "workflow",
    "compression_mod": "mods",
    "secure_aggregation_mod": "mods",
    "update_mod": "mods",
}


def __getattr__(name: str) -> Any:
    """Load what needs Flower on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
