"""The structure of a network: its graph, its channels, and narrower and shallower copies of it.

``trace`` a module, find its ``channels_of``, cut it with ``slim`` to the units that stay or leave
out ``removable_blocks``.
"""

from handheld.networks.structure.blocks import removable_blocks, without_blocks
from handheld.networks.structure.channels import Channels, Group, channels_of
from handheld.networks.structure.execution import evaluating
from handheld.networks.structure.layers import kind_of
from handheld.networks.structure.multiplications import macs, products_of
from handheld.networks.structure.mutation import without_unread
from handheld.networks.structure.names import module_state
from handheld.networks.structure.nodes import rank_of, shape_of
from handheld.networks.structure.slim import Slim, needed, slim, take
from handheld.networks.structure.trace import (
    example_of,
    trace,
    with_shapes,
)

__all__ = [
    "Channels",
    "Group",
    "Slim",
    "channels_of",
    "evaluating",
    "example_of",
    "kind_of",
    "macs",
    "module_state",
    "needed",
    "products_of",
    "rank_of",
    "removable_blocks",
    "shape_of",
    "slim",
    "take",
    "trace",
    "with_shapes",
    "without_blocks",
    "without_unread",
]
