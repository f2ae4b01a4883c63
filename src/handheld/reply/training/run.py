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
from handheld.projection.learned import coarsened
from handheld.propagation import Labels
from handheld.reply import style
from handheld.reply.bundle import MixingWeights, Reply, ReplyBundle
from handheld.reply.conversation import Conversations, Message, read_conversations
from handheld.reply.formats import LANGUAGE
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
from handheld.reply.training.pairs import TRAIN, VALID, Integers, ReplyPairs, pairs_of
from handheld.reply.training.ranker_network import RankerNetwork, exported
from handheld.reply.training.ranker_training import (
    LabelledMessages,
    RankerExamples,
    learn,
)
from handheld.reply.training.teacher import (
    TEACHER_FILE,
    TeacherShares,
    ask_teacher,
    read_teacher_shares,
)
from handheld.reply.trigger import EVIDENCE, ReplyTrigger
from handheld.training import FitRun
from handheld.training.runs import Progress, StageClock, locked, silent

_READS = Features(words=2, skips=0, letters=(3, 4))
# Pairs by which mixing and trigger are chosen where no messages are judged.
_JUDGED = 2000
# Answers that tell how people write.
_STYLED = 5000
# File in the folder of the run's state.
_LOCK = "lock"
# Risk below which a sentence of small talk is taken to be harmless.
_QUIET = 0.5
# The detector's first network learns for a third of the epochs: it only sorts small talk.
_FEWER_EPOCHS = 3
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n")
# Characters of a sentence that the detector learns from.
_SHORTEST = 3
_LONGEST = 160

Floats = NDArray[np.float32]


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
    style: Floats


@dataclass(frozen=True, eq=False)
class _Run:
    """What all stages of a run read.

    Attributes:
        config: of the run.
        pairs: of messages and answers.
        clock: of the stages.
    """

    config: ReplyConfig
    pairs: ReplyPairs
    clock: StageClock

    @property
    def settings(self) -> ReplySettings:
        return self.config.settings

    def state(self, name: str) -> Path:
        """Return where a stage keeps its state."""
        return state_of(self.config) / name


