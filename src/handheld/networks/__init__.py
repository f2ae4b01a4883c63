"""Networks as graphs: a zoo of small ones, and what makes them narrower, shallower and coarser.

``structure`` traces a module and finds which channels belong together, ``pruning`` chooses what
stays, ``quantisation`` rounds while it learns, ``zoo`` has networks by name, ``state`` keeps one as
tensors without code. None of it knows of families, data sets or servers. Needs the extra ``torch``.
"""

from typing import TYPE_CHECKING, Any

from handheld._extras import lazily

if TYPE_CHECKING:
    from handheld.networks.pruning import Masks, choose_units, prune, scores
    from handheld.networks.quantisation import fake_quantise, fold, sensitivity, without_fakes
    from handheld.networks.structure import Channels, Slim, channels_of, macs, slim, trace
    from handheld.networks.zoo.pictures import PictureShape

_MODULES = {
    "pruning": ("Masks", "choose_units", "prune", "scores"),
    "quantisation": ("fake_quantise", "fold", "sensitivity", "without_fakes"),
    "structure": ("Channels", "Slim", "channels_of", "macs", "slim", "trace"),
    "zoo.pictures": ("PictureShape",),
}
_HOME = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}

__all__ = [
    "Channels",
    "Masks",
    "PictureShape",
    "Slim",
    "channels_of",
    "choose_units",
    "fake_quantise",
    "fold",
    "macs",
    "prune",
    "scores",
    "sensitivity",
    "slim",
    "trace",
    "without_fakes",
]


def __getattr__(name: str) -> Any:
    return lazily(__name__, _HOME, name)
