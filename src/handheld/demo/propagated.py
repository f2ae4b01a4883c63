"""Labels of ten handwritten digits spread to all others, along edges between similar ones."""

import time

import numpy as np
from markupsafe import Markup
from rich.console import Console

from handheld.demo.digits import digits
from handheld.propagation import SeedLabels, WeightedGraph, graph_of, propagate
from handheld.reports import html_section, html_table

_NEIGHBOURS = 8
_FUNCTIONS = 8  # hash functions of 32 bits each
_SEEDS = (1, 5, 20)  # labelled digits of each kind
_HEAD = ("labelled", "others", "right, spread", "right, nearest labelled")


def spread(console: Console) -> Markup:
    """Spread the labels of a few digits over all, and return the page's section.

    Needs the extra ``graphs``.
    """
    from handheld.projection import Signs

    data = digits()
    splits = (data.train, data.valid, data.test)
    pictures = np.concatenate([split.inputs for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    vectors = pictures.reshape(len(pictures), -1).astype(np.float32)
    # Signs tell directions from the middle of all, which must not lie far away.
    vectors -= vectors.mean(axis=0)
    signs = Signs(functions=_FUNCTIONS, bits=32)
    codes = np.packbits(signs.of_vectors(vectors), axis=1)
    started = time.perf_counter()
    graph = graph_of(codes, count=_NEIGHBOURS)
    rows = [_row(graph, vectors, labels, count) for count in _SEEDS]
    seconds = time.perf_counter() - started
    console.print(f"labels: spread over {len(labels)} digits, {seconds:.1f} s", highlight=False)
    about = (
        f"{len(labels):,} handwritten digits, each joined with the {_NEIGHBOURS} that look most "
        f"like it by {32 * _FUNCTIONS} bits. The labels of a few spread along these edges; beside "
        "it, what the nearest labelled digit would say."
    )
    return html_section("Labels that spread", about, html_table(_HEAD, rows, numbers=range(4)))


def _row(
    graph: WeightedGraph, vectors: np.ndarray, labels: np.ndarray, count: int
) -> tuple[int, int, str, str]:
    """Return how many digits are right, where ``count`` of each kind are labelled."""
    known = np.concatenate([np.flatnonzero(labels == digit)[:count] for digit in range(10)])
    others = np.setdiff1d(np.arange(len(labels)), known)
    answers = propagate(graph, SeedLabels.of(known, labels[known])).best
    nearest = known[_nearest(vectors[others], vectors[known])]
    right = (answers[others] == labels[others]).mean()
    right_nearest = (labels[nearest] == labels[others]).mean()
    return len(known), len(others), f"{right:.1%}", f"{right_nearest:.1%}"


def _nearest(vectors: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return which of the known vectors is nearest to each."""
    lengths = (known**2).sum(axis=1)
    return np.asarray((lengths - 2 * vectors @ known.T).argmin(axis=1))
