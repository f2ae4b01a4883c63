"""Ways through the house, traced at run time: how many files and functions a reader has to follow.

    python benchmarks/ways.py [member ...] [--files]

A way is run for real, on a little data, and each function of ours that is entered is noted:

- files: distinct source files that hold one of them;
- functions: distinct functions;
- changes of file: pairs of functions, in different files, of which one calls the other, directly or
  through code of others; each pair counts once, however often it is called.

What runs while a module is imported does not count, nor what happens in other processes.
"""

import argparse
import inspect
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
from _report import show, write

import handheld

PACKAGE = Path(handheld.__file__).parent
SIDE = 12  # pixels of the pictures that are learned from


class Trace:
    """Notes what functions of ours are entered between :meth:`start` and :meth:`stop`."""

    def __init__(self) -> None:
        self.functions: set[CodeType] = set()
        self.calls: set[tuple[CodeType, CodeType]] = set()

    def start(self) -> None:
        sys.setprofile(self._note)

    def stop(self) -> None:
        sys.setprofile(None)

    @property
    def files(self) -> list[str]:
        names = {Path(code.co_filename) for code in self.functions}
        return sorted(path.relative_to(PACKAGE).as_posix() for path in names)

    @property
    def changes(self) -> int:
        return sum(caller.co_filename != called.co_filename for caller, called in self.calls)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not is_ours(frame.f_code):
            return
        self.functions.add(frame.f_code)
        caller = frame.f_back
        while caller is not None and not is_ours(caller.f_code):
            caller = caller.f_back
        if caller is not None:
            self.calls.add((caller.f_code, frame.f_code))


def is_ours(code: CodeType) -> bool:
    """Whether this is a function of the package; bodies of modules and classes are none."""
    is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)
    return (
        is_function
        and code.co_filename.startswith(f"{PACKAGE}/")
        and code.co_filename[-3:] == ".py"
    )


def member(trace: Trace) -> None:
    """One member of a family: from the trained teacher to its written file."""
    import torch

    from handheld.compress import (
        Augmentation,
        FamilySettings,
        Schedule,
        TeacherSource,
        assembly,
        compress,
    )
    from handheld.data import Dataset, Splits

    def pictures(count: int, seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % 3
        noise = rng.integers(0, 60, (count, SIDE, SIDE, 1)) + 60 * labels[:, None, None, None]
        return Dataset(noise.astype(np.uint8), labels, ("dark", "grey", "light"))

    def follow(stage: str, done: float, text: str) -> None:
        if stage == "teacher's answers" and done == 0:
            trace.start()

    def written(folder: Path, draft: Any) -> Any:
        result = write_draft(folder, draft)
        if draft.target is not None:  # the teacher's own files are for none
            trace.stop()
        return result

    torch.set_num_threads(1)
    write_draft = assembly.write_draft
    assembly.write_draft = written
    settings = FamilySettings(
        training=Schedule(2, batch=60, rate=0.1),
        finish=Schedule(1, batch=60, rate=0.05),
        quantise=1.0,
        augmentation=Augmentation(shift=1),
        variants=False,
        views=1,
    )
    data = Splits(pictures(240, 0), pictures(60, 1), pictures(60, 2))
    with tempfile.TemporaryDirectory() as folder:
        compress(
            TeacherSource(width=12),
            data,
            out=folder,
            targets=["10x smaller"],
            settings=settings,
            progress=follow,
        )
    assembly.write_draft = write_draft


def frame(trace: Trace) -> None:
    """A frame of a clip that is being tracked: from the file to its hands, drawn and as JSON."""
    from handheld.hands import HandTracker, draw_hands
    from handheld.media import open_video

    clip = PACKAGE / "hands" / "assets" / "demo.mp4"
    with open_video(clip) as video, HandTracker(pack="handheld") as tracker:
        frames = iter(video)
        for _ in range(3):
            tracker.track(next(frames))
        trace.start()
        shown = next(frames)
        hands = tracker.track(shown)
        draw_hands(shown.image, hands)
        for hand in hands:
            hand.to_json()
        trace.stop()


def message(trace: Trace) -> None:
    """A message: from its text to three suggestions."""
    from handheld.reply import Replier

    replier = Replier.open()
    replier.suggest("Are you coming tonight?")
    trace.start()
    replier.suggest("See you at seven?")
    trace.stop()


def update(trace: Trace) -> None:
    """One client's update: one round of one device, from its examples to the new model."""
    from handheld.data.users.partitions import evenly
    from handheld.federated.algorithms import FedAvg
    from handheld.federated.learning import ClientWork, Examples, Users
    from handheld.federated.learning.modules import ModuleLearner
    from handheld.federated.simulator import Plan, simulate
    from handheld.networks.zoo.federated import make

    rng = np.random.default_rng(0)
    examples = Examples(rng.random((20, 4), np.float32), rng.integers(0, 2, 20))
    learner = ModuleLearner(
        make("two_layers", (4,), 2, seed=0), Users(examples, evenly(20, 2, seed=0)), examples
    )
    plan = Plan(rounds=1, cohort=1, algorithm=FedAvg(), work=ClientWork(epochs=1, batch=5))
    trace.start()
    simulate(plan, learner)
    trace.stop()


WAYS: dict[str, Callable[[Trace], None]] = {
    "frame": frame,
    "member": member,
    "message": message,
    "update": update,
}
"""Each runs a way, and starts and stops the trace where it begins and ends."""


def row_of(name: str, trace: Trace) -> dict[str, object]:
    rooms = Counter(file.partition("/")[0].removesuffix(".py") for file in trace.files)
    return {
        "way": f"{name}: {(WAYS[name].__doc__ or '').rstrip('.')}",
        "files": len(trace.files),
        "functions": len(trace.functions),
        "changes of file": trace.changes,
        "files by room": ", ".join(f"{room} {count}" for room, count in rooms.most_common()),
    }


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("ways", nargs="*", metavar="WAY", default=list(WAYS))
    options.add_argument("--files", action="store_true", help="list the files of each way")
    given = options.parse_args()
    rows = []
    for name in given.ways:
        if name not in WAYS:
            options.error(f"no way {name!r}: expected {', '.join(WAYS)}")
        trace = Trace()
        try:
            WAYS[name](trace)
        finally:
            trace.stop()
        rows.append(row_of(name, trace))
        if given.files:
            print(*trace.files, sep="\n")
    show("ways through the house", rows)
    if not given.files:
        write("ways", rows)


if __name__ == "__main__":
    main()
