"""What models can be measured at: the tasks of ``handheld bench``, whichever room brings them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from handheld.bench import BenchTask, SystemTask


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What a person says about the data.

    Attributes:
        split: of an ``.npz`` file.
        labels: file with names of outputs, one a line.
        pixels: what black and white are to a float model without a card, such as "-1:1".
    """

    split: str = "test"
    labels: Path | None = None
    pixels: str = "-1:1"


class TaskEntry(NamedTuple):
    """One task.

    Attributes:
        read: returns it on data.
        budget: returns the seconds of an example where nobody says otherwise.
        is_of_files: whether a model file does it; else a pack or a bundle, which data alone tells
            what to do.
    """

    read: "Callable[[Path, TaskOptions], BenchTask | SystemTask]"
    budget: Callable[[], float]
    is_of_files: bool


def _classification(data: Path, options: TaskOptions) -> "BenchTask":
    from handheld.bench import ClassificationTask
    from handheld.bench.classification import read_labels
    from handheld.data import load_split

    names: tuple[str, ...] = ()
    if options.labels is not None:
        names = read_labels(options.labels)
    black_white = _black_white(options.pixels)
    if data.is_dir():
        return ClassificationTask.of_folder(data, labels=names, black_white=black_white)
    examples = load_split(data, options.split)
    return ClassificationTask.of(examples, labels=names, black_white=black_white)


def _classification_budget() -> float:
    from handheld.bench.protocol import CLASSIFICATION_BUDGET

    return CLASSIFICATION_BUDGET


def _detection(data: Path, options: TaskOptions) -> "BenchTask":
    from handheld.bench import DetectionTask

    return DetectionTask.of_folder(data)


def _detection_budget() -> float:
    from handheld.bench.protocol import DETECTION_BUDGET

    return DETECTION_BUDGET


def _hands(data: Path, options: TaskOptions) -> "SystemTask":
    from handheld.hands.task import HandTrackingTask

    return HandTrackingTask.of(data)


def _hands_budget() -> float:
    from handheld.hands.task import FRAME_BUDGET

    return FRAME_BUDGET


def _reply(data: Path, options: TaskOptions) -> "SystemTask":
    from handheld.reply.task import ReplyTask

    return ReplyTask.of(data)


def _reply_budget() -> float:
    from handheld.reply.task import SUGGESTION_BUDGET

    return SUGGESTION_BUDGET


TASKS = {
    "classification": TaskEntry(_classification, _classification_budget, True),
    "detection": TaskEntry(_detection, _detection_budget, True),
    "hands": TaskEntry(_hands, _hands_budget, False),
    "reply": TaskEntry(_reply, _reply_budget, False),
}
"""By name. Rooms bring their own; they are imported when they are asked for."""


def task_entry(name: str, *, of_files: bool = False) -> TaskEntry:
    """Return a task by name.

    Args:
        name: of the task.
        of_files: whether it must be one that a model file does.

    Raises:
        InputError: there is none.
    """
    from handheld.errors import InputError

    known = [key for key, entry in TASKS.items() if entry.is_of_files or not of_files]
    if name not in known:
        listed = ", ".join(known[:-1])
        raise InputError(f"--task: expected {listed} or {known[-1]}, got {name!r}")
    return TASKS[name]


def read_task(
    name: str, data: Path | None, options: TaskOptions
) -> "BenchTask | SystemTask | None":
    """Return what models are judged by; None without data.

    Raises:
        InputError: there is no such task, its data is wrong, or it needs some and there is none.
    """
    from handheld.errors import InputError

    entry = task_entry(name)
    if data is not None:
        return entry.read(data, options)
    if not entry.is_of_files:
        raise InputError(f"--task {name}: needs --data, a pack or a bundle does not run on noise")
    return None


def _black_white(text: str) -> tuple[float, float]:
    from handheld.errors import InputError
    from handheld.ranges import in_range

    try:
        black, white = map(float, text.split(":"))
    except ValueError:
        raise InputError(f"--pixels: expected two numbers such as -1:1, got {text!r}") from None
    in_range("--pixels", black)
    in_range("--pixels", white)
    return black, white
