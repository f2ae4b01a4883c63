"""fastText in an interpreter of its own: trains, tunes and quantises to a size, and labels texts.
Speaks JSON over files.

python _fasttext_worker.py JOB.json

A job: train, valid, test: fastText's files; size: bytes; out: model; answers: what to write; and
how it is tuned: ``seconds`` of its own tuning, three times, the best counting, or ``settings``,
each tried and quantised, the best on the validation texts counting.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import fasttext

_ROUNDS, _TRIES = 5, 3
_CUTOFFS = (12_000, 8_000, 5_000, 3_000, 1_500)  # n-grams that are kept when it is quantised
_ALONE = 200  # texts that are timed one by one


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    started = time.process_time()
    model, failed = _by_settings(job) if job.get("settings") else _by_itself(job)
    seconds = time.process_time() - started
    if model is None:
        Path(job["answers"]).write_text(json.dumps({"failed": failed}))
        return
    model.save_model(job["out"])
    lines = [line.split(" ", 1) for line in Path(job["test"]).read_text().splitlines()]
    answers = [predict(model, text) for _, text in lines]
    result = {
        "size": Path(job["out"]).stat().st_size,
        "right": [answer == label for (label, _), (_, answer) in zip(lines, answers, strict=True)],
        "sure": [share for share, _ in answers],
        "train_seconds": seconds,
        "alone": _alone(model, [text for _, text in lines[:_ALONE]]),
        "outside": [predict(model, text)[0] for text in job["outside"]],
    }
    Path(job["answers"]).write_text(json.dumps(result))


def _by_itself(job: dict[str, Any]) -> tuple[Any, str]:
    """Let it tune itself: it ends where one trial's learning rate is too high, or with a model that
    knows nothing.
    """
    model, best, failed = None, -1.0, ""
    for seed in range(_TRIES):
        try:
            tuned = fasttext.train_supervised(
                job["train"],
                autotuneValidationFile=job["valid"],
                autotuneDuration=job["seconds"],
                autotuneModelSize=f"{job['size'] // 1000}K",
                thread=1,
                verbose=0,
                seed=seed,
            )
        except RuntimeError as error:
            failed = str(error)
            continue
        _, right, _ = tuned.test(job["valid"])
        if right > best:
            model, best = tuned, right
    return model, failed


def _by_settings(job: dict[str, Any]) -> tuple[Any, str]:
    model, best = None, -1.0
    for setting in job["settings"]:
        tried = _largest_that_fits(job, setting)
        if tried is not None and (right := tried.test(job["valid"])[1]) > best:
            model, best = tried, right
    return model, "no setting fits the size, or all diverge"


def _largest_that_fits(job: dict[str, Any], setting: dict[str, Any]) -> Any:
    for cutoff in _CUTOFFS:
        for retrain in (
            True,
            False,
        ):  # learning again what is left is better, but diverges where the rate is high
            try:
                tried = fasttext.train_supervised(
                    job["train"], thread=1, verbose=0, seed=0, bucket=50_000, **setting
                )
                tried.quantize(
                    input=job["train"],
                    qnorm=True,
                    retrain=retrain,
                    cutoff=cutoff,
                    thread=1,
                    verbose=0,
                )
            except RuntimeError:
                continue
            tried.save_model(job["out"])
            if Path(job["out"]).stat().st_size <= job["size"]:
                return tried
            break
    return None


def _alone(model: Any, texts: list[str]) -> float:
    """Return the median seconds of CPU for one text."""
    times = []
    for _ in range(_ROUNDS):
        for text in texts:
            started = time.perf_counter()
            predict(model, text)
            times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


def predict(model: Any, text: str) -> tuple[float, str]:
    """Ask the core itself: the wrapper's ``predict`` fails on NumPy 2."""
    answers: list[tuple[float, str]] = model.f.predict(text + "\n", 1, 0.0, "strict")
    return answers[0] if answers else (0.0, "")


if __name__ == "__main__":
    main()
