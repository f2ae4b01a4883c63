"""The rules of a challenge: a folder with ``challenge.toml`` and the data that models are judged
on.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.bench.challenge.boxes import BoxedPictures, read_boxes
from handheld.bench.protocol import CLASSIFICATION_BUDGET, DETECTION_BUDGET, BenchProtocol
from handheld.bench.validate import SubmissionRules
from handheld.config import read_config
from handheld.data import Dataset
from handheld.engine import RunLimits
from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

RULES_FILE = "challenge.toml"
STATE_FOLDER = "state"
SAMPLES_FOLDER = "samples"
PUBLIC = "public"
HIDDEN = "hidden"

CLASSIFICATION = "classification"
DETECTION = "detection"
_BUDGETS = {CLASSIFICATION: CLASSIFICATION_BUDGET, DETECTION: DETECTION_BUDGET}
_METRICS = {CLASSIFICATION: "accuracy", DETECTION: "mAP"}
_OUTPUTS = 4  # tensors of a detector
ChallengeData = Dataset | BoxedPictures
"""Examples of one part."""

_DEVICE_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
_MAX_TITLE = 80
_MAX_DESCRIPTION = 4000
_MAX_DATA = 8 << 30  # bytes of one part, unpacked
_PICTURE_AXES = 4
_MILLISECOND = 1e-3
_MAX_BUDGET_MS = 3_600_000
# Those of ``RunLimits``: what the runtime maps, and what processors address.
_LEAST_MEMORY = 1 << 30
_MOST_MEMORY = 1 << 48


@dataclass(frozen=True, kw_only=True)
class DeviceProfile:
    """A device on which models are measured.

    Args:
        name: by which a worker takes its work, of a-z, 0-9 and _.
        core: number of the core that a model keeps to, 0 or more; None: the last one.
        description: for people.
        profile: file in the challenge's folder that 'handheld bench calibrate' wrote: who measures
            on another machine is refused; "" for none.
        tolerance: share by which a calibration model's median may differ from it, in (0, 1).

    Raises:
        InputError: names what is wrong.
    """

    name: str
    core: int | None = None
    description: str = ""
    profile: str = ""
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        if not _DEVICE_NAME.fullmatch(self.name):
            raise InputError(
                f"name: expected a device of at most 24 letters a-z, digits and _, beginning with "
                f"a letter, got {self.name!r}"
            )
        if self.core is not None:
            whole_in_range("core", self.core, low=0)
        in_range("tolerance", self.tolerance, low=0, high=1, low_open=True, high_open=True)
        if len(self.description) > _MAX_DESCRIPTION:
            raise InputError(f"description: expected at most {_MAX_DESCRIPTION} characters")


@dataclass(frozen=True, kw_only=True)
class MeasurementRules:
    """How long a model is measured.

    Args:
        threads: of the interpreter, 1 or more.
        min_queries: calls that are counted, 1 or more.
        min_seconds: that they take together, 0 or more.
        crop: share of a picture's sides that is kept, in (0, 1].
        attempts: runs at most until one is VALID, 1 or more.

    Raises:
        InputError: names the number that is out of range.
    """

    threads: int = 1
    min_queries: int = 100
    min_seconds: float = 1.0
    crop: float = 0.875
    attempts: int = 3

    def __post_init__(self) -> None:
        whole_in_range("attempts", self.attempts, low=1, high=100)
        # The other numbers are the protocol's, which checks them.
        self.protocol(1.0, None)

    def protocol(self, budget: float, core: int | None) -> BenchProtocol:
        """Return the rules of one run.

        Args:
            budget: seconds of one example.
            core: that it keeps to; None: the last one.
        """
        return BenchProtocol(
            budgets=(budget,),
            threads=self.threads,
            crop=self.crop,
            min_queries=self.min_queries,
            min_seconds=self.min_seconds,
            core=core,
        )


@dataclass(frozen=True, kw_only=True)
class ChallengeLimits:
    """What contestants may use of the server.

    Args:
        model_bytes: of a file, 1 or more.
        submissions_per_day: of a team within 24 hours, 1 or more.
        waiting: of a team, not measured yet, 1 or more.
        queued: of all teams, 1 or more.
        teams: that may take part, 1 or more.
        registrations_per_hour: of all who come, 1 or more.
        run_seconds: of opening a model and of one run, above 0.
        memory_bytes: of a model's process, in [1073741824, 281474976710656].
        job_seconds: of all measurements of a part, above 0.
        total_bytes: of all files on the disk, 1 or more.

    Raises:
        InputError: names the number that is out of range.
    """

    model_bytes: int = 200_000_000
    submissions_per_day: int = 10
    waiting: int = 3
    queued: int = 1000
    teams: int = 1000
    registrations_per_hour: int = 60
    run_seconds: float = 20.0
    memory_bytes: int = 4 << 30
    job_seconds: float = 3600.0
    total_bytes: int = 100 * 10**9

    def __post_init__(self) -> None:
        for name in (
            "model_bytes",
            "submissions_per_day",
            "waiting",
            "queued",
            "teams",
            "registrations_per_hour",
            "total_bytes",
        ):
            whole_in_range(name, getattr(self, name), low=1)
        in_range("job_seconds", self.job_seconds, low=0, low_open=True)
        whole_in_range("memory_bytes", self.memory_bytes, low=_LEAST_MEMORY, high=_MOST_MEMORY)
        in_range("run_seconds", self.run_seconds, low=0, high=10**6, low_open=True)

    @property
    def of_run(self) -> RunLimits:
        """The limits of a model's own process."""
        return RunLimits(seconds=self.run_seconds, memory=self.memory_bytes)


