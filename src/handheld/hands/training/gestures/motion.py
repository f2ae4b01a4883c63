"""Training of the motion network, on plans of motion as a tracker might see them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.hands.motion.events import MOTIONS
from handheld.hands.motion.learned import CHANNELS, FEATURES, WINDOW, window_features
from handheld.hands.motion.moments import Moment, MomentMaker
from handheld.hands.perceptron import NONE, Perceptron
from handheld.hands.result import HandResult
from handheld.hands.training.gestures.fitting import (
    FitConfig,
    FitExamples,
    Progress,
    fit,
    threshold_for,
)
from handheld.hands.training.gestures.motions import (
    PLANS,
    MotionPlan,
    MotionScene,
    draw_motion_scene,
    frame_times,
)
from handheld.hands.training.render.people import RenderedPerson, draw_person
from handheld.hands.training.render.sources import open_sources
from handheld.media import Rect
from handheld.ranges import in_range, whole_in_range

NAMES = (*MOTIONS, NONE)

# Palm lengths: errors that stay through a film, and those of each frame.
_STEADY_ERROR = 0.02
_JITTER = (0.005, 0.03)
# Pixels, of which a tracker's landmarks are; no motion depends on them.
_FOCAL = 500.0
_MIDDLE = (320.0, 240.0)
# Seconds after a motion's end in which it may be told, and between which and the rest nothing is
# learned: there either answer is right.
_TOLD = 0.25
_DOUBT = 0.15
# Share of a wave after which it is one.
_WAVED = 0.7
# Windows of a film: every third frame, as neighbours are nearly the same.
_EVERY = 3

_IN_A_MIRROR = {
    "swipe left": "swipe right",
    "swipe right": "swipe left",
    "circle clockwise": "circle counterclockwise",
    "circle counterclockwise": "circle clockwise",
}


@dataclass(frozen=True)
class MotionConfig:
    """How the motion network is trained.

    Attributes:
        data: folder with meshes; by default ``hands`` in ``HANDHELD_DATA``.
        films: of each motion, and of each thing that is nearly one.
        people: persons whose hands these are.
        false_alarms: share of windows without a motion in which the network may be sure: it decides
            on the threshold.
        learn: how the network learns.
    """

    data: str = ""
    films: int = 100
    people: int = 32
    false_alarms: float = 0.005
    learn: FitConfig = field(default_factory=lambda: FitConfig(hidden=32, epochs=30))

    def __post_init__(self) -> None:
        # A fifth of them are made again, of other people, and none may be missing.
        whole_in_range("films", self.films, low=5)
        whole_in_range("people", self.people, low=1)
        in_range("false_alarms", self.false_alarms, low=0, high=1, low_open=True)

    @property
    def folder(self) -> Path | None:
        """The folder of the data, or ``None`` where ``HANDHELD_DATA`` says it."""
        return Path(self.data) if self.data else None


def train_motions(
    config: MotionConfig, *, progress: Progress = lambda stage, share, words: None
) -> Perceptron:
    """Train a network on made films; its threshold is set on those of other people.

    Raises:
        InputError: there are no meshes.
    """
    learned = motion_windows(config, 0, config.films, progress)
    network = fit(config.learn, NAMES, learned, progress)
    held_out = motion_windows(config, 1, config.films // 5, progress)
    threshold = threshold_for(network, held_out, config.false_alarms)
    return replace(network, threshold=threshold)


def motion_windows(
    config: MotionConfig, purpose: int, films: int, progress: Progress
) -> FitExamples:
    """Return the windows of made films, each with the motion that it ends with.

    ``purpose`` makes other people and other films of the same seed.
    """
    random = np.random.default_rng([config.learn.seed, purpose])
    sources = open_sources(config.folder)
    people: list[RenderedPerson] = []
    for number in range(config.people):
        generator = np.random.default_rng([config.learn.seed, purpose, number])
        people.append(draw_person(sources, str(number), generator))
    rows: list[NDArray[np.float32]] = []
    labels: list[int] = []
    for index in range(films):
        for draw in PLANS.values():
            plan = draw(random)
            scene = draw_motion_scene(people[int(random.integers(len(people)))], random)
            for features, name in _windows(plan, scene, random):
                rows += [features, mirrored(features)]
                labels += [NAMES.index(name), NAMES.index(_IN_A_MIRROR.get(name, name))]
        progress("move", index / films, f"{len(rows)} windows")
    weights = np.ones(len(rows), np.float32)
    features = np.array(rows, np.float32).reshape(-1, FEATURES)
    return FitExamples(features, np.array(labels, np.int64), weights)


def mirrored(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a window (180,) as a mirror shows it."""
    channels = features.reshape(CHANNELS, -1).copy()
    # Across: of the palm, and of both fingertips.
    channels[[0, 2, 4]] *= -1
    return channels.ravel()


def tracked_film(
    plan: MotionPlan, scene: MotionScene, random: np.random.Generator
) -> Iterator[tuple[int, HandResult]]:
    """Yield each frame's time, microseconds, and the hand in it, with a tracker's errors."""
    jitter = random.uniform(*_JITTER)
    steady = random.normal(0, _STEADY_ERROR, (21, 3))
    for seconds in frame_times(plan.seconds, random):
        hand = scene.hand_at(plan.at(seconds))
        size = hand.rig.size
        points = hand.keypoints + size * (steady + random.normal(0, jitter, (21, 3)))
        depth = hand.keypoints[0, 2]
        flat = _FOCAL * points[:, :2] / points[:, 2:] + _MIDDLE
        behind = _FOCAL * (points[:, 2:] - depth) / depth
        landmarks = np.concatenate([flat, behind], axis=1).astype(np.float32)
        world = (points - points.mean(axis=0)).astype(np.float32)
        region = Rect(0.0, 0.0, 1.0, 1.0)
        result = HandResult(0, region, 1.0, hand.handedness, 1.0, landmarks, world)
        yield round(seconds * 1e6), result


def _windows(
    plan: MotionPlan, scene: MotionScene, random: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], str]]:
    maker = MomentMaker()
    moments: list[Moment] = []
    for index, (t_us, hand) in enumerate(tracked_film(plan, scene, random)):
        assert hand.landmarks is not None
        moments.append(maker.make(hand, hand.landmarks, t_us, None))
        oldest = moments[-1].seconds - WINDOW
        moments = [moment for moment in moments if moment.seconds >= oldest]
        name = label_at(plan, t_us / 1e6)
        if name is not None and index % _EVERY == 0:
            yield window_features(moments), name


def label_at(plan: MotionPlan, seconds: float) -> str | None:
    """Return what a window that ends at a time shows, or ``None`` where either answer is right."""
    if plan.motion is None:
        return NONE
    begin = plan.end
    if plan.motion == "wave":
        begin = plan.begin + _WAVED * (plan.end - plan.begin)
    if begin <= seconds <= plan.end + _TOLD:
        return plan.motion
    if begin - _DOUBT < seconds < plan.end + _TOLD + 2 * _DOUBT:
        return None
    return NONE
