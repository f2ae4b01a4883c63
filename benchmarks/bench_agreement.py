"""Whether the bench is right: our medians beside others', what measuring costs, whether runs agree.

    python benchmarks/bench_agreement.py [--repeats 20] [--quick]

1. The median of each model beside that of a bare LiteRT loop (aim: within 2 %) and of LiteRT's own
   ``litert-benchmark`` (aim: within 5 %), one after the other on one core, thrice; the middle ratio
   counts.
2. What a call of the harness adds to a time (aim: under 5 us), and ``Model.run`` to the bare
   interpreter (aim: under 4 us on a small file), in turns.
3. Repeated runs of ten models: Kendall's tau between each run's order and that of all runs
   together, over pairs that differ by 5 % or more (aim: 1).
4. The same with two busy processes beside it: of 20 runs at least 19 are to be INVALID or in the
   same order.

1 and 3 need a quiet machine: INVALID runs are counted, and their figures mean little. Models are
read from ``HANDHELD_DATA`` (docs/data.md) and from the package.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import numpy as np
from _report import show, write

from handheld.bench import BenchProtocol, bench
from handheld.bench.noise import noise
from handheld.bench.run import BenchTools
from handheld.engine import Model
from handheld.engine.measure import last_core, measure, pinned, sample

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HANDHELD_DATA", "../shared/data"))
SMALL = ROOT / "tests" / "fixtures" / "tiny_add.tflite"
MODELS = 10
BUSY = 2
APART = 0.05
CALLS = 20_000
TRIES = 3
COLUMNS = ("what", "of", "ours", "others", "figure", "aim", "met", "run")
# Memory is that of a process of its own, and operators run alone: they say nothing of the model's
# time, and take a second.
TOOLS = BenchTools(memory=lambda path, threads: None, operators=lambda path, threads, core: None)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--repeats", type=int, default=20, help="runs of parts 3 and 4")
    options.add_argument("--quick", action="store_true", help="few queries, and nothing written")
    chosen = options.parse_args()
    protocol = BenchProtocol(min_queries=100, min_seconds=1.0)
    if chosen.quick:
        protocol = BenchProtocol(min_queries=20, min_seconds=0.1)
    files = model_files()
    rows = list(agreement(files, protocol))
    rows += overhead()
    quiet = repeated(files, protocol, chosen.repeats)
    rows.append(order_row("order of runs", quiet, chosen.repeats))
    with busy_processes():
        loaded = repeated(files, protocol, chosen.repeats)
    rows.append(load_row(quiet, loaded))
    show("the bench beside others", rows, COLUMNS)
    if not chosen.quick:
        write("bench_agreement", rows, COLUMNS)


def model_files() -> list[Path]:
    files = sorted((DATA / "models").glob("*.tflite"))
    files += sorted((ROOT / "src" / "handheld").glob("**/*.tflite"))
    if not files:
        sys.exit("no model files: set HANDHELD_DATA (docs/data.md)")
    return files[:MODELS]


def agreement(files: Sequence[Path], protocol: BenchProtocol) -> Iterator[dict[str, object]]:
    for file in files:
        ours = []
        bare = []
        official = []
        valid = 0
        for _ in range(TRIES):
            result = bench(file, protocol=protocol, tools=TOOLS)
            valid += result.verdict.valid
            ours.append(result.latency.p50.value)
            bare.append(bare_median(file, result.latency.calls))
            official.append(litert_median(file, result.latency.calls))
        run = f"{valid} of {TRIES} VALID"
        yield beside("median beside a bare loop", file, ours, bare, 0.02, run)
        if None not in official:
            yield beside("median beside litert-benchmark", file, ours, official, 0.05, run)


def beside(
    what: str, file: Path, ours: Sequence[float], others: Sequence[float], aim: float, run: str
) -> dict[str, object]:
    ratios = [one / other for one, other in zip(ours, others, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "what": what,
        "of": file.stem,
        "ours": f"{1e3 * statistics.median(ours):.4g} ms",
        "others": f"{1e3 * statistics.median(others):.4g} ms",
        "figure": f"{ratio - 1:+.1%}",
        "aim": f"{aim:.0%}",
        "met": abs(ratio - 1) <= aim,
        "run": run,
    }


def bare_median(file: Path, calls: int) -> float:
    """The loop that anybody would write: nothing of ours in it but the model's name."""
    from ai_edge_litert.interpreter import Interpreter

    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        interpreter = Interpreter(model_path=str(file), num_threads=1)
        interpreter.allocate_tensors()
        rng = np.random.default_rng(1)
        for detail in interpreter.get_input_details():
            values = rng.standard_normal(detail["shape"])
            if np.issubdtype(detail["dtype"], np.integer):
                values = rng.integers(0, 100, detail["shape"])
            interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
        times = []
        for _ in range(calls + 10):
            start = time.perf_counter()
            interpreter.invoke()
            times.append(time.perf_counter() - start)
    finally:
        os.sched_setaffinity(0, before)
    return statistics.median(times[10:])


