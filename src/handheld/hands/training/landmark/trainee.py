"""The landmark network in training: its configuration, its loss of a step, its evaluation."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.config import from_table
from handheld.errors import InputError
from handheld.hands.packs import ModelPack
from handheld.hands.training.batches import BatchStream
from handheld.hands.training.blocks import to_unit
from handheld.hands.training.config import ExampleConfig, LearnConfig
from handheld.hands.training.examples.crops import CropExample
from handheld.hands.training.examples.mixture import (
    CropBatch,
    CropMixture,
    fixed_examples,
    rendered_examples,
    stacked,
)
from handheld.hands.training.examples.photo_hands import LabelLimits
from handheld.hands.training.examples.photos import Split
from handheld.hands.training.landmark.loss import (
    CLOSE,
    LandmarkTargets,
    LossWeights,
    errors,
    landmark_loss,
    unsteadiness,
)
from handheld.hands.training.landmark.metrics import (
    LandmarkAnswers,
    LandmarkScores,
    landmark_scores,
)
from handheld.hands.training.landmark.network import LandmarkNetwork, LandmarkOutput, LandmarkShape
from handheld.ranges import in_range
from handheld.training import autocast, device_of

# Crops of an evaluation, few enough to be judged often while a network learns.
_JUDGED_HANDS = 700
_JUDGED_EMPTY = 300
_JUDGED_RENDERED = 200


@dataclass(frozen=True)
class LandmarkConfig:
    """A landmark training, as its TOML file has it.

    Attributes:
        arm: which hands it sees: "mixed", "real" or "rendered".
        rendered_share: of the crops that show a hand, where the arm is mixed.
        empty: share of crops without a hand.
        skin_tones: share of a photo's crops of a hand that get another skin tone; 0: none.
        meeting: share of a photo's crops of a hand in which it meets its own mirror image, as two
            hands of one person touch; 0: none.
        cut_off: share of crops of a hand in which the picture ends within it; 0: none.
        fists: share of fists among rendered hands, beside those that come by chance; 0: none.
        steady: weight of what shows as jitter on a resting hand: of how answers on two frames of it
            differ. Above 0 each hand of a batch is there twice, so half as many are.
        examples: where they come from.
        learn: how long and how fast.
        network: its size.
        loss: weights of its parts.
    """

    arm: str = "mixed"
    rendered_share: float = 0.5
    empty: float = 0.15
    skin_tones: float = 0.3
    meeting: float = 0.0
    cut_off: float = 0.0
    fists: float = 0.0
    steady: float = 0.0
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
    network: LandmarkShape = field(default_factory=LandmarkShape)
    loss: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        in_range("rendered_share", self.rendered_share, low=0, high=1)
        in_range("empty", self.empty, low=0, high=1, high_open=True)
        in_range("skin_tones", self.skin_tones, low=0, high=1)
        in_range("meeting", self.meeting, low=0, high=1)
        in_range("cut_off", self.cut_off, low=0, high=1)
        in_range("fists", self.fists, low=0, high=1)
        in_range("steady", self.steady, low=0)
        if self.steady and self.learn.batch % 2:
            raise InputError(f"steady: expected an even batch, got {self.learn.batch}")

    def with_arm(self, arm: str | None) -> "LandmarkConfig":
        """Return the configuration with another arm, if one is named."""
        return self if arm is None else replace(self, arm=arm)

    def plan(self) -> dict[str, Any]:
        """Return what must be the same in all stretches of a run."""
        return {
            "task": "landmarks",
            "arm": self.arm,
            "rendered_share": self.rendered_share,
            "empty": self.empty,
            "skin_tones": self.skin_tones,
            "meeting": self.meeting,
            "cut_off": self.cut_off,
            "fists": self.fists,
            "steady": self.steady,
            "disagreement": self.examples.disagreement,
            "pool": self.examples.pool,
            "learn": self.learn.plan(),
            "network": asdict(self.network),
            "loss": asdict(self.loss),
        }


def _mixture_of(config: LandmarkConfig) -> CropMixture:
    examples = config.examples
    return CropMixture(
        data=examples.folder,
        labels=Path(examples.labels),
        cache=Path(examples.cache),
        size=config.network.size,
        batch=config.learn.batch,
        arm=config.arm,
        rendered_share=config.rendered_share,
        empty=config.empty,
        skin_tones=config.skin_tones,
        meeting=config.meeting,
        cut_off=config.cut_off,
        fists=config.fists,
        mistakes=examples.mistakes_file,
        seed=config.learn.seed,
        pool=examples.pool,
        twice=config.steady > 0,
        limits=LabelLimits(disagreement=examples.disagreement),
    )


class LandmarkTrainee:
    """What :func:`handheld.hands.training.run.train` needs to know of landmarks."""

    def __init__(self, config: LandmarkConfig) -> None:
        self._config = config
        self.mixture = _mixture_of(config)
        # Here and not in the workers: what is missing is told before they start.
        self.mixture.open()
        workers = config.examples.workers
        self._stream: BatchStream[CropBatch] = BatchStream(self.mixture, workers)

    def make_network(self, shape: Mapping[str, Any] | None = None) -> nn.Module:
        """Return the network with its first weights, of this training or of another's shape."""
        if shape is None:
            return LandmarkNetwork(self._config.network)
        return LandmarkNetwork(from_table(LandmarkShape, dict(shape), "network"))

    def file_in(self, pack: ModelPack) -> Path:
        """Return the file of this network in a pack."""
        return pack.landmark

    def loss(self, network: nn.Module, step: int) -> torch.Tensor:
        """Return the loss of a step."""
        device = device_of(network)
        batch = self._stream(step)
        output = _answer(network, batch, device)
        targets = targets_of(batch, device)
        loss = landmark_loss(output, targets, self._config.loss)
        if self._config.steady:
            loss = loss + self._config.steady * unsteadiness(output, targets)
        return loss

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """Return the scores on the validation split, and the error on rendered hands of other
        people.
        """
        photos = judge(network, self._validation).to_json()
        # A run on photos alone needs no meshes, for its evaluation neither.
        if self._config.arm == "real":
            return photos
        rendered = judge(network, self._rendered)
        return {**photos, "rendered_mean": round(rendered.mean, 4)}

    def scores(self, network: nn.Module, split: Split) -> LandmarkScores:
        """Return the scores on all hands of a split."""
        photos = self.mixture.photos
        examples = fixed_examples(
            photos,
            split,
            self._config.network.size,
            limit=len(photos.hands[split]),
            empty=2 * _JUDGED_EMPTY,
        )
        return judge(network, examples)

    @cached_property
    def _validation(self) -> list[CropExample]:
        return fixed_examples(
            self.mixture.photos,
            "validation",
            self._config.network.size,
            limit=_JUDGED_HANDS,
            empty=_JUDGED_EMPTY,
        )

    @cached_property
    def _rendered(self) -> list[CropExample]:
        return rendered_examples(self.mixture, _JUDGED_RENDERED)


