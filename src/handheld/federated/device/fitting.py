"""Examples that do not fit a model: a bad one among many must not stop a device."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.learning.evaluation import evaluate_examples
from handheld.federated.learning.trainable import TrainableModule
from handheld.federated.learning.users import Examples
from handheld.federated.user_code import said

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ExampleFitting:
    """Leaves out examples that do not fit a model, once one of them has been in the way.

    Attributes:
        model: whose weights and statistics are changed.
        shared: weights and statistics by which examples are looked at.
        path: of the store, for messages.
    """

    model: TrainableModule
    shared: ServerState
    path: Path

    def result_of(
        self, function: Callable[[Examples], T], examples: Examples, is_usable: Callable[[T], bool]
    ) -> tuple[T, Examples]:
        """Return what comes of examples, and of which.

        Args:
            function: called with examples, a second time with those that fit.
            examples: all there are.
            is_usable: whether what came of them can be used.

        Raises:
            InputError: no example fits.
        """
        try:
            result = function(examples)
        except MemoryError:
            raise
        except Exception:  # whatever a module or a loss raises
            fitting = self._fitting(examples)
            # An error that no example brings by itself is of the whole: the caller gets it.
            if len(fitting) == len(examples):
                raise
            return function(fitting), fitting
        if is_usable(result):
            return result, examples
        # Each example is looked at only now: most devices have none that is in the way.
        fitting = self._fitting(examples)
        if len(fitting) < len(examples):
            result = function(fitting)
        return result, fitting

    def _fitting(self, examples: Examples) -> Examples:
        """Return the examples that fit, all of them as they are."""
        reasons = []
        for row in range(len(examples)):
            example = examples.of(np.array([row]))
            reasons.append(self._problem(example))
        problems = list(filter(None, reasons))
        if not problems:
            return examples
        first = problems[0]
        if len(problems) == len(examples):
            raise InputError(
                f"none of the {len(examples)} examples of {self.path} fits the model ({first}):"
                " forget() removes them"
            )
        _LOG.warning(
            "%s: %d of %d examples left out, the first: %s",
            self.path,
            len(problems),
            len(examples),
            first,
        )
        fits = ~np.array(reasons, bool)
        return examples.of(np.flatnonzero(fits))

    def _problem(self, example: Examples) -> str:
        """Return why an example does not fit; nothing if it does."""
        state = self.shared
        try:
            scores = evaluate_examples(
                self.model, state.weights, example, statistics=state.statistics
            )
        except MemoryError:
            raise
        except Exception as error:  # whatever a module or a loss raises
            return said(error)
        if np.isfinite(scores.losses).all():
            return ""
        return f"its loss is {scores.losses[0]}"