@dataclass(frozen=True, kw_only=True)
class ChallengeRules:
    """What ``challenge.toml`` says.

    Args:
        title: of the challenge, one line.
        description: for people.
        task: what models do: "classification" or "detection".
        budget_ms: milliseconds of one example, in (0, 3600000]; None: 33 of a classification, 100
            of a detection.
        public: path of the public part of the data, an ``.npz`` file in the folder; of a detection
            as ``boxes`` reads it.
        hidden: path of the part that nobody sees.
        black_white: what 0 and 255 of a pixel become in the real input of a model without a card.
        opens: when the first model is taken; None: at once.
        closes: when the last one is; None: when the host closes it.
        finals: of each team's submissions, how many are measured on the hidden part, 1 or more.
        shares_public: whether contestants may download the public part.
        measurement: how long a model is measured.
        limits: what contestants may use.
        devices: on which models are measured; the first one ranks.

    Raises:
        InputError: names what is wrong.
    """

    title: str
    description: str = ""
    task: str = CLASSIFICATION
    budget_ms: float | None = None
    public: str = "data/public.npz"
    hidden: str = "data/hidden.npz"
    black_white: tuple[float, float] = (-1.0, 1.0)
    opens: datetime | None = None
    closes: datetime | None = None
    finals: int = 3
    shares_public: bool = True
    measurement: MeasurementRules = field(default_factory=MeasurementRules)
    limits: ChallengeLimits = field(default_factory=ChallengeLimits)
    devices: tuple[DeviceProfile, ...] = (DeviceProfile(name="reference"),)

    def __post_init__(self) -> None:
        if not self.title.strip() or len(self.title) > _MAX_TITLE or "\n" in self.title:
            raise InputError(f"title: expected one line of 1 to {_MAX_TITLE} characters")
        if len(self.description) > _MAX_DESCRIPTION:
            raise InputError(f"description: expected at most {_MAX_DESCRIPTION} characters")
        if self.task not in _BUDGETS:
            raise InputError(f"task: expected {' or '.join(_BUDGETS)}, got {self.task!r}")
        if self.budget_ms is not None:
            in_range("budget_ms", self.budget_ms, low=0, high=_MAX_BUDGET_MS, low_open=True)
        for name, number in zip(("black", "white"), self.black_white, strict=True):
            in_range(f"black_white ({name})", number)
        whole_in_range("finals", self.finals, low=1)
        self._check_times()
        self._check_devices()

    def _check_times(self) -> None:
        for name in ("opens", "closes"):
            moment = getattr(self, name)
            # A time without a zone is another one on another machine.
            if moment is not None and moment.tzinfo is None:
                raise InputError(f"{name}: expected a time with its zone, as 2026-12-01T00:00:00Z")
        if self.opens and self.closes and self.opens >= self.closes:
            raise InputError("closes: expected a time after 'opens'")

    def _check_devices(self) -> None:
        if not self.devices:
            raise InputError("devices: expected one or more, got none")
        for name, number in Counter(device.name for device in self.devices).items():
            if number > 1:
                raise InputError(f"devices: two are called {name!r}")

    @property
    def budget(self) -> float:
        """Seconds of one example."""
        if self.budget_ms is None:
            return _BUDGETS[self.task]
        return self.budget_ms * _MILLISECOND

    @property
    def metric(self) -> str:
        """What models are judged by: "accuracy" or "mAP"."""
        return _METRICS[self.task]

    def device(self, name: str) -> DeviceProfile:
        """Return a device by name. Raises :class:`InputError` if there is none."""
        for device in self.devices:
            if device.name == name:
                return device
        known = ", ".join(device.name for device in self.devices)
        raise InputError(f"device {name!r}: expected one of {known}")

    def has_opened(self, now: float) -> bool:
        """Whether models are taken already, at a time in seconds since the epoch."""
        return self.opens is None or self.opens.timestamp() <= now

    def has_closed(self, now: float) -> bool:
        """Whether the time to submit is over."""
        return self.closes is not None and self.closes.timestamp() <= now

    def submission(self, data: ChallengeData) -> SubmissionRules | None:
        """Return what a model must be to take part; None where the examples are no pictures."""
        if isinstance(data, BoxedPictures):
            return SubmissionRules(max_bytes=self.limits.model_bytes, outputs=_OUTPUTS)
        if not are_pictures(data):
            return None
        pictures: Any = data.inputs
        return SubmissionRules(max_bytes=self.limits.model_bytes, channels=pictures.shape[-1])


