"""fastText in an interpreter of its own: trains, tunes and quantises to a size, and labels texts. Speaks JSON over files.

python _fasttext_worker.py JOB.json    # train, valid, test: fastText's files; size: bytes; seconds: to tune; out: model
"""

import json
import sys
import time
from pathlib import Path

import fasttext

_ROUNDS, _TRIES = 5, 3


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    model, best, failed = None, -1.0, ""
    for seed in range(_TRIES):  # tuning ends where one trial's learning rate is too high, or with a model that knows nothing
        try:
            found = fasttext.train_supervised(
                job["train"], autotuneValidationFile=job["valid"], autotuneDuration=job["seconds"],
                autotuneModelSize=f"{job['size'] // 1000}K", thread=1, verbose=0, seed=seed,
            )  # fmt: skip
        except RuntimeError as error:
            failed = str(error)
            continue
        _, right, _ = found.test(job["valid"])
        if right > best:
            model, best = found, right
    if model is None:
        Path(job["answers"]).write_text(json.dumps({"failed": failed}))
        return
    model.save_model(job["out"])
    lines = [line.split(" ", 1) for line in Path(job["test"]).read_text().splitlines()]
    answers = [predict(model, text) for _, text in lines]
    sure = [share for share, _ in answers]
    times = []
    for _ in range(_ROUNDS):
        for _, text in lines[:200]:
            started = time.perf_counter()
            predict(model, text)
            times.append(time.perf_counter() - started)
    right = [answer == label for (label, _), (_, answer) in zip(lines, answers, strict=True)]
    found = {
        "size": Path(job["out"]).stat().st_size, "right": right, "sure": sure, "seconds": sorted(times)[len(times) // 2],
        "outside": [predict(model, text)[0] for text in job["outside"]],
    }  # fmt: skip
    Path(job["answers"]).write_text(json.dumps(found))


def predict(model: fasttext.FastText._FastText, text: str) -> tuple[float, str]:
    """Ask the core itself: the wrapper's ``predict`` fails on NumPy 2."""
    found: list[tuple[float, str]] = model.f.predict(text + "\n", 1, 0.0, "strict")
    return found[0] if found else (0.0, "")


if __name__ == "__main__":
    main()
