"""Model packs: the two models of the tracker, and what their numbers mean."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from handheld.config import read_config
from handheld.engine import Model
from handheld.engine.store import Bundle, stored
from handheld.errors import InputError, ModelError
from handheld.hands.landmark import LandmarkGeometry
from handheld.hands.palm import PalmGeometry
from handheld.ranges import in_range

MEDIAPIPE_HANDS = Bundle(
    name="mediapipe-hands",
    requirement="mediapipe==0.10.21",
    # SHA-256 of the files in the wheel: what was downloaded is what was tried.
    files={
        "palm_detection_full.tflite": (
            "mediapipe/modules/palm_detection/palm_detection_full.tflite",
            "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
        ),
        "hand_landmark_full.tflite": (
            "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
            "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        ),
        "palm_detection_lite.tflite": (
            "mediapipe/modules/palm_detection/palm_detection_lite.tflite",
            "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18",
        ),
        "hand_landmark_lite.tflite": (
            "mediapipe/modules/hand_landmark/hand_landmark_lite.tflite",
            "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
        ),
    },
    licence="Apache-2.0",
)
"""MediaPipe's hand models, full and lite, out of its own wheel."""

ASSETS = Path(__file__).with_name("assets")

OURS = "handheld"
"""The pack that ships with the package, and the default; ``assets/handheld/card.md`` says what made
it.
"""

LITE = "handheld-lite"
"""A pack of six tenths of the work that ships too, for old phones;
``assets/handheld-lite/card.md``.
"""

_FETCHED = {"mediapipe-full": "full", "mediapipe-lite": "lite"}
"""Packs out of MediaPipe's wheel, by name."""

PACK_NAMES = (OURS, LITE, *_FETCHED)
"""Packs that have a name; all others are folders."""


@dataclass(frozen=True)
class ModelPack:
    """Two model files and their geometry.

    Attributes:
        name: for messages.
        palm: the palm detector's file.
        landmark: the landmark model's file; not opened in palm-only mode.
        palm_geometry, landmark_geometry: what the models take and give.
        palm_score: of a palm to be looked at, in (0, 1), where nobody says another. What is no hand
            the landmark model refuses, so it may be below an even chance.
        hand_score: of the landmark model's answer on a hand that is followed, in [0, 1], where
            nobody says another; below it the hand is lost. It may be below an even chance: a hand
            was there a frame ago.
        new_hand_score: the same on a palm that was found to be a new hand; it counts where it is
            higher.

    Raises:
        InputError: a score is outside of its range.
    """

    name: str
    palm: Path
    landmark: Path
    palm_geometry: PalmGeometry = field(default_factory=PalmGeometry)
    landmark_geometry: LandmarkGeometry = field(default_factory=LandmarkGeometry)
    palm_score: float = 0.5
    hand_score: float = 0.5
    new_hand_score: float = 0.5

    def __post_init__(self) -> None:
        in_range("palm_score", self.palm_score, low=0, high=1, low_open=True, high_open=True)
        in_range("hand_score", self.hand_score, low=0, high=1)
        in_range("new_hand_score", self.new_hand_score, low=0, high=1)

    def open_palm(self, *, threads: int = 1) -> Model:
        """Open the palm model. Raises :class:`ModelError` if it is not of the pack's geometry."""
        geometry = self.palm_geometry
        outputs = ((1, geometry.anchors, geometry.values), (1, geometry.anchors, 1))
        expected = _Signature.of(geometry.size, outputs)
        return _open(self.palm, expected, threads=threads, role="a palm model")

    def open_landmark(self, *, threads: int = 1) -> Model:
        """Open the landmark model. Raises :class:`ModelError` if the pack's geometry is another."""
        geometry = self.landmark_geometry
        expected = _Signature.of(geometry.size, geometry.outputs)
        return _open(self.landmark, expected, threads=threads, role="a landmark model")


