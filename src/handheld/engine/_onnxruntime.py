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
        options.intra_op_num_threads, options.log_severity_level = threads, _ERRORS_ONLY
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # waiting threads would hold up the training
        self._new_options = onnxruntime.RunOptions
        self._session: Any = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        inputs = self._session.get_inputs()
        self._name = inputs[0].name if inputs else ""
        self.inputs = [
            (entry.name[:_LONGEST_NAME], list(entry.shape), entry.type) for entry in inputs
        ]
        """Name, shape and type of each input; a side that is open is a name or None."""

    def run(self, array: np.ndarray, seconds: float) -> np.ndarray:
        """Return the first output for the first input, as float32; it is stopped at the next operator after ``seconds``.

        Raises:
            TimeoutError: it takes longer.
            Exception: the runtime fails, in its own words.
        """
        options = self._new_options()
        timer = Timer(seconds, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            return np.asarray(self._session.run(None, {self._name: array}, options)[0], np.float32)
        except Exception:
            if options.terminate:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
