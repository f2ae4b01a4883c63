"""What a run costs in a process of its own, beside the same run here and the bare interpreter.

    python benchmarks/isolated.py [--rounds 300]

Models: the tests' own, of 16 bytes and of a picture of 192 x 192, both nearly without work. All
take turns in one process; "least" is the quickest run, the only one that a busy machine leaves be.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _report import show, write

from handheld.engine import Model, isolation
from handheld.engine.measure import measure

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures"
COLUMNS = ("model", "bytes in and out", "run by", "least, us", "median, us", "open, ms")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=300)
    rounds = options.parse_args().rounds
    rows = []
    for name in ("tiny_add", "tiny_palm"):
        rows += _rows(FIXTURES / f"{name}.tflite", rounds)
    show(f"isolated models: {isolation()}", rows, COLUMNS)
    write("isolated", rows, COLUMNS)


def _rows(path: Path, rounds: int) -> list[dict[str, object]]:
    from ai_edge_litert.interpreter import Interpreter

    bare = Interpreter(model_path=str(path), num_threads=1)
    bare.allocate_tensors()
    inputs = [detail["index"] for detail in bare.get_input_details()]
    outputs = [detail["index"] for detail in bare.get_output_details()]
    opened = {}
    seconds = {}
    for isolated in (False, True):
        started = time.perf_counter()
        opened[isolated] = Model.open(path, isolated=isolated)
        seconds[isolated] = time.perf_counter() - started
    arrays = [np.ones(info.shape, info.dtype) for info in opened[True].inputs]

    def interpret() -> list[np.ndarray]:
        for index, array in zip(inputs, arrays, strict=True):
            bare.set_tensor(index, array)
        bare.invoke()
        return [bare.get_tensor(index) for index in outputs]

    candidates = {
        "the bare interpreter": interpret,
        "Model": lambda: opened[False].run(*arrays),
        "Model, isolated": lambda: opened[True].run(*arrays),
    }
    size = sum(array.nbytes for array in (*arrays, *interpret()))
    opening = {"Model": seconds[False], "Model, isolated": seconds[True]}
    rows: list[dict[str, object]] = []
    for label, timing in measure(candidates, rounds=rounds).items():
        rows.append(
            {
                "model": path.stem,
                "bytes in and out": size,
                "run by": label,
                "least, us": round(1e6 * timing.min, 1),
                "median, us": round(1e6 * timing.median, 1),
                "open, ms": round(1e3 * opening[label]) if label in opening else "",
            }
        )
    for model in opened.values():
        model.close()
    return rows


if __name__ == "__main__":
    main()
