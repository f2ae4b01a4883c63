"""Trained networks become files of a pack, with a card that says what made them."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.compile import Precision, to_tflite
from handheld.engine import Model
from handheld.errors import CompileError, HandheldError, InputError, MissingDependencyError
from handheld.files import atomic_path
from handheld.hands.packs import load_pack
from handheld.hands.training.blocks import parameters_of, to_unit
from handheld.hands.training.card_picture import draw_card, draw_cards, learned
from handheld.hands.training.examples.photos import SHIPPED
from handheld.hands.training.palm.network import PalmShape
from handheld.hands.training.run import TrainingFolder
from handheld.media import write_image
from handheld.training.runs import Progress

PRECISIONS: dict[Precision, str] = {
    "float32": "",
    "float16": ".float16",
    "int8_weights": ".int8_weights",
    "int8": ".int8",
}
"""What is written of each network, and how the files' names end."""

# Pictures by which the ranges of eight-bit activations are chosen.
_CALIBRATION = 64

# Pictures on which file and network are compared. Four may all be of right hands: the least
# difference is large beside how much such a probability varies over them.
_CHECKS = 32


class ScoreTable(Protocol):
    """Scores of any network."""

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers."""


Scores = TypeVar("Scores", bound=ScoreTable)

# Of the spread of an output over the pictures of the check.
_TOLERANCE: dict[Precision, float] = {
    "float32": 1e-3,
    "float16": 2e-2,
    "int8_weights": 0.15,
    "int8": 0.5,
}

# What a card says of the data: the photos' own credits, then what is rendered, then the rest.
_CREDITS = (
    *(photo_set.credit for photo_set in SHIPPED),
    "MakeHuman base mesh, rig, targets and skins, CC0",
    "webxr-input-profiles hand mesh, MIT",
    "pictures without hands: public domain, CC0, MIT, Apache-2.0, CC BY, "
    "each in negatives/index.jsonl",
)

# How the line of a card begins that shows its picture.
_PICTURE_LINE = "![Scores]("

# Of a card: what its scores measure.
_LABELS = "photos: agreement with a teacher (MediaPipe Hands full), not accuracy; rendered: true"


@dataclass(frozen=True)
class Export:
    """The files of one network.

    Attributes:
        files: by precision.
        refused: why a precision has no file.
    """

    files: dict[str, Path]
    refused: dict[str, str]


def export(
    network: nn.Module,
    name: str,
    folder: Path,
    card: Mapping[str, Any],
    calibration: Sequence[NDArray[np.float32]],
) -> Export:
    """Write a network in every precision.

    Args:
        network: in its deployed form, on the CPU.
        name: stem of the files.
        folder: to write them to.
        card: stored inside each file, and beside them as ``card.md``.
        calibration: inputs (1, 3, side, side) in [0, 1], from the training data.

    Raises:
        CompileError: not even the float32 file agrees with the network.
    """
    files: dict[str, Path] = {}
    refused: dict[str, str] = {}
    for precision, ending in PRECISIONS.items():
        path = folder / f"{name}{ending}.tflite"
        try:
            _compile(network, calibration, precision, card, path)
        except MissingDependencyError as error:
            # A machine that trains need not have the converter: the weights go to one that has it.
            refused[precision] = str(error)
        except CompileError as error:
            if precision == "float32":
                raise
            # A network that suffers from eight bits is no reason to lose its float file.
            refused[precision] = str(error)
        else:
            files[precision] = path
    return Export(files, refused)


def _compile(
    network: nn.Module,
    calibration: Sequence[NDArray[np.float32]],
    precision: Precision,
    card: Mapping[str, Any],
    path: Path,
) -> None:
    to_tflite(
        network,
        calibration[0],
        metadata={**card, "precision": precision},
        out=path,
        precision=precision,
        # Only activations in eight bits have ranges to be chosen.
        calibration=calibration if precision == "int8" else (),
        # Not the first one, by which the network was traced.
        checks=calibration[1 : 1 + _CHECKS],
        tolerance=_TOLERANCE[precision],
    )


@dataclass(frozen=True)
class Training(Generic[Scores]):
    """What a training left.

    Attributes:
        scores: on the test split.
        export: the files.
        card: path of the card.
        picture: path of the card as a picture.
    """

    scores: Scores
    export: Export
    card: Path
    picture: Path


@dataclass(frozen=True)
class NetworkFile:
    """What the files of a network are called.

    Attributes:
        name: stem of the files.
        title: of the card.
    """

    name: str
    title: str


def written(
    network: nn.Module,
    file: NetworkFile,
    folder: Path,
    *,
    scores: Scores,
    calibration: torch.Tensor,
    progress: Progress,
) -> Training[Scores]:
    """Write the scores of a trained network, its files where the converter is installed, and its
    card.

    Args:
        network: in its deployed form, on the CPU.
        file: what its files are called.
        folder: of the run.
        scores: on the test split.
        calibration: (n, side, side, 3) uint8 pictures of the training.
        progress: told how far it is.
    """
    table = scores.to_json()
    # First: they are there even if the network cannot be compiled.
    with atomic_path(folder / "scores.json") as temporary:
        temporary.write_text(json.dumps(table, indent=1), "utf-8")
    plan = TrainingFolder(folder).read_plan()
    seconds = time.time() - float(plan["started"])
    card = card_of(network, plan, table, title=file.title, seconds=seconds)
    progress("export", 0.0, "compiling")
    inputs = _inputs(calibration[:_CALIBRATION])
    files = export(network, file.name, folder, card, inputs)
    path = folder / f"{file.name}.md"
    write_card(card, files, path)
    picture = _picture_of(path)
    with atomic_path(picture) as temporary:
        write_image(temporary, draw_card(card))
    names = [written_file.name for written_file in files.files.values()]
    progress("export", 1.0, ", ".join(names))
    return Training(scores, files, path, picture)


def _inputs(pictures: torch.Tensor) -> list[NDArray[np.float32]]:
    """Return pictures as a deployed network takes them: one at a time, as a tracker asks."""
    arrays = to_unit(pictures).contiguous().numpy()
    return [array[None] for array in arrays]


def card_of(
    network: nn.Module,
    plan: Mapping[str, Any],
    scores: Mapping[str, Any],
    *,
    title: str,
    seconds: float,
) -> dict[str, Any]:
    """Return what there is to know about a trained network, as plain values.

    Args:
        network: that was trained.
        plan: of its run.
        scores: on the test split.
        title: of the card.
        seconds: since the run was begun, with all pauses.
    """
    return {
        "title": title,
        "licence": "Apache-2.0",
        "parameters": parameters_of(network),
        "plan": _published(plan),
        "hours_since_begun": round(seconds / 3600, 2),
        "test_scores": dict(scores),
        "labels": _LABELS,
        "data": [*_CREDITS, *plan.get("credits", ())],
    }


def _published(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan as others may read it: of a path of this machine, its end."""
    learn = dict(plan.get("learn", {}))
    start = learn.get("start")
    if isinstance(start, dict):
        learn["start"] = {_end_of(name): share for name, share in start.items()}
    elif start is not None:
        learn["start"] = _end_of(start)
    return {**plan, "learn": learn}


