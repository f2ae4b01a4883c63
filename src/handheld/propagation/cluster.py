"""Label propagation over a Ray cluster: the one file of this room that knows Ray.

Each worker is an actor that holds one part of the graph. In a sweep, labels travel from worker to worker, and only those of
nodes that the other part reads; this process hears how much changed. A worker that is lost ends the run: runs are short.

A cluster runs what its drivers tell it: whoever may connect to one owns its machines. All of them need the same version of
this package.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.cluster import connected, ray_module, saying_most
from handheld.errors import TrainingError
from handheld.propagation.graph import Graph
from handheld.propagation.labels import Labels
from handheld.propagation.parts import Rule, Worker, shards


class Cluster:
    """Workers that sweep over a graph together.

    Args:
        ray: connected.
        graph, fixed, start, rule: see :class:`handheld.propagation.parts.Part`.
        workers: into how many parts the graph is cut.
    """

    def __init__(self, ray: Any, graph: Graph, fixed: NDArray[np.bool_], start: Labels, rule: Rule, workers: int):
        self._ray, self._classes = ray, start.classes
        self._heard: Sequence[Sequence[Any]] = [()] * workers
        actor = ray.remote(scheduling_strategy="SPREAD")(Worker)  # asks for no core, so that any number of workers starts
        self._workers = [actor.remote(*shard.take(fixed, start), rule) for shard in shards(graph, workers)]

    def sweep(self) -> int:
        """Let each worker sweep over its part; return the sum of changes."""
        returns = 1 + len(self._workers)
        pairs = zip(self._workers, self._heard, strict=True)
        answers = [worker.sweep.options(num_returns=returns).remote(*heard) for worker, heard in pairs]
        changes, *self._heard = zip(*answers, strict=True)  # references: what they name stays where it is read next
        return sum(self._got(changes))

    def labels(self) -> Labels:
        """Return what is known of all nodes now."""
        names, shares = zip(*self._got([worker.own.remote() for worker in self._workers]), strict=True)
        return Labels(np.concatenate(names), np.concatenate(shares), self._classes)

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
) -> Callable[[Graph, NDArray[np.bool_], Labels, Rule], AbstractContextManager[Cluster]]:
    """Return an engine whose sweeps are made by workers on a Ray cluster, with the result of one process.

    Args:
        address: of the cluster; without one a cluster on this machine is started and stopped. In a process that is connected
            already, that connection is used.
        workers: into how many parts the graph is cut; no more than it has nodes.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    ray_module()

    @contextmanager
    def spread(graph: Graph, fixed: NDArray[np.bool_], start: Labels, rule: Rule) -> Iterator[Cluster]:
        with connected(address) as ray:
            cluster = Cluster(ray, graph, fixed, start, rule, min(workers, graph.nodes))
            try:
                yield cluster
            finally:
                cluster.close()

    return spread
