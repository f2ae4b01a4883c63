"""What is where in a picture: mean average precision by COCO's protocol (``faster-coco-eval``)."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.bench.metric import MetricEstimate
from handheld.bench.preprocessing import content_of, read_picture, stored_picture
from handheld.bench.protocol import DETECTION_BUDGET, BenchProtocol
from handheld.bench.task import TaskSession
from handheld.engine import Model
from handheld.errors import InputError, MissingDependencyError, ModelError
from handheld.ranges import whole_in_range
from handheld.untrusted import read_json

_RESAMPLES = 40  # of the pictures; the spread is then known to a ninth of itself
_Z = 1.96  # of the normal distribution, 95 % within
_CORNERS = 4
_LARGEST = 1e6  # of a class, a score or a corner: beyond are none
_MOST_BOXES = 1000  # of a picture; COCO counts the best hundred of each category
_OUTPUTS = 4  # boxes, classes, scores, count: those of TFLite_Detection_PostProcess


@dataclass(frozen=True, eq=False)
class DetectedBoxes:
    """Boxes of one picture.

    Args:
        corners: (n, 4) top, left, bottom, right as shares of the picture.
        categories: (n,) numbers, from 1.
        scores: (n,) in [0, 1]; of what is there, 1.
        crowds: (n,) whether a box stands for many things of its kind: COCO counts neither that it
            is missed nor what is found within it. None: none does.
    """

    corners: NDArray[np.float64]
    categories: NDArray[np.int64]
    scores: NDArray[np.float64]
    crowds: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        count = len(self.corners)
        if self.corners.shape != (count, 4) or len(self.categories) != count:
            shapes = f"{list(self.corners.shape)} and {list(self.categories.shape)}"
            raise InputError(f"expected corners (n, 4) and categories (n,), got {shapes}")
        if len(self.scores) != count:
            raise InputError(f"{count} boxes, but {len(self.scores)} scores")
        if self.crowds is not None and len(self.crowds) != count:
            raise InputError(f"{count} boxes, but {len(self.crowds)} say whether they are crowds")


class DetectionTask:
    """Pictures in which boxes are to be found.

    A model gives what ``TFLite_Detection_PostProcess`` gives: boxes (1, n, 4), classes (1, n) from
    0, scores (1, n) and the count; class c is category c + 1. The whole picture is resized, nothing
    is cut off.

    Args:
        picture: returns the one of a number, (rows, columns, 3) uint8.
        truth: boxes of each picture.
        sizes: (pictures, 2) height and width of each in pixels, as COCO's sizes count in them.
        digest: hash of pictures and boxes.

    Raises:
        InputError: there is no picture, or numbers do not agree.
    """

    name = "detection"
    metric = "mean average precision"
    budget = DETECTION_BUDGET

    def __init__(
        self,
        picture: Callable[[int], NDArray[np.uint8]],
        truth: Sequence[DetectedBoxes],
        sizes: NDArray[np.int64],
        *,
        digest: str = "",
    ) -> None:
        if not truth:
            raise InputError("expected one picture or more, got none")
        if sizes.shape != (len(truth), 2):
            raise InputError(f"expected sizes ({len(truth)}, 2), got {list(sizes.shape)}")
        self._picture = picture
        self._truth = list(truth)
        self._sizes = sizes
        self.digest = digest

    @classmethod
    def of_folder(cls, folder: Path, *, seed: int = 0) -> "DetectionTask":
        """Return the task on pictures with ``annotations.json`` beside them, in COCO's form.

        Raises:
            InputError: the file is missing or is something else.
        """
        return _read_coco(folder, seed)

    def __len__(self) -> int:
        return len(self._truth)

    def picture(self, number: int) -> NDArray[np.uint8]:
        """Return the picture of a number, (rows, columns, 3)."""
        return self._picture(number)

    def truth(self, number: int) -> DetectedBoxes:
        """Return what is in the picture of a number."""
        return self._truth[number]

    def begin(self, model: Model, protocol: BenchProtocol) -> TaskSession:
        """Return how a model is given the pictures, and which boxes its outputs say.

        Raises:
            ModelError: it takes or gives something else.
        """
        if len(model.outputs) != _OUTPUTS:
            listed = ", ".join(map(str, model.outputs))
            expected = "expected boxes, classes, scores and their count"
            raise ModelError(f"{model.path}: gives {listed}; {expected}")
        stored_picture(self._picture(0), model, crop=1.0)

        def feed(number: int) -> Sequence[NDArray[Any]]:
            return (stored_picture(self._picture(number), model, crop=1.0),)

        return TaskSession(feed, _detected)

    def judge(self, answers: Sequence[DetectedBoxes | None]) -> MetricEstimate:
        """Return the mean average precision over the first ``len(answers)`` pictures.

        The interval is of normal form, its width the spread over resamples of the pictures.
        """
        count = len(answers)
        value = self._precision(answers, range(count))
        # the same resamples each time: two models are judged by the same draws
        rng = np.random.default_rng(0)
        drawn = [
            self._precision(answers, rng.integers(count, size=count)) for _ in range(_RESAMPLES)
        ]
        spread = _Z * float(np.std(drawn, ddof=1))
        return MetricEstimate(value, max(0.0, value - spread), min(1.0, value + spread), count)

    def _precision(
        self, answers: Sequence[DetectedBoxes | None], numbers: Sequence[int] | NDArray[np.int64]
    ) -> float:
        truth: list[dict[str, Any]] = []
        results: list[dict[str, Any]] = []
        images = []
        # COCO counts pictures from 1; one that is drawn twice is two pictures
        for image, number in enumerate(numbers, 1):
            height, width = self._sizes[number].tolist()
            images.append({"id": image, "width": width, "height": height})
            truth += _entries(self._truth[number], image, (height, width))
            answer = answers[number]
            if answer is not None:
                results += _entries(answer, image, (height, width))
        return _average_precision(images, truth, results)


def _detected(outputs: Sequence[NDArray[Any]]) -> DetectedBoxes:
    """Return the boxes that outputs say, whatever a stranger's model put into them.

    Raises:
        ModelError: the outputs do not fit together.
    """
    boxes, classes, scores, count = (np.asarray(output).astype(np.float64) for output in outputs)
    if boxes.size != _CORNERS * scores.size or classes.size != scores.size or not count.size:
        shapes = ", ".join(str(list(output.shape)) for output in outputs)
        expected = "boxes (1, n, 4), classes (1, n), scores (1, n) and a count"
        raise ModelError(f"the model gives {shapes}; expected {expected}")
    rows = np.column_stack([boxes.reshape(-1, _CORNERS), classes.ravel(), scores.ravel()])
    said = float(count.ravel()[0])
    if np.isfinite(said):
        rows = rows[: max(0, int(said))]
    # The evaluation sorts by scores, and neither sorts nor measures what is no number.
    is_finite = np.isfinite(rows).all(axis=1) & (np.abs(rows) < _LARGEST).all(axis=1)
    rows = rows[is_finite]
    # the best, in the order in which they came where they are alike
    rows = rows[np.argsort(-rows[:, -1], kind="stable")[:_MOST_BOXES]]
    # Models count classes from 0, COCO its categories from 1.
    return DetectedBoxes(rows[:, :_CORNERS], rows[:, _CORNERS].astype(np.int64) + 1, rows[:, -1])


def _entries(boxes: DetectedBoxes, image: int, size: tuple[float, float]) -> list[dict[str, Any]]:
    """Return boxes as COCO's files have them: left, top, width and height in pixels."""
    height, width = size
    entries = []
    crowds = boxes.crowds
    if crowds is None:
        crowds = np.zeros(len(boxes.scores), np.bool_)
    columns = zip(boxes.corners.tolist(), boxes.categories, boxes.scores, crowds, strict=True)
    for (y0, x0, y1, x1), category, score, is_crowd in columns:
        box = [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height]
        entries.append(
            {
                "image_id": image,
                "category_id": int(category),
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(is_crowd),
                "score": float(score),
            }
        )
    return entries


