"""How commands take a pack of hand models."""

from typing import Annotated

import typer

DEFAULT_PACK = "handheld"
"""Ours: nothing is fetched for it."""

Pack = Annotated[
    str,
    typer.Option(
        help="Model pack: handheld and handheld-lite ship; mediapipe-full and mediapipe-lite are "
        "fetched once; or a folder with pack.toml."
    ),
]


def folder_of(pack: str) -> str | None:
    """Return the folder that a pack is read from, for :meth:`Output.reads`.

    ``None`` for a pack with a name: a folder that is called so too is not read, and a clone of this
    package often is.
    """
    from handheld.hands.packs import PACK_NAMES

    if pack in PACK_NAMES:
        return None
    return pack
