"""OVIC's score of our own compressed family and of the sample MobileNets, in one report.

    python benchmarks/ovic.py [--work families/ovic] [--budgets 33ms,500us] [--most 2000]

All models are judged on one set, the test part of ``images/cifar10_jpeg.npz`` (a lossy JPEG copy of
CIFAR-10, 32 pixels wide: its figures never stand beside published ones), on one thread of one core:

- a family that ``handheld compress`` makes of its training part in the folder of ``--work``, once
  (four minutes of CPU time: 10,000 pictures, few epochs, so accuracies are far below those of
  ``examples/compress/cifar10_jpeg.toml``; a family of that file can be named by ``--family``);
- the ResNets of MLPerf Tiny, which learned the original set;
- the MobileNets, which learned ImageNet's 1,000 classes from large photos. Each of their classes
  counts as the one of CIFAR-10 that it belongs to (``CLASSES``; ImageNet has no deer, so its
  antelopes stand for them), all others as none. Pictures of 32 pixels cost them most of what they
  know: their accuracy here says little of them, their latency does not depend on it.

A second block judges the MobileNets on photos that they were made for: fruit and vegetables in
shops (``hands/negatives``), of which there are few, so intervals are wide.

A run that is INVALID is repeated, at most four times. Written are ``results/ovic.md`` and ``.json``
and, beside them, the pages ``results/ovic.html`` (the first block) and ``ovic_shops.html`` (the
second), if every run is VALID at last; else nothing is written but the pages, into the work folder.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _report import RESULTS, show, write

from handheld.bench import (
    BenchProtocol,
    BenchResult,
    ClassificationTask,
    MetricEstimate,
    bench,
    write_report,
)
from handheld.bench.report import equal_work, pareto_of
from handheld.cli.bench import duration
from handheld.data import Dataset, load
from handheld.media import read_image

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HANDHELD_DATA", "../shared/data"))
PREPARE = ROOT / "examples" / "compress" / "prepare.py"
TRAINED_ON = 10_000  # pictures: a family in ten minutes
SHOP_PICTURES = 10  # fewer are no block of their own
COLUMNS = (
    "judged on",
    "model",
    "run",
    "p50 ms",
    "p90 ms",
    "accuracy %",
    "of 95 % interval",
    "beside the curve, points",
    "bytes",
    "MACs",
)

CONFIG = """\
out = "{out}"
targets = ["12x smaller", "30x smaller", "60x smaller, plain"]
[data]
path = "{data}"
valid = 0.05
[teacher]
network = "residual"
width = 16
[settings]
variants = false
quantise = 1
[settings.training]
epochs = {epochs}
rate = 0.2
[settings.finish]
epochs = {finish}
rate = 0.1
[settings.distillation]
temperature = 2
smoothing = 0.1
[settings.augmentation]
flip = true  # a mirror image is of the same class
shift = 4
"""
ATTEMPTS = 5
EPOCHS = 8
FINISH = 3

CLASSES: Mapping[str, Sequence[str]] = {
    "airplane": ("airliner", "warplane"),
    "automobile": (
        "beach wagon",
        "cab",
        "convertible",
        "jeep",
        "limousine",
        "minivan",
        "Model T",
        "racer",
        "sports car",
    ),
    "cat": ("tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"),
    # ImageNet has no deer: hartebeest, impala and gazelle are the nearest that it has.
    "deer": ("hartebeest", "impala", "gazelle"),
    "frog": ("bullfrog", "tree frog", "tailed frog"),
    "horse": ("sorrel",),
    "ship": (
        "catamaran",
        "container ship",
        "fireboat",
        "liner",
        "pirate",
        "schooner",
        "speedboat",
        "trimaran",
        "yawl",
    ),
    "truck": ("fire engine", "garbage truck", "moving van", "pickup", "tow truck", "trailer truck"),
}
"""First names of ImageNet's classes, by the class of CIFAR-10 that they belong to."""

# ImageNet's classes by their numbers among the file's 1,001 labels, of which the first is
# "background": birds (cock to owl, grouse to swan, stork to albatross), dogs (Chihuahua to Mexican
# hairless). The end of a range is not in it.
NOTE = (
    "Judged on a JPEG copy of CIFAR-10, pictures of 32 pixels, never to be set beside published "
    "figures. The MobileNets learned ImageNet from large photos: each of their 1,000 classes is "
    "taken for the one of CIFAR-10 that it belongs to, and their accuracy on such pictures says "
    "little of them; their latency does not depend on it."
)

RANGES = {"bird": ((8, 26), (81, 102), (128, 148)), "dog": ((152, 270),)}

