"""The palm detector in training: its configuration, its loss of a step, its evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.config import from_table
from handheld.errors import InputError
from handheld.hands.packs import ModelPack
from handheld.hands.palm import PalmGeometry, anchor_centres, decode_palms, merge_palms
from handheld.hands.result import Palm
from handheld.hands.training.batches import BatchStream
from handheld.hands.training.blocks import to_unit
from handheld.hands.training.config import ExampleConfig, LearnConfig
from handheld.hands.training.examples.canvas import PalmScene
from handheld.hands.training.examples.palms import PalmMixture, fixed_scenes
from handheld.hands.training.examples.photo_hands import LabelLimits
from handheld.hands.training.examples.photos import Split
from handheld.hands.training.palm.anchors import AnchorGrid, AnchorTargets
from handheld.hands.training.palm.loss import PalmLoss, PalmTargets
from handheld.hands.training.palm.metrics import Detections, PalmScores, coco_library, palm_scores
from handheld.hands.training.palm.network import DeployedPalms, PalmNetwork, PalmOutput, PalmShape
from handheld.media import Rect
from handheld.ranges import in_range
from handheld.training import autocast, device_of

BOXES = ("palm", "hand")

# Scenes of an evaluation, few enough to be judged often while a network learns.
_JUDGED = 400
_JUDGED_EMPTY = 100
_JUDGED_RENDERED = 150

# Photos of a split at most where all of it is judged: more than any split has.
_ALL = 10_000

# Of a detection that counts for average precision: below it nothing changes but the time.
_LEAST_SCORE = 0.05


# All of a picture, in the fractions that scores are counted in.
_WHOLE = Rect(0.5, 0.5, 1.0, 1.0, 0.0)


@dataclass(frozen=True)
class PalmConfig:
    """A palm training, as its TOML file has it.

    Attributes:
        box: what boxes are around: "palm" or "hand".
        rendered: share of rendered scenes among pictures with hands.
        surrounded: share of pictures with hands that are laid onto one without.
        scattered: share of pictures without hands over which small others are scattered.
        meeting: share of photos of one hand in which it meets its own mirror image; 0: none.
        cut_off: share of photos of one hand that end within it; 0: none.
        fists: share of fists among rendered hands, beside those that come by chance; 0: none.
        examples: where they come from.
        learn: how long and how fast.
        network: its size, and whether it has a decoder.
        loss: focal or cross-entropy, and the weights.
    """

    box: str = "palm"
    rendered: float = 0.4
    surrounded: float = 0.5
    scattered: float = 0.5
    meeting: float = 0.0
    cut_off: float = 0.0
    fists: float = 0.0
    examples: ExampleConfig = field(default_factory=lambda: ExampleConfig(pool=20_000))
    learn: LearnConfig = field(default_factory=lambda: LearnConfig(batch=32))
    network: PalmShape = field(default_factory=PalmShape)
    loss: PalmLoss = field(default_factory=PalmLoss)

    def __post_init__(self) -> None:
        if self.box not in BOXES:
            raise InputError(f"box: expected {' or '.join(BOXES)}, got {self.box!r}")
        in_range("rendered", self.rendered, low=0, high=1)
        in_range("surrounded", self.surrounded, low=0, high=1)
        in_range("scattered", self.scattered, low=0, high=1)
        in_range("meeting", self.meeting, low=0, high=1)
        in_range("cut_off", self.cut_off, low=0, high=1)
        in_range("fists", self.fists, low=0, high=1)

    def plan(self) -> dict[str, Any]:
        """Return what must be the same in all stretches of a run."""
        return {
            "task": "palm",
            "box": self.box,
            "rendered": self.rendered,
            "surrounded": self.surrounded,
            "scattered": self.scattered,
            "meeting": self.meeting,
            "cut_off": self.cut_off,
            "fists": self.fists,
            "disagreement": self.examples.disagreement,
            "pool": self.examples.pool,
            "learn": self.learn.plan(),
            "network": asdict(self.network),
            "loss": asdict(self.loss),
        }


class _TargetedScenes:
    """Makes the pictures of a step, and the targets of their anchors."""

    def __init__(self, mixture: PalmMixture, grid: AnchorGrid) -> None:
        self._mixture = mixture
        self._grid = grid

    def __call__(self, step: int) -> tuple[NDArray[np.uint8], AnchorTargets]:
        # Both in the worker: the process that learns has no time for targets.
        batch = self._mixture(step)
        targets = [self._grid.targets(scene) for scene in batch.scenes]
        stacks = AnchorTargets(
            labels=np.stack([entry.labels for entry in targets]),
            values=np.stack([entry.values for entry in targets]),
            sides=np.stack([entry.sides for entry in targets]),
        )
        return batch.pixels, stacks


def _mixture_of(config: PalmConfig) -> PalmMixture:
    examples = config.examples
    return PalmMixture(
        data=examples.folder,
        labels=Path(examples.labels),
        cache=Path(examples.cache),
        mistakes=examples.mistakes_file,
        size=config.network.size,
        batch=config.learn.batch,
        whole_hands=config.box == "hand",
        seed=config.learn.seed,
        limits=LabelLimits(disagreement=examples.disagreement),
        pool=examples.pool,
        rendered=config.rendered,
        surrounded=config.surrounded,
        scattered=config.scattered,
        meeting=config.meeting,
        cut_off=config.cut_off,
        fists=config.fists,
    )


class PalmTrainee:
    """What :func:`handheld.hands.training.run.train` needs to know of palms."""

    def __init__(self, config: PalmConfig) -> None:
        self._config = config
        self.mixture = _mixture_of(config)
        # Here, and not in the workers or after an hour: what is missing is told before anything
        # starts.
        coco_library()
        self.mixture.open()
        make = _TargetedScenes(self.mixture, AnchorGrid(config.network))
        self._stream = BatchStream(make, config.examples.workers)

    def make_network(self, shape: Mapping[str, Any] | None = None) -> nn.Module:
        """Return the network with its first weights, of this training or of another's shape."""
        if shape is None:
            return PalmNetwork(self._config.network)
        return PalmNetwork(from_table(PalmShape, dict(shape), "network"))

    def file_in(self, pack: ModelPack) -> Path:
        """Return the file of this network in a pack."""
        return pack.palm

    def loss(self, network: nn.Module, step: int) -> torch.Tensor:
        """Return the loss of a step."""
        device = device_of(network)
        pixels, targets = self._stream(step)
        pictures = to_unit(torch.from_numpy(pixels).to(device))
        with autocast(device):
            output: PalmOutput = network(pictures)
        # The loss in float32: in bfloat16 an error of a 256th of a stride is none.
        answers = PalmOutput(output.values.float(), output.logits.float())
        return self._config.loss(answers, _targets_of(targets, device))

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """Return the scores on the validation split and rendered scenes."""
        return judge(network, self._validation).to_json()

    def scores(self, network: nn.Module, split: Split) -> PalmScores:
        """Return the scores on all complete photos of a split, without rendered scenes."""
        # What a card says shall be of photos.
        scenes = fixed_scenes(self.mixture, split, limit=_ALL, empty=_JUDGED_EMPTY, rendered=0)
        return judge(network, scenes)

    @cached_property
    def _validation(self) -> list[PalmScene]:
        return fixed_scenes(
            self.mixture,
            "validation",
            limit=_JUDGED,
            empty=_JUDGED_EMPTY,
            rendered=_JUDGED_RENDERED,
        )


