"""Runs in the peers' environment: NNCF quantises the teacher, then all models of a folder run in OpenVINO in turns."""

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
    with np.load(folder / "test.npz") as test:
        inputs, labels = test["x"], test["y"]
    calibration = np.load(folder / "calibration.npy")
    whole = core.read_model(folder / "teacher.onnx")
    started = time.perf_counter()
    quantised = nncf.quantize(whole, nncf.Dataset([one[None] for one in calibration]))
    seconds = time.perf_counter() - started
    openvino.save_model(quantised, folder / "nncf.xml", compress_to_fp16=False)
    size = sum((folder / f"nncf.{end}").stat().st_size for end in ("xml", "bin"))
    models = {"nncf": quantised, **{path.stem: core.read_model(path) for path in sorted(folder.glob("*.tflite"))}}
    compiled = {name: core.compile_model(model, "CPU", settings) for name, model in models.items()}
    fed = {name: feed(model, inputs) for name, model in compiled.items()}
    medians = measure(compiled, fed)
    for name, model in compiled.items():
        right = np.mean([int(next(iter(model(x).values())).argmax()) == y for x, y in zip(fed[name], labels, strict=True)])
        who, what = ("NNCF", "teacher, int8 in OpenVINO") if name == "nncf" else ("handheld", f"{name}, read by OpenVINO")
        bytes_ = size if name == "nncf" else (folder / f"{name}.tflite").stat().st_size
        line = {
            "who": who,
            "what": what,
            "bytes": bytes_,
            "OpenVINO us": round(medians[name] * 1e6, 1),
            "test %": round(100 * right, 2),
        }
        print(json.dumps(line | ({"seconds": round(seconds)} if name == "nncf" else {})), flush=True)


def feed(model: Any, inputs: np.ndarray) -> list[np.ndarray]:
    """Return the pictures as a model takes them: its layout, its size, its integers."""
    wanted = model.input(0)
    shape = list(wanted.shape)
    found = inputs if shape[1] == inputs.shape[1] else np.moveaxis(inputs, 1, -1)
    if list(found.shape[1:]) != shape[1:]:
        raise SystemExit(f"a model wants {shape}, pictures are {found.shape[1:]}")
    if wanted.element_type != openvino.Type.f32:
        raise SystemExit(f"a model wants {wanted.element_type}; only float inputs are known here")
    return [np.ascontiguousarray(one[None]) for one in found]


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
