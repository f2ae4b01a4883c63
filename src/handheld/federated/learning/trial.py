"""A batch that is tried before anybody learns: what is wrong is said once, and clearly."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.errors import InputError
from handheld.federated.learning.descent import Loss, batch_of, cross_entropy, name_of, of_each
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import ModuleLayout
from handheld.federated.user_code import said


def tried(
    module: nn.Module, layout: ModuleLayout, examples: Examples, rows: NDArray[np.int64], loss: Loss
) -> torch.Tensor:
    """Let a module learn from some examples, and return its outputs.

    Args:
        module: of which weights may change.
        layout: of the module.
        examples: to learn from.
        rows: (k,) which.
        loss: of the outputs.

    Raises:
        InputError: what raises, and on what: the module, the loss, or a loss that is not one number
            for each example.
    """
    inputs, targets = batch_of(examples, rows)
    with torch.random.fork_rng(devices=[]):
        try:
            outputs = layout.train(module)(inputs)
        except Exception as error:  # whatever a user's module raises
            raise InputError(
                f"the module raises on inputs {list(inputs.shape)} of {_dtype(inputs)} "
                f"(stored as {examples.inputs.dtype}): {said(error)}{_hint(examples.inputs)}"
            ) from error
        if not isinstance(outputs, torch.Tensor):
            returned = type(outputs).__name__
            raise InputError(f"expected a module that returns a tensor, got {returned}")
        if loss is cross_entropy:
            require_labels("a device's", examples.targets[rows], outputs.shape[-1])
        try:
            losses = loss(outputs, targets)
        except Exception as error:  # whatever a user's loss raises
            raise InputError(
                f"loss {name_of(loss)} raises on outputs {list(outputs.shape)} and targets "
                f"{list(targets.shape)} of {_dtype(targets)} "
                f"(stored as {examples.targets.dtype}): {said(error)}"
            ) from error
        of_each(losses, len(rows), loss)
        if not losses.requires_grad:
            raise InputError(
                f"loss {name_of(loss)} does not depend on the module's weights: nothing would be learned"
            )
    return outputs.detach()


def _hint(inputs: NDArray[Any]) -> str:
    if inputs.dtype == np.uint8:
        return "; uint8 is taken as pictures, from 0 to 1: store numbers of words as int64"
    if inputs.dtype.kind in "iu":
        return "; whole numbers are taken as numbers of words: store measurements as float32"
    return ""


def require_labels(whose: str, targets: NDArray[Any], classes: int) -> None:
    """Raise :class:`InputError` for a label that is no class of a module's outputs, nor -1."""
    if targets.dtype.kind == "f" or not targets.size:
        return
    for worst, wrong in (
        (int(targets.max()), int(targets.max()) >= classes),
        (int(targets.min()), int(targets.min()) < -1),
    ):
        if wrong:
            place = int(np.flatnonzero(targets.reshape(-1) == worst)[0])
            example = place // max(1, targets[:1].size)
            raise InputError(
                f"{whose} example {example} has the label {worst}, but the module's outputs are of "
                f"{classes} classes: expected 0 to {classes - 1}, or -1 where nothing is asked"
            )


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
