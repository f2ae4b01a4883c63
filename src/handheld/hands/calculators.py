"""The tracker's calculators: thin shells around the pure functions of this room.

Streams carry ``Frame``, ``Palms``, ``Regions`` and ``Hands``; times are those of the frames.
"""

from dataclasses import replace
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from handheld.engine import Model
from handheld.graph import Calculator, Context, Contract, calculator
from handheld.hands.association import drop_duplicates, join_regions
from handheld.hands.geometry import region_from_landmarks, region_from_palm
from handheld.hands.gestures import GestureRecogniser
from handheld.hands.identity import Identities
from handheld.hands.landmark import is_right_hand, project_landmarks, project_world
from handheld.hands.packs import ModelPack
from handheld.hands.palm import anchor_centres, decode_palms, merge_palms
from handheld.hands.result import HandResult, Palm, Region, palm_centre, palm_size
from handheld.hands.smoothing import OneEuroFilter, OneEuroOptions
from handheld.hands.views import is_whole
from handheld.media import Frame, Image, Rect, letterbox

if TYPE_CHECKING:
    from handheld.media import Border

Palms: TypeAlias = list[Palm]
Regions: TypeAlias = list[Region]
Hands: TypeAlias = list[HandResult]

_TO_UNIT = np.float32(1 / 255)
# Of hands before AssignIds has named them.
_NO_ID = -1
# A hand that is seen edge on has a palm of next to no length; speeds are divided by it.
_LEAST_PIXELS = 1.0
_LEAST_METRES = 0.01


CLOSER_SCORE = 0.3
"""Of a palm in a closer look, where nobody asks for more: closer looks have more in them that is as
large as a palm.
"""


class PalmDetector(Calculator):
    """Finds palms in a frame, in the views that it is told, or in all of it."""

    contract = Contract(
        inputs={"frame": Frame, "views": list[Rect]},
        outputs={"palms": Palms},
        side_inputs={"palm_model": Model, "pack": ModelPack},
        optional=frozenset({"views"}),
    )

    def __init__(self, *, min_score: float) -> None:
        self._min_score = min_score

    def open(self, context: Context) -> None:
        """Lay out the anchors."""
        # Opened and closed by the tracker: they outlive this stream.
        self._model: Model = context.side["palm_model"]
        self._geometry = context.side["pack"].palm_geometry
        self._anchors = anchor_centres(self._geometry)

    def process(self, context: Context) -> None:
        """Look at each view. A palm that is seen in several comes as often."""
        image = context.get("frame").image
        palms: Palms = []
        for view in context.get("views") or [letterbox(*image.shape[:2])]:
            palms += self._look(image, view)
        # Best first, whichever view saw it; where hands touch, a mean over views would mix them.
        palms.sort(key=lambda palm: -palm.score)
        context.send("palms", palms)

    def _look(self, image: Image, view: Rect) -> Palms:
        raw, logits = run_on_crop(self._model, image, view, border="black")
        palms = decode_palms(
            # One picture at a time: row 0 of a batch of one.
            raw[0],
            logits[0, :, 0],
            self._anchors,
            view,
            self._geometry,
            threshold=self._threshold(view, image),
        )
        height, width = image.shape[:2]
        uncut = [palm for palm in palms if is_whole(palm.rect, view, height, width)]
        return merge_palms(uncut)

    def _threshold(self, view: Rect, image: Image) -> float:
        if view == letterbox(*image.shape[:2]):
            return self._min_score
        return max(self._min_score, CLOSER_SCORE)


