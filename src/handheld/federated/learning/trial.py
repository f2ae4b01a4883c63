"""A batch that is tried before anybody learns: what is wrong is said once, and clearly."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.learning.trainable import (
    TrainableModule,
    batch_of,
    cross_entropy,
    name_of,
    of_each,
)
from handheld.federated.learning.users import Examples
from handheld.federated.user_code import said


def tried(model: TrainableModule, examples: Examples, rows: NDArray[np.int64]) -> torch.Tensor:
    """Let a module learn from some examples, and return its outputs.

    Args:
        model: of which weights may change.
        examples: to learn from.
        rows: (k,) which.

    Raises:
        InputError: what raises, and on what: the module, the loss, or a loss that is not one number
            for each example.
    """
    inputs, targets = batch_of(examples, rows)
    # What layers draw here must not change what the caller draws later.
    with torch.random.fork_rng(devices=[]):
        outputs = _outputs(model, examples, inputs)
        if model.loss is cross_entropy:
            require_labels("a device's", examples.targets[rows], outputs.shape[-1])
        losses = _losses(model, examples, outputs, targets)
    of_each(losses, len(rows), model.loss)
    if not losses.requires_grad:
        raise InputError(
            f"loss {name_of(model.loss)} does not depend on the module's weights:"
            " nothing would be learned"
        )
    return outputs.detach()


def _outputs(model: TrainableModule, examples: Examples, inputs: torch.Tensor) -> torch.Tensor:
    try:
        outputs = model.layout.train(model.module)(inputs)
    except Exception as error:  # whatever a user's module raises
        raise InputError(
            f"the module raises on inputs {list(inputs.shape)} of {_dtype(inputs)} "
            f"(stored as {examples.inputs.dtype}): {said(error)}{_hint(examples.inputs)}"
        ) from error
    if not isinstance(outputs, torch.Tensor):
        returned = type(outputs).__name__
        raise InputError(f"expected a module that returns a tensor, got {returned}")
    return outputs


def _losses(
    model: TrainableModule, examples: Examples, outputs: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    try:
        return model.loss(outputs, targets)
    except Exception as error:  # whatever a user's loss raises
        raise InputError(
            f"loss {name_of(model.loss)} raises on outputs {list(outputs.shape)} and targets "
            f"{list(targets.shape)} of {_dtype(targets)} "
            f"(stored as {examples.targets.dtype}): {said(error)}"
        ) from error


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
    for label in (int(targets.max()), int(targets.min())):
        if -1 <= label < classes:
            continue
        position = int(np.flatnonzero(targets.reshape(-1) == label)[0])
        # An example may have many labels, as texts have.
        example = position // max(1, targets[:1].size)
        raise InputError(
            f"{whose} example {example} has the label {label}, but the module's outputs are of "
            f"{classes} classes: expected 0 to {classes - 1}, or -1 where nothing is asked"
        )


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