@dataclass(frozen=True)
class ChallengeFolder:
    """A folder that holds a challenge.

    Args:
        root: of the folder, absolute.
        rules: of its ``challenge.toml``.
    """

    root: Path
    rules: ChallengeRules

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "ChallengeFolder":
        """Read a folder.

        Raises:
            InputError: there is no challenge in it, or its rules are wrong.
        """
        root = Path(folder).absolute()
        path = root / RULES_FILE
        if not path.is_file():
            raise InputError(f"{root}: no {RULES_FILE} in it; 'handheld bench init' makes one")
        return cls(root, read_config(ChallengeRules, path))

    @property
    def state(self) -> Path:
        """Folder of what a server keeps."""
        return self.root / STATE_FOLDER

    def data(self, name: str) -> ChallengeData:
        """Return the examples of a part, "public" or "hidden".

        Raises:
            InputError: the file is missing or no such data.
        """
        if self.rules.task == DETECTION:
            return read_boxes(self.path_of(name))
        return read_examples(self.path_of(name))

    def path_of(self, name: str) -> Path:
        """Return the file of a part."""
        if name == HIDDEN:
            return self.root / self.rules.hidden
        return self.root / self.rules.public

    def samples(self) -> list[Path]:
        """Return the sample submissions."""
        return sorted((self.root / SAMPLES_FOLDER).glob("*.tflite"))


def read_examples(path: Path) -> Dataset:
    """Read arrays ``x`` (n, ...), ``y`` (n,) whole numbers, and ``classes`` (names).

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        arrays = read_npz(path, _MAX_DATA)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as examples: {reason}") from error
    missing = [name for name in ("x", "y", "classes") if name not in arrays]
    if missing:
        raise InputError(f"{path}: no array {missing[0]!r}; expected x, y and classes")
    if arrays["y"].dtype.kind not in "iu":
        raise InputError(f"{path}: y is of {arrays['y'].dtype}, expected whole numbers")
    classes = tuple(map(str, arrays["classes"].tolist()))
    try:
        return Dataset(arrays["x"], arrays["y"].astype(np.int64), classes)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_examples(path: Path, data: Dataset) -> None:
    """Write examples as :func:`read_examples` reads them, for their owner alone."""
    inputs: NDArray[Any] = np.asarray(data.inputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, x=inputs, y=data.labels, classes=np.array(data.classes))
    # Labels of the hidden part lie in one of these files.
    path.chmod(0o600)


def are_pictures(data: Dataset) -> bool:
    """Whether examples are (rows, columns, channels) uint8."""
    inputs = data.inputs
    if not isinstance(inputs, np.ndarray):
        return False
    return inputs.dtype == np.uint8 and inputs.ndim == _PICTURE_AXES


def time_text(seconds: float | None) -> str:
    """Return seconds since the epoch as ISO 8601, "" for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
