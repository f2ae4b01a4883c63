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

# Imported when they are asked for: all of them need torch, which takes seconds to load.
_HOME = {
    **dict.fromkeys(("Masks", "choose_units", "prune", "scores"), f"{__name__}.pruning"),
    **dict.fromkeys(
        ("fake_quantise", "fold", "sensitivity", "without_fakes"), f"{__name__}.quantisation"
    ),
    **dict.fromkeys(
        ("Channels", "Slim", "channels_of", "macs", "slim", "trace"), f"{__name__}.structure"
    ),
    "PictureShape": f"{__name__}.zoo.pictures",
}

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
