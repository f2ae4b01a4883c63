"""Labels of ten handwritten digits spread to all others, along edges between similar ones."""

import time

import numpy as np
from markupsafe import Markup
from rich.console import Console

from handheld.demo.digits import digits
from handheld.propagation import Seeds, graph_of, propagate
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
    pictures = np.concatenate([split.inputs for split in (data.train, data.valid, data.test)])
    labels = np.concatenate([split.labels for split in (data.train, data.valid, data.test)])
    vectors = pictures.reshape(len(pictures), -1).astype(np.float32)
    vectors -= vectors.mean(axis=0)
    codes = np.packbits(Signs(functions=_FUNCTIONS, bits=32).of_vectors(vectors), axis=1)
    started = time.perf_counter()
    graph = graph_of(codes, count=_NEIGHBOURS)
    rows = []
    for each in _SEEDS:
        known = np.concatenate([np.flatnonzero(labels == kind)[:each] for kind in range(10)])
        found = propagate(graph, Seeds.of(known, labels[known])).best
        others = np.setdiff1d(np.arange(len(labels)), known)
        nearest = known[_nearest(vectors[others], vectors[known])]
        right = (found[others] == labels[others]).mean()
        right_nearest = (labels[nearest] == labels[others]).mean()
        rows.append((10 * each, len(others), f"{right:.1%}", f"{right_nearest:.1%}"))
    seconds = time.perf_counter() - started
    console.print(f"labels: spread over {len(labels)} digits, {seconds:.1f} s", highlight=False)
    about = (
        f"{len(labels):,} handwritten digits, each joined with the {_NEIGHBOURS} that look most like it by {32 * _FUNCTIONS} "
        "bits. The labels of a few spread along these edges; beside it, what the nearest labelled digit would say."
    )
    return html_section("Labels that spread", about, html_table(_HEAD, rows, numbers=range(4)))


def _nearest(vectors: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return which of the known vectors is nearest to each."""
    lengths = (known**2).sum(axis=1)
    return np.asarray((lengths - 2 * vectors @ known.T).argmin(axis=1))