class HandLandmarks(Calculator):
    """Finds the keypoints of the hand in each region, best first, until there are ``max_hands``.

    A region without a hand gives none.

    Args:
        max_hands: hands to find at most.
        min_score: of a hand that is followed.
        min_new_score: of a hand that a detection led to, if it is higher.
        mirrored: whether frames are mirror images.
    """

    contract = Contract(
        inputs={"frame": Frame, "regions": Regions},
        outputs={"hands": Hands},
        side_inputs={"landmark_model": Model, "pack": ModelPack},
    )

    def __init__(
        self, *, max_hands: int, min_score: float, min_new_score: float, mirrored: bool
    ) -> None:
        self._max_hands = max_hands
        self._min_score = min_score
        self._min_new_score = max(min_score, min_new_score)
        self._mirrored = mirrored

    def open(self, context: Context) -> None:
        """Take the model."""
        self._model: Model = context.side["landmark_model"]
        self._geometry = context.side["pack"].landmark_geometry

    def process(self, context: Context) -> None:
        """Crop, run, project, one region after the other."""
        image = context.get("frame").image
        hands: Hands = []
        for region in context.get("regions") or ():
            hand = self._look(image, region)
            if hand is not None:
                hands.append(hand)
            # Most of a frame's time is spent here: no region is looked at that is not needed. One
            # hand that two regions lead to keeps no other out.
            if len(drop_duplicates(hands)) == self._max_hands:
                break
        context.send("hands", hands)

    def _look(self, image: Image, region: Region) -> HandResult | None:
        outputs = run_on_crop(self._model, image, region.rect, border="replicate")
        raw, presence, handedness, world, *optional = outputs
        score = float(presence[0, 0])
        # What is taken for a hand once is followed for long, so it takes more to begin with.
        threshold = self._min_new_score if region.track is None else self._min_score
        # A number that is none would stay in the filters and regions of all frames to come.
        if not (score >= threshold and isfinite(float(raw.sum() + world.sum()))):
            return None
        is_right, certainty = is_right_hand(
            float(handedness[0, 0]), self._geometry, mirrored=self._mirrored
        )
        return HandResult(
            id=_NO_ID,
            roi=region.rect,
            score=score,
            handedness="Right" if is_right else "Left",
            handedness_score=certainty,
            landmarks=project_landmarks(raw[0], region.rect, self._geometry),
            world=project_world(world[0], region.rect),
            # The model writes its next output to the same memory.
            confidence=optional[0][0].copy() if optional else None,
            palm=region.palm,
            region=region,
        )


class AssociateRegions(Calculator):
    """Joins the regions of hands that are followed with those of new palms."""

    contract = Contract(
        inputs={"frame": Frame, "followed": Regions, "palm_regions": Regions},
        outputs={"regions": Regions},
        optional=frozenset({"followed"}),
    )

    def __init__(self, *, max_hands: int) -> None:
        self._max_hands = max_hands

    def process(self, context: Context) -> None:
        """Join."""
        # Nothing is followed in the first frame, and most frames have no detection.
        followed: Regions = context.get("followed") or []
        new: Regions = context.get("palm_regions") or []
        context.send("regions", join_regions(followed, new, max_hands=self._max_hands))


class AssignIds(Calculator):
    """Gives each hand its id."""

    contract = Contract(inputs={"hands": Hands}, outputs={"named": Hands})

    def __init__(self, *, first_id: int = 0) -> None:
        self._first_id = first_id

    def open(self, context: Context) -> None:
        """Forget all hands."""
        self._identities = Identities(ids=count(self._first_id))

    def process(self, context: Context) -> None:
        """Name."""
        context.send("named", self._identities.assign(context.get("hands"), context.timestamp))


