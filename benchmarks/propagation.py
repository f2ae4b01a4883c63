"""Label propagation: citation graphs, long graphs, time by edges, scikit-learn, Ray, faiss.

    python benchmarks/propagation.py [planetoid|long|scaling|scikit|ray|neighbours ...]
        [--edges 1e7] [--points 1e6] [--codes 1e6] [--seeds 5]

Without names all parts run, and the table is written to ``results/propagation``; some parts are
only printed. Labels are propagated with the defaults of ``handheld propagate``, to the end. Each
measurement runs in a process of its own, on one thread, with at most 6 GB of address space but for
Ray; scikit-learn counts as dead after 120 s. faiss is left out unless it is there:
``pip install --no-deps --target .venv-peers-faiss faiss-cpu``.
"""

import argparse
import json
import os
import pickle
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from _memory import peak_bytes
from _report import show, write
from numpy.typing import NDArray

from handheld.projection import Signs
from handheld.propagation import SeedLabels, WeightedGraph, graph_of, near, propagate

DATA = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "text" / "planetoid"
FAISS = Path(__file__).parents[1] / ".venv-peers-faiss"
MEMORY = 6 << 30
SECONDS = 120.0  # of scikit-learn
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

# chosen on validation nodes, the first of equals
PRIORS = (0.01, 0.03, 0.1, 0.3, 1.0)
WORDS = (0.03, 0.1, 0.2, 0.3, 0.5, 1.0)  # weight of near neighbours by words, citations having 1
EDGES = (
    0.3,
    1.0,
)  # weight of edges in the loss of a network; a tenth of it where none of both ends has a label
NEIGHBOURS = 5
# Codes for each of its lists that faiss asks for at least, its most, and all that there are
# (https://github.com/facebookresearch/faiss/wiki/FAQ: "clustering ... 39 * k to 256 * k").
TRAINED_ON = (39, 256, None)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("parts", nargs="*", help=", ".join(PARTS))
    options.add_argument("--edges", type=float, default=1e7, help="of the largest random graph")
    options.add_argument(
        "--points", type=float, default=1e6, help="of the largest set beside scikit-learn"
    )
    options.add_argument(
        "--codes", type=float, default=1e6, help="that near neighbours are looked for among"
    )
    options.add_argument("--seeds", type=int, default=5, help="of the networks of words")
    given = options.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        options.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows = []
    for part in given.parts or PARTS:
        found = []
        for row in PARTS[part](given):
            found.append({"part": part, **row})
            print(json.dumps(found[-1]), flush=True)
        show(part, found)
        rows += found
    if not given.parts:
        write("propagation", rows)