def _end_of(start: str) -> str:
    """Return the folder of a run and the file in it, or the name of a pack."""
    return "/".join(Path(start).parts[-2:])


def write_card(card: Mapping[str, Any], files: Export, path: Path) -> None:
    """Write a card as Markdown, with the sizes of the files; its picture lies beside it."""
    plan = card["plan"]
    lines = [
        f"# {card['title']}",
        "",
        f"{_PICTURE_LINE}{_picture_of(path).name})",
        "",
        f"Licence {card['licence']}. {card['parameters']:,} parameters. {card['labels']}.",
        f"Begun {card['hours_since_begun']} hours before this card; "
        f"{learned(plan)}, handheld {plan.get('version')}.",
        "",
        "| precision | file | size |",
        "|---|---|---|",
        *_file_rows(files),
        "",
        "| on the test split | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in card["test_scores"].items()),
        "",
        "Data:",
        *(f"- {credit}" for credit in card["data"]),
        "",
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines), "utf-8")


def _picture_of(card: Path) -> Path:
    """Return where the picture of a card lies: beside it."""
    return card.with_suffix(".png")


def _file_rows(files: Export) -> list[str]:
    """Return a row of Markdown for each file, and why there is none in other precisions."""
    rows = []
    for precision, file in files.files.items():
        megabytes = file.stat().st_size / 1e6
        rows.append(f"| {precision} | {file.name} | {megabytes:.2f} MB |")
    for precision, reason in files.refused.items():
        rows.append(f"- no {precision}: {reason}")
    return rows


PACKED: tuple[Precision, ...] = ("float32", "float16", "int8_weights")
"""Precisions that a pack may hold: those whose inputs and outputs are float32."""


PALM_SCORE = 0.2
"""Of a palm to be looked at. Of the validation split's hands, seen from three distances, 97 % have
as much, 86 % an even chance; what is none the landmark network refuses.
"""

HAND_SCORE = 0.3
"""Of a hand that is followed. On the clips both hands are seen in 401 frames, with an even chance
in 390. Of the validation split's hands, cut as tracking cuts them, 0.8 % are below either; of its
crops without a hand 2.3 % are above it and 1.1 % above an even chance, but what is none must be so
in every frame.
"""

NEW_HAND_SCORE = 0.9
"""Of a hand that is new. In the validation split's pictures without hands, seen from three
distances, 0.3 % have as much in them, 5.5 % an even chance; of its hands 96.5 and 96.8 %.
"""

_TABLE = "pack.toml"

PACK_FILES = ("palm.tflite", "landmark.tflite", "card.md", "card.png", _TABLE)
"""What :func:`assemble_pack` writes into the folder of a pack."""


