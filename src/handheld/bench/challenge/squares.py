"""The detection challenge that works at once: light and dark squares on grey, and sample detectors.

Squares stand in cells of a grid, one in each of a few cells, a pixel off here and there. The sample
looks at the mean brightness of each cell and says its whole cell, so its boxes are nearly right.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.bench.challenge.boxes import BoxedPictures
from handheld.engine.graphs import GraphWriter, TensorRef

CLASSES = ("light", "dark")
_CELLS = 4  # along a side
_CELL = 8  # pixels
_SIDE = _CELLS * _CELL
_MOST_SQUARES = 3
_GREY = 128.0
_CONTRAST = 70.0
_NOISE = 40.0
_WHITE = 255.0
_CHANNELS = 3
_CORNERS = 4
_DETOUR_WIDTH = 512  # hidden numbers of the slow sample
_DETOUR_LAYERS = 900  # 236 million multiply-accumulates: some tens of milliseconds


def squares(count: int, seed: int) -> BoxedPictures:
    """Draw pictures (count, 32, 32, 3) of one to three squares under noise.

    Args:
        count: of pictures, 1 or more.
        seed: of what is drawn.
    """
    rng = np.random.default_rng(seed)
    pictures = np.full((count, _SIDE, _SIDE, _CHANNELS), _GREY)
    boxes = []
    owners = []
    categories = []
    for number in range(count):
        cells = rng.permutation(_CELLS**2)[: 1 + number % _MOST_SQUARES]
        for cell in cells.tolist():
            corners = _square(divmod(cell, _CELLS), rng)
            category = int(rng.integers(1, len(CLASSES) + 1))
            y0, x0, y1, x1 = corners
            sign = 3 - 2 * category  # light is +1, dark is -1
            pictures[number, y0:y1, x0:x1] += sign * _CONTRAST
            boxes.append(corners)
            owners.append(number)
            categories.append(category)
    noisy = pictures + rng.normal(0.0, _NOISE, pictures.shape)
    return BoxedPictures(
        np.clip(np.rint(noisy), 0, _WHITE).astype(np.uint8),
        np.array(boxes, np.float64) / _SIDE,
        np.array(owners, np.int64),
        np.array(categories, np.int64),
        CLASSES,
    )


def _square(cell: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right of a square in a cell, each up to a pixel within it."""
    row, column = cell
    inset = rng.integers(0, 2, _CORNERS).tolist()
    return (
        row * _CELL + inset[0],
        column * _CELL + inset[1],
        (row + 1) * _CELL - inset[2],
        (column + 1) * _CELL - inset[3],
    )


def write_samples(folder: Path) -> None:
    """Write sample detectors: a fair one, the same with a detour, and one that sees nothing."""
    folder.mkdir()
    (folder / "cells.tflite").write_bytes(cell_detector())
    (folder / "slow.tflite").write_bytes(cell_detector(detour=_DETOUR_LAYERS))
    (folder / "blind.tflite").write_bytes(cell_detector(contrast=0.0))


def cell_detector(*, contrast: float = 1.0, detour: int = 0) -> bytes:
    """Return a ``.tflite`` file that says each cell twice, as light and as dark, with a score by
    how light it is.

    Args:
        contrast: by which scores follow the brightness; 0: all scores are alike.
        detour: layers beside it that change nothing but its time.
    """
    graph = GraphWriter()
    numbers = _SIDE * _SIDE * _CHANNELS
    picture = graph.input("picture", (1, _SIDE, _SIDE, _CHANNELS), "float32")
    row = _reshaped(graph, picture, (1, numbers))
    count = len(CLASSES) * _CELLS**2
    weights = contrast * _cell_weights()
    scores = _dense(graph, row, weights, np.zeros(count), "scores")
    if detour:
        scores = _with_detour(graph, row, scores, detour)
    # Constants that hang on the picture: some runtimes give none that stand alone.
    no_weights = np.zeros((_CORNERS * count, numbers))
    flat = _dense(graph, row, no_weights, _cell_boxes().ravel(), "flat_boxes")
    boxes = _reshaped(graph, flat, (1, count, _CORNERS))
    classes = np.repeat(np.arange(len(CLASSES)), _CELLS**2)
    said = _dense(graph, row, np.zeros((count, numbers)), classes, "classes")
    total = _dense(graph, row, np.zeros((1, numbers)), np.array([count]), "count")
    return graph.content(boxes, said, scores, total)


def _cell_weights() -> NDArray[np.float64]:
    """Return (2 * cells, pixels * 3): the mean brightness of each cell, and its opposite."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    cell = (rows // _CELL) * _CELLS + columns // _CELL
    masks = cell[None] == np.arange(_CELLS**2)[:, None, None]
    means = np.repeat(masks.reshape(_CELLS**2, -1), _CHANNELS, axis=1) / (_CELL**2 * _CHANNELS)
    return np.concatenate([means, -means])


def _cell_boxes() -> NDArray[np.float64]:
    """Return (2 * cells, 4): the middle of what a square in each cell may be, for each class."""
    inset = 0.5  # pixels, of 0 or 1
    rows, columns = np.divmod(np.arange(_CELLS**2), _CELLS)
    low = np.stack([rows, columns], axis=1) * _CELL + inset
    high = low + _CELL - 2 * inset
    return np.tile(np.concatenate([low, high], axis=1) / _SIDE, (len(CLASSES), 1))


def _with_detour(graph: GraphWriter, row: TensorRef, scores: TensorRef, layers: int) -> TensorRef:
    square = graph.constant("square", np.zeros((_DETOUR_WIDTH, _DETOUR_WIDTH), np.float32))
    nought = graph.constant("nought", np.zeros(_DETOUR_WIDTH, np.float32))
    hidden = _dense(
        graph, row, np.zeros((_DETOUR_WIDTH, row.shape[1])), np.zeros(_DETOUR_WIDTH), "in"
    )
    for layer in range(layers):
        # One constant for all layers: the file stays small.
        hidden = graph.operator(
            "FULLY_CONNECTED",
            [hidden, square, nought],
            (1, _DETOUR_WIDTH),
            output=f"detour_{layer}",
            options={"table": "FullyConnected"},
        )
    count = scores.shape[1]
    back = _dense(graph, hidden, np.zeros((count, _DETOUR_WIDTH)), np.zeros(count), "out")
    return graph.operator("ADD", [scores, back], scores.shape, options={"table": "Add"})


def _dense(
    graph: GraphWriter,
    row: TensorRef,
    weights: NDArray[np.floating],
    bias: NDArray[np.generic],
    name: str,
) -> TensorRef:
    return graph.operator(
        "FULLY_CONNECTED",
        [
            row,
            graph.constant(f"{name}_weights", weights.astype(np.float32)),
            graph.constant(f"{name}_bias", bias.astype(np.float32)),
        ],
        (1, weights.shape[0]),
        output=name,
        options={"table": "FullyConnected"},
    )


def _reshaped(graph: GraphWriter, tensor: TensorRef, shape: tuple[int, ...]) -> TensorRef:
    target = graph.constant(f"shape_{len(shape)}", np.array(shape, np.int32))
    return graph.operator(
        "RESHAPE", [tensor, target], shape, options={"table": "Reshape", "newShape": None}
    )
