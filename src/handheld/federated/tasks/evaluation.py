"""How good a model is on devices' own examples, of which the server learns sums alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.learning.evaluation import ExampleScores
from handheld.federated.rounds import FederationState
from handheld.federated.server.task import (
    ClosedRound,
    Received,
    SecureUpload,
    UploadTerms,
    require_name,
)
from handheld.federated.tasks.plan import VERSION, DevicePlan

_STATE_BYTES = 1 << 33
EVALUATION_BITS = 32
"""Of the modulus of the sums."""

_MOST_EXAMPLES = 1000  # that a device counts for, however many it has
_MOST_LOSS = 20.0
_STEPS = 1000  # of an accuracy and, for each unit, of a loss
# The largest number of a device is a loss; sums of so many devices' fit the modulus.
_MOST_CLIENTS = ((1 << EVALUATION_BITS) - 1) // int(_MOST_EXAMPLES * _MOST_LOSS * _STEPS)


@dataclass(frozen=True, kw_only=True)
class EvaluationTask:
    """A model that devices evaluate on their own examples.

    The sum of whole numbers that the server sees gives the mean loss and the accuracy, a device
    counting for as many examples as it has, up to 1,000.

    Attributes:
        name: by which devices know the task.
        plan: of the training task whose model it is; what devices learn by is not used.

    Raises:
        InputError: a name that is none.
    """

    name: str
    plan: DevicePlan
    purpose: Literal["evaluation"] = "evaluation"

    def __post_init__(self) -> None:
        require_name(self.name)

    def start(self) -> bytes:
        """Return nothing: it has no model of its own."""
        raise InputError(f"task {self.name}: expected model_of, the training task to be evaluated")

    def plans(self) -> Mapping[int, bytes]:
        """Return what devices do, by version."""
        return {VERSION: replace(self.plan, purpose="evaluation").to_bytes()}

    def public(self, state: bytes) -> bytes:
        """Return the model of a training task's state."""
        server = FederationState.from_bytes(state, _STATE_BYTES).server
        return FederationState(replace(server, kept={}), ()).to_bytes()

    def upload(self, state: bytes) -> UploadTerms:
        """Return what devices send."""
        return SecureUpload(count=len(_NAMES), bits=EVALUATION_BITS, most_clients=_MOST_CLIENTS)

    def close(self, state: bytes, received: Received) -> ClosedRound:
        """Return the state as it is, and how good the model was."""
        if received.total is None:
            raise InputError("expected a secure sum")
        sums = dict(zip(_NAMES, received.total.tolist(), strict=True))
        if not sums["examples"]:
            raise InputError("no device had an example to evaluate on")
        figures = {
            "test_loss": sums["loss"] / sums["examples"] / _STEPS,
            "test_examples": float(sums["examples"]),
        }
        if sums["asked"]:
            figures["test_accuracy"] = sums["right"] / sums["asked"] / _STEPS
        return ClosedRound(state=state, figures=figures)


_NAMES = ("examples", "loss", "asked", "right")


def evaluation_numbers(scores: ExampleScores) -> NDArray[np.uint32]:
    """Return (4,) whole numbers that tell a device's scores.

    They are its examples, 1,000 at most; that many times its mean loss in thousandths, a loss being
    20 at most; its examples again where targets are classes, or 0; and that many times its accuracy
    in thousandths.
    """
    figures = scores.figures
    examples = min(len(scores.losses), _MOST_EXAMPLES)
    loss = figures["loss"]
    # Where the model overflows, the device counts as badly as one may: left out, it would make the
    # model look better than it is.
    if not np.isfinite(loss):
        loss = _MOST_LOSS
    asked = 0
    right = 0
    if "accuracy" in figures:
        asked = examples
        right = round(figures["accuracy"] * asked * _STEPS)
    bounded = min(max(loss, 0.0), _MOST_LOSS)
    return np.array([examples, round(bounded * examples * _STEPS), asked, right], np.uint32)
