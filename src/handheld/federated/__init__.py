"""One model over many devices whose data never leaves them.

``algorithms``: what a server does with a round; ``convex``: the same for sparse convex models.
``learning``: what devices do in it. ``updates``: what they send, made small. ``stages``: what
happens to it on its way, such as clipping and noise. ``client`` and ``rounds``: the two halves of a
round, the same everywhere. ``simulator``: a whole population in one place. ``server``, ``device``,
``wire``, ``secagg``: a federation over a real network, whose server sees sums alone; ``tasks``:
what it learns; ``rehearsal``: a simulation made into one.
"""

from typing import TYPE_CHECKING, Any

from handheld._extras import lazily

if TYPE_CHECKING:
    from handheld.federated.device.agent import FederationClient

__all__ = ["FederationClient"]

# An app embeds it; the room alone needs no torch.
_LAZY = {"FederationClient": "handheld.federated.device.agent"}


def __getattr__(name: str) -> Any:
    return lazily(__name__, _LAZY, name)
