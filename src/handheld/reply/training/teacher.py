"""A large sentence encoder as teacher: tuned on the hand-written messages, it says what others are
about (Hinton et al., 2015).

The encoder has read a great deal, so that it knows words which no message here uses; the small
network learns from its answers
to messages as other people might write them, and to what is said in small talk. It is needed for
training alone, and only where
a configuration names one: a folder in the form of the library ``transformers``, such as
    all-MiniLM-L6-v2.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.arrays import read_npz
from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.reply.training.encoder import Encoder
from handheld.reply.training.messages import WrittenMessage
from handheld.reply.training.registers import varied
from handheld.training import Report, Schedule, fit
from handheld.untrusted import read_json

TAUGHT = "taught.npz"
"""File in a run's folder that keeps what a teacher said."""

_SCHEDULE = Schedule(2, batch=32, rate=6e-5, warmup=0.1, decay=0.01, optimiser="adam")
_QUIET = 0.5  # sentences of small talk beside each hand-written message
_BATCH = 64
_SCALE = (
    10.0  # of the logits: the new layer learns as much faster as its rate would have to be higher
)


class Taught(NamedTuple):
    """What a teacher said.

    Attributes:
        texts: messages.
        shares: (texts, topics) probabilities.
    """

    texts: tuple[str, ...]
    shares: NDArray[np.float32]


class Teacher(nn.Module):
    """A sentence encoder with a layer of topics on the mean of its words.

    Args:
        folder: of the encoder.
        topics: how many there are.

    Raises:
        InputError: no encoder there.
        MissingDependencyError: ``transformers`` is not installed.
    """

    def __init__(self, folder: Path, topics: int):
        super().__init__()
        self.encoder = Encoder(folder)
        self.encoder.freeze_words()
        self.topic = nn.Linear(self.encoder.size, topics)

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, topics) logits."""
        vectors = functional.dropout(self.encoder(texts), 0.1, self.training)
        logits: torch.Tensor = _SCALE * self.topic(vectors)
        return logits

    @torch.inference_mode()
    def shares(self, texts: Sequence[str], report: Report) -> NDArray[np.float32]:
        """Return (texts, topics) probabilities; texts of one length are read together."""
        shares = np.zeros((len(texts), self.topic.out_features), np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            shares[chosen] = torch.softmax(self([texts[place] for place in chosen]), dim=1).numpy()
            report(min(start + _BATCH, len(order)), len(order), 0.0)
        return shares


def ask_teacher(
    folder: Path, written: Sequence[WrittenMessage], topics: Sequence[str], quiet: Sequence[str], asked: Sequence[str], *,
    seed: int, state: Path, report: Report,
) -> Taught:  # fmt: skip
    """Tune an encoder, and return what it says of some texts.

    Args:
        folder: of the encoder.
        written: hand-written messages.
        topics: their names, the harmless one last.
        quiet: sentences of small talk that are taken to be harmless.
        asked: texts, which become what many people might write.
        seed: of weights and draws.
        state: folder with the states of this run; what was answered once is read from there.
        report: called after each step.

    Raises:
        InputError: no encoder, or answers of a run with other topics.
        MissingDependencyError: ``transformers`` is not installed.
    """
    kept = state / TAUGHT
    if kept.exists():
        return read_taught(kept, topics)
    rng = np.random.default_rng(seed)
    lessons = [(message.text, topics.index(message.topic)) for message in written]
    some = rng.permutation(len(quiet))[: round(_QUIET * len(written))]
    lessons += [(quiet[place], len(topics) - 1) for place in some.tolist()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        teacher = Teacher(folder, len(topics))

    def step(number: int) -> float:
        draw = np.random.default_rng((seed, number))
        chosen = [lessons[place] for place in draw.integers(len(lessons), size=_SCHEDULE.batch)]
        logits = teacher([varied(text, draw) for text, _ in chosen])
        labels = torch.tensor([label for _, label in chosen])
        loss = functional.cross_entropy(logits, labels, label_smoothing=0.05)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    steps = round(_SCHEDULE.epochs * len(lessons) / _SCHEDULE.batch)
    fit(
        teacher.train(), step, _SCHEDULE, steps, save=state / "teacher.pt", report=report, seed=seed
    )
    texts = tuple(dict.fromkeys(varied(text, rng) for text in asked))
    taught = Taught(texts, teacher.eval().shares(texts, report))
    write_taught(kept, taught, topics)
    return taught


def write_taught(path: Path, taught: Taught, topics: Sequence[str]) -> None:
    """Write what a teacher said: all of it, or nothing."""
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            texts=np.array(json.dumps(taught.texts)),
            topics=np.array(list(topics)),
            shares=taught.shares.astype(np.float16),
        )


def read_taught(path: Path, topics: Sequence[str]) -> Taught:
    """Read what :func:`write_taught` wrote. Raises :class:`InputError` for what is damaged, or of
    other topics.
    """
    try:
        kept = read_npz(path, sys.maxsize)
        texts = tuple(map(str, read_json(str(kept["texts"]))))
        known = kept["topics"].tolist()
        shares = kept["shares"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} cannot be read as what a teacher said: {error}") from error
    if set(known) != set(topics) or shares.shape != (len(texts), len(known)):
        raise InputError(
            f"{path} is of a run with the topics {', '.join(known)}; remove it to ask the teacher again"
        )
    return Taught(texts, shares[:, [known.index(topic) for topic in topics]])
