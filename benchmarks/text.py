"""Texts labelled by files of one size, one thread: ours beside fastText, tuned and quantised to the
same size, and beside TF-IDF with logistic regression of any size.

    python benchmarks/text.py [--sets others clinc clinc_in_scope banking] [--sizes 100KB] [--quick]
        [--seconds 0] [--folds 10]

``others``: the six sets of ``text/others`` (tweet emoji, German tweet sentiment, offensive tweets,
    SMS spam,
home assistant, Chinese reviews), each with its own splits: everything is chosen on the training and
validation texts, and the test split is only answered. ``clinc``: its validation split is the test,
unless ``--test`` names a file, and then all tune on it; ``clinc_in_scope``: the same without texts
out of scope. ``banking``: a tenth of its training texts, likewise; and, ours alone, ten such tenths
by ten models that have not seen them, since one tells no more than 0.9 points.

fastText: eight settings, the best on the validation texts; with ``--seconds`` it tunes itself
    instead. Logistic
regression: words 1-2 and letters 2-5 inside words, sublinear, ``C`` of four on the validation
    texts.
``--quick``: the two smallest sets, and two settings.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _peers_env import fasttext_python
from _report import show, write
from rich.progress import Progress

from handheld.config import find
from handheld.data import Dataset, read_table
from handheld.engine import Model
from handheld.projection import TextClassifier
from handheld.projection.judging import TextData, judge
from handheld.projection.scope import figures, threshold_of
from handheld.projection.training.making import make_text_model
from handheld.projection.training.plan import TextModelPlan
from handheld.projection.training.recipe import recipe_for

OTHERS = ("sent_german", "sms", "waimai", "hwu", "offensive", "emoji")
QUICK = ("sent_german", "sms")
WORKER = Path(__file__).parent / "_fasttext_worker.py"
# times the seconds that fastText is told to tune itself in, three times: sometimes it never ends
PATIENCE = 6
LIMIT = 3_600  # seconds of a peer that is told settings
BINS = 15  # of the calibration error (Guo et al., arXiv 1706.04599)
COSTS = (1.0, 4.0, 16.0, 64.0)  # C of the logistic regression
ALONE, TOGETHER = 300, 2_000  # texts that are timed one by one, and in a batch
ROUNDS = 5


@dataclass(frozen=True)
class Task:
    """A data set: texts to learn from, to validate and to test with, and texts out of scope."""

    name: str
    train: TextData
    valid: TextData
    test: TextData


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answered to the test texts.

    Attributes:
        right: (texts,) whether each answer is right.
        sure: (texts,) probability of each answer.
        size: bytes of the model.
        train_seconds: of CPU, tuning among them.
        batch, alone: seconds of CPU a text, in a batch and one by one; None: not measured.
        outside: probabilities of texts out of scope.
        threshold: of scope.
    """

    right: Any
    sure: Any
    size: int
    train_seconds: float
    batch: float | None
    alone: float | None
    outside: Any = ()
    threshold: float = 0.0


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--sizes", nargs="+", type=kilobytes, default=[100_000])
    parts = ["others", "clinc", "clinc_in_scope", "banking"]
    options.add_argument("--sets", nargs="+", choices=[*parts, *OTHERS], default=parts)
    options.add_argument(
        "--seconds",
        type=int,
        default=0,
        help="in which fastText tunes itself, for each size; 0: settings",
    )
    options.add_argument("--test", type=Path, help="texts to test CLINC150 or Banking77 with")
    options.add_argument("--oos", type=Path, help="texts out of scope to test CLINC150 with")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--effort", choices=["default", "high"], default="default")
    options.add_argument("--without-peers", action="store_true")
    options.add_argument("--folds", type=int, default=10, help="of Banking77, for ours: 0 for none")
    options.add_argument("--quick", action="store_true")
    options.add_argument("--name", default="text", help="of the file in benchmarks/results")
    chosen = options.parse_args()
    rows: list[dict[str, Any]] = []
    for size in chosen.sizes:
        for task in tasks(chosen):
            for name, answers in compared(task, size, chosen):
                rows.append(row(task, name, answers))
                show("texts labelled", rows)
                write(chosen.name, rows)
        if "banking" in chosen.sets and chosen.folds and not chosen.test and not chosen.quick:
            rows.append(crossed(size, chosen.folds, chosen.seed, high=chosen.effort == "high"))
            show("texts labelled", rows)
            write(chosen.name, rows)


def kilobytes(text: str) -> int:
    return int(text.upper().removesuffix("KB")) * 1000


def tasks(chosen: argparse.Namespace) -> Iterator[Task]:
    names = (
        QUICK
        if chosen.quick
        else [name for part in chosen.sets for name in (OTHERS if part == "others" else (part,))]
    )
    for name in names:
        if name == "clinc":
            yield clinc(chosen.test, chosen.oos)
        elif name == "clinc_in_scope":
            yield in_scope(clinc(chosen.test, chosen.oos))
        elif name == "banking":
            yield banking(chosen.test)
        else:
            yield other(name)