def planetoid(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Public splits; every choice is made on the 500 validation nodes."""
    if not DATA.exists():
        yield {"case": f"left out: no {DATA}"}
        return
    for name in ("cora", "citeseer", "pubmed"):
        links, used, labels, splits = citations(name)
        yield {"case": f"{name}, links", **chosen(links, None, labels, splits)}
        if used is not None:
            yield {
                "case": f"{name}, links and words",
                **chosen(links, words_alike(used), labels, splits),
            }
            yield {
                "case": f"{name}, network of words",
                **networks(links, used, labels, splits, (0.0,), given.seeds),
            }
            yield {
                "case": f"{name}, network of words, links",
                **networks(links, used, labels, splits, EDGES, given.seeds),
            }


def chosen(
    links: WeightedGraph,
    words: WeightedGraph | None,
    labels: NDArray[np.int64],
    splits: dict[str, Any],
) -> dict[str, Any]:
    best: dict[str, Any] = {"valid %": -1.0}
    seeds = SeedLabels.of(splits["train"], labels[splits["train"]])
    for share in (0.0,) if words is None else WORDS:
        graph = (
            links
            if words is None
            else WeightedGraph.joined({"links": (links, 1.0), "words": (words, share)})
        )
        for prior in PRIORS:
            found = propagate(graph, seeds, prior=prior).best
            right = {
                split: 100 * float((found[nodes] == labels[nodes]).mean())
                for split, nodes in splits.items()
            }
            if right["valid"] > best["valid %"]:
                best = {
                    "prior": prior,
                    "words": share,
                    "valid %": right["valid"],
                    "test %": right["test"],
                    "test nodes that nothing reached %": 100
                    * float((found[splits["test"]] < 0).mean()),
                }
    return best


def networks(
    links: WeightedGraph,
    used: NDArray[np.float32],
    labels: NDArray[np.int64],
    splits: dict[str, Any],
    weights: Sequence[float],
    seeds: int,
) -> dict[str, Any]:
    """Train small networks on words, answers for nodes that cite each other drawn together.

    The weight of edges is the one whose networks are right most often on validation nodes, the mean
    over seeds; the spread is the standard deviation of one network.
    """
    best: dict[str, Any] = {"valid %": -1.0}
    for weight in weights:
        rights = [
            network_of_words(links, used, labels, splits, weight, seed) for seed in range(seeds)
        ]
        valid = float(np.mean([right["valid"] for right in rights]))
        tests = [right["test"] for right in rights]
        if valid > best["valid %"]:
            best = {
                "edges": weight,
                "valid %": valid,
                "test %": float(np.mean(tests)),
                "spread": float(np.std(tests, ddof=1)) if seeds > 1 else None,
                "networks": seeds,
            }
    return best


def network_of_words(
    links: WeightedGraph,
    used: NDArray[np.float32],
    labels: NDArray[np.int64],
    splits: dict[str, Any],
    weight: float,
    seed: int,
) -> dict[str, float]:
    """Train one network (neural graph machines); return how often it is right, by split."""
    import torch
    from torch import nn

    from handheld.propagation.training import EdgeSampler, EdgeWeights, GraphStep, cross_entropy
    from handheld.training import Schedule, fit

    inputs = torch.from_numpy(used / np.maximum(used.sum(axis=1, keepdims=True), 1))
    known = np.full(len(labels), -1)
    known[splits["train"]] = labels[splits["train"]]
    edges = EdgeSampler.of(links, known >= 0, EdgeWeights(weight, weight, weight / 10))
    torch.manual_seed(seed)
    first = nn.Linear(used.shape[1], 32)
    last = nn.Linear(32, labels.max() + 1)
    network = nn.Sequential(nn.Dropout(), first, nn.ReLU(), nn.Dropout(), last)
    step = GraphStep(
        network,
        lambda nodes: (inputs[nodes],),
        known,
        edges,
        batch=140,
        pairs=512,
        distance=cross_entropy,
        seed=seed,
    )
    fit(network, step, Schedule(1, rate=0.01, optimiser="adam", decay=0.01), 300, seed=seed)
    answers = network.eval()(inputs).argmax(dim=1).numpy()
    return {
        split: 100 * float((answers[nodes] == labels[nodes]).mean())
        for split, nodes in splits.items()
    }


class Restricted(pickle.Unpickler):
    """Reads matrices and lists, and runs nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        from numpy._core.multiarray import _reconstruct
        from scipy.sparse import csr_matrix

        known = {
            "collections.defaultdict": defaultdict,
            "__builtin__.list": list,
            "numpy.ndarray": np.ndarray,
            "numpy.dtype": np.dtype,
            "numpy.core.multiarray._reconstruct": _reconstruct,
            "scipy.sparse.csr.csr_matrix": csr_matrix,
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"a citation graph needs no {module}.{name}")
        return known[f"{module}.{name}"]


def citations(
    name: str,
) -> tuple[WeightedGraph, NDArray[np.float32] | None, NDArray[np.int64], dict[str, Any]]:
    """Return who cites whom, which words each uses (None where they are not there), labels of
    nodes, and the public splits.
    """
    files = {
        end: DATA / f"ind.{name}.{end}" for end in ("x", "y", "tx", "ty", "allx", "ally", "graph")
    }
    read = {
        end: Restricted(path.open("rb"), encoding="latin1").load()
        for end, path in files.items()
        if path.exists()
    }
    test = np.loadtxt(DATA / f"ind.{name}.test.index", dtype=np.int64)
    nodes, first, train = len(read["graph"]), len(read["ally"]), len(read["y"])
    labels = np.full(nodes, -2)
    labels[:first], labels[test] = read["ally"].argmax(axis=1), read["ty"].argmax(axis=1)
    pairs = np.array([(one, other) for one, others in read["graph"].items() for other in others])
    links = WeightedGraph.of_edges(*np.unique(np.sort(pairs, axis=1), axis=0).T, nodes=nodes)
    splits = {"train": np.arange(train), "valid": np.arange(train, train + 500), "test": test}
    if "allx" not in read:
        return links, None, labels, splits
    used = np.zeros((nodes, read["x"].shape[1]), np.float32)
    used[:first], used[test] = read["allx"].toarray(), read["tx"].toarray()
    return links, used, labels, splits


def words_alike(used: NDArray[np.float32]) -> WeightedGraph:
    """Join nodes with those that use the most similar words; one without a word is like none."""
    some = np.flatnonzero(used.any(axis=1))
    alike = graph_of(
        np.packbits(Signs(8, 64).of_vectors(used[some] > 0), axis=1),
        NEIGHBOURS,
        orders=1,
        reach=len(used),
    )
    owners = np.repeat(np.arange(alike.nodes), np.diff(alike.offsets))
    return WeightedGraph.of_edges(
        some[alike.neighbours], some[owners], alike.weights, nodes=len(used), directed=True
    )


def long(_: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Graphs whose ends are far apart, with seeds of two labels at both ends."""
    for shape, side in (
        ("chain", 10_000),
        ("chain", 1_000_000),
        ("grid", 60),
        ("grid", 300),
        ("grid", 1000),
    ):
        yield {"case": f"{shape} of {side:,}", **apart("far", shape=shape, side=side)}


def far(shape: str, side: int) -> dict[str, Any]:
    propagate(WeightedGraph.of_edges([0, 1, 2], [1, 2, 0]), SeedLabels.of([0], [0]))  # compiles
    if shape == "chain":
        ends = [(np.arange(side - 1), np.arange(1, side))]
    else:
        nodes = np.arange(side * side).reshape(side, side)
        ends = [(nodes[:, :-1], nodes[:, 1:]), (nodes[:-1], nodes[1:])]
    sources = np.concatenate([one.ravel() for one, _ in ends])
    targets = np.concatenate([other.ravel() for _, other in ends])
    graph = WeightedGraph.of_edges(sources, targets)
    cpu = time.process_time()
    labels = propagate(graph, SeedLabels.of([0, graph.nodes - 1], [0, 1]))
    cpu = time.process_time() - cpu
    return {
        "nodes": graph.nodes,
        "cpu seconds": cpu,
        "sweeps": labels.n_iter,
        "residual": labels.residual,
        "labelled %": 100 * float((labels.best >= 0).mean()),
    }


def scaling(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Random graphs whose degrees follow a power law, ten edges a node, 10 labels, 1 % seeds."""
    sizes = [int(size) for size in np.geomspace(1e4, 1e7, 7).round() if size <= given.edges * 1.001]
    rows = []
    for edges in sizes:
        rows.append({"case": "power law", "edges": edges, **apart("spread", edges=edges)})
        yield rows[-1]
    if len(rows) > 1:
        for column in ("seconds", "cpu seconds", "build seconds"):
            logs = np.log([[row["edges"], row[column]] for row in rows]).T
            yield {"case": f"slope of log {column}", "slope": float(np.polyfit(*logs, 1)[0])}


def random_graph(edges: int) -> tuple[WeightedGraph, SeedLabels, float]:
    """Return a graph, seeds, and the seconds that building took. Degrees fall with the root of the
    rank (Chung and Lu).
    """
    nodes, rng = edges // 10, np.random.default_rng(edges)
    names = rng.permutation(nodes)
    ends = [names[(nodes * rng.random(edges) ** 2).astype(np.int64)] for _ in range(2)]
    weights = rng.random(edges, np.float32)
    started = time.perf_counter()
    graph = WeightedGraph.of_edges(*ends, weights, nodes=nodes)
    seconds = time.perf_counter() - started
    seeds = SeedLabels.of(
        rng.choice(nodes, nodes // 100, replace=False), rng.integers(0, 10, nodes // 100)
    )
    return graph, seeds, seconds


def spread(edges: int) -> dict[str, Any]:
    propagate(WeightedGraph.of_edges([0, 1, 2], [1, 2, 0]), SeedLabels.of([0], [0]))  # compiles
    graph, seeds, built = random_graph(edges)
    started = time.perf_counter()
    cpu = time.process_time()
    labels = propagate(graph, seeds, classes=10)
    cpu = time.process_time() - cpu
    return {
        "nodes": graph.nodes,
        "build seconds": built,
        "seconds": time.perf_counter() - started,
        "cpu seconds": cpu,
        "sweeps": labels.n_iter,
        "residual": labels.residual,
    }


def scikit(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Points of ten classes, 1 % labelled; each way goes on to more points until it dies.

    ``theirs`` propagates over the graph that scikit-learn's LabelPropagation makes for itself, so
    that nothing but the solution differs; ``near`` joins points by their sign bits.
    """
    alive = ["near 8", "near 32", "near 128", "theirs", "LabelPropagation", "LabelSpreading"]
    for count in (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000):
        for way in [way for way in alive if count <= given.points]:
            found = apart("classify", seconds=SECONDS, way=way, count=count)
            yield {"case": WAYS[way], "nodes": count, **found}
            if "died" in found:
                alive.remove(way)


WAYS = {
    "near 8": "ours, near neighbours of 256 sign bits, 8 orders",
    "near 32": "ours, 32 orders",
    "near 128": "ours, 128 orders",
    "theirs": "ours, over scikit-learn's graph of 10 nearest",
    "LabelPropagation": "LabelPropagation, 10 nearest",
    "LabelSpreading": "LabelSpreading, 10 nearest",
}


def points(count: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Return points of overlapping clouds, their classes, and which are labelled."""
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(10, 16)), rng.integers(0, 10, count)
    where = centres[labels] + 0.9 * rng.normal(size=(count, 16))
    return where.astype(np.float32), labels, np.arange(count) < max(100, count // 100)


def classify(way: str, count: int) -> dict[str, Any]:
    where, labels, known = points(count)
    name, _, orders = way.partition(" ")
    learn = {"near": joined_by_bits(orders), "theirs": joined_by_scikit}.get(name, by_scikit(name))
    learn(*(array[:200] for array in (where, labels, known)))  # imports and compiles
    started = time.perf_counter()
    cpu = time.process_time()
    answers = learn(where, labels, known)
    return {
        "seconds": time.perf_counter() - started,
        "cpu seconds": time.process_time() - cpu,
        "test %": 100 * float((answers == labels)[~known].mean()),
    }


Learn = Callable[..., NDArray[Any]]


def joined_by_bits(orders: str) -> Learn:
    def learn(where: NDArray[Any], labels: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
        codes = np.packbits(Signs(4, 64).of_vectors(where), axis=1)
        graph = graph_of(codes, 10, orders=int(orders))
        return propagate(graph, SeedLabels.of(np.flatnonzero(known), labels[known])).best

    return learn


def joined_by_scikit(
    where: NDArray[Any], labels: NDArray[Any], known: NDArray[Any]
) -> NDArray[Any]:
    from sklearn.neighbors import kneighbors_graph

    matrix = kneighbors_graph(where, 10, mode="connectivity", include_self=True)
    # row i of theirs holds whom node i learns from, as in LabelPropagation
    graph = WeightedGraph.of_matrix(matrix, directed=True)
    return propagate(graph, SeedLabels.of(np.flatnonzero(known), labels[known])).best


def by_scikit(name: str) -> Learn:
    def learn(where: NDArray[Any], labels: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
        from sklearn import semi_supervised

        way = getattr(semi_supervised, name)(kernel="knn", n_neighbors=10)
        return way.fit(where, np.where(known, labels, -1)).transduction_

    return learn


def ray(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One process, and workers on a cluster that is started and stopped in the time measured."""
    edges = int(min(1e6, given.edges))
    yield {"edges": edges, **apart("cluster", limit=None, edges=edges, workers=2)}


def cluster(edges: int, workers: int) -> dict[str, Any]:
    propagate(WeightedGraph.of_edges([0, 1, 2], [1, 2, 0]), SeedLabels.of([0], [0]))  # compiles
    graph, seeds, _ = random_graph(edges)
    took, found, sweeps = [], [], []
    for backend in ("local", "ray"):
        started, told = time.perf_counter(), []
        found.append(
            propagate(
                graph,
                seeds,
                backend=backend,
                workers=workers,
                report=lambda *numbers, told=told: told.append(numbers),
            )
        )
        took.append(time.perf_counter() - started)
        sweeps.append(told)
    same = all(
        np.array_equal(*arrays)
        for arrays in ([each.names for each in found], [each.shares for each in found])
    )
    return {
        "case": f"{workers} workers: the labels and sweeps are "
        f"{'the same' if same and sweeps[0] == sweeps[1] else 'OTHERS'}",
        "nodes": graph.nodes,
        "seconds of one process": took[0],
        "seconds": took[1],
    }


def neighbours(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Codes of 128 bits in groups of twenty that differ in a tenth of them; ten neighbours of each.

    Of faiss: seconds to learn its lists and to fill them, once, and to search; an index that is
    kept needs the last only. Lists are learned from as many codes as its manual asks for at least
    and at most, and from all.
    """
    count = int(given.codes)
    for orders in (8, 16, 32, 64):
        found = apart("ours_near", count=count, orders=orders)
        yield {"case": f"near, {orders} orders", "nodes": count, **found}
    if not FAISS.exists():
        yield {"case": "faiss: left out, not installed"}
        return
    for trained in TRAINED_ON:
        for probes in (1, 8, 32):
            name = "all codes" if trained is None else f"{trained} codes a list"
            found = apart(
                "faiss_near", count=count, probes=probes, trained=trained, path=str(FAISS)
            )
            yield {"case": f"faiss BinaryIVF, {name}, {probes} probes", "nodes": count, **found}
    found = apart("faiss_near", count=count, probes=0, trained=None, path=str(FAISS))
    yield {"case": "faiss BinaryFlat, of a sample", "nodes": count, **found}


@cache
def codes(count: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 256, (-(-count // 20), 16), np.uint8).repeat(20, axis=0)[:count]
    for bit in range(8):
        groups ^= ((rng.random(groups.shape, np.float32) < 0.1) << bit).astype(np.uint8)
    return groups[rng.permutation(count)]


def recall(
    found: NDArray[np.integer[Any]], sample: NDArray[np.int64], every: NDArray[np.uint8]
) -> float:
    """Return which part of ten neighbours is as near as the tenth nearest of all, of a sample's
    rows.
    """
    words, right = every.view(np.uint64), 0
    for row, node in zip(found, sample, strict=True):
        apart = np.bitwise_count(words ^ words[node]).sum(axis=1, dtype=np.uint16)
        apart[node] = 999
        limit = np.partition(apart, 9)[9]
        right += int((apart[row[row >= 0]] <= limit).sum())
    return 100 * right / found.size


def ours_near(count: int, orders: int) -> dict[str, Any]:
    graph_of(np.zeros((2, 16), np.uint8))  # compiles
    every = codes(count)
    started = time.process_time()
    found, _ = near(every, 10, orders=orders)
    seconds = time.process_time() - started
    sample = np.random.default_rng(1).choice(count, 500, replace=False)
    return {"cpu seconds": seconds, "recall %": recall(found[sample], sample, every)}


def faiss_near(count: int, probes: int, trained: int | None, path: str) -> dict[str, Any]:
    sys.path.append(path)
    import faiss

    every = codes(count)
    sample = np.random.default_rng(1).choice(count, 500, replace=False)
    started = time.process_time()
    flat = faiss.IndexBinaryFlat(128)
    if not probes:
        flat.add(every)
        flat.search(every[sample], 11)
        seconds = (time.process_time() - started) * count / len(sample)
        return {"cpu seconds": seconds, "recall %": 100.0}
    lists = 4 * round(count**0.5)
    index = faiss.IndexBinaryIVF(flat, 128, lists)
    # it would draw 256 a list by itself, but for this line
    index.cp.max_points_per_centroid = 1 << 30
    chosen = every if trained is None else every[: min(count, trained * lists)]
    index.train(chosen)
    index.add(every)
    built = time.process_time() - started
    index.nprobe = probes
    _, found = index.search(every, 11)
    seconds = time.process_time() - started
    others = [[other for other in found[node] if other != node][:10] for node in sample]
    return {
        "cpu seconds": seconds,
        "of them to build": built,
        "of them to search": seconds - built,
        "recall %": recall(np.array(others), sample, every),
    }


def apart(
    what: str, *, seconds: float | None = None, limit: int | None = MEMORY, **arguments: Any
) -> dict[str, Any]:
    """Run a function of this file in a process of its own; return what it measured, and its peak
    memory, or how it died.
    """
    command = [sys.executable, __file__, "--apart", json.dumps([what, limit, arguments])]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            env=os.environ | ONE_THREAD,
        )
    except subprocess.TimeoutExpired:
        return {"died": f"more than {seconds:.0f} s"}
    if done.returncode:
        return {
            "died": (done.stderr.strip().splitlines() or [f"signal {-done.returncode}"])[-1][:100]
        }
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run_apart(what: str, limit: int | None, arguments: dict[str, Any]) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    functions = {
        function.__name__: function
        for function in (far, spread, classify, cluster, ours_near, faiss_near)
    }
    found = functions[what](**arguments)
    print(json.dumps(found | {"peak MB": round(peak_bytes() / 2**20)}))


PARTS = {
    "planetoid": planetoid,
    "long": long,
    "scaling": scaling,
    "scikit": scikit,
    "ray": ray,
    "neighbours": neighbours,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--apart"]:
        run_apart(*json.loads(sys.argv[2]))
    else:
        main()
