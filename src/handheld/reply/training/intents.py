"""Which replies mean the same: label propagation from a few hand-written ones.

As in Kannan et al., "Smart Reply: Automated Response Suggestion for Email" (arXiv 1606.04870),
section 4: replies are nodes of a graph, joined where they share words, where the ranker finds them
alike, and where they answer the same message; the intents of seeds spread over it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.projection import Features, Signs
from handheld.propagation import Labels, SeedLabels, WeightedGraph, graph_of, propagate
from handheld.reply.conversation import beginnings, canonical
from handheld.reply.ranker import Ranker
from handheld.reply.training.pairs import TRAIN, Integers, ReplyPairs

# Words of a reply that can be suggested.
_LONGEST = 8
# Conversations in which it was said: what one person says is theirs.
_FEWEST = 3
_ALIKE = Features(words=2, skips=0, letters=(3, 4))
_CODES = Signs(functions=4, bits=64)
# Intents of a reply that are stored; a pair takes all of them as its shares.
_INTENTS = 5

WEIGHTS: Mapping[str, float] = {"words": 2.0, "learned": 1.0, "messages": 0.03}
"""How much each relation counts: one edge of messages little, as a reply has hundreds of them."""


@dataclass(frozen=True, eq=False)
class ShortReplies:
    """Short replies that people gave, and those of the seeds.

    Attributes:
        keys: (n,) each once, without case and marks.
        texts: (n,) how they are mostly written.
        counts: (n,) conversations in which each was said.
        number: place of each key.
    """

    keys: tuple[str, ...]
    texts: tuple[str, ...]
    counts: NDArray[np.int64]
    number: Mapping[str, int]

    @classmethod
    def of(cls, pairs: ReplyPairs, seeds: Sequence[str]) -> "ShortReplies":
        """Return the seeds, and what several people said where pairs are learned from."""
        conversations: dict[str, set[int]] = defaultdict(set)
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for key, text, conversation in _short_answers(pairs):
            conversations[key].add(conversation)
            spellings[key][text] += 1
        # seeds first, and as they are written by hand
        texts = dict(zip(map(canonical, seeds), seeds, strict=True))
        for key, said_in in conversations.items():
            if len(said_in) >= _FEWEST and key not in texts:
                texts[key] = spellings[key].most_common(1)[0][0]
        counts = np.array([len(conversations.get(key, ())) for key in texts])
        numbers = {key: number for number, key in enumerate(texts)}
        return cls(tuple(texts), tuple(texts.values()), counts, numbers)

    def of_pairs(self, pairs: ReplyPairs) -> Integers:
        """Return (n,) which reply each pair's answer is, or begins with; -1: none."""
        answers, inverse = np.unique(pairs.replies, return_inverse=True)
        return np.array([self.find(pairs.texts[answer]) for answer in answers])[inverse]

    def find(self, answer: str) -> int:
        """Return which reply an answer is, or begins with; -1: none."""
        for key in beginnings(answer):
            if key in self.number:
                return self.number[key]
        return -1


def _short_answers(pairs: ReplyPairs) -> Iterator[tuple[str, str, int]]:
    """Yield key, text and conversation of each short answer that is learned from."""
    for pair in pairs.where(TRAIN).tolist():
        text = pairs.texts[pairs.replies[pair]]
        key = canonical(text)
        if key and key.count(" ") < _LONGEST:
            yield key, text, int(pairs.conversations[pair])


def relations(
    replies: ShortReplies, which: Integers, ranker: Ranker, pairs: ReplyPairs
) -> dict[str, WeightedGraph]:
    """Join replies with each other, and with messages, whose nodes come after theirs.

    Args:
        replies: to join.
        which: (n,) which of them each pair's answer is.
        ranker: that judges which are alike.
        pairs: messages and what answered them.
    """
    bits_of_words = _CODES.of(_ALIKE.of(replies.texts))
    bits_of_vectors = _CODES.of_vectors(ranker.encode_replies(replies.texts).vectors)
    messages = _message_graph(replies, which, pairs)
    return {
        "words": _widened(graph_of(np.packbits(bits_of_words, axis=1)), messages.nodes),
        "learned": _widened(graph_of(np.packbits(bits_of_vectors, axis=1)), messages.nodes),
        "messages": messages,
    }


def _message_graph(replies: ShortReplies, which: Integers, pairs: ReplyPairs) -> WeightedGraph:
    """Join each message with the replies that answered it."""
    # of pairs that are learned from alone: what is held out must not say what a reply means
    chosen = np.flatnonzero((which >= 0) & (pairs.splits == TRAIN))
    keys = [canonical(pairs.texts[text]) for text in pairs.context[chosen, 0]]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys), len(replies.keys))}
    return WeightedGraph.of_edges(
        [numbers[key] for key in keys],
        which[chosen],
        nodes=len(replies.keys) + len(numbers),
    )


def spread(
    graphs: Mapping[str, WeightedGraph],
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
    weighted = {name: (graphs[name], weight) for name, weight in weights.items() if weight}
    intents = {replies.number[canonical(text)]: intent for text, intent in seeds}
    labels = propagate(
        WeightedGraph.joined(weighted),
        SeedLabels.of(list(intents), list(intents.values())),
        classes=classes,
        max_labels=_INTENTS,
    )
    # without the messages, whose nodes come last
    count = len(replies.keys)
    return Labels(labels.names[:count], labels.shares[:count], classes)


def _widened(graph: WeightedGraph, nodes: int) -> WeightedGraph:
    """Return a graph with further nodes that nothing joins."""
    added = np.full(nodes - graph.nodes, graph.offsets[-1])
    return WeightedGraph(np.append(graph.offsets, added), graph.neighbours, graph.weights)
