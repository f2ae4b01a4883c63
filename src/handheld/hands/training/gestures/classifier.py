"""Training of the gesture classifier: rendered hands of all gestures and of none, and photos of
digits.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.classifier import FEATURES, GestureClassifier, features_of
from handheld.hands.perceptron import NONE
from handheld.hands.result import HandResult
from handheld.hands.shapes import hand_shape
from handheld.hands.tracker import HandTracker
from handheld.hands.training.examples.photos import SHIPPED, Split, load_pixels, read_photos
from handheld.hands.training.gestures.digits import DIGITS, padded
from handheld.hands.training.gestures.fitting import (
    FitConfig,
    FitExamples,
    Progress,
    fit,
    threshold_for,
)
from handheld.hands.training.gestures.postures import SHAPES, SHOWN
from handheld.hands.training.gestures.rendered import ShownGesture, draw_gesture, photograph
from handheld.hands.training.render.people import RenderedPerson, draw_person
from handheld.hands.training.render.placing import PlacedHand
from handheld.hands.training.render.sources import RenderSources, open_sources
from handheld.media import Rect
from handheld.ranges import in_range, whole_in_range

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
_LEARNED = 1
_HELD_OUT = 2
_PICTURES = 3
# What a photo counts for beside a rendered hand, of which there are many times as many.
_PHOTO_WEIGHT = 4.0


@dataclass(frozen=True)
class GestureConfig:
    """How the gesture classifier is trained.

    Attributes:
        data: folder with photos and meshes; by default ``hands`` in ``HANDHELD_DATA``.
        packs: whose keypoints of the photos are learned from; a name or a folder each.
        rendered: hands whose keypoints are made, with errors at random.
        pictures: hands that are rendered for the packs to find, with the errors that these make.
        people: persons whose hands these are.
        false_alarms: share of the validation's hands that show none which may get a name: it
            decides on the threshold.
        learn: how the network learns.
    """

    data: str = ""
    packs: tuple[str, ...] = ("handheld", "mediapipe-full")
    rendered: int = 20_000
    pictures: int = 4_000
    people: int = 64
    false_alarms: float = 0.05
    learn: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        # A sixth of them are rendered again, of other people, and none may be missing.
        whole_in_range("rendered", self.rendered, low=60)
        whole_in_range("pictures", self.pictures, low=0)
        whole_in_range("people", self.people, low=1)
        in_range("false_alarms", self.false_alarms, low=0, high=1, low_open=True)
        if not self.packs:
            raise InputError("packs: expected at least one pack")

    @property
    def folder(self) -> Path | None:
        """The folder of the data, or ``None`` where ``HANDHELD_DATA`` says it."""
        return Path(self.data) if self.data else None


def described(pairs: Iterator[tuple[HandResult, str]], *, weight: float = 1.0) -> FitExamples:
    """Return hands, each with its class, as examples; one without landmarks is left out."""
    rows: list[NDArray[np.float32]] = []
    labels: list[int] = []
    for hand, name in pairs:
        shape = hand_shape(hand)
        if shape is not None:
            rows.append(features_of(shape))
            labels.append(NAMES.index(name))
    features = np.array(rows, np.float32).reshape(-1, FEATURES)
    weights = np.full(len(rows), weight, np.float32)
    return FitExamples(features, np.array(labels, np.int64), weights)


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
    learned = rendered_examples(config, _LEARNED, config.rendered, progress=progress)
    learned += pictured_examples(config, _LEARNED, config.pictures, progress=progress)
    # A sixth as many, of other people.
    held_out = rendered_examples(config, _HELD_OUT, config.rendered // 6, progress=progress)
    held_out += pictured_examples(config, _HELD_OUT, config.pictures // 6, progress=progress)
    for pack in config.packs:
        learned += photo_examples(config, pack, "train", progress=progress)
        held_out += photo_examples(config, pack, "validation", progress=progress)
    network = fit(config.learn, NAMES, learned, progress)
    threshold = threshold_for(network, held_out, config.false_alarms)
    classifier = GestureClassifier(replace(network, threshold=threshold))
    return classifier, score(classifier, held_out)


def score(classifier: GestureClassifier, examples: FitExamples) -> GestureScores:
    """Return how well a classifier does on examples."""
    counts: Counter[str] = Counter()
    for label, named in zip(
        examples.labels, classifier.network.named(examples.features), strict=True
    ):
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
) -> FitExamples:
    """Return ``count`` rendered hands as a tracker might see them: no picture is drawn.

    ``purpose`` makes other people and other hands of the same seed.
    """
    random = np.random.default_rng([config.learn.seed, purpose])

    def tracked() -> Iterator[tuple[HandResult, str]]:
        drawn = _drawn(config, open_sources(config.folder), purpose, random)
        for index, shown in enumerate(islice(drawn, count)):
            yield _as_tracked(shown, random), shown.gesture or NONE
            if index % 100 == 0:
                progress("bend", index / count, f"{index} hands")

    return described(tracked())


def pictured_examples(
    config: GestureConfig,
    purpose: int,
    count: int,
    *,
    progress: Progress = lambda stage, share, words: None,
) -> FitExamples:
    """Return the hands that the packs find in ``count`` rendered pictures.

    ``purpose`` makes other people and other hands of the same seed.
    """
    random = np.random.default_rng([config.learn.seed, purpose, _PICTURES])
    sources = open_sources(config.folder)

    def seen(trackers: Sequence[HandTracker]) -> Iterator[tuple[HandResult, str]]:
        drawn = _drawn(config, sources, purpose, random)
        for index, shown in enumerate(islice(drawn, count)):
            picture = photograph([shown.hand], sources, random)
            for tracker in trackers:
                for hand in tracker.detect(picture.pixels):
                    yield hand, shown.gesture or NONE
            progress("render", index / count, f"{index} pictures")

    with ExitStack() as stack:
        trackers = [
            stack.enter_context(HandTracker(max_hands=1, pack=pack)) for pack in config.packs
        ]
        return described(seen(trackers))


def _drawn(
    config: GestureConfig, sources: RenderSources, purpose: int, random: np.random.Generator
) -> Iterator[ShownGesture]:
    """Yield hands without end, some of which show a gesture."""
    people: list[RenderedPerson] = []
    for number in range(config.people):
        generator = np.random.default_rng([config.learn.seed, purpose, _PEOPLE, number])
        people.append(draw_person(sources, str(number), generator))
    names = list(SHOWN)
    while True:
        shows_none = random.random() < _NONE_SHARE
        name = None if shows_none else names[int(random.integers(len(names)))]
        person = people[int(random.integers(len(people)))]
        yield draw_gesture(person, name, random)


def photo_examples(
    config: GestureConfig,
    pack: str,
    split: Split,
    *,
    progress: Progress = lambda stage, share, words: None,
) -> FitExamples:
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
        return described(looked_at(tracker), weight=_PHOTO_WEIGHT)


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