def train(
    config: ReplyConfig, *, progress: Progress = silent
) -> tuple[ReplyBundle, ReplyPairs, list[Skipped]]:
    """Make a bundle and write it.

    Args:
        config: what it is made of, and where it is written.
        progress: told of each stage.

    Returns:
        The bundle, the pairs it was made of, and what could not be read.

    Raises:
        InputError: files that cannot be read, or that leave nothing to learn from; another run
            makes this bundle.
        ModelError: a base that is no bundle.
        TrainingError: the loss is no longer a number.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    with locked(state_of(config), _LOCK):
        clock = StageClock(progress, kept=state_of(config) / "seconds.json")
        with clock.of("read conversations"):
            files = _read_files(config)
            conversations = {name: file.conversations for name, file in files.items()}
            pairs = pairs_of(conversations, config.settings.split)
        run = _Run(config, pairs, clock)
        stages = _of_base(config.base) if config.base is not None else _ranker_stages(run)
        safety = _safety_detector(run, stages)
        bundle = _settled(run, stages, safety)
        bundle.write(config.out)
    skipped: list[Skipped] = []
    for file in files.values():
        skipped += file.skipped
    return bundle, pairs, skipped


def state_of(config: ReplyConfig) -> Path:
    """Return the folder that a run keeps its state in, beside the bundle."""
    return config.out.with_suffix(".run")


def _read_files(config: ReplyConfig) -> dict[str, Conversations]:
    files: dict[str, Conversations] = {}
    for source in config.sources:
        # a conversation's split depends on this name, see SplitRule.split
        name = Path(source.path).name.split(".")[0]
        files[name] = read_conversations(source.path)
    return files


def _ranker_stages(run: _Run) -> RankerStages:
    """Learn to rank, then the intents of answers."""
    names, seeds = annotations.read_intents(run.config.intents)
    situations = annotations.read_situations(
        run.config.situations, names, run.settings.per_situation
    )
    training = _RankerTraining.of(run, situations)
    training.learn(run, training.examples, "first")
    with run.clock.of("spread intents"):
        replies = ShortReplies.of(run.pairs, [text for text, _ in seeds])
        which = replies.of_pairs(run.pairs)
        graphs = relations(replies, which, training.ranker(), run.pairs)
        labels = spread(graphs, WEIGHTS, replies, seeds, len(names))
        intents = _of_pairs(labels, which)
    labelled = _labelled(run.pairs, situations)
    training.learn(run, replace(training.examples, intents=intents, labelled=labelled), "second")
    with run.clock.of("weigh shared words"):
        ranker = selection.weighed(training.ranker(), run.pairs, run.settings.seed)
        ranker = replace(ranker, learned=coarsened(ranker.learned, run.settings.coarseness))
    responses = selection.response_set(replies, labels, seeds)
    return RankerStages(
        ranker=ranker,
        intents=names,
        replies=responses,
        fallback=selection.fallback_of(responses, intents),
        style=_general_style(run),
    )


@dataclass(frozen=True, eq=False)
class _RankerTraining:
    """A ranker that learns in two stages.

    Attributes:
        network: that learns.
        reader: of its texts.
        examples: of the first stage.
    """

    network: RankerNetwork
    reader: Rows
    examples: RankerExamples

    @classmethod
    def of(cls, run: _Run, situations: annotations.Situations) -> "_RankerTraining":
        """Return a ranker before its first stage."""
        settings = run.settings
        pairs = run.pairs
        reader = Rows(_READS, settings.rows, settings.length)
        # situations come after the texts of conversations, whose answers say how rare a row is
        answers = np.unique(pairs.replies[pairs.where(TRAIN)])
        texts = TextRows.of(reader, (*pairs.texts, *situations.texts), answers)
        network = _ranker_network(settings, situations.intents.shape[1])
        return cls(network, reader, RankerExamples(pairs, texts, _batches(run)))

    def learn(self, run: _Run, examples: RankerExamples, stage: str) -> None:
        """Learn a stage, ``first`` or ``second``."""
        settings = run.settings
        is_first = stage == "first"
        with run.clock.of("learn to rank" if is_first else "learn intents"):
            learn(
                self.network,
                examples,
                settings.first if is_first else settings.second,
                # another seed, so that the draws of the first stage do not come again
                seed=settings.seed if is_first else settings.seed + 1,
                save=run.state(f"{stage}.pt"),
                report=run.clock.steps,
            )

    def ranker(self) -> Ranker:
        """Return the ranker as it is now."""
        return exported(self.network.eval(), self.reader, self.examples.texts.idf)


def _ranker_network(settings: ReplySettings, intents: int) -> RankerNetwork:
    # weights by the seed, without a change of what the caller draws
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return RankerNetwork(
            settings.rows,
            settings.width,
            settings.hidden,
            settings.out,
            intents + 1,  # and one for what has no intent
            dropout_rate=settings.dropout_rate,
        )


def _batches(run: _Run) -> PairBatches:
    groups = [
        (run.pairs.where(TRAIN, number), source.repeats)
        for number, source in enumerate(run.config.sources)
    ]
    return PairBatches(groups, run.settings.first.batch, run.settings.seed)


def _labelled(pairs: ReplyPairs, situations: annotations.Situations) -> LabelledMessages:
    """Return situations as messages whose intents are known; none is without an intent."""
    first = len(pairs.texts)
    numbers = np.arange(first, first + len(situations.texts))
    shares = np.pad(situations.intents, ((0, 0), (0, 1)))
    return LabelledMessages(numbers, torch.from_numpy(shares))


def _general_style(run: _Run) -> Floats:
    """Return how people write, by some answers."""
    rng = np.random.default_rng(run.settings.seed)
    answers = rng.permutation(run.pairs.replies[run.pairs.where(TRAIN)])
    return style.counts_of(run.pairs.said(answers[:_STYLED]))


def _of_pairs(labels: Labels, which: Integers) -> Labels:
    """Return the intents of each pair's answer; of one that is not sure, none."""
    sure = (which >= 0) & (labels.shares[which, 0] >= selection.SURE)
    names = np.where(sure[:, None], labels.names[which], -1).astype(np.int32)
    shares = np.where(names >= 0, labels.shares[which], 0).astype(np.float32)
    total = np.maximum(shares.sum(axis=1, keepdims=True), 1e-6)
    return Labels(names, shares / total, labels.classes)


def _of_base(path: Path) -> RankerStages:
    """Take the stages before the detector from a bundle."""
    base = ReplyBundle.read(path)
    return RankerStages(base.ranker, base.intents, base.replies, base.fallback, base.style)


def _safety_detector(run: _Run, stages: RankerStages) -> SafetyDetector:
    """Learn the detector.

    First from hand-written messages and all of small talk, then from what of it is not grave, or
    from what a teacher says of it.
    """
    settings = run.settings
    with run.clock.of("read messages"):
        examples = _detector_examples(run, stages)
        topics = detector.topics_of(examples.written)
    texts = [
        *(message.text for message in examples.written),
        *examples.said,
        *examples.situations.texts,
    ]
    vocabulary = detector.read_vocabulary(
        _word_file(run, examples.written),
        texts,
        settings.vector_size,
        settings.vocabulary_size,
        settings.seed,
    )
    said = _said(run, examples, vocabulary, topics)
    examples = replace(examples, said=said.texts, shares=said.shares)
    with run.clock.of("learn topics again"):
        network = detector.train_network(
            examples,
            vocabulary,
            settings.shape,
            settings.detector,
            # not the seed of the first network
            FitRun(settings.seed + 1, run.state("detector.pt"), run.clock.steps),
        )
    return SafetyDetector(
        network=network,
        topics=topics,
        silent=settings.silent,
        careful=settings.careful,
        mild=settings.mild,
        sorry=settings.sorry,
        doubtful=settings.doubtful,
        wary=settings.wary,
    )


