"""Runs in the peers' environment: NNCF quantises the teacher, then all models of a folder run in
OpenVINO in turns.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

ROUNDS = 200


def main(folder: Path) -> None:
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    labels, calibration = np.load(folder / "labels.npy"), np.load(folder / "calibration.npy")
    whole = core.read_model(folder / "teacher.onnx")
    started = time.perf_counter()
    quantised = nncf.quantize(whole, nncf.Dataset([one[None] for one in calibration]))
    seconds = time.perf_counter() - started
    openvino.save_model(quantised, folder / "nncf.xml", compress_to_fp16=False)
    models = {"nncf": quantised, **read_all(core, sorted(folder.glob("*.tflite")))}
    compiled = {name: core.compile_model(model, "CPU", settings) for name, model in models.items()}
    fed = {name: np.load(folder / f"{name}.npy") for name in models}
    medians = measure(compiled, fed)
    for name, model in compiled.items():
        right = np.mean(
            [
                int(next(iter(model(x).values())).argmax()) == y
                for x, y in zip(fed[name], labels, strict=True)
            ]
        )
        line = peer(folder, seconds) if name == "nncf" else ours(folder, name)
        print(
            json.dumps(
                line
                | {"OpenVINO us": round(medians[name] * 1e6, 1), "test %": round(100 * right, 2)}
            ),
            flush=True,
        )


def peer(folder: Path, seconds: float) -> dict[str, Any]:
    size = sum((folder / f"nncf.{end}").stat().st_size for end in ("xml", "bin"))
    return {
        "who": "NNCF",
        "what": "teacher, int8 in OpenVINO",
        "bytes": size,
        "seconds": round(seconds),
    }


def ours(folder: Path, name: str) -> dict[str, Any]:
    return {
        "who": "handheld",
        "what": f"{name}, read by OpenVINO",
        "bytes": (folder / f"{name}.tflite").stat().st_size,
    }


def read_all(core: openvino.Core, files: list[Path]) -> dict[str, Any]:
    """Read what OpenVINO can: it knows no QUANTIZE between layers, which mixed precision needs."""
    models = {}
    for path in files:
        try:
            models[path.stem] = core.read_model(path)
        except RuntimeError as error:
            print(
                f"OpenVINO cannot read {path.stem}: {str(error).strip().splitlines()[-1]}",
                flush=True,
            )
    return models


def measure(compiled: dict[str, Any], fed: dict[str, list[np.ndarray]]) -> dict[str, float]:
    rng, times = np.random.default_rng(0), {name: [] for name in compiled}
    for number in range(ROUNDS + 20):
        for name in rng.permutation(list(compiled)):
            started = time.perf_counter()
            compiled[name](fed[name][0])
            if number >= 20:
                times[name].append(time.perf_counter() - started)
    return {name: float(np.median(samples)) for name, samples in times.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
