"""A torch module becomes a ``.tflite`` file that is verified against it and describes itself.

``to_tflite`` is the whole of it: ``_converter`` (the one file that knows the converter),
``_quantiser`` (the one that knows the quantiser) and ``verification``. Needs the extra ``train``;
nothing here is imported by running a model.
"""

from handheld.compile.compiler import Compiled, Precision, to_tflite

__all__ = ["Compiled", "Precision", "to_tflite"]
