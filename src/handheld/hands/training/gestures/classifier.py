"""Training of the gesture classifier: rendered hands of all gestures and of none, and photos of
digits.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.classifier import FEATURES, NONE, GestureClassifier, features_of
from handheld.hands.result import HandResult
from handheld.hands.shapes import hand_shape
from handheld.hands.tracker import HandTracker
from handheld.hands.training.examples.photos import SHIPPED, Split, load_pixels, read_photos
from handheld.hands.training.gestures.digits import DIGITS, padded
from handheld.hands.training.gestures.postures import SHAPES, SHOWN
from handheld.hands.training.gestures.rendered import ShownGesture, draw_gesture
from handheld.hands.training.render.people import RenderedPerson, draw_person
from handheld.hands.training.render.placing import PlacedHand
from handheld.hands.training.render.sources import open_sources
from handheld.media import Rect
from handheld.ranges import MOST_SEED, in_range, whole_in_range

NAMES = (*SHAPES, "thumb up", "thumb down", NONE)
"""Classes, in the order of the network's outputs."""

# Errors of a tracker, in palm lengths: of a whole finger, and of each keypoint beside it; its depth
# is a guess, three times as rough.
_FINGER_ERROR = 0.04
_POINT_ERROR = 0.04
_DEPTH_ERROR = 3.0
# Models flatten hands or stretch them in depth.
_DEPTH_SCALE = (0.6, 1.2)
# Share of hands whose side a tracker takes for the other one.
_WRONG_SIDE = 0.05
# Rendered hands that show none for each that shows a gesture: what hands mostly do.
_NONE_SHARE = 0.4
# Parts of the random numbers, so that no two things share them.
_PEOPLE = 0
_HANDS = 1
_NOISE = 2
# Of the rate at the end of a training.
_FINAL_RATE = 0.02
_DECAY = 1e-3
# What a photo counts for beside a rendered hand, of which there are many times as many.
_PHOTO_WEIGHT = 4.0

Progress = Callable[[str, float, str], None]


@dataclass(frozen=True)
class GestureConfig:
    """How the gesture classifier is trained.

    Attributes:
        data: folder with photos and meshes; by default ``hands`` in ``HANDHELD_DATA``.
        packs: whose keypoints of the photos are learned from; a name or a folder each.
        rendered: hands to render.
        people: persons whose hands these are.
        hidden: units of the hidden layer.
        epochs: times that each hand is seen.
        batch: hands in a step.
        rate: learning rate of AdamW, which falls along a cosine.
        false_alarms: share of the validation's hands that show none which may get a name: it
            decides on the threshold.
        seed: of everything random.
    """

    data: str = ""
    packs: tuple[str, ...] = ("handheld", "mediapipe-full")
    rendered: int = 40_000
    people: int = 64
    hidden: int = 48
    epochs: int = 60
    batch: int = 256
    rate: float = 4e-3
    false_alarms: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rendered", "people", "hidden", "epochs", "batch"):
            whole_in_range(name, getattr(self, name), low=1)
        in_range("rate", self.rate, low=0, low_open=True)
        in_range("false_alarms", self.false_alarms, low=0, high=1, low_open=True)
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)
        if not self.packs:
            raise InputError("packs: expected at least one pack")

    @property
    def folder(self) -> Path | None:
        """The folder of the data, or ``None`` where ``HANDHELD_DATA`` says it."""
        return Path(self.data) if self.data else None


