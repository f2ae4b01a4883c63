"""How fast texts are projected, one thread: many at a time, and one alone; scikit-learn's hashing
of n-grams beside it.

    python benchmarks/projections.py [--texts 20000]

Short messages of the chitchat set, 30 letters in the mean. Everything is interleaved; those of many
texts are seconds of CPU.
"""

import argparse
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from _report import show, write
from sklearn.feature_extraction.text import HashingVectorizer

from handheld.config import find
from handheld.engine.measure import measure
from handheld.projection import Features, Signs
from handheld.projection.inputs import Rows
from handheld.projection.learned import LearnedTable
from handheld.reply.conversation import read_conversations

SHORT = 60  # letters
ALONE = 500  # texts that are projected one by one


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--texts", type=int, default=20_000)
    given = options.parse_args()
    conversations = read_conversations(find("text/chitchat.jsonl.gz", Path())).conversations
    texts = [text for each in conversations for _, text in each.turns if len(text) <= SHORT][
        : given.texts
    ]
    ways = projections()
    many = measure(
        {name: lambda way=way: way(texts) for name, way in ways.items()}, rounds=7, warmup=2
    )
    alone = measure({name: one_by_one(way, texts) for name, way in ways.items()}, rounds=ALONE)
    rows = [
        {
            "projection": name,
            "texts a second": round(len(texts) / many[name].cpu_median),
            "us for one text": round(1e6 * alone[name].median, 1),
            "us, 90th percentile": round(1e6 * alone[name].p90, 1),
        }
        for name in ways
    ]
    show(f"{len(texts)} texts of {np.mean([len(text) for text in texts]):.0f} letters", rows)
    write("projections", rows)


def projections() -> dict[str, Callable[[list[str]], Any]]:
    """Return ways to project texts, by name."""
    words, letters = Features(words=3, skips=2), Features(words=2, skips=0, letters=(3, 4, 5))
    small, large, codes = Signs(8, 10), Signs(60, 12), Signs(2, 64)
    table = np.random.default_rng(0).integers(-7, 8, (4096, 64)).astype(np.int8)
    learned, peer = (
        LearnedTable(Rows(letters, 4096), table, 0.1),
        HashingVectorizer(ngram_range=(1, 3), norm=None),
    )
    return {
        "n-grams of 1 to 3 words, 2 skips: fingerprints": words.of,
        "8 functions of 10 signs": lambda texts: small.of(words.of(texts)),
        "60 functions of 12 signs": lambda texts: large.of(words.of(texts)),
        "128 ternary digits": lambda texts: codes.ternary(words.of(texts)),
        "n-grams of words and letters: a learned table of 64": learned.of,
        "scikit-learn: n-grams of 1 to 3 words, hashed": peer.transform,
    }


def one_by_one(way: Callable[[list[str]], Any], texts: list[str]) -> Callable[[], Any]:
    """Return what projects the next text alone."""
    following = cycle(texts)
    return lambda: way([next(following)])


if __name__ == "__main__":
    main()
