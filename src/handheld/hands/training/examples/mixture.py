"""What the landmark network is shown: crops of photos, of rendered hands, and of what is no hand.

Step k of a seed is the same in every run, whoever makes it: batches are made in worker processes,
and a run that was stopped goes on with the batch that it would have seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.training.examples.augment import RENDERED_CHANGES, augment
from handheld.hands.training.examples.crops import (
    RESTING,
    CropExample,
    Jitter,
    empty_crop,
    hand_crop,
    in_frame,
    labelled_crop,
    mirrored,
    presence_in,
    random_region,
    tracking_region,
    with_changes,
    with_other_skin,
)
from handheld.hands.training.examples.ending import Pixels, draw_end, ended
from handheld.hands.training.examples.meeting import with_mirror_image
from handheld.hands.training.examples.photo_hands import (
    LabelLimits,
    Mistake,
    PhotoHand,
    PhotoHands,
    read_photo_hands,
)
from handheld.hands.training.examples.photos import Split
from handheld.hands.training.examples.pool import RenderPool, from_middles
from handheld.hands.training.examples.sets import SetSampler
from handheld.hands.training.labels import LabelledHand
from handheld.hands.training.render.sources import RenderSources, open_sources
from handheld.hands.training.render.studio import CropOptions, Studio
from handheld.media import Rect
from handheld.training.runs import values_digest

ARMS = ("mixed", "real", "rendered")
"""Which hands a network may learn from."""

# Purposes of the random numbers: in a seed's list, so that no batch shares them with a judged crop.
_TRAINING = 0
_JUDGING = 1


# Pixels by which a rendered picture is larger than the crops that are cut from it.
_MARGIN = 16

RENDERED_JITTER = Jitter(shift=0.02, scale=0.06, turn=0.10)
"""Beside that of the renderer, so that a crop looks different each time."""

# Share of the crops without a hand that show what a pack took for one, if that is known.
_MISTAKEN = 0.5

MISTAKE_JITTER = Jitter(shift=0.08, scale=0.15, turn=0.3)
"""Wider than a hand's: what is no hand at all stays none however it is cut."""

# Share of the crops without a hand that are cut beside a hand: half hands, arms, the wrist.
_MOVED_OFF = 0.3

# How far beside it, least and most, as shares of the region's side. At the least some keypoints may
# be left inside: `labelled_crop` then says whether they are few enough.
_AWAY = (0.6, 1.0)


@dataclass(frozen=True, eq=False)
class CropBatch:
    """n crops and their truth, see :class:`CropExample`; NaN where nobody knows.

    Attributes:
        pixels: (n, size, size, 3) uint8.
        points: (n, 21, 3).
        world: (n, 21, 3).
        presence, handedness, palm: (n,).
        groups: of each.
    """

    pixels: NDArray[np.uint8]
    points: NDArray[np.float32]
    world: NDArray[np.float32]
    presence: NDArray[np.float32]
    handedness: NDArray[np.float32]
    palm: NDArray[np.float32]
    groups: tuple[str, ...]


def stacked(examples: Sequence[CropExample]) -> CropBatch:
    """Return examples as a batch."""
    return CropBatch(
        pixels=np.stack([example.pixels for example in examples]),
        points=np.stack([example.points for example in examples]),
        world=np.stack([example.world for example in examples]),
        presence=np.array([example.presence for example in examples], np.float32),
        handedness=np.array([example.handedness for example in examples], np.float32),
        palm=np.array([example.palm for example in examples], np.float32),
        groups=tuple(example.group for example in examples),
    )


