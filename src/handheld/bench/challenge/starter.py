"""A new challenge that works at once: examples made on the spot or a user's own, rules, and sample
submissions.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.bench.challenge.boxes import boxes_of_folder, write_boxes
from handheld.bench.challenge.rules import (
    CLASSIFICATION,
    DETECTION,
    RULES_FILE,
    SAMPLES_FOLDER,
    STATE_FOLDER,
    ChallengeFolder,
    are_pictures,
    write_examples,
)
from handheld.bench.challenge.squares import squares, write_samples
from handheld.bench.protocol import DETECTION_BUDGET
from handheld.data import Dataset, load_split
from handheld.engine.graphs import GraphWriter, TensorRef
from handheld.errors import InputError
from handheld.files import atomic_folder

_CLASSES = ("flat", "upright", "falling", "rising")
_FAMILY = Path(__file__).parent / "assets" / "family"
_SIDE = 16  # pixels
_EXAMPLES = 400  # of both parts together
_STRIPE = 4  # pixels from one stripe to the next
_BRIGHT = 150.0
_DARK = 106.0
_NOISE = 75.0  # of 255: a linear model gets most right, and not all
_HIDDEN_SHARE = 0.5
_RIDGE = 10.0
_TRAINING_SEED = 1000  # beyond the challenge's own seed: examples of no part
_DETOUR_WIDTH = 512  # hidden numbers of the slow sample
_DETOUR_LAYERS = 60  # 16 million multiply-accumulates: some milliseconds
_WHITE = 255.0
_MILLISECOND = 1e-3

_RULES = """\
# The rules of this challenge: 'handheld bench serve' on this folder hosts it.
title = "{title}"
description = \"\"\"
{description}
\"\"\"
task = "{task}"
# Of one picture; what is not reached within pictures x budget is wrong (the rule of OVIC).
budget_ms = {budget}
public = "data/public.npz"
# Never leaves the server; results on it come after the closing time, or 'handheld bench close'.
hidden = "data/hidden.npz"
# What 0 and 255 of a pixel become in the real input of a model without a card.
black_white = [-1, 1]
# opens = 2027-01-01T00:00:00Z
# closes = 2027-02-01T00:00:00Z
# Of each team's submissions, so many of the best are measured on the hidden part.
finals = 3

[measurement]
threads = 1
crop = {crop}
min_queries = 100
min_seconds = 0.5
# Runs at most until one is VALID.
attempts = 3

[limits]
model_bytes = 50_000_000
submissions_per_day = 20
waiting = 3
run_seconds = 20

# A worker takes its work by this name: 'handheld bench work FOLDER --device reference'.
[[devices]]
name = "reference"
description = "the machine of the host"
"""


def write_challenge(
    folder: Path,
    *,
    data: Path | None = None,
    split: str = "test",
    seed: int = 0,
    task: str = CLASSIFICATION,
) -> ChallengeFolder:
    """Write a challenge.

    Args:
        folder: not there, or empty.
        data: an ``.npz`` file of labelled examples, of a detection a folder of pictures with COCO's
            ``annotations.json``; None: small pictures are drawn, of stripes or of squares.
        split: which examples of such a file are taken: test, valid, train or all.
        seed: of what is drawn, and of the division into the public and the hidden part.
        task: what models do: "classification" or "detection".

    Returns:
        The challenge, as a server reads it.

    Raises:
        InputError: the folder is not empty, or the data is none.
        FileError: the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: expected a new or an empty folder")
    if task == DETECTION:
        return _write_detection(folder, data, seed)
    if task != CLASSIFICATION:
        raise InputError(f"task: expected {CLASSIFICATION} or {DETECTION}, got {task!r}")
    examples = _stripes(_EXAMPLES, seed) if data is None else load_split(data, split)
    if examples.is_text:
        raise InputError(f"{data}: expected pictures or rows of numbers, got texts")
    public, hidden = examples.split(_HIDDEN_SHARE, seed=seed)
    with atomic_folder(folder) as temporary:
        write_examples(temporary / "data" / "public.npz", public)
        write_examples(temporary / "data" / "hidden.npz", hidden)
        _write_rules(temporary, _rules_of(data, examples))
        if data is None:
            _write_samples(temporary / SAMPLES_FOLDER, seed)
    return ChallengeFolder.read(folder)


def _write_detection(folder: Path, data: Path | None, seed: int) -> ChallengeFolder:
    examples = squares(_EXAMPLES, seed) if data is None else boxes_of_folder(data)
    public, hidden = examples.split(_HIDDEN_SHARE, seed=seed)
    values = {"title": "A challenge of our own", "description": "Find what is in the pictures."}
    if data is None:
        values["title"] = "Where are the squares?"
        values["description"] = "Find the light and the dark squares in small, noisy pictures."
    with atomic_folder(folder) as temporary:
        write_boxes(temporary / "data" / "public.npz", public)
        write_boxes(temporary / "data" / "hidden.npz", hidden)
        # Of a detector's picture nothing is cut off in any case.
        budget = DETECTION_BUDGET / _MILLISECOND
        _write_rules(temporary, {**values, "task": DETECTION, "budget": budget, "crop": 1.0})
        if data is None:
            write_samples(temporary / SAMPLES_FOLDER)
    return ChallengeFolder.read(folder)


