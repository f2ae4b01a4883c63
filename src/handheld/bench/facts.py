"""What the files that are measured say of themselves."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from handheld.engine import Model


@dataclass(frozen=True)
class ModelFacts:
    """What a file says of itself, or several files that are measured as one.

    Args:
        name: as results call it.
        file: where it was.
        sha256: of the file, in hexadecimal; of several, of their hashes.
        bytes: of it.
        macs: multiply-accumulates of one run, of each model once; 0: nobody counts them.
        macs_by_operator: by the operator's name, the largest first.
        uncounted: operators whose work is not in ``macs``.
        parameters: learned numbers; 0: nobody counts them.
        operators: how often each occurs.
        precision: element type of the input and of the output.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    macs: int
    macs_by_operator: dict[str, int]
    uncounted: tuple[str, ...]
    parameters: int
    operators: dict[str, int]
    precision: str

    @classmethod
    def of(cls, model: Model, name: str) -> "ModelFacts":
        """Read them."""
        cost = model.cost
        types = dict.fromkeys(info.dtype.name for info in (*model.inputs, *model.outputs))
        return cls(
            name=name,
            file=str(model.path),
            sha256=model.sha256,
            bytes=model.size,
            macs=cost.macs,
            macs_by_operator=dict(cost.macs_by_operator),
            uncounted=cost.uncounted,
            parameters=cost.parameters,
            operators=dict(model.operator_counts),
            precision=" to ".join(types),
        )

    @classmethod
    def of_several(cls, models: Sequence[Model], name: str, file: str) -> "ModelFacts":
        """Sum the facts of models that are measured as one.

        Args:
            models: open, one or more.
            name: as results call them together.
            file: where they were.
        """
        facts = [cls.of(model, name) for model in models]
        hasher = hashlib.sha256()
        macs: Counter[str] = Counter()
        operators: Counter[str] = Counter()
        for one in facts:
            hasher.update(bytes.fromhex(one.sha256))
            macs.update(one.macs_by_operator)
            operators.update(one.operators)
        uncounted = dict.fromkeys(chain.from_iterable(one.uncounted for one in facts))
        return cls(
            name=name,
            file=file,
            sha256=hasher.hexdigest(),
            bytes=sum(one.bytes for one in facts),
            macs=sum(one.macs for one in facts),
            macs_by_operator=dict(macs.most_common()),
            uncounted=tuple(uncounted),
            parameters=sum(one.parameters for one in facts),
            operators=dict(operators),
            precision=", ".join(dict.fromkeys(one.precision for one in facts)),
        )
