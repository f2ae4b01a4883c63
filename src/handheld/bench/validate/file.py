"""What a file says of itself, against the rules of a challenge."""

from collections.abc import Iterator
from dataclasses import dataclass

from handheld.engine import Model, TensorInfo
from handheld.ranges import whole_in_range

_TYPES = ("float32", "int8", "uint8")
_MOST_BYTES = 2**31 - 1  # of a FlatBuffer


@dataclass(frozen=True, kw_only=True)
class SubmissionRules:
    """What a model must be. Those of OVIC by default.

    Args:
        max_bytes: of the file, 1 or more.
        max_side: of the picture it takes, in pixels, 1 or more.
        channels: of the picture, 1 or more.
        classes: scores that come out; None: any number of them, two or more.
        outputs: tensors that come out, 1 or more: a detector gives four.

    Raises:
        InputError: names the number that is out of range.
    """

    max_bytes: int = 200_000_000
    max_side: int = 1000
    channels: int = 3
    classes: int | None = None
    outputs: int = 1

    def __post_init__(self) -> None:
        whole_in_range("max_bytes", self.max_bytes, low=1, high=_MOST_BYTES)
        whole_in_range("max_side", self.max_side, low=1)
        whole_in_range("channels", self.channels, low=1)
        if self.classes is not None:
            whole_in_range("classes", self.classes, low=2)
        whole_in_range("outputs", self.outputs, low=1)


def file_faults(model: Model, rules: SubmissionRules) -> list[str]:
    """Return what is wrong with a model by its file alone, a line each; [] if nothing is."""
    return [
        *_size_faults(model, rules),
        *_input_faults(model, rules),
        *_output_faults(model, rules),
        *_operator_faults(model),
    ]


def _size_faults(model: Model, rules: SubmissionRules) -> Iterator[str]:
    if model.size > rules.max_bytes:
        yield f"size: {model.size:,} bytes, at most {rules.max_bytes:,} are allowed"


def _input_faults(model: Model, rules: SubmissionRules) -> Iterator[str]:
    if len(model.inputs) != 1:
        yield f"input: {len(model.inputs)} of them, expected one picture"
        return
    info = model.inputs[0]
    if info.dtype.name not in _TYPES:
        yield f"input: {info} is of {info.dtype.name}, expected one of {', '.join(_TYPES)}"
    if len(info.shape) != 4:
        yield f"input: {info} has {len(info.shape)} axes, expected [1, height, width, channels]"
        return
    yield from _picture_faults(info, rules)


def _picture_faults(info: TensorInfo, rules: SubmissionRules) -> Iterator[str]:
    batch, height, width, channels = info.shape
    if batch != 1:
        yield f"input: a batch of {batch}, expected 1"
    if channels != rules.channels:
        yield f"input: {channels} channels, expected {rules.channels}"
    for name, side in (("height", height), ("width", width)):
        if not 1 <= side <= rules.max_side:
            yield f"input: a {name} of {side}, expected 1 to {rules.max_side}"
    # What a batch of another length would do is nobody's business: one picture comes at a time.
    open_sides = [axis for axis in info.open_axes if axis]
    if open_sides:
        yield f"input: {info} leaves its size open, expected a fixed one"


def _output_faults(model: Model, rules: SubmissionRules) -> Iterator[str]:
    if len(model.outputs) != rules.outputs:
        yield f"output: {len(model.outputs)} tensors, expected {rules.outputs}"
        return
    # Of a detector the post-processing fixes the form.
    if rules.outputs > 1:
        return
    info = model.outputs[0]
    if info.dtype.name not in _TYPES:
        yield f"output: {info} is of {info.dtype.name}, expected one of {', '.join(_TYPES)}"
    scores = 1
    for side in info.shape:
        scores *= side
    is_row = bool(info.shape) and scores == info.shape[-1]
    if not is_row or scores < 2:
        yield f"output: {info}, expected one row of class scores"
    elif rules.classes is not None and scores != rules.classes:
        yield f"output: {scores} scores, expected {rules.classes}"


def _operator_faults(model: Model) -> Iterator[str]:
    if not model.operators:
        yield "operators: there are none"
    # A file for which no rule vouches may still be right; it is told, and runs apart in any case.
    for doubt in model.doubts:
        yield f"operators: {doubt}"