def load_pack(pack: str | os.PathLike[str] | ModelPack) -> ModelPack:
    """Return a pack by its name, or from a folder.

    A folder holds ``pack.toml``::

        palm = "palm.tflite"
        landmark = "landmark.tflite"
        palm_score = 0.5      # optional
        hand_score = 0.5      # optional
        new_hand_score = 0.5  # optional
        [palm_geometry]       # optional: size, grids, keypoints
        [landmark_geometry]   # optional: size, depth_scale, right_if_mirrored, confidence

    or, without one, MediaPipe's files under their own names.

    ``handheld`` and ``handheld-lite`` ship; ``mediapipe-full`` and ``mediapipe-lite`` are fetched.

    Raises:
        FetchError: a named pack has not been fetched yet; the message is the command that does it.
        ModelError: no such pack, or a folder without one.
    """
    if isinstance(pack, ModelPack):
        return pack
    if pack in (OURS, LITE):
        return replace(_from_toml(ASSETS / str(pack)), name=str(pack))
    if variant := _FETCHED.get(str(pack)):
        palm, landmark = _file_names(variant)
        return ModelPack(
            str(pack), stored(MEDIAPIPE_HANDS, palm), stored(MEDIAPIPE_HANDS, landmark)
        )
    return _from_folder(_folder(pack))


def _file_names(variant: str) -> tuple[str, str]:
    """Return MediaPipe's names of a palm model and a landmark model."""
    return f"palm_detection_{variant}.tflite", f"hand_landmark_{variant}.tflite"


def _folder(pack: str | os.PathLike[str]) -> Path:
    unknown = f"expected {', '.join(PACK_NAMES)} or a folder with a pack.toml"
    try:
        folder = Path(pack)
    except TypeError:
        raise ModelError(f"no model pack {pack!r}: {unknown}") from None
    # Not Path.is_dir, which raises for names that no file can have. An empty name is no folder's,
    # though a Path makes the current one of it.
    if not os.fspath(pack) or not os.path.isdir(folder):
        raise ModelError(f"no model pack {str(pack)!r}: {unknown}")
    return folder


def _from_folder(folder: Path) -> ModelPack:
    if (folder / "pack.toml").is_file():
        return _from_toml(folder)
    # The full models first: they find more.
    for variant in ("full", "lite"):
        palm, landmark = (folder / name for name in _file_names(variant))
        if palm.is_file() and landmark.is_file():
            return ModelPack(str(folder), palm, landmark)
    raise ModelError(
        f"{folder}: expected pack.toml, or palm_detection_full.tflite and hand_landmark_full.tflite"
    )


@dataclass(frozen=True)
class _PackFile:
    """What ``pack.toml`` says."""

    palm: str
    landmark: str
    palm_geometry: PalmGeometry = field(default_factory=PalmGeometry)
    landmark_geometry: LandmarkGeometry = field(default_factory=LandmarkGeometry)
    palm_score: float = 0.5
    hand_score: float = 0.5
    new_hand_score: float = 0.5


def _from_toml(folder: Path) -> ModelPack:
    try:
        said = read_config(_PackFile, folder / "pack.toml")
    except InputError as error:
        raise ModelError(str(error)) from error
    try:
        return ModelPack(
            name=str(folder),
            palm=folder / said.palm,
            landmark=folder / said.landmark,
            palm_geometry=said.palm_geometry,
            landmark_geometry=said.landmark_geometry,
            palm_score=said.palm_score,
            hand_score=said.hand_score,
            new_hand_score=said.new_hand_score,
        )
    except InputError as error:
        raise ModelError(f"{folder / 'pack.toml'}: {error}") from error


@dataclass(frozen=True)
class _Signature:
    """Shapes and types of what a model takes and gives, in its order."""

    inputs: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]
    outputs: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]

    @classmethod
    def of(cls, size: int, outputs: Sequence[tuple[int, ...]]) -> "_Signature":
        """Return that of a model for pictures of a side."""
        float32 = np.dtype(np.float32)
        return cls(
            inputs=(((1, size, size, 3), float32),),
            outputs=tuple((shape, float32) for shape in outputs),
        )

    @classmethod
    def of_model(cls, model: Model) -> "_Signature":
        return cls(
            inputs=tuple((tuple(info.shape), info.dtype) for info in model.inputs),
            outputs=tuple((tuple(info.shape), info.dtype) for info in model.outputs),
        )


def _open(path: Path, expected: _Signature, *, threads: int, role: str) -> Model:
    """Open a model. Raises :class:`ModelError` for one of another signature."""
    model = Model.open(path, threads=threads)
    # A model of another shape would run, and give hands that are none.
    actual = _Signature.of_model(model)
    if actual != expected:
        model.close()
        raise ModelError(
            f"{path}: not {role} of this pack's geometry: expected inputs "
            f"{_shapes(expected.inputs)} and outputs {_shapes(expected.outputs)}, "
            f"got {_shapes(actual.inputs)} and {_shapes(actual.outputs)}"
        )
    return model


def _shapes(tensors: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> str:
    return ", ".join(f"{dtype} {list(shape)}" for shape, dtype in tensors) or "none"
