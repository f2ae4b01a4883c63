"""The hidden layer on picked n-grams: texts that are made up for it, and the network
that counts.
"""

import numpy as np
import torch

from handheld.projection.kept import size_of
from handheld.projection.training.deep import (
    EPOCHS,
    HIDDEN,
    NGRAMS_A_ROW,
    WIDTH,
    Watch,
    rows_in,
    varied,
)
from handheld.projection.training.picking import GRAPH_BYTES
from handheld.projection.training.table import RowTable

TEXTS = ("what is the time", "play some jazz in the kitchen", "", "ok")


def test_varied_texts_are_of_the_words_of_the_texts():
    others = varied(TEXTS * 50, seed=0)
    assert len(others) == 200
    words = set(" ".join(TEXTS).split())
    assert all(set(text.split()) <= words for text in others)
    assert others == varied(TEXTS * 50, seed=0) != varied(TEXTS * 50, seed=1)
    assert sum(text != other for text, other in zip(TEXTS * 50, others, strict=True)) > 100
    assert any({"what", "jazz"} <= set(text.split()) for text in others)


def test_a_text_without_words_stays_one_or_is_the_end_of_another():
    assert varied(("", ""), seed=0) == ("", "")


def test_rows_their_n_grams_and_the_layers_fill_the_file():
    layers = HIDDEN * (WIDTH + 8) + 77 * (HIDDEN + 8)
    for known in (None, 5_000):
        rows = rows_in(100_000, 1 << 20, 77, known)
        sizes = [
            GRAPH_BYTES
            + layers
            + (count + 1) * WIDTH // 2
            + size_of(min(NGRAMS_A_ROW * count, known or 1 << 20), 1 << 20)
            for count in (rows, rows + 1)
        ]
        assert sizes[0] <= 100_000 < sizes[1]
    assert rows_in(100_000, 1 << 20, 77, 5_000) > rows_in(100_000, 1 << 20, 77)


def test_the_network_with_the_least_loss_counts_of_those_on_their_grid():
    network = RowTable(3, 2, 2)
    # The least loss of all is off the grid, in the first half; the least on the grid is that of
    # epoch 15.
    steps = 10 * EPOCHS
    seen: list[float] = []

    def loss(logits: np.ndarray) -> float:
        seen.append(abs(network.table[0, 0].item() - 15.0))
        return seen[-1]

    watch = Watch(network, lambda: np.zeros((1, 2), np.float32), loss)
    for step in range(1, steps + 1):
        with torch.no_grad():
            network.table.fill_(15.0 if step == 10 else step / 10)
        watch.look(step, steps)
    watch.restore()
    assert network.table[0, 0].item() == 15.0
    assert len(seen) == EPOCHS // 2
    assert min(seen) == 0.0
