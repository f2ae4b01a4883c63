"""Damage model files at random and count what becomes of them; the engine must answer, never die.

By hand: ``python tests/engine/fuzz.py --cases 2000 FILE.tflite ...`` (``--unchecked`` shows what
the runtime alone would do). Each case is made from its seed, so a line of the report is enough to
make it again with ``damage``.
"""

import argparse
import resource
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_WORDS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    64,
    127,
    128,
    255,
    256,
    1 << 15,
    1 << 16,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
)


@cache
def _structure(data: bytes) -> np.ndarray:
    """Positions of the 4 byte words outside large buffers: weights are dull to damage."""
    from handheld.engine._verify.flatbuffer import Reader

    dull = np.zeros(len(data), bool)
    base = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    for buffer in Reader(data).root("Model", b"TFL3")["buffers"]:
        if buffer["offset"] > 1:
            dull[buffer["offset"] + 32 : buffer["offset"] + buffer["size"]] = True
        if len(buffer["data"]) > 128:
            start = buffer["data"].__array_interface__["data"][0] - base
            dull[start + 32 : start + len(buffer["data"])] = True
    return np.flatnonzero(~dull[: len(data) // 4 * 4 : 4]) * 4


def damage(data: bytes, seed: int) -> bytes:
    """One damaged copy: cut short, with flipped bytes, or with numbers of its structure
    replaced.
    """
    rng = np.random.default_rng(seed)
    if seed % 2:
        with suppress(TypeError):  # a number that its field cannot hold
            return _scramble(data, rng)
    kind = rng.integers(10)
    if kind == 0:
        return data[: rng.integers(len(data))]
    out = bytearray(data)
    if kind == 1:
        for _ in range(rng.integers(1, 9)):
            out[rng.integers(len(out))] = rng.integers(256)
        return bytes(out)
    words = _structure(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.choice(words))
        _replace(out, at, words, rng)
    return bytes(out)


def _replace(out: bytearray, at: int, words: np.ndarray, rng: np.random.Generator) -> None:
    word = int.from_bytes(out[at : at + 4], "little")
    kind = rng.integers(6)
    if kind == 0:
        new = int(rng.choice(_WORDS))
    elif kind == 1:
        new = -int(rng.choice(_WORDS))
    elif kind == 2:
        new = word + int(rng.integers(-4, 5))
    elif kind == 3:
        other = int(rng.choice(words))
        new = int.from_bytes(out[other : other + 4], "little")
    elif kind == 4:
        new = word ^ (1 << int(rng.integers(32)))
    else:
        out[at + int(rng.integers(4))] = int(rng.choice(_WORDS)) % 256
        return
    out[at : at + 4] = (new % (1 << 32)).to_bytes(4, "little")


def _scramble(data: bytes, rng: np.random.Generator) -> bytes:
    """A well-formed file that says something else: damage that the checks of offsets cannot see."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    behind = _move_back(model, len(data) // 16 * 16 + 1024)
    graph = model.subgraphs[0]
    transmuted = rng.random() < 0.4
    if transmuted:
        _transmute(model, _any(rng, graph.operators), rng)
    for _ in range(0 if transmuted and rng.random() < 0.7 else rng.integers(1, 4)):
        tensor, node = (_any(rng, items) for items in (graph.tensors, graph.operators))
        target = [
            tensor,
            node,
            node.builtinOptions,
            tensor.quantization,
            _any(rng, model.operatorCodes),
            graph,
        ]
        if rng.random() < 0.2:
            _distort(
                _any(
                    rng,
                    [b for b in model.buffers if b.offset or (b.data is not None and len(b.data))],
                ),
                rng,
            )
        else:
            _distort(target[rng.integers(6)], rng)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    packed = bytes(builder.Output())
    return packed if behind is None else packed.ljust(behind, b"\0") + data


def _move_back(model: Any, behind: int) -> int | None:
    """Let weights that lie behind the model be found in a copy of the old file that is put at
    ``behind``, if there are any.
    """
    outside = [buffer for buffer in model.buffers if buffer.offset > 1]
    for buffer in outside:
        buffer.offset += behind
    return behind if outside else None


def _transmute(model: Any, node: Any, rng: np.random.Generator) -> None:
    """Make an operator into another that takes as many inputs, with options of the right kind."""
    from handheld.engine._verify.operators import signatures

    fits = [
        (number, signature)
        for number, signature in signatures().items()
        if len(node.inputs) in signature.inputs and len(node.outputs) in signature.outputs
    ]
    number, signature = fits[rng.integers(len(fits))]
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = (
        number,
        min(number, 127),
        int(rng.integers(1, 5)),
    )
    model.operatorCodes.append(code)
    node.opcodeIndex = len(model.operatorCodes) - 1
    node.builtinOptionsType, node.builtinOptions = 0, None
    if signature.options:
        node.builtinOptionsType = getattr(schema.BuiltinOptions, signature.options)
        node.builtinOptions = getattr(schema, signature.options + "T")()
        for key, value in vars(node.builtinOptions).items():
            if isinstance(value, int) and not isinstance(value, bool):
                setattr(node.builtinOptions, key, int(rng.integers(3)))
    if rng.random() < 0.5:
        kind = int(rng.integers(20))
        for i in (*node.inputs, *node.outputs):
            model.subgraphs[0].tensors[i].type = (
                kind if rng.random() < 0.9 else int(rng.integers(20))
            )


def _any(rng: np.random.Generator, items: list[Any]) -> Any:
    return items[rng.integers(len(items))] if items else None


def _distort(target: Any, rng: np.random.Generator) -> None:
    """Change one number, or one number of one array, of an object of the schema."""
    numbers = {} if target is None else {k: v for k, v in vars(target).items() if _is_number(v)}
    if not numbers:
        return
    name = str(rng.choice(list(numbers)))
    value = numbers[name]
    if not isinstance(value, np.ndarray | list):
        setattr(target, name, type(value)(_other(value, rng)))
    elif len(value):
        array = np.array(value)
        kind = rng.integers(4)
        if kind == 0:
            array = array[: rng.integers(len(array))]
        elif kind == 1:
            array = np.append(array, rng.choice(array)).astype(array.dtype)
        elif kind == 2:
            rng.shuffle(array)
        else:
            array[rng.integers(len(array))] = np.array(_other(array.flat[0].item(), rng)).astype(
                array.dtype
            )
        setattr(target, name, array)


def _is_number(value: Any) -> bool:
    array = np.asarray(value)
    return value is not None and array.dtype.kind in "biuf"


def _other(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, bool | np.bool_):
        return not value
    if isinstance(value, float):
        return float(
            rng.choice([0.0, -1.0, 1e-30, 1e30, np.nan, np.inf, value * 1000, value / 1000])
        )
    small = (
        int(rng.integers(-3, 24)) if rng.random() < 0.7 else int(value) + int(rng.integers(-3, 4))
    )
    return (
        min(max(small, -128 if value >= 0 else -(1 << 31)), 1 << 30)
        if rng.random() < 0.9
        else int(rng.choice(_WORDS[:-2]))
    )


def attempt(data: bytes, *, checked: bool = True) -> str:
    """Open and run one file: ``rejected`` by our checks, ``refused`` by the runtime, ``failed`` in
    a run, ``ran``.
    """
    from handheld.engine import Model
    from handheld.engine._litert import Runtime
    from handheld.errors import ModelError

    if not checked:
        try:
            runtime = Runtime(data, threads=1, steady=False)
            runtime.invoke()
        except (ValueError, RuntimeError, TypeError, UnicodeDecodeError, MemoryError):
            return "refused"
        return "ran"
    try:
        with Model.load(data) as model:
            try:
                model.run(*(np.ones(info.shape, info.dtype) for info in model.inputs))
            except ModelError:
                return "failed"
    except ModelError as error:
        return "refused" if "the runtime refuses" in str(error) else "rejected"
    return "ran"


def _work(path: Path, first: int, last: int, checked: bool) -> None:
    data = path.read_bytes()
    resource.setrlimit(
        resource.RLIMIT_AS, (8 << 30, 8 << 30)
    )  # a wrong answer must not take the machine's memory
    for seed in range(first, last):
        print(seed, "started", flush=True)
        signal.alarm(60)
        print(seed, attempt(damage(data, seed), checked=checked), flush=True)


def fuzz(
    path: Path, first: int, last: int, *, checked: bool = True
) -> tuple[Counter[str], list[tuple[int, int]]]:
    """Try the seeds ``first`` to ``last`` in worker processes; counts, and (seed, signal) of each
    death.
    """
    counts: Counter[str] = Counter()
    deaths: list[tuple[int, int]] = []
    while first < last:
        command = [
            sys.executable,
            __file__,
            "--work",
            f"{first}:{last}",
            *(() if checked else ("--unchecked",)),
        ]
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
        lines = [line.split() for line in done.stdout.splitlines()]
        counts.update(state for _, state in lines if state != "started")
        if done.returncode == 0:
            break
        if not lines or lines[-1][1] != "started" or done.returncode > 0:
            raise RuntimeError(f"the worker failed by itself: {done.stderr[-2000:]}")
        first = int(lines[-1][0]) + 1
        deaths.append((first - 1, -done.returncode))
    return counts, deaths


def main() -> None:
    """Fuzz the files that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--unchecked", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        first, last = map(int, options.work.split(":"))
        _work(options.files[0], first, last, not options.unchecked)
        return
    for path in options.files:
        last = options.first + options.cases
        counts, deaths = fuzz(path, options.first, last, checked=not options.unchecked)
        print(f"{path.name}: {dict(counts)}, died {len(deaths)} {deaths[:20]}", flush=True)


if __name__ == "__main__":
    main()