def _write_rules(folder: Path, values: Mapping[str, object]) -> None:
    (folder / RULES_FILE).write_text(_RULES.format(**values), "utf-8")
    (folder / ".gitignore").write_text(f"{STATE_FOLDER}/\ndata/hidden.npz\n", "utf-8")


def _rules_of(data: Path | None, examples: Dataset) -> dict[str, object]:
    """Return what the rules of a classification say."""
    if data is None:
        return {
            "task": CLASSIFICATION,
            "title": "Which way do the stripes go?",
            "description": "Tell flat, upright, falling and rising stripes apart in small, noisy "
            "pictures.",
            "budget": 2.0,
            # Stripes reach the edge: nothing is to be cut off.
            "crop": 1.0,
        }
    word = "pictures" if are_pictures(examples) else "rows of numbers"
    count = len(examples.classes)
    return {
        "task": CLASSIFICATION,
        "title": "A challenge of our own",
        "description": f"Sort {word} into {count} classes.",
        "budget": 33.0,
        "crop": 0.875,
    }


def _stripes(count: int, seed: int) -> Dataset:
    """Draw stripes of four directions under noise: (count, 16, 16, 3) uint8."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(_CLASSES)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    directions = np.stack([rows, columns, rows - columns, rows + columns])
    shifts = rng.integers(0, 2, count)
    waves = (directions[labels] + shifts[:, None, None]) % _STRIPE < _STRIPE // 2
    grey = np.where(waves, _BRIGHT, _DARK)
    noisy = grey[..., None] + rng.normal(0.0, _NOISE, (count, _SIDE, _SIDE, 3))
    pictures = np.clip(np.rint(noisy), 0, _WHITE).astype(np.uint8)
    return Dataset(pictures, labels.astype(np.int64), _CLASSES)


def _write_samples(folder: Path, seed: int) -> None:
    folder.mkdir()
    # "handheld compress" made it for other stripes: a float network, two of int8
    # (tests/fixtures/make_family.py).
    for path in sorted(_FAMILY.glob("*.tflite")):
        (folder / path.name).write_bytes(path.read_bytes())
    weights, bias = _fitted(_stripes(2 * _EXAMPLES, seed + _TRAINING_SEED))
    (folder / "linear.tflite").write_bytes(linear_model(weights, bias))
    (folder / "slow.tflite").write_bytes(linear_model(weights, bias, detour=_DETOUR_LAYERS))
    # Of as many scores, and no better than guessing.
    (folder / "blind.tflite").write_bytes(linear_model(0 * weights, bias))


def _fitted(data: Dataset) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights (classes, numbers) and bias of the ridge regression on the labels."""
    pixels = np.asarray(data.inputs, np.float64).reshape(len(data), -1) / (_WHITE / 2) - 1.0
    truth = np.eye(len(data.classes))[data.labels]
    columns = np.concatenate([pixels, np.ones((len(data), 1))], axis=1)
    gram = columns.T @ columns + _RIDGE * np.eye(columns.shape[1])
    solved = np.linalg.solve(gram, columns.T @ truth).T
    return solved[:, :-1].astype(np.float32), solved[:, -1].astype(np.float32)


def linear_model(
    weights: NDArray[np.float32], bias: NDArray[np.float32], *, detour: int = 0
) -> bytes:
    """Return a ``.tflite`` file of class scores that are linear in a picture's pixels.

    Args:
        weights: (classes, 16 * 16 * 3).
        bias: (classes,).
        detour: layers beside it that change nothing but its time.
    """
    graph = GraphWriter()
    numbers = weights.shape[1]
    picture = graph.input("picture", (1, _SIDE, _SIDE, 3), "float32")
    shape = graph.constant("shape", np.array([1, numbers], np.int32))
    row = graph.operator(
        "RESHAPE", [picture, shape], (1, numbers), options={"table": "Reshape", "newShape": None}
    )
    scale = graph.constant("weights", weights)
    shift = graph.constant("bias", bias)
    scores = _dense(graph, row, scale, shift, "scores")
    if not detour:
        return graph.content(scores)
    narrow = graph.constant("narrow", np.zeros((_DETOUR_WIDTH, numbers), np.float32))
    # One constant for all layers: the file stays small.
    square = graph.constant("square", np.zeros((_DETOUR_WIDTH, _DETOUR_WIDTH), np.float32))
    nought = graph.constant("nought", np.zeros(_DETOUR_WIDTH, np.float32))
    hidden = _dense(graph, row, narrow, nought, "detour")
    for layer in range(detour):
        hidden = _dense(graph, hidden, square, nought, f"detour_{layer}")
    back = graph.constant("back", np.zeros((len(bias), _DETOUR_WIDTH), np.float32))
    nothing = _dense(graph, hidden, back, shift, "detour_scores")
    return graph.content(
        graph.operator("ADD", [scores, nothing], scores.shape, options={"table": "Add"})
    )


def _dense(
    graph: GraphWriter, row: TensorRef, weights: TensorRef, bias: TensorRef, name: str
) -> TensorRef:
    return graph.operator(
        "FULLY_CONNECTED",
        [row, weights, bias],
        (1, weights.shape[0]),
        output=name,
        options={"table": "FullyConnected"},
    )