def other(name: str) -> Task:
    train = read(f"text/others/{name}.train.tsv")
    rest = [read(f"text/others/{name}.{split}.tsv", train.classes) for split in ("valid", "test")]
    return Task(name, TextData(train), *map(TextData, rest))


def clinc(test: Path | None, oos: Path | None) -> Task:
    train = read("text/clinc_train.tsv")
    valid = read("text/clinc_val.tsv", train.classes)
    outside = {
        part: texts_of(find(f"text/clinc_oos_{part}.tsv", Path())) for part in ("train", "val")
    }
    tested = read_table(test, train.classes)[0] if test else valid
    apart = texts_of(oos) if oos else outside["val"]
    return Task(
        "CLINC150",
        TextData(train, outside["train"]),
        TextData(valid, outside["val"]),
        TextData(tested, apart),
    )


def in_scope(task: Task) -> Task:
    return Task(
        f"{task.name}, in scope",
        *(TextData(data.known) for data in (task.train, task.valid, task.test)),
    )


def texts_of(path: Path) -> tuple[str, ...]:
    return tuple(map(str, read_table(path)[0].inputs))


def banking(test: Path | None) -> Task:
    train, valid = read("text/banking77_train.tsv").split(0.1, seed=0)
    tested = read_table(test, train.classes)[0] if test else valid
    return Task("Banking77, a tenth", TextData(train), TextData(valid), TextData(tested))


def read(path: str, classes: tuple[str, ...] | None = None) -> Dataset:
    return read_table(find(path, Path()), classes)[0]


def compared(task: Task, size: int, chosen: argparse.Namespace) -> Iterator[tuple[str, Answers]]:
    yield "handheld", ours(task, size, chosen.seed, high=chosen.effort == "high")
    if not chosen.without_peers:
        fasttext = fasttext_answers(task, size, chosen.seconds, quick=chosen.quick)
        if fasttext is not None:
            yield "fastText", fasttext
        yield "TF-IDF, logistic regression", regression_answers(task)


def crossed(size: int, folds: int, seed: int, *, high: bool) -> dict[str, Any]:
    """Return the row of Banking77's training texts, each answered by a model that has not learned
    from its fold.

    A model chooses by a tenth of the other folds, so that the texts it answers are new to it in
    every way.
    """
    data = read("text/banking77_train.tsv")
    answers: list[Answers] = []
    for number, fold in enumerate(
        np.array_split(np.random.default_rng(seed).permutation(len(data)), folds)
    ):
        rest = data.subset(np.setdiff1d(np.arange(len(data)), fold))
        train, valid = rest.split(0.05, seed=seed)
        task = Task(
            f"Banking77, fold {number + 1}",
            TextData(train),
            TextData(valid),
            TextData(data.subset(fold)),
        )
        answers.append(ours(task, size, seed, high=high))
    together = Answers(
        np.concatenate([each.right for each in answers]),
        np.concatenate([each.sure for each in answers]),
        max(each.size for each in answers),
        float(np.mean([each.train_seconds for each in answers])),
        float(np.median([each.batch or 0 for each in answers])),
        float(np.median([each.alone or 0 for each in answers])),
    )
    return row(
        Task(f"Banking77, {folds} folds", task.train, task.valid, task.test), "handheld", together
    )


def ours(task: Task, size: int, seed: int, *, high: bool) -> Answers:
    recipe = recipe_for("picked", size, len(task.train.known.classes))
    started = time.process_time()
    with Progress() as progress:
        bar = progress.add_task(f"{task.name}, {size} bytes", total=1.0)

        def report(stage: str, done: float, text: str) -> None:
            progress.update(bar, completed=done, description=f"{task.name}: {stage} {text}")

        plan = TextModelPlan(size, recipe=recipe, seed=seed, high_effort=high)
        made = make_text_model(task.train, task.valid, plan, progress=report)
    seconds = time.process_time() - started
    with TextClassifier(Model.load(made.content)) as model:
        judged = judge(model, task.test)
        batch, alone = timed(model.probabilities, task.test.texts)
    return Answers(
        judged.right,
        judged.shares,
        len(made.content),
        seconds,
        batch,
        alone,
        judged.outside,
        made.card["threshold"],
    )


