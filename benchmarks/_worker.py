"""The parent's side of a worker process: set up once, then run on request."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)


class Worker:
    """A script in an interpreter of its own that speaks lines of JSON. A context manager."""

    def __init__(self, python: Path, script: Path, setup: Mapping[str, Any]) -> None:
        self._script = script
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the worker)
        self._process = subprocess.Popen(
            [str(python), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )
        self._send(json.dumps(setup))

    def run(self, first: int, count: int) -> dict[str, Any]:
        """Have some frames tracked and return the figures. Raises ``RuntimeError`` with its last
        words if it died.
        """
        self._send(f"{first} {count}")
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._last_words())
        figures: dict[str, Any] = json.loads(line)
        return figures

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()
        self._log.close()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            print(line, file=self._process.stdin, flush=True)
        except BrokenPipeError as error:
            raise RuntimeError(self._last_words()) from error

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        return f"{self._script.name} ended early:\n{self._log.read()[-2000:]}"
