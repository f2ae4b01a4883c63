"""What a kept run is: by it a folder's run is told from another one."""

from collections.abc import Mapping

from handheld.federated.learning.learner import (
    PopulationLearner,
    examples_of,
    start_of,
    statistics_of,
)
from handheld.federated.simulator.plan import Plan
from handheld.training.runs import Plain, array_digest, canonical

# A run may become longer, be looked at more often, and promise with another delta.
_MAY_CHANGE = ("rounds", "eval_every", "delta")

Identity = Mapping[str, Plain]
"""Plain values of the plan, and of the population: its data and its model."""


def identity_of(plan: Plan, learner: PopulationLearner) -> Identity:
    """Return what must be the same for a run to go on.

    Raises:
        InputError: something in it cannot be told from another of its kind; it says what to do.
    """
    # By content, field by field: the first difference is named.
    entries = {name: value for name, value in vars(plan).items() if name not in _MAY_CHANGE}
    return {
        "plan": {name: canonical(value, f"plan.{name}") for name, value in entries.items()},
        "learner": canonical(learner, "learner"),
        "first": {
            "examples": array_digest(examples_of(learner)),
            "weights": array_digest(start_of(learner)),
            "statistics": array_digest(statistics_of(learner)),
        },
    }
