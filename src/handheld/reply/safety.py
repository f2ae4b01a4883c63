"""Whether a ready-made answer could hurt.

A detector of grave topics, of signs of them, and of small bad news. A message is judged by its
worst span (:mod:`handheld.reply.clauses`). It misses what nobody wrote like before: a filter, no
judgement of people. ``docs/reply-model-card.md`` has what was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import ModelError
from handheld.ranges import in_range
from handheld.reply.clauses import spans_of
from handheld.reply.formats import AUTOMATIC, LANGUAGE
from handheld.reply.message_network import MessageNetwork, SpanLogits
from handheld.reply.ranker import softmax
from handheld.reply.spelling import plain_readings
from handheld.reply.tones import GENTLE, KIND, NEUTRAL, SORRY, ToneRange

HARMLESS = "harmless"
MILD = "bad news"
_NO_TOPIC = frozenset((AUTOMATIC, LANGUAGE))
"""Sections of the lessons that name a form, so that a reason does not call them sensitive."""

DANGER = frozenset(("self-harm", "despair", "emergency", "abuse", "violence", "threats"))
"""Topics where somebody may come to harm: to miss one of these counts twice."""
_DANGER_COUNTS = 2.0
# In the order of SafetyDetector's fields, and by these names in a bundle's card.
_THRESHOLDS = ("silent", "careful", "mild", "sorry", "doubtful", "wary")
# Of two thresholds the first is not above the second.
_RISING = (("careful", "silent"), ("doubtful", "careful"), ("wary", "doubtful"), ("sorry", "mild"))


@dataclass(frozen=True)
class SafetyVerdict:
    """What a message is like.

    Attributes:
        topic: the likeliest grave topic of its worst span.
        risk: probability that this span is grave, in [0, 1]; that of danger counts twice, so that
            the sum may be above 1 and is cut there.
        mild: probability that some span tells small bad news, in [0, 1].
    """

    topic: str
    risk: float
    mild: float

    @property
    def reason(self) -> str:
        """Why nothing is suggested, as ``Suggestions.reason`` says it."""
        return self.topic if self.topic in _NO_TOPIC else f"sensitive: {self.topic}"


@dataclass(frozen=True, eq=False)
class SafetyDetector:
    """The detector.

    Attributes:
        network: reads spans.
        topics: names; one is "harmless", one may be "bad news", all others are grave.
        silent: risk from which on nothing is suggested, in [0, 1].
        careful: risk from which on nothing but gentle replies to small bad news is suggested, in
            [0, 1]; not above ``silent``.
        mild: probability of small bad news from which on gentle replies alone are suggested, in
            [0, 1].
        sorry: probability of it below which no reply that is sorry is suggested, and from which on
            none that agrees, thanks, laughs or cheers, in [0, 1]; not above ``mild``. To good news
            "That's too bad" would hurt, and to bad news "Great".
        doubtful: risk from which on nothing but replies that come, call or ask is suggested, in
            [0, 1]; not above ``careful``. "What happened?" hurts nobody; "Yeah" to a threat does.
        wary: risk from which on nothing that agrees, thanks, laughs or cheers is suggested, in
            [0, 1]; not above ``doubtful``.

    Raises:
        ModelError: topics that do not fit together.
        InputError: thresholds that do not.
    """

    network: MessageNetwork
    topics: tuple[str, ...]
    silent: float
    careful: float
    mild: float
    sorry: float
    doubtful: float
    wary: float

    def __post_init__(self) -> None:
        # the network knows topics by number alone, so how many there are is what can be checked
        if HARMLESS not in self.topics or len(self.topics) != self.network.topics:
            raise ModelError(
                f"expected {self.network.topics} topics, {HARMLESS!r} among them,"
                f" got {', '.join(self.topics)}"
            )
        for name in _THRESHOLDS:
            in_range(name, getattr(self, name), low=0, high=1)
        for lower, upper in _RISING:
            in_range(lower, getattr(self, lower), low=0, high=getattr(self, upper))

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        """How much the probability of each topic counts as risk: (topics,)."""
        return np.array([_risk_weight(topic) for topic in self.topics], np.float32)

    def judge(self, *texts: str) -> SafetyVerdict:
        """Judge some texts, one or more, by their worst span, disguised words read plainly too."""
        readings = chain.from_iterable(map(plain_readings, texts))
        return self.verdict(self.network.read(spans_of(*texts, *readings)))

    def verdict(self, logits: SpanLogits) -> SafetyVerdict:
        """Judge a text whose spans were read."""
        shares = softmax(logits.topics)
        # the sum over grave topics: a message that is half one and half another is grave
        weighted = shares * self._weights
        risks = np.minimum(weighted.sum(axis=1), 1)
        worst = int(risks.argmax())
        topic = self.topics[int(weighted[worst].argmax())]
        # bad news has a span of its own: the worst one may be about something else
        mild = 0.0
        if MILD in self.topics:
            mild = float(shares[:, self.topics.index(MILD)].max())
        return SafetyVerdict(topic, float(risks[worst]), mild)

    def is_silent(self, verdict: SafetyVerdict) -> bool:
        """Return whether nothing may be suggested."""
        return verdict.risk >= self.silent

    def is_careful(self, verdict: SafetyVerdict) -> bool:
        """Return whether there is any sign that something is wrong."""
        return verdict.risk >= self.careful or verdict.mild >= self.mild

    def tones(self, verdict: SafetyVerdict, earlier: int) -> ToneRange | None:
        """Return the tones that fit a message; None if none does.

        Small bad news is answered gently, and nothing else with pity. A sign of something grave
        that is no small bad news is not answered at all: "That's too bad" would be as wrong as
        "Cool".

        Args:
            verdict: on the message.
            earlier: the most cheerful tone that fits what was said before.
        """
        if verdict.mild >= self.mild:
            return ToneRange(SORRY, GENTLE)
        if verdict.risk >= self.careful:
            return None
        is_sorry = verdict.mild >= self.sorry
        saddest = SORRY if is_sorry else GENTLE
        if verdict.risk >= self.doubtful:
            return ToneRange(saddest, min(earlier, KIND))
        if is_sorry or verdict.risk >= self.wary:
            return ToneRange(saddest, min(earlier, NEUTRAL))
        return ToneRange(saddest, earlier)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file keeps."""
        return self.network.arrays()

    @classmethod
    def of_arrays(
        cls, card: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> "SafetyDetector":
        """Return what :meth:`arrays` and :meth:`card` kept.

        Raises:
            ModelError: entries that do not fit together.
        """
        # files that know of no such threshold were as if it was never reached
        careful = card["careful"]
        thresholds = {"sorry": 0.0, "doubtful": careful, "wary": careful, **card}
        return cls(
            network=MessageNetwork.of_arrays(arrays),
            topics=tuple(map(str, card["topics"])),
            **{name: thresholds[name] for name in _THRESHOLDS},
        )

    def card(self) -> dict[str, Any]:
        """Return the detector's entry of a bundle's card."""
        return {"topics": self.topics, **{name: getattr(self, name) for name in _THRESHOLDS}}


def _risk_weight(topic: str) -> float:
    if topic in (HARMLESS, MILD):
        return 0.0
    return _DANGER_COUNTS if topic in DANGER else 1.0
