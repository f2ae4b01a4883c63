"""Checks that a file must pass before the runtime may see it; every refusal is a ``CorruptError``.

``flatbuffer`` reads the file by the tables of ``schema``, ``buffers`` finds weights that lie behind the model; ``check``
judges what was read, with the arities of ``operators``, the ranges of ``options``, the types and scales of ``operands``
and the arithmetic of ``shapes``, whose rules are in ``layers`` and ``moves``.

What it is worth (``tests/engine/fuzz.py``, LiteRT 2.3 under glibc's heap checks): of 118,400 damaged copies of 154
models none killed the process that opened and ran it; without the checks 4 in a thousand do. It is no proof: kernels
without a shape rule (``IF``, ``WHILE``, LSTM, hash tables, non-maximum suppression) and TFLITE_Detection_PostProcess,
the one custom operator that reads options of its own, are checked for arity, types of options and indices alone. Run
models of strangers in a process of their own.
"""
