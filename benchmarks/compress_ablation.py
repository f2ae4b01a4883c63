"""What joint training and a teacher's answers bring: each member's network trained alone, too.

    handheld compress examples/compress/fashion_mnist.toml     # and with other seeds, if wanted
    python benchmarks/compress_ablation.py [families/fashion_mnist ...]
        [--config examples/compress/fashion_mnist.toml] [--seeds 3] [--sources labels answers]
        [--epochs E] [--pictures N]

For each member of the family that is no pruned one (those begin with the whole teacher), the same
network with fresh weights learns for as many epochs as the member had, together and for itself:
once from labels, once from the teacher's answers as well, with several seeds. Beside them stands
the member as the families have it, one figure for each family that is named: made with other seeds,
they give a spread. All are float32 networks or files, before eight bits, on the test split.
``--epochs`` and ``--pictures`` make a quick form, which says nothing about the family's own column.

What was trained stays in ``FAMILY_ablation``, so that a run that was stopped goes on.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import show, write
from rich.progress import Progress
from torch import nn

from handheld.compress import Family, Schedule
from handheld.compress.config import read
from handheld.compress.pictures.candidates import Builder, Candidate
from handheld.compress.pictures.large_network import build
from handheld.compress.pictures.preparation import Preparation
from handheld.compress.pictures.search import ladder, planned
from handheld.compress.pictures.training.answers import TeacherAnswers
from handheld.compress.pictures.training.batches import PictureBatches
from handheld.compress.pictures.training.student import AtSide, StudentLesson, accuracy, follow
from handheld.compress.teacher import TeacherSource
from handheld.data import Dataset, Splits
from handheld.networks.structure import trace
from handheld.training import FitRun, device

SOURCES = ("labels", "answers")


@dataclass(frozen=True)
class Ablation:
    """What all trainings share.

    Attributes:
        folder: of what was trained.
        data: labelled pictures.
        teacher: as the family has it.
        config: of the family.
        schedule: of each training, with the epochs of both parts of a member's own.
        seeds: of weights, order and variation.
    """

    folder: Path
    data: Splits
    teacher: nn.Module
    config: Any
    schedule: Schedule
    seeds: int

    @property
    def preparation(self) -> Preparation:
        return Preparation.of(self.data.train)

    def candidates(self, family: Family) -> tuple[Candidate, ...]:
        """Return what the family's run found for the targets of its configuration."""
        targets = self.config.targets
        if isinstance(targets, int):
            targets = ladder(targets)
        path = family.folder / "run" / "candidates.json"
        return planned(path, targets, self.preparation.side)

    def network(self, candidate: Candidate, seed: int) -> nn.Module:
        """Return a member's network with fresh weights."""
        large = trace(self.teacher, torch.zeros(2, *self.preparation.shape))
        settings = self.config.settings
        builder = Builder(
            large, self.preparation.shape, len(self.data.classes), seed, settings.sparsity
        )
        network = builder.build(candidate).network
        torch.manual_seed(seed)
        for layer in network.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        return network

    def batches(self, seed: int, *, views: int) -> PictureBatches:
        settings = self.config.settings
        return PictureBatches(
            self.data.train,
            self.preparation,
            self.schedule.batch,
            settings.augmentation,
            views=views,
            seed=seed,
            device=device(),
        )


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("families", type=Path, nargs="*", default=[Path("families/fashion_mnist")])
    options.add_argument(
        "--config", type=Path, default=Path("examples/compress/fashion_mnist.toml")
    )
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument(
        "--sources",
        nargs="+",
        choices=SOURCES,
        default=list(SOURCES),
        help="what networks alone learn from",
    )
    options.add_argument("--epochs", type=float, help="instead of as many as members had")
    options.add_argument("--pictures", type=int, help="to learn from, instead of all")
    given = options.parse_args()
    families = [Family.open(folder) for folder in given.families]
    ablation = prepared(families[0], given.config, given.seeds, given.epochs, given.pictures)
    with Progress() as progress:
        rows = list(compared(ablation, families, given.sources, progress))
    columns = ("member", "float32 bytes", "epochs", *map(column, given.sources), "in the family %")
    show("each member's network, alone and in the family", rows, columns)
    if given.epochs is None and given.pictures is None:
        write(f"compress_ablation_{families[0].folder.name}", rows, columns)


