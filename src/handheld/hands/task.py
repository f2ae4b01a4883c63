"""Hand tracking as a task of ``handheld.bench``: how near keypoints are, and how many frames a
second.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.bench import BenchProtocol, MetricEstimate, ModelFacts
from handheld.errors import InputError
from handheld.hands.packs import load_pack
from handheld.hands.result import HandResult, palm_size
from handheld.hands.skeleton import Keypoint
from handheld.hands.tracker import HandTracker
from handheld.media import Frame, open_source, read_image
from handheld.untrusted import read_json, require_file

Points = NDArray[np.float64]

FRAME_BUDGET = 1 / 30
"""Seconds of a frame: a camera gives the next one then."""

CLOSE = 0.15
"""Palm lengths within which a keypoint is right: as the landmark models learn their confidence."""

# Of a hand that is found and one that is labelled, the mean distance in palm lengths within which
# they are one hand: neighbours are further apart, bad guesses of a hand nearer.
_SAME_HAND = 1.0
# Keypoints of a hand in the picture: with fewer nobody can say whether it should be found.
_LEAST_KNOWN = 11
_KEYPOINTS = len(Keypoint)
_TRUTH = "truth.json"
_COCO = "annotations.json"
_MOST_BYTES = 1 << 30  # of decoded frames: 1,165 of 640 x 480
# Frames that follow each other are alike: the interval is by draws of whole stretches of them.
_STRETCH = 25
_RESAMPLES = 400  # the ends of an interval are then known to a tenth of its width
_ENDS = (0.025, 0.975)
_STILL_US = 1_000_000  # between unrelated pictures, where each begins anew


class FrameLabels(NamedTuple):
    """The hands of a frame, as they are known.

    Attributes:
        hands: (21, 2) pixels of each, NaN where unknown.
        is_complete: whether each hand that could be found is among them.
    """

    hands: tuple[Points, ...]
    is_complete: bool = True


@dataclass(frozen=True, eq=False)
class FrameErrors:
    """What was found in a frame, beside what is there.

    Attributes:
        distances: (hands, 21) of each labelled hand's keypoints in palm lengths: infinite where the
            hand was not found, NaN where nobody knows the keypoint.
        strangers: hands that were found where none is.
    """

    distances: Points
    strangers: int

    @property
    def right(self) -> int:
        """Keypoints that are close to where they are."""
        return int((self.distances < CLOSE).sum())

    @property
    def total(self) -> int:
        """Keypoints that are known, and those of hands that are none."""
        return int((~np.isnan(self.distances)).sum()) + _KEYPOINTS * self.strangers


def frame_errors(tracked: Sequence[Points], labels: FrameLabels) -> FrameErrors:
    """Set the hands that were found in a frame beside those that are there.

    Pairs are formed by the mean distance of keypoints, the nearest first, within one palm length.

    Args:
        tracked: (21, 2) pixels of each.
        labels: of the frame.
    """
    sizes = [palm_size(truth) for truth in labels.hands]
    # Infinite until it is found: every known keypoint of a hand that is missed is wrong.
    distances = np.full((len(labels.hands), _KEYPOINTS), np.inf)
    pairs = []
    for row, (truth, size) in enumerate(zip(labels.hands, sizes, strict=True)):
        distances[row, np.isnan(truth[:, 0])] = np.nan
        for column, points in enumerate(tracked):
            apart = np.linalg.norm(points - truth, axis=1) / size
            pairs.append((float(np.nanmean(apart)), row, column, apart))
    # Without the fourth: arrays have no order.
    pairs.sort(key=lambda pair: pair[:3])
    rows: set[int] = set()
    columns: set[int] = set()
    for mean, row, column, apart in pairs:
        if mean < _SAME_HAND and row not in rows and column not in columns:
            distances[row] = apart
            rows.add(row)
            columns.add(column)
    strangers = 0
    if labels.is_complete:
        strangers = len(tracked) - len(columns)
    return FrameErrors(distances, strangers)


class HandTrackingTask:
    """A clip, or pictures, whose hands are known.

    The metric is the share of keypoints that are within 0.15 palm lengths (wrist to middle knuckle,
    in the picture's plane) of where they are. Keypoints of a hand that was not found are wrong, and
    so are those of a hand that is none. Details are the mean error in palm lengths and the share of
    hands that were found.

    Args:
        frames: with times that increase.
        labels: of each.
        begins: (frames,) whether a stream begins with a frame, so that nothing is known of those
            before.
        digest: hash of frames and labels.

    Raises:
        InputError: there is no frame, no labelled hand, or the numbers do not agree.
    """

    name = "hands"
    metric = "keypoints within 0.15 palm lengths"
    budget = FRAME_BUDGET
    unit = "frame"

    def __init__(
        self,
        frames: Sequence[Frame],
        labels: Sequence[FrameLabels],
        begins: NDArray[np.bool_],
        *,
        digest: str = "",
    ) -> None:
        if not frames:
            raise InputError("expected one frame or more, got none")
        if not len(frames) == len(labels) == len(begins):
            raise InputError(f"{len(frames)} frames, but labels of {len(labels)}")
        if not any(one.hands for one in labels):
            raise InputError("expected frames with hands, but no hand is labelled")
        self._frames = list(frames)
        self._labels = list(labels)
        self._begins = begins
        self.digest = digest

    @classmethod
    def of(cls, source: Path) -> "HandTrackingTask":
        """Read a clip or a folder with its labels.

        Args:
            source: a clip ``NAME.mp4`` with ``NAME.truth.json`` beside it; a folder of frames in
                the order of their names with ``truth.json`` in it; or a folder of single pictures
                with ``annotations.json``, COCO's keypoints as ``handheld hands export coco`` writes
                them. ``truth.json`` holds ``frames``, each with ``hands``, each with 21
                ``keypoints`` [x, y, ...] in pixels, as that of the clip that ships.

        Raises:
            InputError: labels are missing or something else.
            MediaError: frames cannot be read.
        """
        if (source / _COCO).is_file():
            return _of_pictures(source)
        path = source.with_suffix(f".{_TRUTH}")
        if source.is_dir():
            path = source / _TRUTH
        tables, content = _truth_of(path)
        frames = _frames_of(source)
        if len(tables) != len(frames):
            raise InputError(f"{path}: labels of {len(tables)} frames; {source} has {len(frames)}")
        labels = []
        for number, (table, frame) in enumerate(zip(tables, frames, strict=True)):
            labels.append(_labels_of(table, frame, f"{path}: frames[{number}]"))
        begins = np.arange(len(frames)) == 0
        return cls(frames, labels, begins, digest=_digest(frames, content))

    def __len__(self) -> int:
        return len(self._frames)

    def open(self, path: str, protocol: BenchProtocol) -> "TimedTracker":
        """Open a tracker.

        Args:
            path: a pack's folder or name, as :func:`~handheld.hands.load_pack` takes it.
            protocol: of which the threads count.

        Raises:
            FetchError: a pack of MediaPipe's that has not been fetched.
            ModelError: there is no such pack, or it is damaged.
        """
        # No more: a tracker that may find another one looks for it in every frame.
        max_hands = max(len(one.hands) for one in self._labels)
        return TimedTracker(
            path, self._frames, self._begins, max_hands=max_hands, protocol=protocol
        )

    def judge(self, answers: Sequence[Sequence[Points] | None]) -> MetricEstimate:
        """Return the share of keypoints that are right in the first ``len(answers)`` frames.

        The interval is by draws of whole stretches of 25 frames: frames that follow each other are
        alike. Pictures that stand alone are drawn one by one.
        """
        errors = self._errors(answers)
        right = np.array([one.right for one in errors], np.float64)
        total = np.array([one.total for one in errors], np.float64)
        if not total.sum():
            # Frames without a hand, and none was found: there is nothing to be right.
            return MetricEstimate(0.0, np.nan, np.nan, len(answers))
        low, high = _interval(right, total, self._stretches(len(answers)))
        return MetricEstimate(float(right.sum() / total.sum()), low, high, len(answers))

    def details(self, answers: Sequence[Sequence[Points] | None]) -> dict[str, float]:
        """Return the mean error of keypoints, and how many hands were found."""
        errors = self._errors(answers)
        distances = np.concatenate([one.distances for one in errors])
        is_known = np.isfinite(distances)
        is_found = is_known.any(axis=1)
        figures = {"share of hands found": float(is_found.mean())}
        if is_found.any():
            figures["mean error of their keypoints in palm lengths"] = float(
                distances[is_known].mean()
            )
        strangers = sum(one.strangers for one in errors)
        figures["hands that are none, a frame"] = strangers / len(errors)
        return figures

    def _errors(self, answers: Sequence[Sequence[Points] | None]) -> list[FrameErrors]:
        return [
            frame_errors(tracked or (), labels)
            for tracked, labels in zip(answers, self._labels, strict=False)
        ]

    def _stretches(self, count: int) -> NDArray[np.int64]:
        """Return the number of the stretch that each of the first frames is in."""
        stream = np.cumsum(self._begins[:count])
        starts = np.flatnonzero(self._begins[:count])
        within = np.arange(count) - starts[stream - 1]
        keys = np.stack([stream, within // _STRETCH], axis=1)
        return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


class TimedTracker:
    """A tracker at work on the frames of a task; see ``handheld.bench.MeasuredSystem``.

    Args:
        pack: its folder or name.
        frames: of the task.
        begins: whether a stream begins with each.
        max_hands: to be reported at most.
        protocol: of which the threads count.
    """

    def __init__(
        self,
        pack: str,
        frames: Sequence[Frame],
        begins: NDArray[np.bool_],
        *,
        max_hands: int,
        protocol: BenchProtocol,
    ) -> None:
        self._pack = load_pack(pack)
        # Without the filter, which lags: labels say where hands are now.
        self._tracker = HandTracker(
            max_hands=max_hands, pack=self._pack, smoothing=False, threads=protocol.threads
        )
        self._frames = frames
        self._begins = begins
        self._frame = frames[0]
        self._last_us = -1

    @property
    def is_isolated(self) -> bool:
        """Whether the models run in a process of their own."""
        return any(model.isolated for model in self._tracker.models)

    def facts(self, name: str) -> ModelFacts:
        """Return what the pack's two files say of themselves, together."""
        return ModelFacts.of_several(self._tracker.models, name, str(self._pack.palm.parent))

    def load(self, number: int) -> None:
        """Put a frame in its place; a new stream forgets all hands."""
        self._frame = self._frames[number]
        if self._begins[number]:
            self._tracker.reset()
            self._last_us = self._frame.t_us - 1

    def call(self) -> list[HandResult]:
        """Track the frame. Once more, it is a frame of a hand that keeps still."""
        t_us = max(self._frame.t_us, self._last_us + 1)
        self._last_us = t_us
        return self._tracker.track(replace(self._frame, t_us=t_us))

    def answer(self, result: Sequence[HandResult]) -> list[Points]:
        """Keep the keypoints of the hands, (21, 2) pixels each."""
        kept = []
        for hand in result:
            assert hand.landmarks is not None
            kept.append(hand.landmarks[:, :2].astype(np.float64))
        return kept

    def close(self) -> None:
        """Give the models' memory back."""
        self._tracker.close()


def _interval(right: Points, total: Points, stretches: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % interval of a ratio of sums, by draws of stretches; NaN for one stretch."""
    count = int(stretches.max()) + 1
    if count < 2:
        return np.nan, np.nan
    right_sums = np.bincount(stretches, weights=right)
    total_sums = np.bincount(stretches, weights=total)
    # The same draws each time: two packs are judged by the same.
    rng = np.random.default_rng(0)
    drawn = rng.integers(count, size=(_RESAMPLES, count))
    totals = total_sums[drawn].sum(axis=1)
    has_hands = totals > 0
    ratios = right_sums[drawn].sum(axis=1)[has_hands] / totals[has_hands]
    low, high = np.quantile(ratios, _ENDS).tolist()
    return low, high


def _truth_of(path: Path) -> tuple[list[Any], bytes]:
    """Return the tables of a file of labels, one a frame, and its content."""
    try:
        require_file(path)
        content = path.read_bytes()
        tables = list(read_json(content)["frames"])
    except OSError as error:
        expected = f"expected the labels of its frames there, or {_COCO} in a folder of pictures"
        raise InputError(f"{path}: cannot be read ({error.strerror}); {expected}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected an object with 'frames', a list ({error})") from error
    return tables, content


def _labels_of(table: Any, frame: Frame, location: str) -> FrameLabels:
    """Return the labels of a frame of a clip, all of whose hands are listed."""
    height, width = frame.image.shape[:2]
    try:
        hands = [
            np.array(hand["keypoints"], np.float64)[:, :2].reshape(_KEYPOINTS, 2)
            for hand in table["hands"]
        ]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        expected = "expected 'hands', each with 21 'keypoints' [x, y, ...]"
        raise InputError(f"{location}: {expected}") from error
    return _known_labels(hands, height, width)


def _known_labels(hands: Sequence[Points], height: int, width: int) -> FrameLabels:
    """Return labels of the hands that one can ask for.

    A hand that is mostly out of view may be found or not. One that is wholly out of view is none.
    """
    asked = []
    is_complete = True
    for points in hands:
        is_inside = ((points >= 0) & (points < (width, height))).all(axis=1)
        if not is_inside.any():
            continue
        is_measurable = np.isfinite(points[[Keypoint.WRIST, Keypoint.MIDDLE_MCP]]).all()
        if is_measurable and is_inside.sum() >= _LEAST_KNOWN and palm_size(points) > 0:
            asked.append(points)
        else:
            is_complete = False
    return FrameLabels(tuple(asked), is_complete)


def _frames_of(source: Path) -> list[Frame]:
    """Decode all frames of a clip or a folder, before any is timed."""
    frames: list[Frame] = []
    size = 0
    with open_source(source) as video:
        for frame in video:
            size += frame.image.nbytes
            if size > _MOST_BYTES:
                limit = f"{_MOST_BYTES >> 20:,} MiB, which are kept ready while they are timed"
                raise InputError(
                    f"{source}: its frames are more than {limit}; cut it before frame {len(frames)}"
                )
            frames.append(frame)
    return frames


def _of_pictures(folder: Path) -> HandTrackingTask:
    """Read single pictures with labels in COCO's form: each begins anew."""
    # Only here: it reads COCO's whole zoo of fields.
    from handheld.hands.training.coco import read_coco

    path = folder / _COCO
    frames = []
    labels = []
    for number, record in enumerate(read_coco(path, folder).records):
        image = read_image(folder / record["photo"])
        frames.append(Frame(image, number * _STILL_US, number))
        hands = [_points_of(hand["keypoints"]) for hand in record["hands"]]
        height, width = image.shape[:2]
        labels.append(_known_labels(hands, height, width))
    begins = np.ones(len(frames), np.bool_)
    digest = _digest(frames, path.read_bytes())
    return HandTrackingTask(frames, labels, begins, digest=digest)


def _points_of(keypoints: Sequence[Sequence[float | None]]) -> Points:
    """Return (21, 2) pixels, NaN where unknown."""
    # None becomes NaN.
    return np.array([point[:2] for point in keypoints], dtype=np.float64)


def _digest(frames: Sequence[Frame], labels: bytes) -> str:
    """Return a hash of what is judged: pixels and labels."""
    hasher = hashlib.sha256(labels)
    for frame in frames:
        hasher.update(frame.image.tobytes())
    return hasher.hexdigest()
