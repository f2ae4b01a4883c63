"""The tracker as a graph: the pipeline of the 2019 post."""

from dataclasses import dataclass

from handheld.engine import Model
from handheld.errors import InputError
from handheld.graph import BackEdge, FlowLimiter, Gate, GraphConfig, Node, PreviousLoopback
from handheld.hands.calculators import (
    AssignIds,
    AssociateRegions,
    HandLandmarks,
    PalmDetector,
    RecogniseGestures,
    SmoothHands,
    hands_to_regions,
    palms_to_regions,
    regions_to_hands,
    remove_duplicates,
)
from handheld.hands.gestures import GestureRecogniser
from handheld.hands.packs import ModelPack
from handheld.hands.redetection import RedetectSchedule
from handheld.hands.smoothing import OneEuroOptions
from handheld.media import Frame
from handheld.ranges import flag, in_range, whole_in_range


@dataclass(frozen=True, kw_only=True)
class HandOptions:
    """Options of the hand graph.

    Attributes:
        max_hands: hands to report at most.
        min_palm_score: of a palm to be looked at, in (0, 1).
        min_hand_score: of a landmark result to be a hand; a hand below it is lost, in [0, 1].
        min_new_hand_score: of one to be a new hand, in [0, 1]; it counts where it is higher.
        redetect_every: while some, but fewer than ``max_hands``, are followed, the detector runs in
            every k-th frame. With 2, both hands are seen in 92 % as many frames
            (``benchmarks/hands_redetection.py``).
        redetect_change: grey levels by which a part outside of the followed hands must have changed
            for it to run then, see :class:`~handheld.hands.redetection.RedetectSchedule`; 0 runs it
            in still pictures too.
        look_closer: whether the detector looks closer in every other run, at a part of the picture
            in turn, and at a single picture in several views; see :mod:`handheld.hands.views`.
        mirrored: whether frames are mirror images (as selfie cameras show them); decides what is
            left and right.
        smoothing: settings of the One-Euro filter; ``None`` leaves it out.
        palms_only: stop after the palm detector, which then runs on every frame.
    """

    max_hands: int = 2
    min_palm_score: float = 0.5
    min_hand_score: float = 0.5
    min_new_hand_score: float = 0.5
    redetect_every: int = 1
    redetect_change: float = 3.0
    look_closer: bool = True
    mirrored: bool = False
    smoothing: OneEuroOptions | None = OneEuroOptions()  # noqa: RUF009 - it is frozen
    palms_only: bool = False

    def __post_init__(self) -> None:
        whole_in_range("max_hands", self.max_hands, low=1)
        whole_in_range("redetect_every", self.redetect_every, low=1)
        in_range("redetect_change", self.redetect_change, low=0, high=255)
        # It becomes a logit, which 0 and 1 do not have.
        in_range(
            "min_palm_score", self.min_palm_score, low=0, high=1, low_open=True, high_open=True
        )
        in_range("min_hand_score", self.min_hand_score, low=0, high=1)
        in_range("min_new_hand_score", self.min_new_hand_score, low=0, high=1)
        flag("look_closer", self.look_closer)
        flag("mirrored", self.mirrored)
        flag("palms_only", self.palms_only)
        if not isinstance(self.smoothing, OneEuroOptions | None):
            raise InputError(
                f"smoothing: expected True, False or OneEuroOptions, got {self.smoothing!r}"
            )


_SPARE = 2
"""Palms beyond ``max_hands`` that are looked at: a face that the detector takes for a palm keeps no
hand out.
"""

_SPARE_STILL = 8
"""Of a single picture, in whose views a hand may be seen several times."""


def hand_graph(
    options: HandOptions | None = None, *, first_id: int = 0, still: bool = False
) -> GraphConfig:
    """Return the graph from ``frame`` to ``hands``, a list of ``HandResult`` for each frame.

    Palms are looked for only when a hand is missing; else a hand's region in this frame follows
    from its landmarks in the last. Side packets: ``palm_model``, ``landmark_model``, ``pack``,
    ``gestures``.

    Args:
        options: of the tracker.
        first_id: at which the ids of hands begin.
        still: for a single picture: all views are looked at at once.
    """
    options = options or HandOptions()
    if options.palms_only:
        return _palm_graph(options, first_id)
    return _full_graph(options, first_id, still)


