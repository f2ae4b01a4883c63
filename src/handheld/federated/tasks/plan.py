"""What devices do in a round, as bytes that any device reads alike and none runs."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from handheld.config import from_table
from handheld.errors import InputError
from handheld.federated import choices
from handheld.federated.algorithms import Algorithm, FedAvg, ServerState
from handheld.federated.learning.learner import ClientTask, ClientWork, Structure
from handheld.federated.learning.subspaces import RandomMask
from handheld.federated.stages import Stage, StageChain, Structured, WholeNumbers
from handheld.federated.updates import Largest, Subsample
from handheld.ranges import MOST_SEED, in_range, whole_in_range
from handheld.untrusted import read_json

VERSION = 1
"""Of plans: a device that knows another one is not asked."""

Purpose = Literal["training", "evaluation"]
_MOST_BYTES = 1 << 16
_MOST_WEIGHTS = 1 << 31
_MOST_ARRAYS = 10_000


@dataclass(frozen=True, kw_only=True)
class DevicePlan:
    """What a device does in a round.

    Attributes:
        purpose: to train the model, or to evaluate it.
        shapes: of the model's arrays, which lie one after another in the vector of its weights.
        statistics: how many it has, such as running means, in [0, 2147483648].
        algorithm: says what devices do differently.
        work: how much they learn.
        stages: on the way of an update.
        equal: whether each device counts alike, however many examples it has.
        clients: devices that are expected to answer, 0 or more; 0 if nobody knows.
        seed: of what devices and the server draw alike, 0 or more.

    Raises:
        InputError: values outside of their ranges, or stages in an order that makes no sense.
    """

    purpose: Purpose = "training"
    shapes: tuple[tuple[int, ...], ...]
    statistics: int = 0
    algorithm: Algorithm = field(default_factory=FedAvg)
    work: ClientWork = field(default_factory=ClientWork)
    stages: tuple[Stage, ...] = ()
    equal: bool = False
    clients: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.shapes) <= _MOST_ARRAYS:
            raise InputError(f"shapes: expected 1 to {_MOST_ARRAYS:,}, got {len(self.shapes):,}")
        for number, shape in enumerate(self.shapes):
            for side in shape:
                whole_in_range(f"shapes[{number}]", side, low=0, high=_MOST_WEIGHTS)
        whole_in_range("weights", self.count, low=1, high=_MOST_WEIGHTS)
        whole_in_range("statistics", self.statistics, low=0, high=_MOST_WEIGHTS)
        in_range("clients", self.clients, low=0)
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)
        assert self.chain is not None  # made now, so that a wrong order is an error now

    @property
    def count(self) -> int:
        """How many weights the model has."""
        return sum(map(math.prod, self.shapes))

    @cached_property
    def chain(self) -> StageChain:
        """The way of an update."""
        return StageChain(self.stages, self.algorithm, self.shapes, self.equal, self.clients)

    @property
    def whole(self) -> WholeNumbers | None:
        """The stage that makes updates whole numbers, which are added under masks."""
        for stage in self.stages:
            if isinstance(stage, WholeNumbers):
                return stage
        return None

    def require_dense(self) -> None:
        """Refuse sums of whole numbers to which single devices may have added alone at a place.

        Where each device sends some of its numbers only, the sum at a place can be one device's.

        Raises:
            InputError: a stage before whole numbers leaves numbers out.
        """
        if self.whole is None:
            return
        for stage in self.stages:
            if _leaves_out(stage):
                raise InputError(
                    f"{type(stage).__name__} leaves numbers out: where few devices send a number,"
                    " its sum would tell theirs; expected dense updates where sums are secure"
                )

    @property
    def structure(self) -> Structure | None:
        """Where devices learn, if one of the stages says so."""
        for stage in self.stages:
            if isinstance(stage, Structured):
                return stage.structure
        return None

    def task(self, state: ServerState) -> ClientTask:
        """Return what a device is asked in the round after a state."""
        return ClientTask(state, self.algorithm, self.work, self.seed, self.structure)

    def to_bytes(self) -> bytes:
        """Return it as JSON, the same bytes for the same plan.

        Raises:
            InputError: an algorithm or a stage of the user's own, which devices do not know.
        """
        table = {
            "version": VERSION,
            "purpose": self.purpose,
            "shapes": self.shapes,
            "statistics": self.statistics,
            "algorithm": choices.table_of(choices.ALGORITHM, self.algorithm),
            "work": _without_nothing(asdict(self.work)),
            "stages": [choices.table_of(choices.STAGE, stage) for stage in self.stages],
            "equal": self.equal,
            "clients": float(self.clients),
            "seed": self.seed,
        }
        return json.dumps(table, sort_keys=True, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Return what bytes from outside say; nothing of the user's own is imported or called.

        Raises:
            InputError: they say something else, or another version.
        """
        if len(content) > _MOST_BYTES:
            raise InputError(f"plan: expected {_MOST_BYTES:,} bytes at most, got {len(content):,}")
        try:
            table = read_json(content)
        except ValueError as error:
            raise InputError(f"plan: {error}") from error
        if not isinstance(table, dict):
            raise InputError("plan: expected a table")
        choices.require_ours(table)
        version = table.pop("version", None)
        if version != VERSION:
            raise InputError(f"plan: expected version {VERSION}, got {version!r}")
        folder = Path()  # of the user's own classes, of which there are none here
        stages = tuple(
            choices.named(choices.STAGE, stage, f"plan.stages[{number}]", folder=folder)
            for number, stage in enumerate(_popped(table, "stages", list))
        )
        algorithm = choices.named(
            choices.ALGORITHM, _popped(table, "algorithm", dict), "plan.algorithm", folder=folder
        )
        return from_table(cls, table, "plan", stages=stages, algorithm=algorithm)


def _leaves_out(value: Any) -> bool:
    """Whether a stage, or an encoder or a structure in it, sends some of the numbers only."""
    if isinstance(value, Largest | RandomMask | Subsample):
        return value.share < 1
    inner = [getattr(value, name, None) for name in choices.INNER]
    return any(_leaves_out(one) for one in inner if one is not None)


def _popped(table: dict[str, Any], entry: str, expected: type[Any]) -> Any:
    value = table.pop(entry, None)
    if not isinstance(value, expected):
        raise InputError(f"plan.{entry}: expected a {expected.__name__}, got {value!r}"[:200])
    return value


def _without_nothing(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without entries of None, which TOML and ``from_table`` do not know."""
    return {name: value for name, value in table.items() if value is not None}
