"""Tensors as numbers, classes and flags."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.graph import Calculator, Context, Contract
from handheld.graph.text import NodeText, OptionReader, canonical_names, read_options
from handheld.hands.mediapipe.inference import float_tensor
from handheld.hands.mediapipe.nodes import connected, converter, optional_number, wrong
from handheld.hands.mediapipe.resources import (
    ClassLabel,
    LabelMap,
    Resources,
    label_items,
    opened_labels,
)
from handheld.hands.mediapipe.values import Classification

ACTIVATIONS = {"NONE": 0, "SIGMOID": 1}
"""What is done to a number that a model gives."""


def sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    """Return the logistic function of numbers."""
    with np.errstate(over="ignore"):  # of an exponential that is infinite the result is 0
        result: NDArray[Any] = 1 / (1 + np.exp(-values))
    return result


def tensors_to_floats(
    tensors: Sequence[NDArray[Any]], *, activated: bool, single: bool
) -> tuple[float | None, list[float]]:
    """Return the first tensor's numbers: the only one, and all.

    Args:
        tensors: of which the first is read.
        activated: through the logistic function.
        single: whether there may be one only; else the first result is None.

    Raises:
        InputError: there are more than one where one is wanted.
    """
    values = float_tensor(tensors, "floats").ravel()
    if activated:
        values = sigmoid(values)
    numbers: list[float] = values.tolist()
    if not single:
        return None, numbers
    if len(numbers) != 1:
        raise InputError(f"FLOAT: expected a tensor with one number, got {len(numbers)}")
    return numbers[0], numbers


def tensors_to_floats_calculator(node: NodeText) -> Calculator:
    """Make a ``TensorsToFloatsCalculator``."""
    with read_options(node, "TensorsToFloatsCalculatorOptions") as options:
        activation = options.choice("activation", ACTIVATIONS, "NONE")
    outputs = canonical_names(node.outputs)
    return converter(
        node,
        partial(tensors_to_floats, activated=activation == "SIGMOID", single="FLOAT" in outputs),
        inputs={"TENSORS": Sequence},
        outputs={"FLOAT": float, "FLOATS": list},
    )


class Thresholding(Calculator):
    """Says whether numbers are above a threshold, which a stream may change."""

    def __init__(self, node: NodeText, threshold: float) -> None:
        self._default = threshold
        hint = {"THRESHOLD": float}
        self.contract = Contract(
            inputs={"FLOAT": float, **connected(node.inputs, hint)},
            outputs={"FLAG": bool, "ACCEPT": bool, "REJECT": bool},
            side_inputs=connected(node.side_inputs, hint),
        )

    def open(self, context: Context) -> None:
        """Take the threshold of the side packet, if there is one."""
        self._threshold = context.side.get("THRESHOLD", self._default)

    def process(self, context: Context) -> None:
        """Compare."""
        if "THRESHOLD" in context.inputs:
            self._threshold = context.get("THRESHOLD")
        if "FLOAT" not in context.inputs:
            return
        # Above, as MediaPipe has it: a number that is equal to the threshold is not enough.
        accepted = context.get("FLOAT") > self._threshold
        context.send("FLAG", accepted)
        # What is sent is the answer, as in MediaPipe.
        context.send("ACCEPT" if accepted else "REJECT", accepted)


def thresholding_calculator(node: NodeText) -> Calculator:
    """Make a ``ThresholdingCalculator``."""
    names = [*canonical_names(node.inputs), *canonical_names(node.side_inputs)]
    with read_options(node, "ThresholdingCalculatorOptions") as options:
        sources = names.count("THRESHOLD") + options.has("threshold")
        if sources > 1:
            raise wrong(node, "threshold: expected one of option, stream and side packet")
        threshold = options.number("threshold")
    return Thresholding(node, threshold)


@dataclass(frozen=True)
class ClassificationOptions:
    """The options of ``TensorsToClassificationCalculator``, by their names there.

    Attributes:
        top_k: classes at most, best first; 0 for all.
        min_score_threshold: of a class; None for any.
        sort_by_descending_score: whether all are sorted.
        binary_classification: the one number is that of class 0, what is missing to 1 of class 1.
        classes: numbers of the classes that are looked at, or that are not.
        allowed: whether those in ``classes`` are the ones that are looked at.
    """

    top_k: int = 0
    min_score_threshold: float | None = None
    sort_by_descending_score: bool = False
    binary_classification: bool = False
    classes: frozenset[int] = frozenset()
    allowed: bool = False


def tensors_to_classification(
    tensors: Sequence[NDArray[Any]], options: ClassificationOptions, labels: LabelMap
) -> list[Classification]:
    """Return the classes that a tensor of scores names.

    Args:
        tensors: one, with a score for each class.
        options: which.
        labels: of the classes; empty for none.

    Raises:
        InputError: there are more tensors, or another number of labels than of scores.
    """
    scores = _scores(tensors, options)
    if labels and len(labels) != len(scores):
        raise InputError(f"expected {len(labels)} scores, one a label, got {len(scores)}")
    classes = [
        _classification(index, score, labels)
        for index, score in enumerate(scores)
        if _is_seen(index, score, options)
    ]
    if options.top_k > 0 or options.sort_by_descending_score:
        # Stable: classes of one score stay in the order of their numbers.
        classes.sort(key=lambda entry: -entry.score)
    if options.top_k > 0:
        return classes[: options.top_k]
    return classes


def _scores(tensors: Sequence[NDArray[Any]], options: ClassificationOptions) -> list[float]:
    """Return the score of each class."""
    if len(tensors) != 1:
        raise InputError(f"expected one tensor of scores, got {len(tensors)}")
    scores: list[float] = float_tensor(tensors, "scores").ravel().tolist()
    if not options.binary_classification:
        return scores
    if len(scores) != 1:
        raise InputError(f"binary_classification: expected one score, got {len(scores)}")
    return [scores[0], 1 - scores[0]]


def _is_seen(index: int, score: float, options: ClassificationOptions) -> bool:
    # Both are sent, whatever else is asked for: that of class 1 is only what class 0 leaves.
    if options.binary_classification:
        return True
    if options.classes and (index in options.classes) != options.allowed:
        return False
    return options.min_score_threshold is None or score >= options.min_score_threshold


def _classification(index: int, score: float, labels: LabelMap) -> Classification:
    if not labels:
        return Classification(index, score)
    if index not in labels:
        raise InputError(f"no label for class {index}; there are {sorted(labels)}")
    return Classification(index, score, labels[index].name, labels[index].display_name)


def tensors_to_classification_calculator(node: NodeText, *, files: Resources) -> Calculator:
    """Make a ``TensorsToClassificationCalculator``."""
    with read_options(node, "TensorsToClassificationCalculatorOptions") as options:
        allow = options.wholes("allow_classes")
        ignore = options.wholes("ignore_classes")
        binary = options.flag("binary_classification")
        if bool(allow) + bool(ignore) + binary > 1:
            reason = "expected one of allow_classes, ignore_classes and binary_classification"
            raise options.located("allow_classes" if allow else "ignore_classes", reason)
        chosen = ClassificationOptions(
            top_k=max(0, options.whole("top_k")),
            min_score_threshold=optional_number(options, "min_score_threshold"),
            sort_by_descending_score=options.flag("sort_by_descending_score"),
            binary_classification=binary,
            classes=frozenset(allow or ignore),
            allowed=bool(allow),
        )
        path = options.text("label_map_path")
        labels = _labels(options)
    return converter(
        node,
        partial(tensors_to_classification, options=chosen),
        inputs={"TENSORS": Sequence},
        outputs={"CLASSIFICATIONS": list},
        opened=partial(opened_labels, files=files, path=path, labels=labels),
    )


def _labels(options: OptionReader) -> LabelMap:
    """Return the labels of the first of two options that stands, as MediaPipe does."""
    items = label_items(options)
    older: dict[int, ClassLabel] = {}
    with options.message("label_map") as label_map:
        for entry in label_map.messages("entries"):
            with entry:
                older[entry.whole("id")] = ClassLabel(entry.text("label"))
    return items or older