def _full_graph(options: HandOptions, first_id: int, still: bool) -> GraphConfig:
    return GraphConfig(
        nodes=[
            *_detection(options, still),
            *_following(options, first_id, still),
            *_finish(options),
        ],
        inputs={"frame": Frame},
        outputs=["hands"],
        side_inputs={
            "palm_model": Model,
            "landmark_model": Model,
            "pack": ModelPack,
            "gestures": GestureRecogniser,
        },
        name="hands",
    )


def _detection(options: HandOptions, still: bool) -> list[Node]:
    """Return what finds the palms of new hands, in frames in which it has to."""
    return [
        _flow_limiter(),
        Node(
            PreviousLoopback(),
            inputs=["admitted", BackEdge("next_regions")],
            outputs="followed",
            name="previous_regions",
        ),
        Node(
            RedetectSchedule(
                max_hands=options.max_hands,
                every=options.redetect_every,
                change=options.redetect_change,
                closer=options.look_closer,
                still=still,
            ),
            inputs=["admitted", "followed"],
            outputs=["detect", "views"],
        ),
        # Frames that it holds back never reach the detector, which costs most.
        Node(Gate(), inputs=["admitted", "detect"], outputs="palm_frame", name="detector_gate"),
        _palm_detector(options, ["palm_frame", "views"]),
        Node(palms_to_regions, inputs="palms", outputs="palm_regions"),
    ]


def _following(options: HandOptions, first_id: int, still: bool) -> list[Node]:
    """Return what finds landmarks where hands were, or palms are, and where to look next."""
    landmarks = HandLandmarks(
        max_hands=options.max_hands,
        min_score=options.min_hand_score,
        min_new_score=options.min_new_hand_score,
        mirrored=options.mirrored,
    )
    return [
        Node(
            AssociateRegions(max_hands=options.max_hands + (_SPARE_STILL if still else _SPARE)),
            inputs=["admitted", "followed", "palm_regions"],
            outputs="regions",
        ),
        Node(
            landmarks,
            inputs=["admitted", "regions"],
            outputs="looked_at",
            side_inputs=["landmark_model", "pack"],
        ),
        # Before ids are given: a hand that is seen twice would take two.
        Node(remove_duplicates, inputs="looked_at", outputs="distinct"),
        # Before the smoothing, which lags: the next frame is looked at where the hand is.
        Node(AssignIds(first_id=first_id), inputs="distinct", outputs="named"),
        Node(hands_to_regions, inputs="named", outputs="next_regions"),
    ]


def _finish(options: HandOptions) -> list[Node]:
    """Return what makes results of hands that have ids."""
    if options.smoothing is None:
        return [_gestures("named", options)]
    smoothing = Node(SmoothHands(options.smoothing), inputs="named", outputs="smooth")
    return [smoothing, _gestures("smooth", options)]


def _gestures(hands: str, options: HandOptions) -> Node:
    return Node(
        RecogniseGestures(mirrored=options.mirrored),
        inputs=["admitted", hands],
        outputs="hands",
        side_inputs=["gestures"],
    )


def _palm_graph(options: HandOptions, first_id: int) -> GraphConfig:
    nodes = [
        _flow_limiter(),
        # On every frame: without landmarks nothing says where a palm is next.
        _palm_detector(options, ["admitted"]),
        Node(palms_to_regions, inputs="palms", outputs="palm_regions"),
        Node(
            AssociateRegions(max_hands=options.max_hands),
            inputs={"frame": "admitted", "palm_regions": "palm_regions"},
            outputs="regions",
        ),
        Node(regions_to_hands, inputs="regions", outputs="looked_at"),
        # By distance alone: palms have no landmarks that a region could follow.
        Node(AssignIds(first_id=first_id), inputs="looked_at", outputs="hands"),
    ]
    return GraphConfig(
        nodes=nodes,
        inputs={"frame": Frame},
        outputs=["hands"],
        side_inputs={"palm_model": Model, "pack": ModelPack},
        name="palms",
    )


def _flow_limiter() -> Node:
    """Return what lets a frame in once the one before has left: live frames do not queue."""
    return Node(
        FlowLimiter(),
        inputs=["frame", BackEdge("hands")],
        outputs=["admitted"],
        name="flow_limiter",
    )


def _palm_detector(options: HandOptions, inputs: list[str]) -> Node:
    detector = PalmDetector(min_score=options.min_palm_score)
    return Node(detector, inputs=inputs, outputs="palms", side_inputs=["palm_model", "pack"])
