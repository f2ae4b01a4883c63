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
from handheld.propagation.graph import WeightedGraph
from handheld.propagation.parts import (
    LabelMasses,
    PartWorker,
    SweepChange,
    SweepCoefficients,
    SweepRule,
    shards,
)


class PropagationCluster:
    """Workers that sweep over a graph together.

    Args:
        ray: connected.
        graph, coefficients, start, rule: see :class:`handheld.propagation.parts.GraphPart`.
        workers: into how many parts the graph is cut.
    """

    def __init__(
        self,
        ray: Any,
        graph: WeightedGraph,
        coefficients: SweepCoefficients,
        start: LabelMasses,
        rule: SweepRule,
        workers: int,
    ):
        self._ray = ray
        self._classes = start.classes
        self._heard: Sequence[Sequence[Any]] = [()] * workers
        # asks for no core, so that any number of workers starts
        actor = ray.remote(scheduling_strategy="SPREAD")(PartWorker)
        self._workers = [
            actor.remote(*shard.take(coefficients, start), rule) for shard in shards(graph, workers)
        ]

    def sweep(self, omega: float, *, choose: bool) -> SweepChange:
        """Let each worker sweep over its part."""
        returns = 1 + len(self._workers)
        answers = [
            worker.sweep.options(num_returns=returns).remote(omega, choose, *heard)
            for worker, heard in zip(self._workers, self._heard, strict=True)
        ]
        # references: what they name stays where it is read next
        changes, *self._heard = zip(*answers, strict=True)
        return SweepChange.together(self._values(changes))

    def masses(self) -> LabelMasses:
        """Return the masses that the last sweep began with."""
        masses = self._values([worker.masses.remote() for worker in self._workers])
        names, values = zip(*masses, strict=True)
        return LabelMasses(np.concatenate(names), np.concatenate(values), self._classes)

    def close(self) -> None:
        """End the workers."""
        # at once: an actor that nobody names any longer ends when Ray gets to it
        for worker in self._workers:
            self._ray.kill(worker)

    def _values(self, references: Sequence[Any]) -> list[Any]:
        """Return what references name. Raises :class:`TrainingError` if a worker is lost."""
        ray_error = self._ray.exceptions.RayError
        try:
            return list(self._ray.get(list(references)))
        except ray_error as error:
            cause = getattr(error, "cause", None) or error
            if not isinstance(cause, ray_error):
                raise  # a bug of ours, with its trace
            reason = f"{type(cause).__name__}: {saying_most(str(cause))}"
            raise TrainingError(f"the cluster lost a worker ({reason}); run again") from error


def on_cluster(
    address: str | None, workers: int
) -> Callable[
    [WeightedGraph, SweepCoefficients, LabelMasses, SweepRule],
    AbstractContextManager[PropagationCluster],
]:
    """Return a backend whose sweeps are made by workers on a Ray cluster, as in one process.

    Args:
        address: of the cluster; without one a cluster on this machine is started and stopped. In a
            process that is connected already, that connection is used.
        workers: into how many parts the graph is cut; no more than it has nodes.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    # raises where there is no Ray, before anything is computed
    ray_module()

    @contextmanager
    def spread(
        graph: WeightedGraph, coefficients: SweepCoefficients, start: LabelMasses, rule: SweepRule
    ) -> Iterator[PropagationCluster]:
        with connected(address) as ray:
            count = min(workers, graph.nodes)
            cluster = PropagationCluster(ray, graph, coefficients, start, rule, count)
            try:
                yield cluster
            finally:
                cluster.close()

    return spread
