"""The process of one job: ``python -m handheld.service.child``, started by the server.

It reads ``{"entry", "folder", "spec", "memory_bytes"}`` as one line on standard input, which then stays open for as long as
the server lives, and writes a JSON line for each report, and for the end, to what was its standard output.
"""

import contextlib
import fcntl
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from handheld.errors import HandheldError


def main() -> None:
    """Run the job; end with status 0 if it was done, 1 if it failed and said why."""
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_die_with_the_server, daemon=True).start()
    say = _channel(Path(order["folder"]))
    _limit_memory(order["memory_bytes"])
    with _alone(Path(order["folder"])):
        error = _run(order, say)
    say({"error": error} if error is not None else {"done": True})
    sys.stdout.flush()
    # The work is done: a thread that the job left behind, or a library's exit handler that hangs, changes nothing.
    os._exit(0 if error is None else 1)


def _run(order: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> str | None:
    """Call the function of a job; return what went wrong, in words for its submitter."""
    try:
        module, _, name = order["entry"].partition(":")
        function = getattr(importlib.import_module(module), name)
        function(Path(order["folder"]), order["spec"], lambda f, m: say({"fraction": float(f), "message": str(m)}))
    except HandheldError as error:
        traceback.print_exc()
        return str(error)
    except MemoryError:
        traceback.print_exc()
        limit = order["memory_bytes"]
        return "the job ran out of memory" + (f" (it may use {limit >> 20} MiB)" if limit else "") + "; try it with less data"
    except BaseException as error:
        traceback.print_exc()
        return f"the job failed with an error that it does not explain: {type(error).__name__}: {error}"
    return None


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


def _die_with_the_server() -> None:
    """Wait for the end of standard input, which comes when the server is gone, however it went; then end all processes."""
    while os.read(0, 1 << 12):
        pass
    os.killpg(0, signal.SIGKILL)


def _limit_memory(limit: int | None) -> None:
    with contextlib.suppress(OSError):  # where the machine runs out of memory, let it end this process and not the server
        Path("/proc/self/oom_score_adj").write_text("1000")
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@contextlib.contextmanager
def _alone(folder: Path) -> Any:
    """Wait until no other process works in the folder: one whose server died may take a moment to die too."""
    with (folder / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
