"""Labels that spread over a Ray cluster are those of one process."""

import json
import subprocess
import sys

import pytest

from handheld.errors import MissingDependencyError
from handheld.propagation import SeedLabels, WeightedGraph, propagate

SCRIPT = """
import json, os
from pathlib import Path
import numpy as np
from handheld.errors import TrainingError
from handheld.propagation import WeightedGraph, SeedLabels, propagate
from handheld.propagation import cluster
from handheld.cluster import connected, ray_module
from handheld.propagation.parts import SweepCoefficients, LabelMasses, SweepRule

rng = np.random.default_rng(0)
graph = WeightedGraph.of_edges(*rng.integers(0, 400, (2, 2000)), rng.random(2000))
few = SeedLabels.of(rng.choice(400, 30, replace=False), rng.integers(0, 7, 30))
many = SeedLabels.of(rng.choice(400, 150, replace=False), rng.integers(0, 90, 150))
home, found = set(Path.home().iterdir()), {}

# Nodes from 400 on are read, and reached by no seed.
inside = rng.integers(0, 400, (2, 2000))
ends = np.concatenate([inside, rng.integers((400, 0), (450, 400), (300, 2)).T], axis=1)
directed = WeightedGraph.of_edges(*ends, rng.random(2300), directed=True)

def same(seeds=few, graph=graph, **engine):
    told, theirs, how = [], [], {"max_labels": 4}
    ours = propagate(graph, seeds, report=lambda *numbers: told.append(numbers), **how)
    heard = lambda *numbers: theirs.append(numbers)
    labels = propagate(graph, seeds, backend="ray", report=heard, **how, **engine)
    bits = [(each.names.tobytes(), each.shares.tobytes()) for each in (ours, labels)]
    return bits[0] == bits[1] and told == theirs and len(told) > 20 and labels.converged

found["on a cluster that comes and goes"] = same(workers=2)
is_left = ray_module().is_initialized() or set(Path.home().iterdir()) != home
found["which leaves nothing behind"] = not is_left
with connected(None) as ray:
    found["of three workers with two threads"] = same(workers=3, threads=2)
    found["of nodes that no seed reaches"] = same(graph=directed, workers=2)
    found["of labels of which each node stores a few"] = same(many, workers=2)
    found["which stays connected"] = ray.is_initialized()
    nodes = np.ones(400)
    masses = LabelMasses(np.empty((400, 0), np.int32), np.zeros((400, 1)), 7)
    coefficients = SweepCoefficients(nodes > 0, nodes, nodes)
    with cluster.on_cluster(None, 2)(graph, coefficients, masses, SweepRule(True, 1)) as spread:
        spread.sweep(1.0, choose=False)
        ray.kill(spread._workers[1])
        try:
            for _ in range(1000):  # until Ray has killed it
                spread.sweep(1.0, choose=False)
        except TrainingError as error:
            found["a worker that is lost"] = "lost a worker" in str(error)
print(json.dumps(found))
"""


def test_it_is_the_result_of_one_process():
    pytest.importorskip("ray", reason="the extra cluster is not installed")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "on a cluster that comes and goes": True,
        "which leaves nothing behind": True,
        "of three workers with two threads": True,
        "of nodes that no seed reaches": True,
        "of labels of which each node stores a few": True,
        "which stays connected": True,
        "a worker that is lost": True,
    }


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[cluster\]"):
        propagate(WeightedGraph.of_edges([0], [1]), SeedLabels.of([0], [0]), backend="ray")