@dataclass(frozen=True, eq=False)
class GestureExamples:
    """Hands and what they show.

    Attributes:
        features: (n, 65).
        labels: (n,) indices into ``NAMES``.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Iterator[tuple[HandResult, str]]) -> "GestureExamples":
        """Describe hands, each with its class; one without landmarks is left out."""
        rows: list[NDArray[np.float32]] = []
        labels: list[int] = []
        for hand, name in pairs:
            shape = hand_shape(hand)
            if shape is not None:
                rows.append(features_of(shape))
                labels.append(NAMES.index(name))
        features = np.array(rows, np.float32).reshape(-1, FEATURES)
        return cls(features, np.array(labels, np.int64))

    def __add__(self, other: "GestureExamples") -> "GestureExamples":
        return GestureExamples(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.labels, other.labels]),
        )


@dataclass(frozen=True)
class GestureScores:
    """How well a classifier does.

    Attributes:
        hands: that show a gesture.
        accuracy: share of them that are named right.
        refused: share of them that get no name.
        false_alarms: share of the hands that show none that get a name.
    """

    hands: int
    accuracy: float
    refused: float
    false_alarms: float


def train_gestures(
    config: GestureConfig, *, progress: Progress = lambda stage, share, words: None
) -> tuple[GestureClassifier, GestureScores]:
    """Train a classifier, and say how well it does on the validation's people.

    Args:
        config: see :class:`GestureConfig`.
        progress: is told stage, share and words.

    Raises:
        InputError: there are no photos or no meshes.
        FetchError: a pack has not been fetched.
    """
    learned = rendered_examples(config, _HANDS, config.rendered, progress=progress)
    # A sixth as many, of other people.
    held_out = rendered_examples(config, _NOISE, config.rendered // 6, progress=progress)
    photos = {"train": GestureExamples.of(iter(())), "validation": GestureExamples.of(iter(()))}
    for pack in config.packs:
        for split in ("train", "validation"):
            photos[split] += photo_examples(config, pack, split, progress=progress)
    classifier = _fitted(config, learned, photos["train"], progress)
    judged = held_out + photos["validation"]
    classifier = replace(classifier, threshold=_threshold(classifier, judged, config.false_alarms))
    return classifier, score(classifier, judged)


def score(classifier: GestureClassifier, examples: GestureExamples) -> GestureScores:
    """Return how well a classifier does on examples."""
    counts: Counter[str] = Counter()
    for label, named in zip(examples.labels, classifier.named(examples.features), strict=True):
        shown = NAMES[int(label)]
        if shown == NONE:
            counts["none"] += 1
            counts["alarms"] += named is not None
        else:
            counts["shown"] += 1
            counts["right"] += named == shown
            counts["refused"] += named is None
    shown_count = max(counts["shown"], 1)
    return GestureScores(
        hands=counts["shown"],
        accuracy=counts["right"] / shown_count,
        refused=counts["refused"] / shown_count,
        false_alarms=counts["alarms"] / max(counts["none"], 1),
    )


def rendered_examples(
    config: GestureConfig,
    purpose: int,
    count: int,
    *,
    progress: Progress = lambda stage, share, words: None,
) -> GestureExamples:
    """Return ``count`` rendered hands as a tracker might see them: no picture is drawn.

    ``purpose`` makes other people and other hands of the same seed.
    """
    random = np.random.default_rng([config.seed, purpose])
    sources = open_sources(config.folder)
    people: list[RenderedPerson] = []
    for number in range(config.people):
        generator = np.random.default_rng([config.seed, purpose, _PEOPLE, number])
        people.append(draw_person(sources, str(number), generator))

    def drawn() -> Iterator[tuple[HandResult, str]]:
        names = list(SHOWN)
        for index in range(count):
            shows_none = random.random() < _NONE_SHARE
            name = None if shows_none else names[int(random.integers(len(names)))]
            person = people[int(random.integers(len(people)))]
            shown = draw_gesture(person, name, random)
            yield _as_tracked(shown, random), shown.gesture or NONE
            if index % 100 == 0:
                progress("render", index / count, f"{index} hands")

    return GestureExamples.of(drawn())


def photo_examples(
    config: GestureConfig,
    pack: str,
    split: Split | str,
    *,
    progress: Progress = lambda stage, share, words: None,
) -> GestureExamples:
    """Return the hands that a pack finds in the photos of digits of one split's people."""
    folder = config.folder or _data_folder()
    only = tuple(photo_set for photo_set in SHIPPED if photo_set.name == "digits")
    photos = [photo for photo in read_photos(folder / "photos", only) if photo.split == split]

    def looked_at(tracker: HandTracker) -> Iterator[tuple[HandResult, str]]:
        for index, photo in enumerate(photos):
            # The folder of a photo is the digit that it shows.
            digit = int(photo.path.parent.name)
            for hand in tracker.detect(padded(load_pixels(photo))):
                yield hand, DIGITS[digit]
            progress(f"look, {pack}", index / len(photos), f"{index} photos")

    with HandTracker(max_hands=1, pack=pack) as tracker:
        return GestureExamples.of(looked_at(tracker))


def _data_folder() -> Path:
    if "HANDHELD_DATA" not in os.environ:
        raise InputError("data: expected a folder of photos and meshes, or HANDHELD_DATA to be set")
    return Path(os.environ["HANDHELD_DATA"]) / "hands"


