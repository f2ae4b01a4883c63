"""Label propagation over a Ray cluster: the one file of this room that knows Ray.

Each worker is an actor that holds one part of the graph. In a sweep, labels travel from worker to
worker, and only those of nodes that the other part reads; this process hears how much changed. A
worker that is lost ends the run: runs are short.

A cluster runs what its drivers tell it: whoever may connect to one owns its machines. All of them
need the same version of this package.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from handheld.cluster import connected, ray_module, saying_most
from handheld.errors import TrainingError
from handheld.propagation.graph import Graph
from handheld.propagation.parts import Change, Coefficients, Masses, Rule, Worker, shards


class Cluster:
    """Workers that sweep over a graph together.

    Args:
        ray: connected.
        graph, coefficients, start, rule: see :class:`handheld.propagation.parts.Part`.
        workers: into how many parts the graph is cut.
    """

    def __init__(
        self,
        ray: Any,
        graph: Graph,
        coefficients: Coefficients,
        start: Masses,
        rule: Rule,
        workers: int,
    ):
        self._ray = ray
        self._classes = start.classes
        self._heard: Sequence[Sequence[Any]] = [()] * workers
        # asks for no core, so that any number of workers starts
        actor = ray.remote(scheduling_strategy="SPREAD")(Worker)
        self._workers = [
            actor.remote(*shard.take(coefficients, start), rule) for shard in shards(graph, workers)
        ]

    def sweep(self, omega: float, *, choose: bool) -> Change:
        """Let each worker sweep over its part."""
        returns = 1 + len(self._workers)
        answers = [
            worker.sweep.options(num_returns=returns).remote(omega, choose, *heard)
            for worker, heard in zip(self._workers, self._heard, strict=True)
        ]
        # references: what they name stays where it is read next
        changes, *self._heard = zip(*answers, strict=True)
        return Change.together(self._got(changes))

    def masses(self) -> Masses:
        """Return the masses that the last sweep began with."""
        parts = self._got([worker.masses.remote() for worker in self._workers])
        names, values = zip(*parts, strict=True)
        return Masses(np.concatenate(names), np.concatenate(values), self._classes)

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            self._ray.kill(worker)

    def _got(self, references: Sequence[Any]) -> list[Any]:
        lost = self._ray.exceptions.RayError
        try:
            return list(self._ray.get(list(references)))
        except lost as error:
            cause = getattr(error, "cause", None) or error
            if not isinstance(cause, lost):
                raise  # a bug of ours, with its trace
            what = f"{type(cause).__name__}: {saying_most(str(cause))}"
            raise TrainingError(f"the cluster lost a worker ({what}); run again") from error


def on_cluster(
    address: str | None, workers: int
) -> Callable[[Graph, Coefficients, Masses, Rule], AbstractContextManager[Cluster]]:
    """Return an engine whose sweeps are made by workers on a Ray cluster, as in one process.

    Args:
        address: of the cluster; without one a cluster on this machine is started and stopped. In a
            process that is connected already, that connection is used.
        workers: into how many parts the graph is cut; no more than it has nodes.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    ray_module()

    @contextmanager
    def spread(
        graph: Graph, coefficients: Coefficients, start: Masses, rule: Rule
    ) -> Iterator[Cluster]:
        with connected(address) as ray:
            parts = min(workers, graph.nodes)
            cluster = Cluster(ray, graph, coefficients, start, rule, parts)
            try:
                yield cluster
            finally:
                cluster.close()

    return spread
