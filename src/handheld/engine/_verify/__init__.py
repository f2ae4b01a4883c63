"""Checks that a file must pass before the runtime may see it.

Every refusal is a ``RefusedError``. ``flatbuffer`` reads the file by the tables of ``schema``,
``buffers`` finds weights that lie behind the model, ``tensors`` and ``sparse`` judge each tensor by
itself. ``graph`` walks the operators in order: ``operators`` has their arities, ``options`` and
``custom`` their options, ``operands`` their types and scales by the tables of ``kernels``,
``shapes`` their arithmetic (``layers``, ``moves``, ``lookups``, ``recurrent``) with the values that
``fold`` computes from other shapes. ``calls`` and ``variables`` judge what passes between graphs
and runs. ``check`` calls them all.

There are three answers. A file that contradicts itself is corrupt; one that uses what is not
supported is unsupported, and is never called corrupt. Of the others, each operator either obeys a
rule that covers all that its kernel reads and writes, or is noted as a doubt (shapes from values,
loops, custom operators, kernels without a rule): ``Model.open`` runs a file with doubts in a
process of its own.

What it is worth: ``tests/engine/fuzz.py`` (bytes) and ``tests/engine/fuzz_structure.py``
(structure) say, docs/run-a-model.md has their figures. It is no proof: open files of strangers
with ``isolated=True``.
"""