def column(source: str) -> str:
    return f"from {source} %"


def prepared(
    family: Family, config: Path, seeds: int, epochs: float | None, pictures: int | None
) -> Ablation:
    wanted = read(config)
    data = wanted.load()
    if pictures is not None:
        data = replace(data, train=first(data.train, pictures))
    weights = str((family.folder / "teacher.safetensors").resolve())
    source = replace(wanted.teacher, checkpoint=weights, trained=True, file=None)
    shape = Preparation.of(data.train).shape
    teacher = build(TeacherSource(**vars(source)), shape, len(data.classes), seed=0, folder=Path())
    settings = wanted.settings
    # a member learns in each of both parts; alone it gets all of that time at once
    schedule = replace(
        settings.training, epochs=epochs or settings.training.epochs + settings.finish.epochs
    )
    folder = family.folder.parent / f"{family.folder.name}_ablation"
    return Ablation(folder, data, teacher.eval(), wanted, schedule, seeds)


def first(dataset: Dataset, count: int) -> Dataset:
    return replace(dataset, inputs=dataset.inputs[:count], labels=dataset.labels[:count])


def compared(
    ablation: Ablation, families: Sequence[Family], sources: Sequence[str], progress: Progress
) -> Iterator[dict[str, Any]]:
    by_name = {one.name: one for one in ablation.candidates(families[0])}
    for member in families[0].members:
        candidate = by_name[member.name]
        if candidate.kind == "pruned":
            continue
        in_family = [
            other.accuracy_float for family in families for other in named(family, member.name)
        ]
        alone = {
            column(source): text_of(trained(ablation, candidate, source, progress))
            for source in sources
        }
        yield {
            "member": f"{member.name}: {member.how}",
            "float32 bytes": member.size_float,
            "epochs": ablation.schedule.epochs,
            **alone,
            "in the family %": text_of(in_family),
        }


def named(family: Family, name: str) -> list[Any]:
    return [member for member in family.members if member.name == name]


def trained(
    ablation: Ablation, candidate: Candidate, source: str, progress: Progress
) -> list[float]:
    """Train a member's network alone, once a seed; return its shares of the test split."""
    rights = []
    for seed in range(ablation.seeds):
        file = ablation.folder / f"{candidate.name}_{source}_{seed}_{ablation.schedule.epochs:g}"
        done = file.with_suffix(".json")
        if not done.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            right = train(ablation, candidate, source, seed, file.with_suffix(".pt"), progress)
            done.write_text(json.dumps({"right": right, "pictures": len(ablation.data.train)}))
        known = json.loads(done.read_text())
        if known["pictures"] != len(ablation.data.train):
            raise SystemExit(f"{done} is of {known['pictures']} pictures: remove {ablation.folder}")
        rights.append(known["right"])
    return rights


def train(
    ablation: Ablation, candidate: Candidate, source: str, seed: int, save: Path, progress: Progress
) -> float:
    settings = ablation.config.settings
    network = AtSide(ablation.network(candidate, seed), candidate.side).to(device())
    how = settings.distillation
    answers = None
    if source == "answers":
        batches = ablation.batches(seed, views=settings.views)
        answers = TeacherAnswers(ablation.teacher.to(device()), batches, len(ablation.data.classes))
    else:
        batches = ablation.batches(seed, views=0)
        how = replace(how, weight=0.0)
    task = progress.add_task(f"{candidate.name}, {source}, seed {seed}", total=None)
    follow(
        network,
        StudentLesson(batches, answers, how),
        ablation.schedule,
        FitRun(
            seed, save, lambda step, steps, _: progress.update(task, completed=step, total=steps)
        ),
    )
    return accuracy(network.eval(), ablation.data.test, ablation.preparation)


def text_of(shares: Sequence[float]) -> str:
    mean = f"{100 * np.mean(shares):.2f}"
    return f"{mean} ± {100 * np.std(shares, ddof=1):.2f}" if len(shares) > 1 else mean


if __name__ == "__main__":
    main()
