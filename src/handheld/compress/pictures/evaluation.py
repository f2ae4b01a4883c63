"""What a model file answers, one picture at a time as on a device."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.compress.pictures.preparation import Preparation, resized
from handheld.data import Dataset
from handheld.engine import Model, TensorInfo


def answers(content: bytes, dataset: Dataset, preparation: Preparation) -> NDArray[np.int64]:
    """Return the class that a model file answers for each picture, (n,)."""
    with Model.load(content) as model:
        stored = stored_inputs(model.inputs[0], dataset, preparation)
        # one after another, as on a device: a file has a batch of one
        classes = (model.run(picture)[0].argmax() for picture in stored)
        return np.fromiter(classes, np.int64, len(dataset))


def stored_inputs(
    info: TensorInfo, dataset: Dataset, preparation: Preparation
) -> Iterator[NDArray[Any]]:
    """Yield each picture as a model file takes it.

    Args:
        info: of the file's input, whose size and type pictures are brought to.
        dataset: of pictures.
        preparation: of them.

    Yields:
        (1, height, width, channels) a picture.
    """
    side = min(info.shape[1:3])
    for inputs in preparation.chunks(dataset):
        by_rows = resized(inputs, side).permute(0, 2, 3, 1).numpy()
        pictures = info.to_stored(np.ascontiguousarray(by_rows, dtype=np.float32))
        yield from np.split(pictures, len(pictures))


def accuracy_of(answered: NDArray[np.int64], dataset: Dataset) -> float:
    """Return the share of examples that were answered right, in [0, 1]."""
    return float((answered == dataset.labels).mean())


def confusion(answered: NDArray[np.int64], dataset: Dataset) -> tuple[tuple[int, ...], ...]:
    """Count [true class][answered class]."""
    count = len(dataset.classes)
    # Row by row, so that one count of numbers fills the table.
    cells = dataset.labels * count + answered
    table = np.bincount(cells, minlength=count**2).reshape(count, count)
    return tuple(map(tuple, table.tolist()))