@dataclass(frozen=True)
class CropMixture:
    """Batches of crops, by their step.

    Attributes:
        data: the folder with photos, negatives, backgrounds and meshes.
        labels: the pseudo-labels.
        cache: where decoded pictures are kept.
        size: side of a crop, pixels.
        batch: crops in a batch.
        arm: "mixed", "real" or "rendered" hands.
        rendered_share: of the crops that show a hand, where the arm is mixed.
        empty: share of crops without a hand.
        skin_tones: share of a photo's crops of a hand that get another skin tone.
        meeting: share of a photo's crops of a hand in which it meets its own mirror image.
        cut_off: share of crops of a hand in which the picture ends within it.
        fists: share of fists among rendered hands, beside those that come by chance.
        mistakes: what a pack took for hands, JSON lines of ``find_mistakes``; of these is
            half of the crops without.
        seed: of everything random.
        limits: on the teacher's answers.
        pool: different rendered crops; each takes 60 kB of disk.
        twice: whether each hand is there twice, in rows 2n and 2n + 1, as in two frames of a film
            in which it rests; of an even batch.
    """

    data: Path
    labels: Path
    cache: Path
    size: int = 128
    batch: int = 64
    arm: str = "mixed"
    rendered_share: float = 0.5
    empty: float = 0.15
    skin_tones: float = 0.3
    meeting: float = 0.0
    cut_off: float = 0.0
    fists: float = 0.0
    mistakes: Path | None = None
    seed: int = 0
    limits: LabelLimits = field(default_factory=LabelLimits)
    pool: int = 40_000
    twice: bool = False

    def __post_init__(self) -> None:
        if self.arm not in ARMS:
            raise InputError(f"no arm {self.arm!r}: expected {', '.join(ARMS)}")

    def __getstate__(self) -> dict[str, Any]:
        # What is open stays here: a worker opens it anew.
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def open(self) -> None:
        """Open everything that batches are made from, so that what is missing is told at once.

        Raises:
            InputError, ModelError: it is missing or damaged; by name.
        """
        # Cached properties: to ask for them is to open them.
        _ = self.photos
        if self._rendered_share:
            _ = self.rendered

    @property
    def _rendered_share(self) -> float:
        return {"mixed": self.rendered_share, "real": 0.0, "rendered": 1.0}[self.arm]

    @cached_property
    def photos(self) -> PhotoHands:
        """The photos, opened in the process that asks."""
        return read_photo_hands(self.data, self.labels, self.cache, self.limits, self.mistakes)

    @cached_property
    def rendered(self) -> RenderPool:
        """The rendered crops, a little larger than those that are cut from them."""
        side = self.size + _MARGIN
        sources = open_sources(self.data)
        studio = Studio(sources, self.seed)
        options = CropOptions(size=side, fists=self.fists)
        name = pool_name(f"rendered-{side}", self.seed, self.fists, sources)
        return RenderPool(
            # All that a picture depends on is in the name: other settings are another pool.
            path=self.cache / name,
            height=side,
            width=side,
            hands=1,
            count=self.pool,
            render=lambda index: studio.crop(index, options),
        )

    @cached_property
    def _hands(self) -> SetSampler[PhotoHand]:
        """The hands of the training's photos."""
        return SetSampler(self.photos.hands["train"])

    @cached_property
    def _mistakes(self) -> SetSampler[Mistake]:
        """What was taken for hands in the training's pictures."""
        return SetSampler(self.photos.mistakes["train"])

    def __call__(self, step: int) -> CropBatch:
        """Return the batch of a step."""
        rng = np.random.default_rng([self.seed, _TRAINING, step])
        first = step * self.batch
        if self.twice:
            return stacked(list(self._pairs(first // 2, rng)))
        return stacked([self._example(first + row, rng) for row in range(self.batch)])

    def _pairs(self, first: int, rng: np.random.Generator) -> Iterator[CropExample]:
        for index in range(first, first + self.batch // 2):
            seed = int(rng.integers(2**63))
            for frame in range(2):
                frame_rng = np.random.default_rng([seed, frame])
                yield self._example(index, np.random.default_rng(seed), frame_rng)

    def _example(
        self, index: int, rng: np.random.Generator, frame_rng: np.random.Generator | None = None
    ) -> CropExample:
        """Return what ``rng`` chooses; of a film, as it is in the frame of another generator."""
        if rng.random() < self.empty:
            return self._empty_example(rng, frame_rng)
        if rng.random() < self._rendered_share:
            # By its index, so that a picture comes again only when the pool has been gone through.
            return self._rendered_example(index, rng, frame_rng)
        return self._photo_example(rng, frame_rng)

    def _photo_example(
        self, rng: np.random.Generator, frame_rng: np.random.Generator | None
    ) -> CropExample:
        entry = self._hands.draw(rng)
        pixels, hand = self.photos.store[entry.picture], entry.hand
        # Here and below: no draw without any, so that such runs go on as before there were.
        if self.meeting and rng.random() < self.meeting:
            pixels, (hand, _) = with_mirror_image(pixels, hand, rng)
        pixels = self._cut_off(pixels, hand, rng)
        example = hand_crop(pixels, hand, self.size, rng, frame_rng=frame_rng)
        # Before what the camera does.
        if self.skin_tones and rng.random() < self.skin_tones:
            example = with_other_skin(example, rng)
        changed = in_frame(with_changes(example, rng), frame_rng)
        return replace(changed, group=entry.group)

    def _rendered_example(
        self, index: int, rng: np.random.Generator, frame_rng: np.random.Generator | None
    ) -> CropExample:
        picture = self.rendered(index)
        region = RENDERED_JITTER.applied(whole_square(picture.pixels), rng)
        if frame_rng is not None:
            region = RESTING.applied(region, frame_rng)
        hand = from_middles(picture.hands[0])
        pixels = self._cut_off(picture.pixels, hand, rng)
        example = labelled_crop(pixels, hand, region, self.size, rng)
        changed = augment(example.pixels, rng, changes=RENDERED_CHANGES)
        example = in_frame(replace(example, pixels=changed, group="rendered"), frame_rng)
        if rng.random() < 0.5:
            return mirrored(example)
        return example

    def _cut_off(self, pixels: Pixels, hand: LabelledHand, rng: np.random.Generator) -> Pixels:
        if self.cut_off and rng.random() < self.cut_off:
            return ended(pixels, draw_end(pixels, hand.keypoints, rng))
        return pixels

    def _empty_example(
        self, rng: np.random.Generator, frame_rng: np.random.Generator | None
    ) -> CropExample:
        # No draw where there are no mistakes: batches without any stay as they were before these.
        if self._mistakes and rng.random() < _MISTAKEN:
            example = self._mistaken_example(rng)
        else:
            example = example_without_hand(self.photos, "train", self.size, rng)
        return with_changes(example, frame_rng or rng)

    @cached_property
    def _hands_in(self) -> dict[int, list[LabelledHand]]:
        """The hands of the training's photos, by their positions in the store."""
        hands: dict[int, list[LabelledHand]] = {}
        for entry in self.photos.hands["train"]:
            hands.setdefault(entry.picture, []).append(entry.hand)
        return hands

    def _mistaken_example(self, rng: np.random.Generator) -> CropExample:
        mistake = self._mistakes.draw(rng)
        store = self.photos.store if mistake.in_photo else self.photos.empty_store
        pixels = store[mistake.picture]
        region = MISTAKE_JITTER.applied(mistake.region, rng)
        # A photo shows hands too: none of them may come in by the border.
        reflect = not mistake.in_photo
        example = empty_crop(pixels, region, self.size, rng, reflect=reflect, group="mistake")
        hands = self._hands_in.get(mistake.picture, []) if mistake.in_photo else []
        if any(presence_in(region, hand) != 0 for hand in hands):
            # It strayed over one: nobody says what is to be seen.
            return replace(example, presence=np.nan)
        return example


def pool_name(form: str, seed: int, fists: float, sources: RenderSources) -> str:
    """Return the name of a pool's file: of other pictures, or drawn from other files, it is another
    one.
    """
    return f"{form}-{seed}-{values_digest(fists, sources.digest)}.records"


def example_without_hand(
    photos: PhotoHands, split: Split, size: int, rng: np.random.Generator
) -> CropExample:
    """Cut something of a split that is no hand, or too little of one to be followed."""
    # Beside a single hand only: beside another hand there might be a second one, all of it.
    singles = photos.single[split]
    if singles and rng.random() < _MOVED_OFF:
        entry = singles[int(rng.integers(len(singles)))]
        return beside_hand(photos.store[entry.picture], entry.hand, size, rng)
    empty = photos.empty[split]
    chosen = empty[int(rng.integers(len(empty)))]
    pixels = photos.empty_store[chosen]
    region = random_region(pixels.shape, rng)
    return empty_crop(pixels, region, size, rng, group="empty")


def fixed_examples(
    photos: PhotoHands, split: Split, size: int, *, limit: int, empty: int
) -> list[CropExample]:
    """Return the crops that a split is judged by, the same in every run.

    Args:
        photos: all of them.
        split: whose people are shown.
        size: side of the crops.
        limit: crops of hands at most; evenly taken from all of the split.
        empty: crops without hands.
    """
    hands = photos.hands[split]
    examples = []
    for index in evenly_spaced(len(hands), limit):
        # A generator for each hand: which others are judged must not change how this one is cut.
        rng = np.random.default_rng([_JUDGING, index])
        examples.append(_judged_hand(photos, hands[index], size, rng))
    for index in range(empty):
        # From the limit on: where all hands are judged no generator is used twice.
        rng = np.random.default_rng([_JUDGING, limit + index])
        examples.append(example_without_hand(photos, split, size, rng))
    return examples


def _judged_hand(
    photos: PhotoHands, entry: PhotoHand, size: int, rng: np.random.Generator
) -> CropExample:
    # Never mirrored: a left hand is judged as a left hand.
    example = hand_crop(photos.store[entry.picture], entry.hand, size, rng, mirror=False)
    return replace(example, group=entry.group)


def evenly_spaced(count: int, limit: int) -> list[int]:
    """Return at most ``limit`` of ``count`` positions, the first and the last among them.

    >>> evenly_spaced(10, 4)
    [0, 3, 6, 9]
    """
    positions = np.linspace(0, count - 1, min(limit, count)).astype(int)
    # Once each, as rounding may meet a position twice.
    return list(np.unique(positions).tolist())


def rendered_examples(mixture: CropMixture, count: int) -> list[CropExample]:
    """Return crops of rendered hands of people that no training of this seed sees."""
    studio = Studio(open_sources(mixture.data), _OTHER_SEED + mixture.seed)
    options = CropOptions(size=mixture.size)
    examples = []
    for index in range(count):
        picture = studio.crop(index, options)
        example = whole_picture_crop(picture.pixels, picture.hands[0], mixture.size)
        examples.append(example)
    return examples


_OTHER_SEED = 1_000_000


def whole_picture_crop(pixels: NDArray[np.uint8], hand: LabelledHand, size: int) -> CropExample:
    """Return a picture that is a crop already, with the renderer's labels, as an example."""
    example = labelled_crop(pixels, from_middles(hand), whole_square(pixels), size)
    # As it was rendered: to cut it once more would only blur it.
    return replace(example, pixels=pixels, group="rendered")


def whole_square(pixels: NDArray[np.uint8]) -> Rect:
    """Return the region of all of a square picture."""
    side = pixels.shape[0]
    return Rect(side / 2, side / 2, side, side, 0.0)


def beside_hand(
    pixels: NDArray[np.uint8], hand: LabelledHand, size: int, rng: np.random.Generator
) -> CropExample:
    """Cut a region from which most of a hand is missing; nothing is taught where too much of it is
    left.
    """
    region = _moved_off(tracking_region(hand.keypoints), rng)
    example = labelled_crop(pixels, hand, region, size, rng)
    # Where there is no whole hand is what this teaches: only the presence is kept.
    unknown = np.full_like(example.points, np.nan)
    return replace(example, points=unknown, world=unknown, handedness=np.nan, group="beside")


def _moved_off(region: Rect, rng: np.random.Generator) -> Rect:
    """Return a region beside another one, turned to any side."""
    direction = rng.uniform(-np.pi, np.pi)
    distance = rng.uniform(*_AWAY) * region.width
    across = distance * np.cos(direction)
    down = distance * np.sin(direction)
    return replace(
        region,
        x=region.x + float(across),
        y=region.y + float(down),
        angle=float(rng.uniform(-np.pi, np.pi)),
    )
