"""All settings: each number refuses what is none, and what lies outside of its interval.

The fields come from the classes, and the intervals from what they say of a value that is none: so a
class that is written tomorrow is held to the same. What a docstring says of a field must agree.
"""

import ast
import importlib
import inspect
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import handheld
from handheld.errors import InputError

pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("av")

ROOT = Path(handheld.__file__).parent
# Not settings of a person, but what a computation gave; their arrays are what they check.
RESULTS = {"CropMixture", "HandResult", "HiddenModel", "LearnedTable", "PooledModel", "StageChain"}
# Numbers that are not fields of their own class, or not in the way that the others are.
ODD = {
    "FormField.minimum",  # bounds of what others enter, any number or none
    "FormField.maximum",
    "ProjectionRecipe.bits",  # 4 or 8
}


@dataclass(frozen=True)
class Interval:
    """What a field takes by its own words.

    Attributes:
        low, high: its ends.
        holds_low, holds_high: whether each of them is taken.
        is_whole: whether whole numbers alone are.
    """

    low: float
    high: float
    holds_low: bool
    holds_high: bool
    is_whole: bool

    @classmethod
    def of(cls, message: str) -> "Interval":
        """Read the interval that an error names."""
        is_whole = "expected a whole number" in message
        if match := re.search(r"number in ([\[(])(\S+), (\S+)([\])]), got", message):
            ends = (_number(match[2]), _number(match[3]))
            return cls(*ends, match[1] == "[", match[4] == "]", is_whole)
        if match := re.search(r"whole number of (\S+) or more, got", message):
            return cls(_number(match[1]), math.inf, True, False, True)
        raise AssertionError(f"no interval in {message!r}")

    def ends(self) -> list[float]:
        """Return those of its ends that are inside."""
        return [self.low] * self.holds_low + [self.high] * self.holds_high

    def outside(self) -> list[float]:
        """Return the numbers next to it that are outside, on both sides."""
        below = self.low if not self.holds_low else self._beyond(self.low, -1)
        above = self.high if not self.holds_high else self._beyond(self.high, 1)
        # Beyond infinity there is nothing.
        return [end for end in (below, above) if end is not None]

    def _beyond(self, end: float, direction: int) -> float | None:
        if math.isinf(end):
            return None
        return end + direction if self.is_whole else math.nextafter(end, direction * math.inf)


def _number(text: str) -> float:
    # Whole ones exactly: 2**63 - 1 is no float.
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def classes() -> Iterator[tuple[str, str]]:
    """Yield module and name of the dataclasses that look at their fields."""
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for node in ast.parse(path.read_text("utf-8")).body:
            is_class = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            if is_class and node.name not in RESULTS and _checks(node):
                yield module, node.name


def _checks(node: ast.ClassDef) -> bool:
    is_dataclass = any("dataclass" in ast.unparse(line) for line in node.decorator_list)
    methods = [line.name for line in node.body if isinstance(line, ast.FunctionDef)]
    return is_dataclass and "__post_init__" in methods


def settings(wanted: Callable[[Any], bool]) -> list[Any]:
    """Return each class and the name of a field of a type, as parameters of a test."""
    rows = []
    for module, name in classes():
        cls = getattr(importlib.import_module(module), name)
        hints = get_type_hints(cls)
        names = [field for field in inspect.signature(cls).parameters if wanted(hints.get(field))]
        names = [field for field in names if f"{name}.{field}" not in ODD]
        rows += [pytest.param(cls, field, id=f"{name}.{field}") for field in names]
    return rows


def is_number(hint: Any) -> bool:
    return hint in (int, float, int | None, float | None)


def are_numbers(hint: Any) -> bool:
    options = get_args(hint) if get_origin(hint) is not tuple else (hint,)
    return any(option in (tuple[int, ...], tuple[float, ...]) for option in options)


def needed(cls: type[Any]) -> dict[str, Any]:
    """Return the arguments without which a class cannot be made."""
    values = NEEDED.get(cls.__name__, dict)()
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            values.setdefault(name, 1)
    return values


def refusal(cls: type[Any], field: str, value: object) -> str:
    """Return what a class says of a value. Fails where it says nothing."""
    with pytest.raises(InputError) as caught:
        cls(**needed(cls) | {field: value})
    return str(caught.value)


@pytest.mark.parametrize(("cls", "field"), settings(is_number))
def test_a_number_that_is_none_or_outside_is_refused_by_name(cls: type[Any], field: str):
    interval = Interval.of(refusal(cls, field, math.nan))
    for value in (math.nan, True, "1", 1j, [1], *interval.outside()):
        message = refusal(cls, field, value)
        assert message.startswith(f"{field}: expected a "), message
        assert message.endswith(f", got {value!r}"), message
    if interval.is_whole:
        assert refusal(cls, field, 1.5).startswith(f"{field}: expected a whole number")


@pytest.mark.parametrize(("cls", "field"), settings(is_number))
def test_ends_that_are_inside_are_taken(cls: type[Any], field: str):
    for end in Interval.of(refusal(cls, field, math.nan)).ends():
        said = ""
        try:
            cls(**needed(cls) | {field: end})
        except InputError as error:
            said = str(error)
        # Another field may not fit to it.
        assert not said.startswith(f"{field}: expected a ")


