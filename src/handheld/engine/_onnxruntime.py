"""The one file that knows ONNX Runtime.

This file imports nothing of ours: ``_child`` loads it by its path in a process without handheld.
"""

from threading import Timer
from typing import Any

import numpy as np

_ERRORS_ONLY = 3  # of the runtime's log
_LONGEST_NAME = 100  # letters that are shown


class Session:
    """One model that is open; threads may share it.

    Args:
        path: of the ``.onnx`` file.
        threads: of the kernels; 0: all cores.

    Raises:
        ImportError: ONNX Runtime is not installed.
        Exception: it refuses the model, in its own words; its classes have no other base.
    """

    def __init__(self, path: str, *, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        # Threads that spin while they wait would hold up a training beside them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._new_options = onnxruntime.RunOptions
        self._session: Any = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        inputs = self._session.get_inputs()
        # A model without inputs is opened too, so that messages can say what it takes.
        self._name = ""
        if inputs:
            self._name = inputs[0].name
        self.inputs = [_described(entry) for entry in inputs]
        """Name, shape and type of each input; a side that is open is a name or None."""

    def run(self, array: np.ndarray, seconds: float) -> np.ndarray:
        """Return the first output for the first input, as float32.

        The run is stopped at the next operator after ``seconds``.

        Raises:
            TimeoutError: it takes longer.
            Exception: the runtime fails, in its own words.
        """
        options = self._new_options()
        timer = Timer(seconds, setattr, (options, "terminate", True))
        timer.daemon = True  # the process may end before the time is up
        timer.start()
        try:
            outputs = self._session.run(None, {self._name: array}, options)
        except Exception:
            if options.terminate:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
        return np.asarray(outputs[0], np.float32)


def _described(entry: Any) -> tuple[str, list[int | str | None], str]:
    return entry.name[:_LONGEST_NAME], list(entry.shape), entry.type
