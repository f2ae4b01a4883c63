"""Suggesting replies as a task of ``handheld.bench``: whether the true answer is ranked first, and
how long a suggestion takes.
"""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from handheld.bench import BenchProtocol, MetricEstimate, ModelFacts
from handheld.bench.metric import share
from handheld.errors import InputError
from handheld.reply.conversation import Conversation, read_conversations
from handheld.reply.evaluation import Exchange, draw_exchanges, rank_of
from handheld.reply.metrics import RankingMetrics
from handheld.reply.replier import Replier
from handheld.reply.suggestions import Suggestions

ENGLISH = "english"
"""Name of the bundle that ships."""

SUGGESTION_BUDGET = 0.01
"""Seconds of a suggestion: a tenth of what people take as at once (Nielsen, 1993), as the keyboard
and the screen need the rest.
"""

CANDIDATES = 100
"""Answers that are ranked, one of them true: "1 of 100" (Henderson et al., 2017)."""

EXCHANGES = 1000
"""That are judged, where nobody says how many."""

_SHOWN = 3  # suggestions, as a watch shows them


class ReplyTaskWarning(UserWarning):
    """Conversations are judged on, and some of their file were left out."""


class ReplyAnswer(NamedTuple):
    """What a bundle made of an exchange.

    Attributes:
        rank: of the true answer among the candidates, from 1.
        is_silent: whether nothing was suggested.
    """

    rank: int
    is_silent: bool


class ReplyTask:
    """Messages whose true answers are known.

    The call that is timed is a suggestion of three replies to the messages. The metric is R@1: the
    share of messages whose true answer is ranked before 99 answers of other conversations, which is
    asked after the call and not timed. Details are R@10, the mean reciprocal rank, and the share of
    messages to which something is suggested.

    Args:
        conversations: that were not learned from.
        candidates: answers that are ranked, 2 or more.
        exchanges: drawn at most, 1 or more.
        seed: of the draw.
        digest: hash of the conversations.

    Raises:
        InputError: there is no answer, or there are too few conversations for so many candidates.
    """

    name = "reply"
    metric = "true answer first"
    budget = SUGGESTION_BUDGET
    unit = "suggestion"

    def __init__(
        self,
        conversations: Sequence[Conversation],
        *,
        candidates: int = CANDIDATES,
        exchanges: int = EXCHANGES,
        seed: int = 0,
        digest: str = "",
    ) -> None:
        drawn = draw_exchanges(conversations, candidates=candidates, count=exchanges, seed=seed)
        self._exchanges = list(drawn)
        if not self._exchanges:
            raise InputError("expected conversations with one answer or more, got none")
        self.digest = digest

    @classmethod
    def of(cls, source: Path) -> "ReplyTask":
        """Read conversations, ``.jsonl`` or ``.jsonl.gz``; warns of what is broken and left out.

        Raises:
            InputError: they cannot be read, or are too few.
        """
        read = read_conversations(source)
        if read.skipped:
            first = read.skipped[0]
            warnings.warn(
                f"{len(read.skipped):,} parts were left out; the first: {first.name}: "
                f"{first.reason}",
                ReplyTaskWarning,
                stacklevel=2,
            )
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        return cls(read.conversations, digest=digest)

    def __len__(self) -> int:
        return len(self._exchanges)

    def open(self, path: str, protocol: BenchProtocol) -> "TimedReplier":
        """Open a bundle.

        Args:
            path: of the bundle; "english" is the one that ships, if there is no such file.
            protocol: not needed: a bundle runs on one thread.

        Raises:
            ModelError: it is damaged, or of another version.
        """
        return TimedReplier(path, self._exchanges)

    def judge(self, answers: Sequence[ReplyAnswer | None]) -> MetricEstimate:
        """Return R@1 over the first ``len(answers)`` exchanges, with Wilson's interval."""
        right = sum(answer is not None and answer.rank == 1 for answer in answers)
        return share(right, len(answers))

    def details(self, answers: Sequence[ReplyAnswer]) -> dict[str, float]:
        """Return what else there is to know about the ranks and the suggestions."""
        ranks = RankingMetrics.of([answer.rank for answer in answers])
        spoken = sum(not answer.is_silent for answer in answers)
        return {
            "R@10": ranks.recall_at_10,
            "mean reciprocal rank": ranks.mrr,
            "share of messages to which something is suggested": spoken / len(answers),
        }


class TimedReplier:
    """A bundle at work on the exchanges of a task; see ``handheld.bench.MeasuredSystem``.

    Args:
        path: of the bundle, or the name of the one that ships.
        exchanges: each with wrong answers.
    """

    is_isolated = False

    def __init__(self, path: str, exchanges: Sequence[tuple[Exchange, list[str]]]) -> None:
        self._file = Path(path)
        if path == ENGLISH and not self._file.exists():
            self._file = Path(__file__).with_name("assets") / "english.replies"
        self._replier = Replier.open(self._file)
        self._exchanges = exchanges
        self._exchange, self._wrong = exchanges[0]

    def facts(self, name: str) -> ModelFacts:
        """Return what is known of the file: tables of bits have no parameters to be counted."""
        content = self._file.read_bytes()
        return ModelFacts(
            name=name,
            file=str(self._file),
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            macs=0,
            macs_by_operator={},
            uncounted=(),
            parameters=0,
            operators={},
            precision="",
        )

    def load(self, number: int) -> None:
        """Put the messages of an exchange in their place."""
        self._exchange, self._wrong = self._exchanges[number]

    def call(self) -> Suggestions:
        """Suggest replies to the messages."""
        return self._replier.suggest(self._exchange.messages, n=_SHOWN)

    def answer(self, result: Suggestions) -> ReplyAnswer:
        """Rank the true answer among the others, and keep whether anything was suggested."""
        candidates = [self._exchange.answer, *self._wrong]
        scores = self._replier.rank(self._exchange.messages, candidates)
        return ReplyAnswer(rank_of(scores), not result.replies)

    def close(self) -> None:
        """Do nothing: a bundle is memory of Python's own."""