def targets_of(batch: CropBatch, device: torch.device) -> LandmarkTargets:
    """Return the truth of a batch as tensors."""

    def tensor(array: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    return LandmarkTargets(
        points=tensor(batch.points),
        world=tensor(batch.world),
        presence=tensor(batch.presence),
        handedness=tensor(batch.handedness),
        palm=tensor(batch.palm),
    )


def _answer(network: nn.Module, batch: CropBatch, device: torch.device) -> LandmarkOutput:
    assert isinstance(network, LandmarkNetwork)
    pixels = torch.from_numpy(batch.pixels).to(device)
    # Only the convolutions in bfloat16, see `LandmarkNetwork.read`.
    with autocast(device):
        fine, coarse = network.see(to_unit(pixels))
    return network.read(fine.float(), coarse.float())


@torch.no_grad()
def judge(network: nn.Module, examples: list[CropExample], *, batch: int = 64) -> LandmarkScores:
    """Return the scores of a network in evaluation mode on examples."""
    batches = []
    for start in range(0, len(examples), batch):
        crops = stacked(examples[start : start + batch])
        batches.append(_judged(network, crops))
    # All at once: a median of medians is none.
    return landmark_scores(_joined(batches), CLOSE)


def _judged(network: nn.Module, batch: CropBatch) -> LandmarkAnswers:
    """Return what a network says of a batch, and the truth."""
    device = device_of(network)
    output = _answer(network, batch, device)
    distances = errors(output, targets_of(batch, device))
    return LandmarkAnswers(
        errors=_to_numpy(distances),
        confidence=_to_numpy(output.confidence.sigmoid()),
        presence=_to_numpy(output.presence.sigmoid()),
        handedness=_to_numpy(output.handedness.sigmoid()),
        has_hand=batch.presence,
        is_right=batch.handedness,
        groups=batch.groups,
    )


def _to_numpy(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.float().cpu().numpy()
    return array


def _joined(batches: Sequence[LandmarkAnswers]) -> LandmarkAnswers:
    """Return the answers of several batches as those of one."""
    groups = itertools.chain.from_iterable(answers.groups for answers in batches)
    return LandmarkAnswers(
        errors=np.concatenate([answers.errors for answers in batches]),
        confidence=np.concatenate([answers.confidence for answers in batches]),
        presence=np.concatenate([answers.presence for answers in batches]),
        handedness=np.concatenate([answers.handedness for answers in batches]),
        has_hand=np.concatenate([answers.has_hand for answers in batches]),
        is_right=np.concatenate([answers.is_right for answers in batches]),
        groups=tuple(groups),
    )
