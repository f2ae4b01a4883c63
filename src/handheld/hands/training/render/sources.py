"""The folder of meshes, skins and pictures that rendered hands are made from.

``HANDHELD_DATA/hands`` holds ``mesh`` (needed), and, where they are there, ``mesh_webxr``,
``backgrounds``, ``negatives``, ``occluders`` and ``textures``. Without them backgrounds are plain,
and there are no sleeves of cloth and no objects. docs/data.md says where each comes from.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.config import find
from handheld.errors import InputError
from handheld.hands.training.render.mesh import HandMesh, load_mesh, load_skin
from handheld.hands.training.render.shade import Picture
from handheld.hands.training.render.webxr import load_webxr
from handheld.training.runs import values_digest

_SUFFIXES = (".jpg", ".jpeg", ".png")
# How often a tile of cloth is repeated along a side: the sampler does not wrap around.
_TILES = 4
# Skins and their mixtures, of 3 MB each: people share them, or every worker would fill its memory.
_SKINS_KEPT = 32
# Tiles, and cut-out objects: more than that are seldom met twice before they are forgotten.
_TILES_KEPT = 64
# Side of a skin's picture: a hand of 256 pixels shows no more than half of its 2048.
_SKIN_SIZE = 1024


@dataclass(frozen=True)
class RenderSources:
    """What can be drawn.

    Attributes:
        folder: that holds all of it.
        meshes: at least one, right hands.
        skins: names of the arm's skins.
        backdrops: pictures without hands to put behind.
        occluders: cut-out objects with alpha.
        textures: tiles of cloth and other surfaces.
    """

    folder: Path
    meshes: tuple[HandMesh, ...]
    skins: tuple[str, ...]
    backdrops: tuple[Path, ...]
    occluders: tuple[Path, ...]
    textures: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that stand for the files that can be drawn, by name and size."""
        meshes = self._files("mesh") + self._files("mesh_webxr")
        pictures = (*meshes, *self.backdrops, *self.occluders, *self.textures)
        known = [
            (path.relative_to(self.folder).as_posix(), path.stat().st_size) for path in pictures
        ]
        return values_digest(*known)

    def _files(self, name: str) -> list[Path]:
        return sorted(path for path in (self.folder / name).glob("*") if path.is_file())


def open_sources(folder: Path | None = None) -> RenderSources:
    """Look what there is, and read the meshes.

    Args:
        folder: by default ``hands`` in ``HANDHELD_DATA``.

    Raises:
        InputError: there is no such folder; the message names ``HANDHELD_DATA``.
        ModelError: a mesh is missing or damaged.
    """
    if folder is None:
        folder = _data_folder()
    meshes = [load_mesh(folder / "mesh")]
    second = folder / "mesh_webxr" / "right.glb"
    if second.exists():
        meshes.append(load_webxr(second))
    skins = [path.stem.removeprefix("skin_") for path in folder.glob("mesh/skin_*.jpg")]
    return RenderSources(
        folder=folder,
        meshes=tuple(meshes),
        # Sorted, as the pictures are: a seed chooses by position.
        skins=tuple(sorted(skins)),
        backdrops=_pictures(folder / "backgrounds") + _pictures(folder / "negatives"),
        occluders=_pictures(folder / "occluders"),
        textures=_pictures(folder / "textures"),
    )


def _data_folder() -> Path:
    try:
        return find("hands/mesh", Path()).parent
    except InputError as error:
        raise InputError(
            "rendered hands need the hand's mesh: set HANDHELD_DATA to a folder that holds "
            f"hands/mesh (docs/data.md says where it is from); {error}"
        ) from error


def _pictures(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder by their names; none where there is no folder."""
    return tuple(sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES))


@lru_cache(_SKINS_KEPT)
def read_skin(folder: Path, name: str, other: str = "", share: float = 0.0) -> Picture:
    """Return a skin (1024, 1024, 3) RGB, mixed with ``share`` of another one: nine people are
    few.
    """
    if share > 0:
        # Through the cache, so that a skin is read once for all its mixtures.
        skin = read_skin(folder, name)
        second = read_skin(folder, other)
        return cast(Picture, cv2.addWeighted(skin, 1 - share, second, share, 0))
    size = (_SKIN_SIZE, _SKIN_SIZE)
    skin = load_skin(folder / "mesh", name)
    return cast(Picture, cv2.resize(skin, size, interpolation=cv2.INTER_AREA))


@lru_cache(_TILES_KEPT)
def read_tile(path: Path) -> Picture:
    """Return a tile of a texture, repeated to a square of 4 by 4."""
    tile = read_picture(path)
    side = min(tile.shape[:2])
    return np.ascontiguousarray(np.tile(tile[:side, :side], (_TILES, _TILES, 1)))


def read_picture(path: Path) -> Picture:
    """Return a picture (H, W, 3) RGB; faster than ``media.read_image``, for files known to be
    right.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise OSError(f"{path}: cannot be read as a picture")
    return cast(Picture, picture)


@lru_cache(_TILES_KEPT)
def read_cutout(path: Path) -> NDArray[np.uint8]:
    """Return a cut-out object (H, W, 4), RGB and alpha."""
    # Here, as most folders have no cut-out objects. Not through OpenCV, which drops the
    # transparency of pictures with a palette.
    from handheld.pictures.pillow import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGBA"))