SHOP = {
    "Banana": "banana",
    "Lemon": "lemon",
    "Orange": "orange",
    "Satsumas": "orange",
    "Pineapple": "pineapple",
    "Pomegranate": "pomegranate",
    "Cucumber": "cucumber",
    "Zucchini": "zucchini",
    "Cabbage": "head cabbage",
    "Brown-Cap-Mushroom": "mushroom",
    "Granny-Smith": "Granny Smith",
    "Red-Bell-Pepper": "bell pepper",
    "Yellow-Bell-Pepper": "bell pepper",
    "Green-Bell-Pepper": "bell pepper",
    "Orange-Bell-Pepper": "bell pepper",
}
"""Folders of the shop's photos, and the first name of their class in ImageNet."""


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--work", type=Path, default=Path("families/ovic"))
    options.add_argument("--family", type=Path, help="a family that is there, instead of ours")
    options.add_argument("--budgets", default="33ms,500us")
    options.add_argument("--most", type=int, default=2000, help="pictures that are judged on")
    options.add_argument("--prepare", action="store_true", help="make the family, and no more")
    chosen = options.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    data = prepared(chosen.work)
    family = chosen.family or made_family(chosen.work, data)
    if chosen.prepare:
        return
    budgets = tuple(duration("--budgets", text) for text in chosen.budgets.split(","))
    # Of pictures of 32 pixels nothing is cut off; photos are cut as the rule says.
    whole = BenchProtocol(budgets=budgets, crop=1.0)
    results = list(measured(model_tasks(family, data, chosen.most), whole))
    shops = list(measured(shop_tasks(), BenchProtocol(budgets=budgets)))
    report(results, shops, chosen.work)


def prepared(work: Path) -> Path:
    """Return the pictures as ``handheld compress`` reads them; made once."""
    target = work / "cifar10_jpeg.npz"
    if not target.exists():
        source = DATA / "images" / "cifar10_jpeg.npz"
        if not source.is_file():
            sys.exit(f"{source} is not there: set HANDHELD_DATA (docs/data.md)")
        whole = work / "whole.npz"
        subprocess.run([sys.executable, PREPARE, source, whole], check=True)
        with np.load(whole) as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        whole.unlink()
        # Drawn: the file is in the order of its classes.
        drawn = np.random.default_rng(0).permutation(len(kept["y_train"]))[:TRAINED_ON]
        for name in ("x_train", "y_train"):
            kept[name] = kept[name][drawn]
        np.savez(target, **kept)
    return target


def made_family(work: Path, data: Path) -> Path:
    """Return our family; ``handheld compress`` makes it, or goes on with it."""
    folder = work / "family"
    if not (folder / "family.json").exists():
        config = work / "ovic.toml"
        config.write_text(
            CONFIG.format(out=folder, data=data.resolve(), epochs=EPOCHS, finish=FINISH)
        )
        subprocess.run([sys.executable, "-m", "handheld", "compress", config], check=True)
    return folder


def model_tasks(family: Path, data: Path, most: int) -> Iterator[tuple[Path, ClassificationTask]]:
    """Yield each model with what it is judged by: the same pictures, with its own labels."""
    test = load(data).test
    # The first ones of a shuffled order, the same for all.
    chosen = np.random.default_rng(0).permutation(len(test))[:most]
    pictures = Dataset(test.inputs[chosen], test.labels[chosen], test.classes)
    own = ClassificationTask.of(pictures)
    tiny = ClassificationTask.of(pictures, black_white=(0.0, 255.0))
    large = ClassificationTask.of(pictures, labels=grouped_labels())
    for path in sorted(family.glob("*.tflite")):
        yield path, own
    for path in sorted((DATA / "models").glob("*.tflite")):
        if "mobilenet" in path.stem:
            yield path, large
        else:
            yield path, tiny


def imagenet_labels() -> list[str]:
    """Return the first name of each of the 1,001 classes."""
    lines = (DATA / "models" / "imagenet_labels.txt").read_text("utf-8").splitlines()
    return [line.partition(",")[0].strip() for line in lines]


def grouped_labels() -> list[str]:
    """Return, for each of ImageNet's 1,001 outputs, the class of CIFAR-10 that it belongs to."""
    names = {name: group for group, names in CLASSES.items() for name in names}
    labels = [names.get(name, f"none: {name}") for name in imagenet_labels()]
    for group, ranges in RANGES.items():
        for first, end in ranges:
            labels[first:end] = [group] * (end - first)
    return labels


def shop_tasks() -> Iterator[tuple[Path, ClassificationTask]]:
    """Yield each MobileNet with photos of its own classes, where they are there."""
    pictures, names = shop_pictures()
    if len(pictures) < SHOP_PICTURES:
        return
    classes = sorted(set(names))
    truth = np.array([classes.index(name) for name in names], np.int64)
    task = ClassificationTask(
        len(pictures),
        pictures.__getitem__,
        truth,
        classes,
        labels=imagenet_labels(),
    )
    for path in sorted((DATA / "models").glob("*mobilenet*.tflite")):
        yield path, task


