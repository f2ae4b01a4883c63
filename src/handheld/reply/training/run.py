"""The whole way from conversations to a bundle. Each stage goes on where it stopped."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import handheld
from handheld.data import Skipped
from handheld.projection import Features
from handheld.projection.inputs import Rows
from handheld.propagation import Labels
from handheld.reply import style
from handheld.reply.bundle import MixingWeights, Reply, ReplyBundle
from handheld.reply.conversation import Conversations, Message, read_conversations
from handheld.reply.message_network import WordVectors
from handheld.reply.ranker import Ranker
from handheld.reply.replier import Replier
from handheld.reply.safety import SafetyDetector
from handheld.reply.tones import GENTLE, read_tones
from handheld.reply.training import annotations, detector, selection, vectors
from handheld.reply.training.compositions import NearWords, composed
from handheld.reply.training.config import ReplyConfig, ReplySettings
from handheld.reply.training.detector import DetectorExamples
from handheld.reply.training.examples import PairBatches, TextRows
from handheld.reply.training.intents import WEIGHTS, ShortReplies, relations, spread
from handheld.reply.training.messages import WrittenMessage, read_messages
from handheld.reply.training.pairs import NOTHING, TRAIN, VALID, ReplyPairs, pairs_of
from handheld.reply.training.ranker_network import RankerNetwork, exported
from handheld.reply.training.ranker_training import LabelledMessages, RankerExamples, learn
from handheld.reply.training.teacher import (
    TEACHER_FILE,
    TeacherShares,
    ask_teacher,
    read_teacher_shares,
)
from handheld.reply.trigger import EVIDENCE, ReplyTrigger
from handheld.training.runs import Progress, StageClock, locked, silent

_READS = Features(words=2, skips=0, letters=(3, 4))
_JUDGED = 2000  # pairs by which mixing and trigger are chosen where no messages are judged
_STYLED = 5000  # answers that tell how people write
_LOCK = "lock"  # in the folder of the run's state
_QUIET = 0.5  # risk below which a sentence of small talk is taken to be harmless
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n")
_SHORTEST, _LONGEST = 3, 160  # characters of a sentence that the detector learns from

Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RankerStages:
    """What the stages before the detector give.

    Attributes:
        ranker: scores replies and reads intents.
        intents: their names.
        replies: that can be suggested.
        fallback: numbers of the fixed ones.
        style: how people write in general, as counts.
    """

    ranker: Ranker
    intents: tuple[str, ...]
    replies: tuple[Reply, ...]
    fallback: tuple[int, ...]
    style: NDArray[np.float32]


def train(
    config: ReplyConfig, *, progress: Progress = silent
) -> tuple[ReplyBundle, ReplyPairs, list[Skipped]]:
    """Make a bundle and write it; return it, the pairs it was made of, and what could not be read.

    Raises:
        InputError: files that cannot be read, or that leave nothing to learn from; another run makes this bundle.
        ModelError: a base that is no bundle.
        TrainingError: the loss is no longer a number.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    with locked(state_of(config), _LOCK):
        clock = StageClock(progress, kept=state_of(config) / "seconds.json")
        with clock.of("read conversations"):
            files = {
                _stem(source.path): read_conversations(source.path) for source in config.sources
            }
            pairs = pairs_of(
                {name: file.conversations for name, file in files.items()}, config.settings.division
            )
        stages = _ranker(config, pairs, clock) if config.base is None else _of_base(config.base)
        safety = _detector(config, stages, pairs, clock)
        bundle = _settled(config, stages, safety, pairs, clock)
        bundle.write(config.out)
    return bundle, pairs, _skipped(files.values())