def litert_median(file: Path, calls: int) -> float | None:
    """What LiteRT's own program says; None where the wheel did not install it."""
    program = shutil.which("litert-benchmark", path=str(Path(sys.executable).parent))
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder, pinned(last_core()):
        answer = Path(folder) / "r.json"
        command = [program, "--model", str(file), "--num_runs", str(calls)]
        command += ["--warmup_runs", "10", "--num_threads", "1", "--result_json", str(answer)]
        # It inherits the core.
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode or not answer.exists():
            return None
        return median_in(json.loads(answer.read_text()))


def median_in(results: Mapping[str, object]) -> float | None:
    """The median of its results, in seconds, wherever in them it stands."""
    for name, value in results.items():
        if isinstance(value, dict):
            inner = median_in(value)
            if inner is not None:
                return inner
        elif "median" in name:
            return float(str(value)) / 1e3
    return None


def overhead() -> list[dict[str, object]]:
    with pinned(last_core()):
        # CPU time, as wall time is also that of others on a busy machine.
        start = time.process_time()
        empty = sample({"nothing": lambda: None}, rounds=CALLS, warmup=0)["nothing"].wall
        around = (time.process_time() - start) / CALLS
        harness = float(np.median(empty))
        with Model.open(SMALL) as model:
            arrays = noise(model)
            run = run_overhead(model, arrays)
    rows = []
    for what, subject, seconds, aim in (
        ("time that the harness adds to a call", "nothing", harness, 5e-6),
        ("time that the harness takes around a call", "nothing", around, 5e-6),
        ("Model.run beyond the bare interpreter", SMALL.stem, run, 4e-6),
    ):
        rows.append(
            {
                "what": what,
                "of": subject,
                "figure": f"{1e6 * seconds:.2f} us",
                "aim": f"{1e6 * aim:.0f} us",
                "met": seconds < aim,
            }
        )
    return rows


def run_overhead(model: Model, arrays: Sequence[np.ndarray]) -> float:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(SMALL), num_threads=1)
    interpreter.allocate_tensors()
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def bare() -> list[np.ndarray]:
        for index, array in zip(inputs, arrays, strict=True):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    timed = measure({"ours": lambda: model.run(*arrays), "bare": bare}, rounds=CALLS)
    return timed["ours"].median - timed["bare"].median


Run = tuple[dict[str, float], bool]
"""Median of each model, and whether all of them were VALID."""


def repeated(files: Sequence[Path], protocol: BenchProtocol, repeats: int) -> list[Run]:
    runs = []
    for _ in range(repeats):
        results = [bench(file, protocol=protocol, tools=TOOLS) for file in files]
        medians = {one.model.name: one.latency.p50.value for one in results}
        runs.append((medians, all(one.verdict.valid for one in results)))
    return runs


def reference_of(runs: Sequence[Run]) -> dict[str, float]:
    return {name: statistics.median(run[0][name] for run in runs) for name in runs[0][0]}


def kendall(medians: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """Kendall's tau over the pairs that differ by 5 % or more in the reference."""
    agree = 0
    pairs = 0
    for one, other in combinations(reference, 2):
        fast, slow = sorted((one, other), key=reference.__getitem__)
        if reference[slow] < (1 + APART) * reference[fast]:
            continue
        pairs += 1
        agree += 1 if medians[fast] < medians[slow] else -1
    return agree / pairs


def order_row(what: str, runs: Sequence[Run], repeats: int) -> dict[str, object]:
    reference = reference_of(runs)
    taus = [kendall(medians, reference) for medians, _ in runs]
    valid = sum(is_valid for _, is_valid in runs)
    return {
        "what": what,
        "of": f"{len(reference)} models, {repeats} runs",
        "figure": f"smallest tau {min(taus):.3f}",
        "aim": "1",
        "met": min(taus) == 1,
        "run": f"{valid} of {repeats} all VALID",
    }


def load_row(quiet: Sequence[Run], loaded: Sequence[Run]) -> dict[str, object]:
    reference = reference_of(quiet)
    safe = 0
    for medians, is_valid in loaded:
        safe += not is_valid or kendall(medians, reference) == 1
    needed = len(loaded) - len(loaded) // 20
    return {
        "what": f"{BUSY} busy processes beside: INVALID, or in the same order",
        "of": f"{len(reference)} models, {len(loaded)} runs",
        "figure": f"{safe} of {len(loaded)}",
        "aim": f"{needed} or more",
        "met": safe >= needed,
        "run": f"{sum(is_valid for _, is_valid in loaded)} all VALID",
    }


@contextmanager
def busy_processes() -> Iterator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