def _as_tracked(shown: ShownGesture, random: np.random.Generator) -> HandResult:
    """Return a rendered hand with the errors that a tracker makes."""
    hand = shown.hand
    side = hand.handedness
    if random.random() < _WRONG_SIDE:
        side = "Left" if side == "Right" else "Right"
    world = hand.keypoints - hand.keypoints.mean(axis=0)
    world = world + hand.rig.size * _draw_errors(random)
    world[:, 2] *= random.uniform(*_DEPTH_SCALE)
    return HandResult(
        id=0,
        roi=Rect(0.0, 0.0, 1.0, 1.0),
        score=1.0,
        handedness=side,
        landmarks=_flat(hand),
        world=world.astype(np.float32),
    )


def _draw_errors(random: np.random.Generator) -> NDArray[np.float64]:
    """Choose errors (21, 3) in palm lengths."""
    # Keypoints of one finger err together: a model takes it for bent, or for its neighbour.
    of_finger = random.normal(0, _FINGER_ERROR, (5, 3))
    errors = random.normal(0, _POINT_ERROR, (21, 3))
    errors[1:] += np.repeat(of_finger, 4, axis=0)
    errors[:, 2] *= _DEPTH_ERROR
    return errors


def _flat(hand: PlacedHand) -> NDArray[np.float32]:
    """Return the keypoints (21, 3) as a camera a metre's focal length sees them."""
    depth = hand.keypoints[:, 2:]
    flat = hand.keypoints[:, :2] / depth
    behind = (depth - depth[0]) / depth[0]
    return np.concatenate([flat, behind], axis=1).astype(np.float32)


def _fitted(
    config: GestureConfig,
    rendered: GestureExamples,
    photos: GestureExamples,
    progress: Progress,
) -> GestureClassifier:
    """Return the network that fits the examples best, with a threshold of 0."""
    examples = rendered + photos
    weights = np.ones(len(examples.labels), np.float32)
    weights[len(rendered.labels) :] = _PHOTO_WEIGHT
    generator = torch.Generator().manual_seed(config.seed)
    layers = _layers(config, generator)
    steps = config.epochs * (len(weights) // config.batch + 1)
    optimiser = torch.optim.AdamW(layers, lr=config.rate, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, steps, config.rate * _FINAL_RATE
    )
    features = torch.from_numpy(examples.features)
    labels = torch.from_numpy(examples.labels)
    counts = torch.from_numpy(weights)
    for step in range(steps):
        picked = torch.randint(len(labels), (config.batch,), generator=generator)
        logits = _logits(layers, features[picked])
        losses = torch.nn.functional.cross_entropy(logits, labels[picked], reduction="none")
        loss = (losses * counts[picked]).sum() / counts[picked].sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            progress("learn", step / steps, f"loss {float(loss):.3f}")
    return _classifier(layers)


def _layers(config: GestureConfig, generator: torch.Generator) -> list[torch.Tensor]:
    """Return weights and biases of both layers as they begin (He et al., 2015)."""
    layers: list[torch.Tensor] = []
    for inputs, outputs in ((FEATURES, config.hidden), (config.hidden, len(NAMES))):
        weight = torch.randn(inputs, outputs, generator=generator) * (2 / inputs) ** 0.5
        layers += [weight.requires_grad_(), torch.zeros(outputs, requires_grad=True)]
    return layers


def _logits(layers: Sequence[torch.Tensor], features: torch.Tensor) -> torch.Tensor:
    first, first_bias, second, second_bias = layers
    hidden = torch.relu(features @ first + first_bias)
    return hidden @ second + second_bias


def _classifier(layers: Sequence[torch.Tensor]) -> GestureClassifier:
    # As they will be read from a file, so that what is measured is what ships.
    first, first_bias, second, second_bias = (
        layer.detach().numpy().astype(np.float16).astype(np.float32) for layer in layers
    )
    return GestureClassifier(
        names=NAMES,
        weights=(first, second),
        biases=(first_bias, second_bias),
        threshold=0.0,
    )


def _threshold(
    classifier: GestureClassifier, examples: GestureExamples, false_alarms: float
) -> float:
    """Return the probability above which only that share of hands without a gesture get a name."""
    nameless = examples.features[examples.labels == NAMES.index(NONE)]
    gestures = np.array([name != NONE for name in NAMES])
    likely = classifier.probabilities(nameless)[:, gestures].max(axis=1)
    return float(np.quantile(likely, 1 - false_alarms))
