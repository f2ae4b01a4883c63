"""Examples from worker processes. The recipes stand in a module that a started process
can import.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from handheld.errors import InputError, TrainingError
from handheld.hands.training.stream import _Worker, stream

RECIPES = """
import os
import threading
import time
from dataclasses import dataclass
from handheld.errors import InputError

@dataclass(frozen=True)
class Squares:
    fails_at: int = -1
    dies_at: int = -1
    foreign_at: int = -1
    locked_at: int = -1
    is_large: bool = False

    def open(self):
        return self.make

    def make(self, index):
        if index == self.fails_at:
            raise InputError(f"no example {index}")
        if index == self.foreign_at:
            raise KeyError(index)
        if index == self.dies_at:
            os._exit(9)
        if index == self.locked_at:
            return threading.Lock()
        if self.is_large:
            return bytes(10_000_000), os.getpid()
        return index * index, os.getpid()
"""

READER = """
import sys
from recipes import Squares
from handheld.hands.training.stream import stream

if __name__ == "__main__":
    for square, pid in stream(Squares(), workers=2, ahead=4):
        print(pid, flush=True)
"""


@pytest.fixture(autouse=True)
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "recipes.py").write_text(RECIPES)
    (tmp_path / "reader.py").write_text(READER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield
    sys.modules.pop("recipes", None)


def squares(**options: int) -> object:
    from recipes import Squares  # type: ignore[import-not-found]

    return Squares(**options)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_examples_come_in_order_whoever_makes_them(workers: int) -> None:
    made = list(stream(squares(), start=2, stop=9, workers=workers))  # type: ignore[var-annotated,arg-type]
    assert [square for square, _ in made] == [4, 9, 16, 25, 36, 49, 64]
    assert len({process for _, process in made}) == max(workers, 1)
    assert (os.getpid() in {process for _, process in made}) == (workers == 0)


def test_a_stream_without_an_end_ends_its_workers_when_nobody_reads_on() -> None:
    endless = stream(squares(), workers=2)  # type: ignore[var-annotated,arg-type]
    processes = {process for _, process in islice(endless, 6)}
    endless.close()  # type: ignore[attr-defined]
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_an_error_of_the_recipe_is_the_readers() -> None:
    with pytest.raises(InputError, match="no example 3"):
        list(stream(squares(fails_at=3), stop=8, workers=2))  # type: ignore[arg-type]


def test_another_error_comes_in_words() -> None:
    with pytest.raises(TrainingError, match="KeyError: 3"):
        list(stream(squares(foreign_at=3), stop=8, workers=2))  # type: ignore[arg-type]


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(TrainingError, match="ended with status 9"):
        list(stream(squares(dies_at=3), stop=8, workers=2))  # type: ignore[arg-type]


def test_a_worker_that_dies_within_an_example_is_told() -> None:
    # A pipe holds some 64 kB of ten million: what there is to read is a part of an example.
    worker: _Worker[tuple[bytes, int]] = _Worker(squares(is_large=True), 0, None, 1, 4)  # type: ignore[arg-type]
    try:
        _, process = worker.next()
        assert worker._examples.poll(60)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(TrainingError, match="ended with status -9"):
            worker.next()
    finally:
        worker.end()


def test_an_example_that_cannot_be_sent_is_told() -> None:
    with pytest.raises(TrainingError, match=r"cannot pickle '_thread\.lock'"):
        list(stream(squares(locked_at=3), stop=8, workers=2))  # type: ignore[arg-type]


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_when_the_reader_does(tmp_path: Path, how: signal.Signals) -> None:
    reader = subprocess.Popen(
        [sys.executable, str(tmp_path / "reader.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    workers = {int(line) for line in islice(reader.stdout, 4)}
    assert len(workers) == 2
    reader.send_signal(how)
    reader.stdout.close()
    reader.wait(timeout=30)
    deadline = time.monotonic() + 20
    while any(map(is_alive, workers)):
        assert time.monotonic() < deadline, "a worker outlives its reader"
        # Another process is waited for, which nothing tells.
        os.sched_yield()
    with reader.stderr as told:
        assert "leaked" not in told.read()
