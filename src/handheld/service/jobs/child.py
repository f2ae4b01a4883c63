"""The processes of one job: ``python -m handheld.service.jobs.child``, started by the server, and
the job's own below it.

It reads ``{"entry", "folder", "spec", "memory_bytes", "tasks"}`` as one line on standard input,
which then stays open for as long as the server lives. The job writes a JSON line for each report,
and for its end, to what was its standard output. The first process is the job's keeper: once the
job has ended, or the server is gone, it ends every process that the job started, also those that
left its session or whose parents have died, and then ends as the job did.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from handheld.errors import HandheldError
from handheld.service.jobs._strays import adopt_orphans, prctl
from handheld.service.jobs.texts import storable

_PAUSE_SECONDS = 0.1

# So that the server answers, and the keeper ends a job, beside hundreds of processes that compute.
_NICENESS = 5
_SET_PARENT_DEATH_SIGNAL = 1  # of prctl(2)
_CHILDREN = Path("/proc/thread-self/children")
"""Linux's list of a process's children.

Elsewhere the server ends those in the job's own session.
"""


def main() -> None:
    """Keep the job, and end as it did: with status 0 if it was done, 1 if it failed and said why,
    or by a signal.
    """
    order = json.loads(sys.stdin.buffer.readline())
    adopt_orphans()  # those of the job become children of this process, not of the system's first
    job = os.fork()
    if not job:
        prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        os.nice(_NICENESS)
        _work(order)
    status = _wait(job)
    if _CHILDREN.exists():
        _end_all()
    elif status is None:
        os.killpg(0, signal.SIGKILL)
    if status is None:  # the server is gone, or wants the job to end
        os._exit(1)
    if os.WIFSIGNALED(status):
        _die_by(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def _work(order: dict[str, Any]) -> None:
    """Run the job in this process, and end it."""
    say = _channel(Path(order["folder"]))
    _limit_memory(order["memory_bytes"])
    _limit_tasks(order["tasks"])
    with _alone(Path(order["folder"])):
        error = _run(order, say)
    answer: dict[str, Any] = {"done": True}
    if error is not None:
        answer = {"error": error}
    say(answer)
    sys.stdout.flush()
    # The work is done: a thread that the job left behind, or a library's exit handler that hangs,
    # changes nothing.
    os._exit(int(error is not None))


def _run(order: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> str | None:
    """Call the function of a job; return what went wrong, in words for its submitter."""
    try:
        module, _, name = order["entry"].partition(":")
        function = getattr(importlib.import_module(module), name)
        function(Path(order["folder"]), order["spec"], _report_to(say))
    except HandheldError as error:
        traceback.print_exc()
        return storable(str(error))
    except MemoryError:
        traceback.print_exc()
        problem = "the job ran out of memory"
        if limit := order["memory_bytes"]:
            problem += f" (it may use {limit >> 20} MiB)"
        return f"{problem}; try it with less data"
    except BaseException as error:
        traceback.print_exc()
        return storable(
            "the job failed with an error that it does not explain: "
            f"{type(error).__name__}: {error}"
        )
    return None


def _report_to(say: Callable[[dict[str, Any]], None]) -> Callable[[float, str], None]:
    """Return what a job calls to report, as a message to the server."""

    def report(fraction: float, message: str) -> None:
        say({"fraction": float(fraction), "message": storable(str(message))})

    return report


def _channel(folder: Path) -> Callable[[dict[str, Any]], None]:
    """Keep standard output for reports, and send what the job prints to its log."""
    reports: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=0)
    with (folder / "log.txt").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    lock = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            reports.write(json.dumps(message).encode() + b"\n")

    return say


def _wait(job: int) -> int | None:
    """Return how the job ended, or None at the end of standard input, which comes when the server
    is gone, however it went.
    """
    while True:
        # Orphans that ended too: each keeps its number until it is waited for, and the machine has
        # 32,768 of them or so.
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == job:
                return ended[1]
        readable, _, _ = select.select([0], [], [], _PAUSE_SECONDS)
        if readable and not os.read(0, 1 << 12):
            return None


def _end_all() -> None:
    """End all children, and the children that these leave behind, until there is none."""
    while True:
        for child in _CHILDREN.read_text("utf-8").split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def _die_by(number: int) -> None:
    """End by a signal, so that the server sees what ended the job."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):  # which cannot be set
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _limit_memory(limit: int | None) -> None:
    # Where the machine runs out of memory, let it end this process and not the server.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _limit_tasks(more: int) -> None:
    """Let the user's processes and threads become so many more than all that run now; Linux does
    not count those of root.
    """
    with contextlib.suppress(OSError, ValueError):  # no Linux, or fewer are allowed already
        import resource

        running = int(Path("/proc/loadavg").read_text("utf-8").split()[3].partition("/")[2])
        resource.setrlimit(resource.RLIMIT_NPROC, (running + more, running + more))


@contextlib.contextmanager
def _alone(folder: Path) -> Any:
    """Wait until no other process works in the folder: one whose server died may take a moment to
    die too.
    """
    import fcntl  # not at the top: elsewhere than on Unix this room can then be imported at least

    with (folder / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
