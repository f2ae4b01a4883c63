"""Short texts at real file size, one thread: our tables beside fastText, autotuned and quantised to the same size.

    python benchmarks/text.py [--sizes 100KB 260KB] [--seconds 300] [--data clinc banking] [--test FILE] [--folds 10]

CLINC150 (its validation split is the test unless ``--test`` names another file) and Banking77 (a tenth of its training texts,
from which neither learns; and ours on each of ten such tenths, by ten models, since one tells no more than 0.9 points).
fastText tunes itself on these texts, three times, and the best counts; ours takes nothing from them but the threshold of scope.
"""

import argparse
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _peers_env import fasttext_python
from _report import show, write
from rich.progress import Progress

from handheld.compress import Target
from handheld.config import find
from handheld.data import Dataset
from handheld.data._tables import read_table
from handheld.engine import Model
from handheld.engine.measure import measure
from handheld.projection import TextClassifier
from handheld.projection.judging import TextData, judge
from handheld.projection.scope import figures, threshold_of
from handheld.projection.training.making import Plan, make_text_model
from handheld.projection.training.recipe import recipe_for

PATIENCE = 6  # times the seconds that fastText is told to tune itself in, three times: sometimes it never ends
WORKER = Path(__file__).parent / "_fasttext_worker.py"


@dataclass(frozen=True)
class Task:
    """A data set: texts to learn from, to validate and to test with, and texts out of scope."""

    name: str
    train: TextData
    valid: TextData
    test: TextData


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", nargs="+", default=["100KB", "260KB"])
    options.add_argument("--data", nargs="+", choices=["clinc", "banking"], default=["clinc", "banking"])
    options.add_argument("--seconds", type=int, default=300, help="in which fastText tunes itself, for each size")
    options.add_argument("--test", type=Path, help="texts to test with, of the one data set that --data names")
    options.add_argument("--oos", type=Path, help="texts out of scope to test with")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--without-peer", action="store_true")
    options.add_argument("--folds", type=int, default=10, help="of Banking77, for ours: 0 for none")
    given = options.parse_args()
    rows: list[dict[str, Any]] = []
    for name in given.data:
        task = {"clinc": clinc, "banking": banking}[name](given.test, given.oos)
        for size in given.sizes:
            limit = Target.of(size).size or 0
            rows.append(ours(task, limit, given.seed))
            if not given.without_peer:
                rows.append(peer(task, limit, given.seconds))
            if name == "banking" and given.folds and not given.test:
                rows.append(crossed(limit, given.folds, given.seed))
            show("short texts", rows)
            write("text", rows)


def clinc(test: Path | None, oos: Path | None) -> Task:
    train, valid = (read(f"text/clinc_{part}.tsv") for part in ("train", "val"))
    apart = [tuple(map(str, read(f"text/clinc_oos_{part}.tsv").inputs)) for part in ("train", "val")]
    tested = read_table(test, train.classes)[0] if test else valid
    outside = tuple(map(str, read_table(oos)[0].inputs)) if oos else apart[1]
    return Task("CLINC150", TextData(train, apart[0]), TextData(valid, apart[1]), TextData(tested, outside))


def banking(test: Path | None, oos: Path | None) -> Task:
    train, valid = read("text/banking77_train.tsv").split(0.1, seed=0)
    tested = read_table(test, train.classes)[0] if test else valid
    return Task("Banking77", TextData(train), TextData(valid), TextData(tested))


def crossed(size: int, folds: int, seed: int) -> dict[str, Any]:
    """Return the row of Banking77's training texts, each answered by a model that has not learned from its fold."""
    data, found = read("text/banking77_train.tsv"), []
    for number, fold in enumerate(np.array_split(np.random.default_rng(seed).permutation(len(data)), folds)):
        valid = TextData(data.subset(fold))
        train = TextData(data.subset(np.setdiff1d(np.arange(len(data)), fold)))
        found.append(ours(Task(f"Banking77, fold {number + 1}", train, valid, valid), size, seed))
    right = sum(each["right %"] * each["texts"] for each in found) / len(data)
    times = float(np.median([each["us a text"] for each in found]))
    most = max(each["bytes"] for each in found)
    return found[0] | {
        "data and model": f"Banking77, handheld, {folds} folds", "bytes": most, "right %": round(right, 2), "texts": len(data),
        "us a text": times,
    }  # fmt: skip


def read(path: str) -> Dataset:
    return read_table(find(path, Path()))[0]


def ours(task: Task, size: int, seed: int) -> dict[str, Any]:
    recipe = recipe_for("rows", size, len(task.train.known.classes))
    with Progress() as progress:
        bar = progress.add_task(f"{task.name}, {size} bytes", total=1.0)
        made = make_text_model(
            task.train, task.valid, Plan(size, recipe=recipe, seed=seed),
            progress=lambda stage, done, text: progress.update(bar, completed=done, description=f"{task.name}: {stage} {text}"),
        )  # fmt: skip
    with TextClassifier(Model.load(made.content)) as model:
        judged = judge(model, task.test)
        some = list(task.test.texts[:200])
        timed = measure({"text": lambda: model.probabilities(some)}, rounds=20, pin=max(os.sched_getaffinity(0)))["text"]
    return row(
        f"{task.name}, handheld", len(made.content), judged.right, judged.shares, judged.outside,
        timed.median / len(some), made.card["threshold"],
    )  # fmt: skip


def peer(task: Task, size: int, seconds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job: dict[str, Any] = {"size": size, "seconds": seconds, "outside": [plain(text) for text in task.test.outside]}
        for part in ("train", "valid", "test"):
            job[part] = str(folder / f"{part}.txt")
            data: TextData = getattr(task, part)
            lines = [f"__label__{label} {plain(text)}\n" for label, text in zip(data.known.labels, data.texts, strict=True)]
            Path(job[part]).write_text("".join(lines))
        job |= {"out": str(folder / "model.ftz"), "answers": str(folder / "answers.json")}
        (folder / "job.json").write_text(json.dumps(job))
        worker, limit = [fasttext_python(), WORKER, folder / "job.json"], PATIENCE * seconds
        try:
            subprocess.run(worker, check=True, stderr=subprocess.DEVNULL, timeout=limit)
            found = json.loads(Path(job["answers"]).read_text())
        except subprocess.TimeoutExpired:
            found = {"failed": f"did not end within {limit} s"}
    if "failed" in found:
        return {"data and model": f"{task.name}, fastText in {size:,} bytes: {found['failed']}"}
    right, sure, outside = np.array(found["right"]), np.array(found["sure"]), np.array(found["outside"])
    return row(
        f"{task.name}, fastText", found["size"], right, sure, outside, found["seconds"], threshold_of(sure, right, outside)
    )


def plain(text: str) -> str:
    """Return a text as fastText's authors advise: in lower case, marks apart."""
    return " ".join("".join(letter if letter.isalnum() else f" {letter} " for letter in text.lower()).split())


def row(name: str, size: int, right: Any, sure: Any, outside: Any, seconds: float, threshold: float) -> dict[str, Any]:
    scope = figures(sure, right, outside, threshold) if len(outside) else None
    return {
        "data and model": name,
        "bytes": size,
        "right %": round(100 * float(np.mean(right)), 2),
        "texts": len(right),
        "us a text": round(seconds * 1e6, 1),
        "AUROC": None if scope is None else round(scope.auroc, 4),
        "in scope, right %": None if scope is None else round(100 * scope.accuracy, 2),
        "out of scope refused %": None if scope is None else round(100 * scope.recall, 2),
    }


if __name__ == "__main__":
    main()