def assemble_pack(palm: Path, landmark: Path, folder: Path, *, precision: str = "float32") -> None:
    """Make a pack for :func:`handheld.hands.load_pack` of two runs.

    Args:
        palm, landmark: folders of the runs, whose files have been written.
        folder: of the pack; made if it is not there.
        precision: of both networks.

    Raises:
        InputError: a run has no file of that precision, or is of the other network.
        ModelError: a run's file is damaged.
        FileError: the folder cannot be written; a pack that is there stays as it is.
    """
    if precision not in PACKED:
        raise InputError(f"precision: expected {', '.join(PACKED)}, got {precision!r}")
    ending = PRECISIONS[precision]
    palm_run = _NetworkRun(palm, task="palm", name="palm")
    landmark_run = _NetworkRun(landmark, task="landmarks", name="landmark")
    # Made in another place and opened: a pack that is there is not lost to one that cannot be used.
    with tempfile.TemporaryDirectory(prefix="handheld-") as elsewhere:
        draft = Path(elsewhere)
        palm_size = palm_run.copy_network(draft, ending)
        landmark_size = landmark_run.copy_network(draft, ending)
        table = _pack_table(palm_size, landmark_size)
        (draft / _TABLE).write_text(table, "utf-8")
        write_pack_card(draft, f"{palm_run.card()}\n{landmark_run.card()}")
        pack = load_pack(draft)
        palm_run.require_used(pack.open_palm, draft, ending)
        landmark_run.require_used(pack.open_landmark, draft, ending)
        _settle(draft, folder)


def _settle(draft: Path, folder: Path) -> None:
    """Put the files of a pack into their folder, all or none; killed in the middle, the folder is
    no pack, not one of two halves.
    """
    with ExitStack() as files:
        # Those that are entered last are left first: the table, without which there is no pack, is
        # there when all others are.
        for name in reversed(PACK_FILES):
            temporary = files.enter_context(atomic_path(folder / name))
            temporary.write_bytes((draft / name).read_bytes())
        (folder / _TABLE).unlink(missing_ok=True)


def write_pack_card(folder: Path, text: str) -> None:
    """Write the card of a pack, with one picture of what both files say of themselves.

    Args:
        folder: of the pack, which holds both files.
        text: the cards of both networks, in Markdown.
    """
    # In a pack there are no pictures of the networks' own.
    paragraphs = text.split("\n\n")
    kept = [paragraph for paragraph in paragraphs if not paragraph.startswith(_PICTURE_LINE)]
    with atomic_path(folder / "card.png") as temporary:
        write_image(temporary, draw_cards([folder / "palm.tflite", folder / "landmark.tflite"]))
    with atomic_path(folder / "card.md") as temporary:
        temporary.write_text("\n\n".join([f"{_PICTURE_LINE}card.png)", *kept]), "utf-8")


@dataclass(frozen=True)
class _NetworkRun:
    """A run of one of the two networks.

    Attributes:
        folder: of the run.
        task: that its plan must name.
        name: stem of its files.
    """

    folder: Path
    task: str
    name: str

    def copy_network(self, pack: Path, ending: str) -> int:
        """Copy the network's file into a pack, and return the side of its pictures."""
        plan = TrainingFolder(self.folder).read_plan()
        # Two folders given in the wrong order would make a pack that finds nothing.
        if plan.get("task") != self.task:
            raise InputError(
                f"{self.folder}: expected a run of {self.task}, it is one of {plan.get('task')}"
            )
        file = self._file(ending)
        if not file.is_file():
            raise InputError(
                f"{file}: not there: end the run, or give --export-only to its command"
            )
        # One that is damaged is named here; in the pack it would have another name.
        Model.open(file).close()
        (pack / f"{self.name}.tflite").write_bytes(file.read_bytes())
        return int(plan["network"]["size"])

    def require_used(self, open_model: Callable[[], Model], draft: Path, ending: str) -> None:
        """Refuse a network that a pack of it cannot use. Raises what opening it raises, which names
        the run's file.
        """
        try:
            open_model().close()
        except HandheldError as error:
            copy = str(draft / f"{self.name}.tflite")
            raise type(error)(str(error).replace(copy, str(self._file(ending)))) from error

    def _file(self, ending: str) -> Path:
        return self.folder / f"{self.name}{ending}.tflite"

    def card(self) -> str:
        """Return the card that was written beside the file."""
        card = self.folder / f"{self.name}.md"
        try:
            return card.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"{card}: cannot be read: {error}") from error


def _pack_table(palm_size: int, landmark_size: int) -> str:
    grids = PalmShape(size=palm_size).geometry.grids
    return f"""\
palm = "palm.tflite"
landmark = "landmark.tflite"
palm_score = {PALM_SCORE}
hand_score = {HAND_SCORE}
new_hand_score = {NEW_HAND_SCORE}

[palm_geometry]
size = {palm_size}
grids = {[list(grid) for grid in grids]}
keypoints = 7

[landmark_geometry]
size = {landmark_size}
depth_scale = 1.0      # depth is in pixels of the crop, as the other two
confidence = true
"""