def timed(answer: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> tuple[float, float]:
    """Return seconds of CPU a text, in a batch and one by one: the medians of rounds."""
    some = list((texts * (TOGETHER // len(texts) + 1))[:TOGETHER])
    answer(some)
    batches = [spent(lambda: answer(some)) / len(some) for _ in range(ROUNDS)]
    singles = [[text] for text in some[:ALONE]]
    alone = [spent(lambda text=text: answer(text)) for text in singles]
    return float(np.median(batches)), float(np.median(alone))


def spent(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def regression_answers(task: Task) -> Answers:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_union

    started = time.process_time()
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    )
    known = features.fit_transform(task.train.texts)
    valid = features.transform(task.valid.texts)
    fits = [
        LogisticRegression(C=cost, max_iter=200).fit(known, task.train.known.labels)
        for cost in COSTS
    ]
    model = max(fits, key=lambda fit: fit.score(valid, task.valid.known.labels))
    seconds = time.process_time() - started

    def answer(texts: Sequence[str]) -> Any:
        return model.predict_proba(features.transform(texts))

    shares = answer(task.test.texts)
    right = model.classes_[shares.argmax(axis=1)] == task.test.known.labels
    outside = answer(task.test.outside).max(axis=1) if task.test.outside else np.empty(0)
    batch, alone = timed(answer, task.test.texts)
    sure = shares.max(axis=1)
    size = 4 * (model.coef_.size + model.intercept_.size)
    return Answers(
        right, sure, size, seconds, batch, alone, outside, threshold_of(sure, right, outside)
    )


def fasttext_answers(task: Task, size: int, seconds: int, *, quick: bool) -> Answers | None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job: dict[str, Any] = {
            "size": size,
            "seconds": seconds,
            "outside": [plain(text) for text in task.test.outside],
        }
        job["settings"] = [] if seconds else settings()[: 2 if quick else None]
        for part in ("train", "valid", "test"):
            job[part] = str(folder / f"{part}.txt")
            data: TextData = getattr(task, part)
            lines = [
                f"__label__{label} {plain(text)}\n"
                for label, text in zip(data.known.labels, data.texts, strict=True)
            ]
            Path(job[part]).write_text("".join(lines))
        job |= {"out": str(folder / "model.ftz"), "answers": str(folder / "answers.json")}
        (folder / "job.json").write_text(json.dumps(job))
        worker = [fasttext_python(), WORKER, folder / "job.json"]
        try:
            subprocess.run(
                worker, check=True, stderr=subprocess.DEVNULL, timeout=PATIENCE * seconds or LIMIT
            )
        except subprocess.TimeoutExpired:
            return None
        given = json.loads(Path(job["answers"]).read_text())
    if "failed" in given:
        return None
    right = np.array(given["right"])
    sure = np.array(given["sure"])
    outside = np.array(given["outside"])
    return Answers(
        right,
        sure,
        given["size"],
        given["train_seconds"],
        None,
        given["alone"],
        outside,
        threshold_of(sure, right, outside),
    )


def settings() -> list[dict[str, Any]]:
    """Return what fastText is trained with: words alone and with letters, slowly and fast."""
    found = []
    for minn, maxn in ((0, 0), (2, 5)):
        for lr, epoch in ((0.5, 10), (0.5, 25), (1.0, 25), (0.1, 50)):
            found.append(
                {"dim": 16, "lr": lr, "epoch": epoch, "wordNgrams": 2, "minn": minn, "maxn": maxn}
            )
    return found


def plain(text: str) -> str:
    """Return a text as fastText's authors advise: in lower case, marks apart."""
    return " ".join(
        "".join(letter if letter.isalnum() else f" {letter} " for letter in text.lower()).split()
    )


def calibration_error(sure: Any, right: Any) -> float:
    """Return the expected calibration error: how far the mean probability of each bin is from its
    share of right answers.
    """
    bins = np.minimum((np.asarray(sure) * BINS).astype(int), BINS - 1)
    errors = [
        abs(np.mean(sure[bins == one]) - np.mean(right[bins == one])) * np.mean(bins == one)
        for one in np.unique(bins)
    ]
    return float(np.sum(errors))


def row(task: Task, name: str, answers: Answers) -> dict[str, Any]:
    inside = bool(len(answers.outside))
    scope = (
        figures(answers.sure, answers.right, answers.outside, answers.threshold) if inside else None
    )
    common = task.train.known.counts.argmax()
    return {
        "data": task.name,
        "model": name,
        "bytes": answers.size,
        "right %": round(100 * float(np.mean(answers.right)), 2),
        "texts": len(answers.right),
        "commonest label %": round(100 * float((task.test.known.labels == common).mean()), 1),
        "calibration error": round(100 * calibration_error(answers.sure, answers.right), 1),
        "CPU s to train": round(answers.train_seconds, 1),
        "us a text": None if answers.batch is None else round(answers.batch * 1e6, 1),
        "us alone": None if answers.alone is None else round(answers.alone * 1e6, 1),
        "AUROC": None if scope is None else round(scope.auroc, 4),
    }


if __name__ == "__main__":
    main()
