"""The whole way from conversations to a bundle. Each stage goes on where it stopped."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

import handheld
from handheld.compress.progress import Clock, Progress, silent
from handheld.data import Skipped
from handheld.projection import Features
from handheld.projection.inputs import Rows
from handheld.propagation import Labels
from handheld.reply import style
from handheld.reply.bundle import Bundle
from handheld.reply.conversation import read_conversations
from handheld.reply.ranker import Ranker
from handheld.reply.training import guide, settle
from handheld.reply.training.config import Config, Settings
from handheld.reply.training.examples import Batches, Texts
from handheld.reply.training.intents import WEIGHTS, Replies, relations, spread
from handheld.reply.training.learn import Lesson, Taught, learn
from handheld.reply.training.network import Network, exported
from handheld.reply.training.pairs import NOTHING, TRAIN, VALID, Pairs, pairs_of
from handheld.reply.training.topics import train_topics

_READS = Features(words=2, skips=0, letters=(3, 4))
_JUDGED, _EVERYDAY = 6000, 2000  # pairs and situations by which mixing and trigger are chosen
_HARMLESS = 12_000  # messages
_STYLED = 5000  # answers that tell how people write


def train(config: Config, *, progress: Progress = silent) -> tuple[Bundle, Pairs, list[Skipped]]:
    """Make a bundle and write it; return it, the pairs it was made of, and what could not be read.

    Raises:
        InputError: files that cannot be read, or that leave nothing to learn from.
        TrainingError: the loss is no longer a number.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    how, state, clock = config.settings, config.out.with_suffix(".run"), Clock(progress)
    with clock.of("read conversations"):
        files = {Path(source.path).name.split(".")[0]: read_conversations(source.path) for source in config.sources}
        pairs = pairs_of({name: file.conversations for name, file in files.items()}, how.division)
        names, seeds = guide.read_intents(config.intents)
        situations = guide.read_situations(config.situations, names, how.expanded)
        reader = Rows(_READS, how.rows, how.length)
        texts = Texts.of(reader, (*pairs.texts, *situations.texts), np.unique(pairs.replies[pairs.where(TRAIN)]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        network = Network(how.rows, how.width, how.hidden, how.out, len(names) + 1, dropout=how.dropout)
    batches = Batches(
        [(pairs.where(TRAIN, number), source.repeats) for number, source in enumerate(config.sources)],
        how.first.batch, how.seed,
    )  # fmt: skip
    lesson = Lesson(pairs, texts, batches)
    with clock.of("learn to rank"):
        learn(network, lesson, how.first, seed=how.seed, save=state / "first.pt", report=clock.steps)
    with clock.of("spread intents"):
        replies = Replies.of(pairs, [text for text, _ in seeds])
        which = replies.of_pairs(pairs)
        graphs = relations(replies, which, exported(network.eval(), reader, texts.rarity), pairs)
        labels = spread(graphs, WEIGHTS, replies, seeds, len(names))
        intents = _of_pairs(labels, which)
    taught = Taught(np.arange(len(pairs.texts), len(pairs.texts) + len(situations.texts)), _with_none(situations.intents))
    lesson = Lesson(pairs, texts, batches, intents, taught)
    with clock.of("learn intents"):
        learn(network, lesson, how.second, seed=how.seed + 1, save=state / "second.pt", report=clock.steps)
    with clock.of("weigh shared words"):
        ranker = settle.weighed(exported(network.eval(), reader, texts.rarity), pairs, how.seed)
    bundle = _settled(config, ranker, pairs, intents, situations, replies, labels, seeds, names, clock)
    bundle.write(config.out)
    return bundle, pairs, [skipped for file in files.values() for skipped in file.skipped]


def _settled(
    config: Config, ranker: Ranker, pairs: Pairs, intents: Labels, situations: guide.Situations, replies: Replies,
    labels: Labels, seeds: list[tuple[str, int]], names: tuple[str, ...], clock: Clock,
) -> Bundle:  # fmt: skip
    """Choose what is chosen once the ranker stands."""
    how = config.settings
    rng = np.random.default_rng(how.seed)
    with clock.of("count signatures"):
        signatures = settle.signatures_of(pairs, intents, situations)
        chosen = rng.permutation(pairs.where(VALID))[:_JUDGED]
        contexts = [[pairs.texts[text] for text in context if text != NOTHING] for context in pairs.context[chosen]]
        heard = settle.Heard.of(ranker, signatures, contexts, intents.best[chosen])
        mixing = settle.mixing_of(heard)
        some = rng.permutation(len(situations.texts))[:_EVERYDAY]
        best = situations.intents[some].argmax(axis=1)
        everyday = settle.Heard.of(ranker, signatures, [[situations.texts[number]] for number in some], best)
        trigger = settle.trigger_of(heard, everyday, mixing.signatures, how.triggers)
    topics, lessons = guide.read_topics(config.sensitive, how.expanded)
    said = [pairs.texts[text] for text in rng.permutation(np.unique(pairs.context[pairs.where(TRAIN), 0]))[:_HARMLESS]]
    judged = [pairs.texts[text] for text in np.unique(pairs.context[chosen, 0])]
    save = config.out.with_suffix(".run") / "topics.pt"
    with clock.of("learn topics"):
        harmless = [*said, *situations.texts]
        sensitive = train_topics(topics, lessons, harmless, judged, seed=how.seed, save=save, report=clock.steps)
    responses = settle.response_set(replies, labels, seeds)
    answers = [pairs.texts[text] for text in rng.permutation(pairs.replies[pairs.where(TRAIN)])[:_STYLED]]
    card = {**config.card, "name": config.name, "version": handheld.__version__, "training": _record(config, how, pairs, clock)}
    return Bundle(
        card, ranker, signatures, sensitive, trigger, names, responses, settle.fallback_of(responses, intents), mixing,
        style.counts_of(answers),
    )  # fmt: skip


def _of_pairs(labels: Labels, which: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Labels:
    """Return the intents of each pair's answer; of one that is not sure, none."""
    sure = (which >= 0) & (labels.shares[which, 0] >= settle.SURE)
    names = np.where(sure[:, None], labels.names[which], -1).astype(np.int32)
    shares = np.where(names >= 0, labels.shares[which], 0).astype(np.float32)
    total = np.maximum(shares.sum(axis=1, keepdims=True), 1e-6)
    return Labels(names, shares / total, labels.classes)


def _with_none(shares: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> torch.Tensor:
    return torch.from_numpy(np.hstack([shares, np.zeros((len(shares), 1), np.float32)]))


def _record(config: Config, how: Settings, pairs: Pairs, clock: Clock) -> dict[str, object]:
    return {
        "settings": asdict(how),
        "sources": [Path(source.path).name for source in config.sources],
        "pairs": len(pairs.where(TRAIN)),
        "left out": dict(pairs.left_out),
        "seconds": {stage: round(seconds) for stage, seconds in clock.seconds.items()},
    }