@pytest.mark.parametrize(("cls", "field"), settings(is_number))
def test_docstrings_say_the_same_interval(cls: type[Any], field: str):
    said = documentation(cls, field)
    interval = Interval.of(refusal(cls, field, math.nan))
    for left, low, high, right in re.findall(r"([\[(])(-?[\d.]+), (-?[\d.]+|inf)([\])])", said):
        assert (float(low), float(high)) == (interval.low, interval.high), said
        assert (left == "[", right == "]") == (interval.holds_low, interval.holds_high), said
    for low in re.findall(r"\b(\d+) or more\b", said):
        assert (float(low), True) == (interval.low, interval.holds_low), said
    if re.search(r"\babove 0\b", said):
        assert (interval.low, interval.holds_low) == (0, False), said
    # There is one way to write an interval.
    assert not re.search(r"\b\d+ to \d+\b|\bat most 1\b|excluded|\bup to 1\b", said), said


@pytest.mark.parametrize(("cls", "field"), settings(are_numbers))
def test_numbers_in_lists_are_refused_by_name(cls: type[Any], field: str):
    length = len(getattr(cls(**needed(cls)), field)) or 1
    for value in (math.nan, math.inf, True, "1"):
        message = refusal(cls, field, (value,) * length)
        assert message.startswith((f"{field}[0]: expected a ", f"{field}: expected ")), message


def documentation(cls: type[Any], field: str) -> str:
    """Return what the docstring of a class, or of one that it extends, says of a field."""
    for base in cls.__mro__:
        entries = re.split(r"\n    (?=\w[\w, ]*: )", inspect.getdoc(base) or "")
        for entry in entries:
            names, _, text = entry.partition(": ")
            if field in names.split(", "):
                return text.partition("\n\n")[0]
    return ""


def _of_share() -> dict[str, Any]:
    return {"share": 0.5}


def _rows() -> dict[str, Any]:
    from handheld.projection import Features

    return {"features": Features(), "rows": 1}


def _words() -> dict[str, Any]:

    return {}


def _picked() -> dict[str, Any]:
    from handheld.projection.ngrams import NGrams

    return {"ngrams": NGrams(), "buckets": np.arange(3, dtype=np.int32)}


def _graph_step() -> dict[str, Any]:
    from types import SimpleNamespace

    graph = SimpleNamespace(nodes=2)
    edges = SimpleNamespace(graph=graph)
    return {"edges": edges, "labels": np.array([0, -1])}


def _logistic() -> dict[str, Any]:
    return {"data": [1], "partition": None}


def _detector() -> dict[str, Any]:
    from types import SimpleNamespace

    from handheld.reply.safety import HARMLESS

    risks = dict.fromkeys(("silent", "careful", "doubtful", "wary", "mild", "sorry"), 1.0)
    return {"network": SimpleNamespace(topics=1), "topics": (HARMLESS,), **risks}


def _perceptron() -> dict[str, Any]:
    from handheld.hands.perceptron import NONE

    weights = (np.zeros((2, 3), np.float32), np.zeros((3, 1), np.float32))
    biases = (np.zeros(3, np.float32), np.zeros(1, np.float32))
    return {"names": (NONE,), "weights": weights, "biases": biases, "threshold": 0.5}


def _trigger() -> dict[str, Any]:
    from handheld.reply.trigger import EVIDENCE

    return {"weights": (0.0,) * (EVIDENCE + 1), "threshold": 0.5}


def _calibration() -> dict[str, Any]:
    return {"work": "x", "sha256": "0" * 64, "median": 1.0}


def _profile() -> dict[str, Any]:
    from handheld.bench.calibration import CalibrationTime

    return {"name": "x", "times": (CalibrationTime(**_calibration()),), "machine": {}}


def _member() -> dict[str, Any]:
    from handheld.compress.family import Latency

    latency = Latency(1e-3, 1e-3, 0.0, 9)
    shares = {"accuracy": 0.5, "accuracy_float": 0.5, "valid": 0.5}
    return {"name": "x", "file": "x", "latency": latency, "latency_float": latency, **shares}


# What the required fields of a class hold that are no number of one.
def _task_of_a_device() -> dict[str, Any]:
    return {"name": "x", "examples": "x", "shape": (1,), "classes": 1}


def _training_task() -> dict[str, Any]:
    from handheld.federated.tasks import DevicePlan

    plan = DevicePlan(shapes=((1,),))
    return {
        "name": "x",
        "plan": plan,
        "weights": np.zeros(1, np.float32),
        "first_statistics": np.empty(0),
    }


NEEDED: dict[str, Callable[[], dict[str, Any]]] = {
    "CalibrationProfile": _profile,
    "CalibrationTime": _calibration,
    "ChallengeRules": lambda: {"title": "x"},
    "ConversationSource": lambda: {"path": "x"},
    "DataSource": lambda: {"path": "x"},
    "DevicePlan": lambda: {"shapes": ((1,),)},
    "DeviceProfile": lambda: {"name": "x"},
    "DeviceTask": _task_of_a_device,
    "FormField": lambda: {"name": "x", "label": "x"},
    "GraphStep": _graph_step,
    "Largest": _of_share,
    "Logistic": _logistic,
    "Member": _member,
    "Perceptron": _perceptron,
    "Picked": _picked,
    "RandomMask": _of_share,
    "ReplyTrigger": _trigger,
    "Rows": _rows,
    "SafetyDetector": _detector,
    "Subsample": _of_share,
    "TaskSettings": lambda: {"task": "x:y"},
    "Target": lambda: {"size": 1},
    "TrainingOptions": lambda: {"name": "x", "shape": (1,), "classes": 1},
    "TrainingTask": _training_task,
    "UserDataConfig": lambda: {"path": "x"},
}
