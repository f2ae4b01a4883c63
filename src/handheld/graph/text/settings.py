"""What a graph's text says of how it runs: threads, queues, executors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from handheld.graph._suggest import suggestion
from handheld.graph.executors import NodeExecutor, ProcessExecutor, ThreadExecutor
from handheld.graph.text.model import ExecutorText, GraphText
from handheld.graph.text.options import OptionReader, read_executor_options
from handheld.graph.text.tokens import located

_DEFAULT_QUEUE = 100  # of MediaPipe, and ours
# Our queues always have a limit; this one no memory reaches.
_NO_LIMIT = 2**31
_CALLING_THREAD = "ApplicationThreadExecutor"


@dataclass(frozen=True)
class RunSettings:
    """Arguments of :class:`~handheld.graph.Graph`: ``Graph(config, **vars(settings))``.

    Attributes:
        threads: 0 where the text leaves it open, and with ``ApplicationThreadExecutor``.
        max_queue_size: 100 where the text leaves it open; -1 there is no limit.
        on_deadlock: "raise" with ``report_deadlock``.
        executors: name -> executor.
    """

    threads: int
    max_queue_size: int
    on_deadlock: Literal["grow", "raise"]
    executors: Mapping[str, NodeExecutor]


def run_settings(graph: GraphText) -> RunSettings:
    """Return what a graph's text says of how it runs.

    Raises:
        GraphTextError: an executor is of a type that there is not; says where.
    """
    size = graph.max_queue_size or _DEFAULT_QUEUE
    if size < 0:
        size = _NO_LIMIT
    threads = max(0, graph.num_threads)
    executors: dict[str, NodeExecutor] = {}
    for executor in graph.executors:
        if not executor.name:
            # That without a name is for the nodes that name none.
            threads = _threads(executor, graph.source)
        elif executor.name in executors:
            reason = f"two executors are called {executor.name!r}"
            raise located(reason, graph.source, executor.position)
        else:
            executors[executor.name] = _executor(executor, graph.source)
    return RunSettings(
        threads=threads,
        max_queue_size=size,
        on_deadlock="raise" if graph.report_deadlock else "grow",
        executors=executors,
    )


def _threads(executor: ExecutorText, source: str) -> int:
    if executor.type == _CALLING_THREAD:
        return 0
    with read_executor_options(executor, source) as options:
        return _thread_pool(options).count


def _executor(executor: ExecutorText, source: str) -> NodeExecutor:
    if not executor.type:
        reason = f"executor {executor.name!r} has no type: it has to be given to the graph by hand"
        raise located(reason, source, executor.position)
    if executor.type not in _TYPES:
        reason = f"no executor of type {executor.type!r}{suggestion(executor.type, _TYPES)}"
        raise located(reason, source, executor.position)
    with read_executor_options(executor, source) as options:
        return _TYPES[executor.type](options)


def _thread_pool(options: OptionReader) -> ThreadExecutor:
    # How the operating system ranks threads is not ours to say.
    options.ignore("stack_size", "nice_priority_level", "require_processor_performance")
    options.ignore("thread_name_prefix")
    return ThreadExecutor(options.whole("num_threads", 1, low=1))


def _processes(options: OptionReader) -> ProcessExecutor:
    return ProcessExecutor(options.whole("count", 1, low=1))


_TYPES: Mapping[str, Callable[[OptionReader], NodeExecutor]] = {
    "ThreadPoolExecutor": _thread_pool,
    "ProcessExecutor": _processes,
}