class SmoothHands(Calculator):
    """Smooths landmarks of each hand over time."""

    contract = Contract(inputs={"hands": Hands}, outputs={"smooth": Hands})

    def __init__(self, options: OneEuroOptions | None = None) -> None:
        self._options = options or OneEuroOptions()

    def open(self, context: Context) -> None:
        """Start without a past."""
        self._filters: dict[int, OneEuroFilter] = {}

    def process(self, context: Context) -> None:
        """Filter each hand by its own past; a hand that was lost starts anew."""
        hands: Hands = context.get("hands")
        before = self._filters
        # Made anew, so that hands that are gone take no memory.
        self._filters = {}
        for hand in hands:
            self._filters[hand.id] = before.get(hand.id) or OneEuroFilter(self._options)
        context.send("smooth", [self._smooth(hand, context.timestamp) for hand in hands])

    def _smooth(self, hand: HandResult, t_us: int) -> HandResult:
        # Results of a user's own calculator may lack them.
        if hand.landmarks is None or hand.world is None:
            return hand
        # Both at once: the filter costs what numpy's calls cost, not what they compute.
        both = np.stack([hand.landmarks, hand.world])
        pixels = max(hand.size, _LEAST_PIXELS)
        metres = max(palm_size(hand.world), _LEAST_METRES)
        scale = np.array([pixels, metres], dtype=np.float32).reshape(2, 1, 1)
        landmarks, world = self._filters[hand.id](both, t_us, scale=scale)
        return replace(hand, landmarks=landmarks, world=world)


class RecogniseGestures(Calculator):
    """Names the gesture of each hand."""

    contract = Contract(
        inputs={"frame": Frame, "hands": Hands},
        outputs={"named": Hands},
        side_inputs={"gestures": GestureRecogniser},
    )

    def __init__(self, *, mirrored: bool = False) -> None:
        self._mirrored = mirrored

    def process(self, context: Context) -> None:
        """Ask for each hand by itself."""
        recogniser: GestureRecogniser = context.side["gestures"]
        size = context.get("frame").image.shape[:2]
        named: Hands = []
        for hand in context.get("hands"):
            gesture = recogniser.recognise(hand, size=size, mirrored=self._mirrored)
            named.append(replace(hand, gesture=gesture))
        context.send("named", named)


@calculator
def palms_to_regions(palms: Palms) -> Regions:
    """Return where to look for the hands of palms."""
    return [_region_of(palm) for palm in palms]


def _region_of(palm: Palm) -> Region:
    # From the wrist to the middle knuckle, as the size of landmarks is.
    across, down = palm.keypoints[2] - palm.keypoints[0]
    return Region(
        rect=region_from_palm(palm.rect, palm.keypoints),
        centre=np.array([palm.rect.x, palm.rect.y], dtype=np.float32),
        size=float(np.hypot(across, down)),
        palm=palm,
    )


@calculator
def remove_duplicates(hands: Hands) -> Hands:
    """Leave one result for each hand."""
    return drop_duplicates(hands)


@calculator
def hands_to_regions(hands: Hands) -> Regions:
    """Return where to look for the same hands in the next frame."""
    regions: Regions = []
    for hand in hands:
        if hand.landmarks is not None:
            rect = region_from_landmarks(hand.landmarks)
            centre = palm_centre(hand.landmarks)
            regions.append(Region(rect, centre, palm_size(hand.landmarks), track=hand.id))
    return regions


@calculator
def regions_to_hands(regions: Regions) -> Hands:
    """Return palm-only results: where hands are, without landmarks."""
    hands: Hands = []
    for region in regions:
        palm = region.palm
        if palm is not None:
            hands.append(HandResult(_NO_ID, region.rect, palm.score, palm=palm, region=region))
    return hands


def run_on_crop(model: Model, image: Image, rect: Rect, *, border: "Border") -> tuple[Any, ...]:
    """Write what a rotated rectangle shows into the model's input, as RGB in 0 to 1, and run it.

    Beyond the picture MediaPipe shows its palm model black and its landmark model the nearest
    pixel.
    """
    # Late: a graph can be looked at where OpenCV is not installed.
    from handheld.media.warp import crop

    view = model.input_view(0)
    with model.lock:
        pixels = crop(image, rect, view.shape[1:3], border=border)
        # Into the model's own memory: a copy of the picture less.
        np.multiply(pixels, _TO_UNIT, out=view[0])
        return model.invoke(finite=True)
