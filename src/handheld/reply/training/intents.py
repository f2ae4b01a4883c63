"""Which replies mean the same: label propagation from a few hand-written ones.

As in Kannan et al., "Smart Reply: Automated Response Suggestion for Email" (arXiv 1606.04870), section 4: replies are nodes of
a graph, joined where they share words, where the ranker finds them alike, and where they answer the same message; the intents
of seeds spread over it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.projection import Features, Signs
from handheld.propagation import Graph, Labels, Seeds, graph_of, propagate
from handheld.reply.conversation import beginnings, canonical
from handheld.reply.ranker import Ranker
from handheld.reply.training.pairs import TRAIN, ReplyPairs

_LONGEST = 8  # words of a reply that can be suggested
_FEWEST = 3  # conversations in which it was said
_ALIKE = Features(words=2, skips=0, letters=(3, 4))
_CODES = Signs(functions=4, bits=64)
_KEPT = 5  # intents of a reply


WEIGHTS: Mapping[str, float] = {"words": 2.0, "learned": 1.0, "messages": 0.03}
"""How much each relation counts."""


@dataclass(frozen=True, eq=False)
class ShortReplies:
    """Short replies that people gave, and those of the seeds.

    Attributes:
        keys: (n,) each once, without case and marks.
        texts: (n,) how they are mostly written.
        counts: (n,) conversations in which each was said.
        number: of a key.
    """

    keys: tuple[str, ...]
    texts: tuple[str, ...]
    counts: NDArray[np.int64]
    number: Mapping[str, int]

    @classmethod
    def of(cls, pairs: ReplyPairs, seeds: Sequence[str]) -> "ShortReplies":
        """Collect them from the pairs that are learned from."""
        heard: dict[str, set[int]] = defaultdict(set)
        written: dict[str, Counter[str]] = defaultdict(Counter)
        chosen = pairs.where(TRAIN)
        keys = [canonical(pairs.texts[text]) for text in pairs.replies[chosen]]
        for pair, key in zip(chosen.tolist(), keys, strict=True):
            if key and key.count(" ") < _LONGEST:
                heard[key].add(int(pairs.conversations[pair]))
                written[key][pairs.texts[pairs.replies[pair]]] += 1
        often = [key for key, where in heard.items() if len(where) >= _FEWEST]
        wanted = dict(zip(map(canonical, seeds), seeds, strict=True))
        found = (*wanted, *(key for key in often if key not in wanted))
        texts = tuple(wanted.get(key) or written[key].most_common(1)[0][0] for key in found)
        counts = np.array([len(heard.get(key, ())) for key in found])
        return cls(found, texts, counts, {key: place for place, key in enumerate(found)})

    def of_pairs(self, pairs: ReplyPairs) -> NDArray[np.int64]:
        """Return (n,) which reply each pair's answer is, or begins with; -1: none."""
        known = {text: self.find(pairs.texts[text]) for text in np.unique(pairs.replies).tolist()}
        return np.array([known[text] for text in pairs.replies.tolist()])

    def find(self, answer: str) -> int:
        """Return which reply an answer is, or begins with; -1: none."""
        return next((self.number[key] for key in beginnings(answer) if key in self.number), -1)


def relations(
    replies: ShortReplies, which: NDArray[np.int64], ranker: Ranker, pairs: ReplyPairs
) -> dict[str, Graph]:
    """Join replies with each other, and with messages, whose nodes come after theirs.

    Args:
        replies: to join.
        which: (n,) which of them each pair's answer is.
        ranker: that judges which are alike.
        pairs: messages and what answered them.
    """
    words = graph_of(np.packbits(_CODES.of(_ALIKE.of(replies.texts)), axis=1))
    learned = graph_of(
        np.packbits(_CODES.of_vectors(ranker.encode_replies(replies.texts).vectors), axis=1)
    )
    chosen = np.flatnonzero((which >= 0) & (pairs.splits == TRAIN))
    heard = [canonical(pairs.texts[text]) for text in pairs.context[chosen, 0]]
    messages = {key: place for place, key in enumerate(dict.fromkeys(heard), len(replies.keys))}
    said = Graph.of_edges(
        [messages[key] for key in heard], which[chosen], nodes=len(replies.keys) + len(messages)
    )
    return {
        "words": _widened(words, said.nodes),
        "learned": _widened(learned, said.nodes),
        "messages": said,
    }


def spread(
    graphs: Mapping[str, Graph],
    weights: Mapping[str, float],
    replies: ShortReplies,
    seeds: Sequence[tuple[str, int]],
    classes: int,
) -> Labels:
    """Return the intents of replies.

    Args:
        graphs: as :func:`relations` gives them.
        weights: how much each relation counts.
        replies: to label.
        seeds: texts of replies and their intents; the rest learn from these.
        classes: number of intents.
    """
    graph = Graph.joined(
        {name: (graphs[name], weight) for name, weight in weights.items() if weight}
    )
    numbers = {replies.number[canonical(text)]: intent for text, intent in seeds}
    labels = propagate(
        graph, Seeds.of(list(numbers), list(numbers.values())), classes=classes, kept=_KEPT
    )
    count = len(replies.keys)
    return Labels(labels.names[:count], labels.shares[:count], classes)


def _widened(graph: Graph, nodes: int) -> Graph:
    """Return a graph with further nodes that nothing joins."""
    offsets = np.append(graph.offsets, np.full(nodes - graph.nodes, graph.offsets[-1]))
    return Graph(offsets, graph.neighbours, graph.weights)