def _targets_of(targets: AnchorTargets, device: torch.device) -> PalmTargets:
    """Return what anchors shall say as tensors."""
    return PalmTargets(
        labels=torch.from_numpy(targets.labels).to(device),
        values=torch.from_numpy(targets.values).to(device),
        sides=torch.from_numpy(targets.sides).to(device),
    )


@torch.no_grad()
def judge(network: nn.Module, scenes: Sequence[PalmScene]) -> PalmScores:
    """Return the scores of a network in evaluation mode: what the tracker would find, after
    suppression.
    """
    palm_network = cast(PalmNetwork, network)
    device = device_of(network)
    # As it is deployed, so that what is judged is what ships.
    deployed = DeployedPalms(palm_network).to(device)
    geometry = palm_network.shape.geometry
    centres = anchor_centres(geometry)
    pictures = []
    for scene in scenes:
        pixels = torch.from_numpy(scene.pixels[None]).to(device)
        output = deployed(to_unit(pixels))
        palms = _decoded(output, geometry, centres)
        pictures.append(_detections(merge_palms(palms), scene))
    return palm_scores(pictures)


def _decoded(
    output: Mapping[str, torch.Tensor],
    geometry: PalmGeometry,
    centres: NDArray[np.float32],
) -> list[Palm]:
    """Return the palms of one picture, as the tracker decodes them."""
    boxes = output["boxes"][0]
    scores = output["scores"][0, :, 0]
    return decode_palms(
        boxes.float().cpu().numpy(),
        scores.float().cpu().numpy(),
        centres,
        _WHOLE,
        geometry,
        threshold=_LEAST_SCORE,
    )


def _detections(palms: Sequence[Palm], scene: PalmScene) -> Detections:
    """Return what was found in a scene, and what is there."""
    boxes = []
    for palm in palms:
        rect = palm.rect
        boxes.append((rect.x, rect.y, rect.width, rect.height))
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array([palm.score for palm in palms], np.float32),
        truth=scene.boxes,
        ignored=scene.ignored,
    )
