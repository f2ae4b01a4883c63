"""Train the filter of sensitive topics: hand-written messages against what people say otherwise."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from handheld.projection import Features
from handheld.projection.inputs import Rows
from handheld.projection.training.grid import learned
from handheld.projection.training.table import Table
from handheld.reply.sensitive import Sensitive
from handheld.training import Report, Schedule, fit

_READER = Rows(Features(words=2, skips=0, letters=(4, 5)), 2048, 160)
_WIDTH = 24
_SCHEDULE = Schedule(12, batch=128, rate=0.01, rise=0.1, decay=0.02, optimiser="adam")
_FALSE = 0.005  # share of harmless messages above the threshold, at most
_LOWEST = 0.3  # threshold


def train_topics(
    names: tuple[str, ...], lessons: Sequence[tuple[str, int]], harmless: Sequence[str], judged: Sequence[str], *,
    seed: int, save: Path | None, report: Report,
) -> Sensitive:  # fmt: skip
    """Train the filter.

    Args:
        names: of the topics.
        lessons: messages, and the numbers of their topics.
        harmless: messages of no topic.
        judged: further ones, by which the threshold is set so that few of them are above it.
        seed: of weights and order.
        save: file to go on from.
        report: called after each step.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    texts = [text for text, _ in lessons] + list(harmless)
    labels = torch.tensor([topic for _, topic in lessons] + [len(names)] * len(harmless))
    numbers, offsets = _READER.flat(texts)
    weight = torch.cat([torch.full((len(names),), len(harmless) / max(1, len(lessons))), torch.ones(1)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Table(_READER.rows, _WIDTH, len(names) + 1)
    network.on_grid = True
    steps = round(_SCHEDULE.epochs * max(1, len(texts) // _SCHEDULE.batch))

    def step(number: int) -> float:
        chosen = np.random.default_rng((seed, number)).integers(len(texts), size=_SCHEDULE.batch)
        counts = (offsets[1:] - offsets[:-1])[chosen]
        begins = np.zeros(len(chosen) + 1, np.int64)
        counts.cumsum(out=begins[1:])
        rows = numbers[offsets[chosen].repeat(counts) + np.arange(begins[-1]) - begins[:-1].repeat(counts)]
        logits = network(torch.from_numpy(rows), torch.from_numpy(begins))
        loss = functional.cross_entropy(logits, labels[chosen], weight.sqrt(), label_smoothing=0.05)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    fit(network.train(), step, _SCHEDULE, steps, save=save, report=report, seed=seed)
    found = _exported(network.eval(), names)
    risk = found.probabilities(judged).sum(axis=1)
    threshold = max(_LOWEST, float(np.quantile(risk, 1 - _FALSE)) if len(risk) else _LOWEST)
    return Sensitive(found.learned, found.norm, found.weight, found.bias, names, threshold)


def _exported(network: Table, names: tuple[str, ...]) -> Sensitive:
    with torch.no_grad():
        norm = torch.stack([network.norm.weight, network.norm.bias]).numpy()
        weight, bias = network.last.weight.numpy().copy(), network.last.bias.numpy().copy()
    return Sensitive(learned(network.table, _READER), norm, weight, bias, names, _LOWEST)
