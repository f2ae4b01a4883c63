"""A ranker of replies over people who chat: each person is a device, with what they answered.

The projection and the table of the shipped bundle stay as they are; both towers on it are learned
anew. Which of twenty replies was given is what the model must say. The chats are
``HANDHELD_DATA/text/chitchat.jsonl.gz``.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from handheld.config import find
from handheld.data.users.partitions import by_user
from handheld.federated.learning import Examples, Users
from handheld.projection.learned import normalised
from handheld.reply import Replier
from handheld.reply.conversation import read_conversations
from handheld.reply.ranker import CONTEXT
from handheld.reply.training.pairs import NOTHING, TRAIN, ReplyPairs, pairs_of

CHOICES, MOST, TESTED, SCALE = 20, 40, 2000, 10.0


def users() -> tuple[Users, Examples]:
    """Return people with at most forty answers each, and answers of other conversations to judge
    by.
    """
    ranker = Replier.open().bundle.ranker
    pairs = pairs_of(
        {"chitchat": read_conversations(find("text/chitchat.jsonl.gz", Path())).conversations}
    )
    texts = normalised(ranker.learned.of(pairs.texts), *ranker.layers["norm"]).astype(np.float16)
    rng = np.random.default_rng(0)
    train, rest = (
        rng.permutation(pairs.where(TRAIN)),
        rng.permutation(np.flatnonzero(pairs.splits != TRAIN))[:TESTED],
    )
    own = np.concatenate(
        [train[pairs.speakers[train] == each][:MOST] for each in np.unique(pairs.speakers[train])]
    )
    inputs, targets = asked(texts, pairs, own, rng)
    return Users(Examples(inputs, targets), by_user(pairs.speakers[own].tolist())), Examples(
        *asked(texts, pairs, rest, rng)
    )


def asked(
    texts: np.ndarray, pairs: ReplyPairs, which: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, CONTEXT + CHOICES, width) what was said before, and replies of which one is the
    true one; and which.
    """
    context = texts[np.maximum(pairs.context[which], 0)]
    context[pairs.context[which] == NOTHING] = 0
    choices = rng.choice(pairs.replies[which], (len(which), CHOICES))
    targets = rng.integers(CHOICES, size=len(which))
    choices[np.arange(len(which)), targets] = pairs.replies[which]
    return np.concatenate([context, texts[choices]], axis=1).astype(np.float32), targets


class Towers(nn.Module):
    """What ``reply.ranker`` runs on the device, given the vectors of texts."""

    def __init__(self, width: int, hidden: int = 128, out: int = 64):
        super().__init__()
        self.hidden, self.query = nn.Linear(CONTEXT * width, hidden), nn.Linear(hidden, out)
        self.reply, self.answer = nn.Linear(width, hidden), nn.Linear(hidden, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, CHOICES) how well each reply fits."""
        said, choices = x[:, :CONTEXT].flatten(1), x[:, CONTEXT:]
        query = functional.normalize(self.query(torch.relu(self.hidden(said))), dim=-1)
        answers = functional.normalize(self.answer(torch.relu(self.reply(choices))), dim=-1)
        return SCALE * (answers @ query[:, :, None])[:, :, 0]


def network(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return both towers."""
    torch.manual_seed(0)
    return Towers(shape[1])