def shop_pictures() -> tuple[list[Any], list[str]]:
    """Return photos of fruit and vegetables, and the name of ImageNet's class of each."""
    folder = DATA / "hands" / "negatives"
    index = folder / "index.jsonl"
    pictures: list[Any] = []
    names: list[str] = []
    if not index.is_file():
        return pictures, names
    for line in index.read_text("utf-8").splitlines():
        record = json.loads(line)
        parts = re.split("/", record.get("path", ""))
        known = [SHOP[part] for part in parts if part in SHOP]
        if record["kind"] == "food_shop" and known:
            pictures.append(read_image(folder / record["file"]))
            names.append(known[0])
    order = np.random.default_rng(0).permutation(len(names))
    return [pictures[number] for number in order], [names[number] for number in order]


def measured(
    models: Iterator[tuple[Path, ClassificationTask]], protocol: BenchProtocol
) -> Iterator[BenchResult]:
    for path, task in models:
        for _ in range(ATTEMPTS):
            result = bench(path, task, protocol=protocol)
            reasons = "; ".join(result.verdict.reasons)
            print(f"{path.stem}: {result.verdict.word} {reasons}", flush=True)
            if result.verdict.valid:
                break
        # Where it lies on this machine is nobody's business.
        yield replace(result, model=replace(result.model, file=path.name))


def report(results: Sequence[BenchResult], shops: Sequence[BenchResult], work: Path) -> None:
    """Print what came out; write it where every run can be trusted."""
    rows = [*rows_of(results, "CIFAR-10, JPEG copy"), *rows_of(shops, "photos in shops")]
    columns = [*COLUMNS[:7], *score_columns(results), *COLUMNS[7:]]
    show("OVIC", rows, columns)
    curve = pareto_of(results)
    if curve is not None:
        print(f"accuracy(t) = {curve.slope:.4f} log t + {curve.offset:.4f}, t in ms")
    for pair in equal_work(results):
        print(
            f"{pair.fast} and {pair.slow} do the same work ({pair.macs / 1e6:.0f} M MACs), the "
            f"second in {pair.ratio:.2f} times the time"
        )
    folder = work
    is_valid = all(result.verdict.valid for result in (*results, *shops))
    if is_valid:
        folder = RESULTS
        write("ovic", [*rows, *facts(results)], [*columns, "fact"])
    write_report(
        folder / "ovic.html", results, title="OVIC: our family and the sample models", note=NOTE
    )
    print(f"wrote {folder / 'ovic.html'}")
    if shops:
        write_report(folder / "ovic_shops.html", shops, title="OVIC: MobileNets on photos in shops")
        print(f"wrote {folder / 'ovic_shops.html'}")
    if not is_valid:
        sys.exit("some runs are INVALID: no results are written; a quiet machine is needed")


def facts(results: Sequence[BenchResult]) -> list[dict[str, Any]]:
    """Return what the results say together, as rows with a sentence each."""
    rows = []
    curve = pareto_of(results)
    if curve is not None:
        line = f"{curve.slope:.4f} log t + {curve.offset:.4f}"
        rows.append({"model": "Pareto curve", "fact": f"accuracy(t) = {line}, t in ms"})
    for pair in equal_work(results):
        words = f"{pair.fast} does {pair.macs / 1e6:.0f} M MACs {pair.ratio:.2f} times as fast"
        rows.append({"model": pair.slow, "fact": f"equal work: {words}"})
    return rows


def score_columns(results: Sequence[BenchResult]) -> list[str]:
    return [score_column(budget) for budget in results[0].protocol.budgets]


def score_column(budget: float) -> str:
    return f"within {1e3 * budget:g} ms %"


def interval_of(estimate: MetricEstimate) -> str:
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"


def rows_of(results: Sequence[BenchResult], data: str) -> Iterator[dict[str, Any]]:
    curve = pareto_of(results)
    for result in results:
        assert result.accuracy is not None
        latency = result.latency
        row: dict[str, Any] = {
            "judged on": f"{data}, {result.examples:,}",
            "model": result.model.name,
            "run": result.verdict.word,
            "p50 ms": 1e3 * latency.p50.value,
            "p90 ms": 1e3 * latency.p90.value,
            "accuracy %": round(100 * result.accuracy.value, 1),
            "of 95 % interval": interval_of(result.accuracy),
            "bytes": result.model.bytes,
            "MACs": result.model.macs,
        }
        for score in result.scores:
            row[score_column(score.budget)] = round(100 * score.score.value, 1)
        if curve is not None:
            gain = curve.gain(result.accuracy.value, latency.p50.value)
            row["beside the curve, points"] = round(100 * gain, 1)
        yield row


if __name__ == "__main__":
    main()
