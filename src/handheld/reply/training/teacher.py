"""A large sentence encoder as teacher: tuned on the hand-written messages, it labels others.

Hinton et al., "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531). The encoder has
read a great deal, so that it knows words which no message here uses; the small network learns from
its answers to messages as other people might write them, and to what is said in small talk. It is
needed for training alone, and only where a configuration names one: a folder in the form of the
library ``transformers``, such as all-MiniLM-L6-v2.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
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
from handheld.reply.training.encoder import SentenceEncoder
from handheld.reply.training.messages import WrittenMessage
from handheld.reply.training.registers import varied
from handheld.training import FitRun, Report, Schedule, fit
from handheld.untrusted import read_json

TEACHER_FILE = "taught.npz"
"""File in a run's folder that keeps what a teacher said."""

# About what the authors of BERT give for tuning: two to four epochs in batches of 16 or 32, rates
# of 2e-5 to 5e-5 (arXiv 1810.04805, appendix A.3).
_SCHEDULE = Schedule(1, batch=32, rate=6e-5, warmup=0.1, decay=0.01, optimiser="adam")
# Sentences of small talk beside each hand-written message, so that the teacher sees how people
# write who wrote nothing for it.
_QUIET = 0.5
# Texts that are read at once.
_BATCH = 64
# Of the logits: the new layer learns as much faster as its rate would have to be higher.
_SCALE = 10.0
_DROPOUT = 0.1
_SMOOTHING = 0.05


class TeacherShares(NamedTuple):
    """What a teacher said.

    Attributes:
        texts: messages.
        shares: (texts, topics) probabilities.
    """

    texts: tuple[str, ...]
    shares: NDArray[np.float32]


class TeacherNetwork(nn.Module):
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
        self.encoder = SentenceEncoder(folder)
        self.encoder.freeze_words()
        self.topic = nn.Linear(self.encoder.size, topics)

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, topics) logits."""
        vectors = functional.dropout(self.encoder(texts), _DROPOUT, self.training)
        logits: torch.Tensor = _SCALE * self.topic(vectors)
        return logits

    @torch.inference_mode()
    def shares(self, texts: Sequence[str], report: Report) -> NDArray[np.float32]:
        """Return (texts, topics) probabilities; texts of one length are read together."""
        shares = np.zeros((len(texts), self.topic.out_features), np.float32)
        # by length, so that little is padding
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            logits = self([texts[number] for number in chosen])
            shares[chosen] = torch.softmax(logits, dim=1).numpy()
            report(start + len(chosen), len(order), 0.0)
        return shares


@dataclass(frozen=True, eq=False)
class TeacherStep:
    """Computes the gradients of a step: an argument of ``training.fit``.

    Attributes:
        teacher: that learns.
        labelled: messages and the numbers of their topics.
        seed: of the messages that are drawn, and of how they are written.
    """

    teacher: TeacherNetwork
    labelled: Sequence[tuple[str, int]]
    seed: int

    def __call__(self, step: int) -> float:
        """Return the loss of a step."""
        rng = np.random.default_rng((self.seed, step))
        chosen = rng.integers(len(self.labelled), size=_SCHEDULE.batch)
        texts, labels = zip(*(self.labelled[number] for number in chosen), strict=True)
        logits = self.teacher([varied(text, rng) for text in texts])
        loss = functional.cross_entropy(logits, torch.tensor(labels), label_smoothing=_SMOOTHING)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        return float(loss.detach())


def ask_teacher(
    folder: Path,
    written: Sequence[WrittenMessage],
    topics: Sequence[str],
    quiet: Sequence[str],
    asked: Sequence[str],
    run: FitRun,
) -> TeacherShares:
    """Tune an encoder, and return what it says of some texts.

    Args:
        folder: of the encoder.
        written: hand-written messages.
        topics: their names, the harmless one last.
        quiet: sentences of small talk that are taken to be harmless.
        asked: texts, which become what many people might write.
        run: how it is seeded and told, and the file of its state; what was answered once is kept
            beside that.

    Raises:
        InputError: no encoder, or answers of a run with other topics.
        MissingDependencyError: ``transformers`` is not installed.
    """
    assert run.save is not None  # what was answered is kept beside it
    path = run.save.with_name(TEACHER_FILE)
    if path.exists():
        return read_teacher_shares(path, topics)
    rng = np.random.default_rng(run.seed)
    labelled = [(message.text, topics.index(message.topic)) for message in written]
    chosen = rng.permutation(len(quiet))[: round(_QUIET * len(written))].tolist()
    labelled += [(quiet[number], len(topics) - 1) for number in chosen]
    teacher = _tuned(folder, labelled, len(topics), run)
    texts = tuple(dict.fromkeys(varied(text, rng) for text in asked))
    shares = TeacherShares(texts, teacher.shares(texts, run.report))
    write_teacher_shares(path, shares, topics)
    return shares


def _tuned(
    folder: Path,
    labelled: Sequence[tuple[str, int]],
    topics: int,
    run: FitRun,
) -> TeacherNetwork:
    """Return an encoder that learned the topics of messages."""
    # weights by the seed, without a change of what the caller draws
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        teacher = TeacherNetwork(folder, topics)
    fit(
        teacher.train(),
        TeacherStep(teacher, labelled, run.seed),
        _SCHEDULE,
        round(_SCHEDULE.epochs * len(labelled) / _SCHEDULE.batch),
        save=run.save,
        report=run.report,
        seed=run.seed,
    )
    return teacher.eval()


def write_teacher_shares(path: Path, teacher: TeacherShares, topics: Sequence[str]) -> None:
    """Write what a teacher said: all of it, or nothing."""
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            texts=np.array(json.dumps(teacher.texts)),
            topics=np.array(list(topics)),
            shares=teacher.shares.astype(np.float16),
        )


def read_teacher_shares(path: Path, topics: Sequence[str]) -> TeacherShares:
    """Read what :func:`write_teacher_shares` wrote.

    Raises:
        InputError: a file that is damaged, or of other topics.
    """
    try:
        arrays = read_npz(path, sys.maxsize)
        texts = tuple(map(str, read_json(str(arrays["texts"]))))
        known = arrays["topics"].tolist()
        shares = arrays["shares"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} cannot be read as what a teacher said: {error}") from error
    if set(known) != set(topics) or shares.shape != (len(texts), len(known)):
        raise InputError(
            f"{path} is of a run with the topics {', '.join(known)};"
            " remove it to ask the teacher again"
        )
    return TeacherShares(texts, shares[:, [known.index(topic) for topic in topics]])