def _detector_examples(run: _Run, stages: RankerStages) -> DetectorExamples:
    """Return what there is to learn from, all of small talk taken to be harmless."""
    config = run.config
    settings = run.settings
    written = read_messages(config.safety, settings.per_message, settings.seed)
    topics = detector.topics_of(written)
    said = _sentences(run)
    tones = np.array(read_tones(config.tones, stages.intents))
    return DetectorExamples(
        written=written,
        said=said,
        shares=_harmless(len(said), len(topics)),
        situations=annotations.read_situations(
            config.situations, stages.intents, settings.per_situation
        ),
        gentle=tones <= GENTLE,
    )


def _said(
    run: _Run,
    examples: DetectorExamples,
    vocabulary: WordVectors,
    topics: Sequence[str],
) -> TeacherShares:
    """Return sentences of small talk and other texts, and what they are about."""
    path = run.state(TEACHER_FILE)
    if run.config.encoder is not None and path.exists():
        return read_teacher_shares(path, topics)
    quiet = _quiet(run, examples, vocabulary, topics)
    if run.config.encoder is None:
        return TeacherShares(tuple(quiet), _harmless(len(quiet), len(topics)))
    return _ask(run, run.config.encoder, examples, topics, quiet)


def _word_file(run: _Run, written: Sequence[WrittenMessage]) -> Path | None:
    """Return the file of words and their vectors.

    It is the one that is named, or else what the encoder makes; None without either.
    """
    config = run.config
    if config.words is not None or config.encoder is None:
        return config.words
    path = run.state(vectors.WORDS)
    with run.clock.of("read words"):
        vectors.make_vectors(
            path,
            config.encoder,
            run.pairs.texts,
            [message.text for message in _english(written)],
            (run.settings.vocabulary_size, run.settings.vector_size),
            run.clock.steps,
        )
    return path


def _ask(
    run: _Run,
    encoder: Path,
    examples: DetectorExamples,
    topics: Sequence[str],
    quiet: Sequence[str],
) -> TeacherShares:
    """Return what a teacher says of messages, of texts composed of them and of small talk."""
    config = run.config
    settings = run.settings
    with run.clock.of("ask a teacher"):
        word_file = config.words or run.state(vectors.WORDS)
        near_words = NearWords.read(word_file, settings.vocabulary_size)
        # another seed than that of the messages that are learned from as they are
        others = read_messages(config.safety, settings.asked_per_message, settings.seed + 1)
        rng = np.random.default_rng(settings.seed)
        asked = [
            *(message.text for message in others),
            *examples.situations.texts[:: settings.asked_per_message],
            *composed(_english(examples.written), near_words, settings.composed, rng),
            *examples.said,
        ]
        return ask_teacher(
            encoder,
            examples.written,
            topics,
            quiet,
            asked,
            FitRun(settings.seed, state_of(config) / "teacher.pt", run.clock.steps),
        )


def _english(written: Sequence[WrittenMessage]) -> list[WrittenMessage]:
    """Return the messages in the language of the others; the encoder knows one alone."""
    return [message for message in written if message.topic != LANGUAGE]


def _quiet(
    run: _Run,
    examples: DetectorExamples,
    vocabulary: WordVectors,
    topics: Sequence[str],
) -> list[str]:
    """Return the sentences of small talk that a first network finds harmless.

    People do speak of death and illness there.
    """
    schedule = run.settings.detector
    with run.clock.of("learn topics"):
        network = detector.train_network(
            examples,
            vocabulary,
            run.settings.shape,
            replace(schedule, epochs=schedule.epochs / _FEWER_EPOCHS),
            FitRun(run.settings.seed, run.state("topics.pt"), run.clock.steps),
        )
    with run.clock.of("read small talk"):
        risks = detector.risks_of(network, topics, examples.said).tolist()
    return [text for text, risk in zip(examples.said, risks, strict=True) if risk < _QUIET]


def _harmless(count: int, topics: int) -> Floats:
    """Return (count, topics) shares of texts that are all harmless: the last topic."""
    shares = np.zeros((count, topics), np.float32)
    shares[:, -1] = 1
    return shares


