"""Examples that do not fit a model: a bad one among many must not stop a device."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import nn

from handheld.errors import InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.learning.descent import Loss
from handheld.federated.learning.evaluation import answers
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import ModuleLayout
from handheld.federated.user_code import said

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Fitting:
    """Leaves out examples that do not fit a model, once one of them has been in the way.

    Attributes:
        module: whose weights and statistics are changed.
        layout: of the module.
        shared: weights and statistics by which examples are looked at.
        loss: of what the module says.
        path: of the store, for messages.
    """

    module: nn.Module
    layout: ModuleLayout
    shared: ServerState
    loss: Loss
    path: Path

    def made(
        self, make: Callable[[Examples], T], examples: Examples, is_whole: Callable[[T], bool]
    ) -> tuple[T, Examples]:
        """Return what comes of examples, and of which.

        Args:
            make: what is wanted, of examples.
            examples: all there are.
            is_whole: whether what was made can be used.

        Raises:
            InputError: no example fits.
        """
        try:
            found = make(examples)
        except MemoryError:
            raise
        except Exception:
            fit = self._fit(examples)
            if len(fit) == len(examples):
                raise
            return make(fit), fit
        if is_whole(found):
            return found, examples
        fit = self._fit(examples)
        return (found if len(fit) == len(examples) else make(fit)), fit

    def _fit(self, examples: Examples) -> Examples:
        """Return the examples that fit, all of them as they are."""
        why = [self._unfit(examples.of(np.array([place]))) for place in range(len(examples))]
        fits = np.array([not reason for reason in why])
        if fits.all():
            return examples
        first = next(reason for reason in why if reason)
        if not fits.any():
            raise InputError(
                f"none of the {len(examples)} examples of {self.path} fits the model ({first}): forget() removes them"
            )
        left_out = int((~fits).sum())
        _LOG.warning(
            "%s: %d of %d examples left out, the first: %s",
            self.path,
            left_out,
            len(examples),
            first,
        )
        return examples.of(np.flatnonzero(fits))

    def _unfit(self, example: Examples) -> str:
        """Return why an example does not fit; nothing if it does."""
        state = self.shared
        try:
            answered = answers(
                self.module,
                self.layout,
                state.weights,
                example,
                self.loss,
                statistics=state.statistics,
            )
        except MemoryError:
            raise
        except Exception as error:  # whatever a module or a loss raises
            return said(error)
        return "" if np.isfinite(answered.losses).all() else f"its loss is {answered.losses[0]}"
