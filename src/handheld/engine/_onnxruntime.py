"""The one file that knows ONNX Runtime.

This file imports nothing of ours: ``_child`` loads it by its path in a process without handheld.
"""

from threading import Timer
from typing import Any

import numpy as np

_ERRORS_ONLY = 3  # of the runtime's log


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
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would hold up the training
        self._new_options = onnxruntime.RunOptions
        self._session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [(entry.name, list(entry.shape), entry.type) for entry in self._session.get_inputs()]
        """Name, shape and type of each input; a side that is open is a name or None."""

    def run(self, name: str, array: np.ndarray, seconds: float) -> np.ndarray:
        """Return the model's first output for one input, as float32; it is stopped at the next operator after ``seconds``.

        Raises:
            TimeoutError: it takes longer.
            Exception: the runtime fails, in its own words.
        """
        options = self._new_options()
        timer = Timer(seconds, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            return np.asarray(self._session.run(None, {name: array}, options)[0], np.float32)
        except Exception:
            if options.terminate:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