def _sentences(run: _Run) -> list[str]:
    """Return sentences of the conversations that are learned from, as many of each file."""
    pairs = run.pairs
    count = run.settings.sentences
    rng = np.random.default_rng(run.settings.seed)
    sources = np.unique(pairs.sources).tolist()
    chosen: list[str] = []
    for source in sources:
        numbers = np.unique(pairs.context[pairs.where(TRAIN, source), 0])
        texts = pairs.said(rng.permutation(numbers)[:count])
        sentences = [piece.strip() for piece in _SENTENCE.split("\n".join(texts))]
        fitting = [text for text in dict.fromkeys(sentences) if _is_fitting(text)]
        chosen += fitting[: count // len(sources)]
    return chosen


def _is_fitting(sentence: str) -> bool:
    return _SHORTEST <= len(sentence) <= _LONGEST


def _settled(run: _Run, stages: RankerStages, safety: SafetyDetector) -> ReplyBundle:
    """Choose how judges are mixed, and when to speak."""
    config = run.config
    record = _record(run)
    # a trigger that always speaks, until there is evidence to fit one to
    bundle = ReplyBundle(
        card={
            **config.card,
            "name": config.name,
            "version": handheld.__version__,
            "training": record,
        },
        ranker=stages.ranker,
        detector=safety,
        trigger=ReplyTrigger((0.0,) * (EVIDENCE + 1), 0.0),
        intents=stages.intents,
        tones=read_tones(config.tones, stages.intents),
        replies=stages.replies,
        fallback=stages.fallback,
        mixing=MixingWeights(),
        style=stages.style,
    )
    with run.clock.of("choose when to speak"):
        judged = _judged(run, bundle)
        bundle = replace(bundle, mixing=_mixing(bundle, judged))
        # the first trigger knows the last message alone; the second what is seen at the depth at
        # which the first is surest
        for _ in range(2):
            seen, right = _shown(bundle, judged)
            trigger = selection.trigger_of(seen, right, run.settings.trigger, run.settings.caution)
            bundle = replace(bundle, trigger=trigger)
        record["reliability"] = selection.reliability(seen, right)
    return bundle


def _mixing(bundle: ReplyBundle, judged: Sequence[annotations.JudgedMessage]) -> MixingWeights:
    replier = Replier(bundle)
    both = [replier.judges(message.messages) for message in judged]
    return selection.mixing_of(both, [message.intents for message in judged])


def _shown(
    bundle: ReplyBundle, judged: Sequence[annotations.JudgedMessage]
) -> tuple[list[NDArray[np.float64]], list[bool]]:
    """Return what the trigger sees of each message, and whether it is shown a good answer."""
    replier = Replier(bundle)
    seen: list[NDArray[np.float64]] = []
    right: list[bool] = []
    for message in judged:
        good = {bundle.intents[number] for number in message.intents}
        replies = replier.suggest(message.messages, always=True).replies
        shown = {reply.intent for reply in replies}
        seen.append(replier.evidence(message.messages))
        right.append(not good.isdisjoint(shown))
    return seen, right


def _judged(run: _Run, bundle: ReplyBundle) -> list[annotations.JudgedMessage]:
    """Return messages with the intents that answer them.

    Those to which nothing is said anyway are left out.
    """
    if run.config.judged is not None:
        judged = annotations.read_judged(run.config.judged, bundle.intents)
    else:
        judged = _answered(run, bundle)
    replier = Replier(bundle)
    return [message for message in judged if replier.suggest(message.messages, always=True).replies]


def _answered(run: _Run, bundle: ReplyBundle) -> list[annotations.JudgedMessage]:
    """Return messages of the validation split with what was answered.

    It is an empty set where the answer has no known intent.
    """
    pairs = run.pairs
    replier = Replier(bundle)
    rng = np.random.default_rng(run.settings.seed)
    judged: list[annotations.JudgedMessage] = []
    for number in rng.permutation(pairs.where(VALID))[:_JUDGED].tolist():
        # the last one first, and it is the other person's
        texts = pairs.said(pairs.context[number])
        messages = [Message(text, mine=back % 2 == 1) for back, text in enumerate(texts)]
        intent = replier.intent_of(pairs.texts[pairs.replies[number]])
        intents = frozenset({intent} - {-1})
        judged.append(annotations.JudgedMessage(tuple(reversed(messages)), intents))
    return judged


def _record(run: _Run) -> dict[str, Any]:
    """Return what a card says of a run."""
    seconds = run.clock.seconds.items()
    return {
        "settings": asdict(run.settings),
        "sources": [Path(source.path).name for source in run.config.sources],
        "pairs": len(run.pairs.where(TRAIN)),
        "left out": dict(run.pairs.left_out),
        "seconds": {stage: round(value) for stage, value in seconds},
    }