def _evaluator() -> Any:
    """Return COCO's evaluation. Raises :class:`MissingDependencyError` where it is not there."""
    try:
        import faster_coco_eval
    except ImportError as error:
        raise MissingDependencyError("faster-coco-eval", "train", "detection") from error
    return faster_coco_eval


def require_evaluator() -> None:
    """Ask for COCO's evaluation now, and not when the first model has been run.

    Raises:
        MissingDependencyError: it is not installed.
    """
    _evaluator()


def _average_precision(
    images: Sequence[Mapping[str, Any]],
    truth: list[dict[str, Any]],
    results: list[dict[str, Any]],
) -> float:
    """Return the mean average precision over overlaps of 0.5 to 0.95; 0 where nothing is there."""
    coco = _evaluator()
    # The library fails on empty lists.
    if not results or not truth:
        return 0.0
    for number, entry in enumerate(truth, 1):
        entry["id"] = number
    numbers = sorted({entry["category_id"] for entry in (*truth, *results)})
    categories = [{"id": number, "name": str(number)} for number in numbers]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its tables
        known = coco.COCO({"images": images, "annotations": truth, "categories": categories})
        evaluation = coco.COCOeval_faster(known, known.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # -1 where there is nothing to find but crowds
    return max(0.0, float(evaluation.stats[0]))


def _read_coco(folder: Path, seed: int) -> DetectionTask:
    path = folder / "annotations.json"
    content = content_of(path)
    try:
        table = read_json(content)
        images = list(table["images"])
        sizes = np.array([[image["height"], image["width"]] for image in images], np.int64)
        boxes: dict[Any, list[Mapping[str, Any]]] = {image["id"]: [] for image in images}
        for annotation in table["annotations"]:
            boxes[annotation["image_id"]].append(annotation)
        if sizes.size and sizes.min() < 1:
            raise ValueError("a picture without a pixel")
        truth = [_truth(boxes[image["id"]], image) for image in images]
        files = [folder / image["file_name"] for image in images]
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: expected COCO's images and annotations ({problem})") from error
    _check_inside(folder, files, path)
    _check_truth(table, path)
    # shuffled: where a wall time ends, no kind of picture is cut off before another
    order = np.random.default_rng(seed).permutation(len(images))
    digest = hashlib.sha256(content).hexdigest()

    def picture(number: int) -> NDArray[np.uint8]:
        pixels = read_picture(files[order[number]])
        said = tuple(sizes[order[number]].tolist())
        # Boxes are shares of the size that is said.
        if pixels.shape[:2] != said:
            listed = " x ".join(map(str, pixels.shape[:2]))
            raise InputError(
                f"{files[order[number]]}: is of {listed} pixels, upright, but {path} says "
                f"{said[0]} x {said[1]}"
            )
        return pixels

    return DetectionTask(
        picture,
        [truth[number] for number in order],
        sizes[order].reshape(-1, 2),
        digest=digest,
    )


def _check_truth(table: Mapping[str, Any], path: Path) -> None:
    """Raise :class:`InputError` for a box that nothing could find: it would count as missed."""
    for number, annotation in enumerate(table["annotations"]):
        location = f"{path}: annotations[{number}]"
        box = list(map(float, annotation["bbox"]))
        if not np.isfinite(box).all() or min(box[2:]) < 0 or max(map(abs, box)) > _LARGEST:
            raise InputError(
                f"{location}.bbox: expected left, top, width and height in pixels, got {box}"
            )
        category = annotation["category_id"]
        # Of a model, class c is category c + 1.
        whole_in_range(f"{location}.category_id", category, low=1, high=int(_LARGEST))


def _check_inside(folder: Path, files: Sequence[Path], table: Path) -> None:
    """Raise :class:`InputError` for a picture that a table names and that lies elsewhere."""
    for file in files:
        if folder.resolve() not in file.resolve().parents:
            raise InputError(f"{table}: picture {str(file)!r} lies outside of its folder")


def _truth(annotations: Sequence[Mapping[str, Any]], image: Mapping[str, Any]) -> DetectedBoxes:
    corners = []
    for annotation in annotations:
        x, y, width, height = map(float, annotation["bbox"])
        pixels = (y, x, y + height, x + width)
        sides = (image["height"], image["width"]) * 2
        corners.append([pixel / side for pixel, side in zip(pixels, sides, strict=True)])
    categories = [annotation["category_id"] for annotation in annotations]
    return DetectedBoxes(
        np.array(corners, np.float64).reshape(-1, 4),
        np.array(categories, np.int64),
        np.ones(len(annotations)),
        np.array([bool(annotation.get("iscrowd", 0)) for annotation in annotations], np.bool_),
    )