def _ranker(config: ReplyConfig, pairs: ReplyPairs, clock: StageClock) -> RankerStages:
    """Learn to rank, then the intents of answers."""
    how, state = config.settings, state_of(config)
    names, seeds = annotations.read_intents(config.intents)
    situations = annotations.read_situations(config.situations, names, how.expanded)
    reader = Rows(_READS, how.rows, how.length)
    texts = TextRows.of(
        reader, (*pairs.texts, *situations.texts), np.unique(pairs.replies[pairs.where(TRAIN)])
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        network = RankerNetwork(
            how.rows, how.width, how.hidden, how.out, len(names) + 1, dropout=how.dropout
        )
    batches = PairBatches(
        [(pairs.where(TRAIN, number), source.repeats) for number, source in enumerate(config.sources)],
        how.first.batch, how.seed,
    )  # fmt: skip
    lesson = RankerExamples(pairs, texts, batches)
    with clock.of("learn to rank"):
        learn(
            network, lesson, how.first, seed=how.seed, save=state / "first.pt", report=clock.steps
        )
    with clock.of("spread intents"):
        replies = ShortReplies.of(pairs, [text for text, _ in seeds])
        which = replies.of_pairs(pairs)
        graphs = relations(replies, which, exported(network.eval(), reader, texts.rarity), pairs)
        labels = spread(graphs, WEIGHTS, replies, seeds, len(names))
        intents = _of_pairs(labels, which)
    taught = LabelledMessages(
        np.arange(len(pairs.texts), len(pairs.texts) + len(situations.texts)),
        _with_none(situations.intents),
    )
    lesson = RankerExamples(pairs, texts, batches, intents, taught)
    with clock.of("learn intents"):
        learn(
            network,
            lesson,
            how.second,
            seed=how.seed + 1,
            save=state / "second.pt",
            report=clock.steps,
        )
    with clock.of("weigh shared words"):
        ranker = selection.weighed(exported(network.eval(), reader, texts.rarity), pairs, how.seed)
    responses = selection.response_set(replies, labels, seeds)
    rng = np.random.default_rng(how.seed)
    answers = [
        pairs.texts[text] for text in rng.permutation(pairs.replies[pairs.where(TRAIN)])[:_STYLED]
    ]
    return RankerStages(
        ranker,
        names,
        responses,
        selection.fallback_of(responses, intents),
        style.counts_of(answers),
    )


def _of_base(path: Path) -> RankerStages:
    """Take the stages before the detector from a bundle."""
    base = ReplyBundle.read(path)
    return RankerStages(base.ranker, base.intents, base.replies, base.fallback, base.style)


def _detector(
    config: ReplyConfig, stages: RankerStages, pairs: ReplyPairs, clock: StageClock
) -> SafetyDetector:
    """Learn the detector, first from hand-written messages and all of small talk, then from what of
    it is not grave.
    """
    how, state = config.settings, state_of(config)
    with clock.of("read messages"):
        written = read_messages(config.safety, how.drawn, how.seed)
        topics = detector.topics_of(written)
        situations = annotations.read_situations(config.situations, stages.intents, how.expanded)
        said = _sentences(pairs, how)
        texts = [*(message.text for message in written), *said, *situations.texts]
        gentle = np.array(read_tones(config.tones, stages.intents)) <= GENTLE
    words = _words(config, written, pairs, clock)
    vocabulary = detector.read_vocabulary(words, texts, how.vector, how.vocabulary, how.seed)
    material = DetectorExamples(
        written, said, _harmless(len(said), len(topics)), situations, gentle
    )
    if config.encoder is not None and (state / TEACHER_FILE).exists():
        taught = read_teacher_shares(state / TEACHER_FILE, topics)
    else:
        quiet = _quiet(config, material, vocabulary, topics, clock)
        taught = TeacherShares(tuple(quiet), _harmless(len(quiet), len(topics)))
        if config.encoder is not None:
            taught = _ask(config, material, topics, quiet, clock)
    material = replace(material, said=taught.texts, shares=taught.shares)
    with clock.of("learn topics again"):
        network = detector.train_network(
            material, vocabulary, how.shape, how.detector,
            seed=how.seed + 1, save=state / "detector.pt", report=clock.steps,
        )  # fmt: skip
    return SafetyDetector(network, topics, how.silent, how.careful, how.mild, how.sorry, how.wary)


def _words(
    config: ReplyConfig, written: Sequence[WrittenMessage], pairs: ReplyPairs, clock: StageClock
) -> Path | None:
    """Return the file of words and their vectors: the one that is named, or else what the encoder makes."""
    if config.words is not None or config.encoder is None:
        return config.words
    path = state_of(config) / vectors.WORDS
    with clock.of("read words"):
        ours = [message.text for message in _english(written)]
        vectors.make_vectors(
            path, config.encoder, pairs.texts, ours,
            size=config.settings.vector, count=config.settings.vocabulary, report=clock.steps,
        )  # fmt: skip
    return path


def _ask(
    config: ReplyConfig,
    material: DetectorExamples,
    topics: Sequence[str],
    quiet: Sequence[str],
    clock: StageClock,
) -> TeacherShares:
    """Return what a teacher says of messages, of texts composed of them and of small talk."""
    how = config.settings
    assert config.encoder is not None
    path = config.words or state_of(config) / vectors.WORDS
    with clock.of("ask a teacher"):
        near = NearWords.read(path, how.vocabulary)
        others = read_messages(config.safety, how.asked, how.seed + 1)
        asked = [
            *(message.text for message in others),
            *material.situations.texts[:: how.asked],
            *composed(
                _english(material.written), near, how.composed, np.random.default_rng(how.seed)
            ),
            *material.said,
        ]
        return ask_teacher(
            config.encoder, material.written, topics, quiet, asked,
            seed=how.seed, state=state_of(config), report=clock.steps,
        )  # fmt: skip


def _english(written: Sequence[WrittenMessage]) -> list[WrittenMessage]:
    """Return the messages in the language of the others; the encoder knows one alone."""
    return [message for message in written if message.topic != detector.LANGUAGE]


def _quiet(
    config: ReplyConfig,
    material: DetectorExamples,
    vocabulary: WordVectors,
    topics: Sequence[str],
    clock: StageClock,
) -> list[str]:
    """Return the sentences of small talk that a first network finds harmless: people do speak of
    death and illness there.
    """
    how = config.settings
    with clock.of("learn topics"):
        network = detector.train_network(
            material, vocabulary, how.shape, replace(how.detector, epochs=how.detector.epochs / 3),
            seed=how.seed, save=state_of(config) / "topics.pt", report=clock.steps,
        )  # fmt: skip
    with clock.of("read small talk"):
        risks = detector.risks_of(network, topics, material.said).tolist()
    return [text for text, risk in zip(material.said, risks, strict=True) if risk < _QUIET]


def _harmless(count: int, topics: int) -> NDArray[np.float32]:
    shares = np.zeros((count, topics), np.float32)
    shares[:, -1] = 1
    return shares


def _sentences(pairs: ReplyPairs, how: ReplySettings) -> list[str]:
    """Return sentences of the conversations that are learned from, each file alike as far as it
    reaches.
    """
    rng = np.random.default_rng(how.seed)
    sources = np.unique(pairs.sources)
    chosen: list[str] = []
    for source in sources:
        numbers = np.unique(pairs.context[pairs.where(TRAIN, int(source)), 0])
        texts = [pairs.texts[number] for number in rng.permutation(numbers)[: how.sentences]]
        pieces = [piece.strip() for text in texts for piece in _SENTENCE.split(text)]
        kept = [piece for piece in dict.fromkeys(pieces) if _SHORTEST <= len(piece) <= _LONGEST]
        chosen += kept[: how.sentences // len(sources)]
    return chosen


def _settled(
    config: ReplyConfig,
    stages: RankerStages,
    safety: SafetyDetector,
    pairs: ReplyPairs,
    clock: StageClock,
) -> ReplyBundle:
    """Choose how judges are mixed, and when to speak."""
    how = config.settings
    tones = read_tones(config.tones, stages.intents)
    card: dict[str, Any] = {
        **config.card,
        "name": config.name,
        "version": handheld.__version__,
        "training": _record(config, how, pairs, clock),
    }
    always = ReplyTrigger((0.0,) * (EVIDENCE + 1), 0.0)
    bundle = ReplyBundle(
        card, stages.ranker, safety, always, stages.intents, tones, stages.replies, stages.fallback, MixingWeights(),
        stages.style,
    )  # fmt: skip
    with clock.of("choose when to speak"):
        judged = _judged(config, bundle, pairs)
        wanted = [message.intents for message in judged]
        replier = Replier(bundle)
        said = [replier.judges(message.messages) for message in judged]
        bundle = replace(bundle, mixing=selection.mixing_of(said, wanted))
        # the first trigger knows the last message alone; the second what is seen at the depth at
        # which the first is surest
        for _ in range(2):
            seen, right = _shown(bundle, judged)
            bundle = replace(bundle, trigger=selection.trigger_of(seen, right, how.trigger))
        card["training"]["reliability"] = selection.reliability(seen, right)
    return replace(bundle, card=card)


def _shown(
    bundle: ReplyBundle, judged: Sequence[annotations.JudgedMessage]
) -> tuple[list[NDArray[np.float64]], list[bool]]:
    """Return what the trigger sees of each message, and whether one of the three that are shown is
    a good answer.
    """
    replier = Replier(bundle)
    seen: list[NDArray[np.float64]] = []
    right: list[bool] = []
    for message in judged:
        good = {bundle.intents[number] for number in message.intents}
        shown = {reply.intent for reply in replier.suggest(message.messages, always=True).replies}
        seen.append(replier.evidence(message.messages))
        right.append(not good.isdisjoint(shown))
    return seen, right


def _judged(
    config: ReplyConfig, bundle: ReplyBundle, pairs: ReplyPairs
) -> list[annotations.JudgedMessage]:
    """Return messages with the intents that answer them, but for those to which nothing is said
    anyway.
    """
    if config.judged is not None:
        judged = annotations.read_judged(config.judged, bundle.intents)
    else:
        judged = _answered(bundle, pairs, config.settings.seed)
    replier = Replier(bundle)
    return [message for message in judged if replier.suggest(message.messages, always=True).replies]


def _answered(bundle: ReplyBundle, pairs: ReplyPairs, seed: int) -> list[annotations.JudgedMessage]:
    """Return messages of the validation split with what was answered: an empty set where it has no
    known intent.
    """
    replier = Replier(bundle)
    judged: list[annotations.JudgedMessage] = []
    for number in np.random.default_rng(seed).permutation(pairs.where(VALID))[:_JUDGED].tolist():
        texts = [pairs.texts[text] for text in pairs.context[number] if text != NOTHING]
        messages = tuple(Message(text, mine=back % 2 == 1) for back, text in enumerate(texts))
        intent = replier.intent_of(pairs.texts[pairs.replies[number]])
        judged.append(annotations.JudgedMessage(messages[::-1], frozenset({intent} - {-1})))
    return judged


def _of_pairs(labels: Labels, which: Whole) -> Labels:
    """Return the intents of each pair's answer; of one that is not sure, none."""
    sure = (which >= 0) & (labels.shares[which, 0] >= selection.SURE)
    names = np.where(sure[:, None], labels.names[which], -1).astype(np.int32)
    shares = np.where(names >= 0, labels.shares[which], 0).astype(np.float32)
    total = np.maximum(shares.sum(axis=1, keepdims=True), 1e-6)
    return Labels(names, shares / total, labels.classes)


def _with_none(shares: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.hstack([shares, np.zeros((len(shares), 1), np.float32)]))


def state_of(config: ReplyConfig) -> Path:
    """Return the folder that a run keeps its state in, beside the bundle."""
    return config.out.with_suffix(".run")


def _stem(path: str) -> str:
    return Path(path).name.split(".")[0]


def _skipped(files: "Sequence[Conversations] | Any") -> list[Skipped]:
    skipped: list[Skipped] = []
    for file in files:
        skipped += file.skipped
    return skipped


def _record(
    config: ReplyConfig, how: ReplySettings, pairs: ReplyPairs, clock: StageClock
) -> dict[str, object]:
    return {
        "settings": asdict(how),
        "sources": [Path(source.path).name for source in config.sources],
        "pairs": len(pairs.where(TRAIN)),
        "left out": dict(pairs.left_out),
        "seconds": {stage: round(seconds) for stage, seconds in clock.seconds.items()},
    }
