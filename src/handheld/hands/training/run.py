"""What the trainings of both networks share: a folder that goes on where it was
stopped, progress, evaluation.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import nn

from handheld import __version__
from handheld.errors import HandheldError, InputError
from handheld.files import append_lines, atomic_path
from handheld.hands.packs import LITE, OURS, ModelPack, load_pack
from handheld.hands.training.averaging import Learner
from handheld.hands.training.compiled import fill_from_file, normalise, shape_of_file
from handheld.hands.training.config import LearnConfig
from handheld.hands.training.examples.records import parsed
from handheld.networks.pruning.narrowing import narrowed_state
from handheld.ranges import in_range, whole_in_range
from handheld.training import Schedule, device, fit, load_state
from handheld.training.runs import Progress, locked, silent

# Steps by which the speed of a machine is measured, and those before them, in which workers start,
# caches fill and torch chooses its kernels.
_TRIAL_STEPS = 24
_WARM_UP = 8

# Of a run: a year.
_MOST_MINUTES = 366 * 24 * 60

# Steps between two points of the curve of the loss: closer ones only make TensorBoard slow.
_LOSS_EVERY = 50

# How a Learner's state names the weights of the mean: AveragedModel keeps them in `module`.
_MEAN = "average.module."


class Trainee(Protocol):
    """What differs between the two networks."""

    def make_network(self, shape: Mapping[str, Any] | None = None) -> nn.Module:
        """Return the network with its first weights.

        Args:
            shape: as another run's plan has it; None: that of this training.
        """

    def file_in(self, pack: ModelPack) -> Path:
        """Return the file of this network in a pack."""

    def loss(self, network: nn.Module, step: int) -> torch.Tensor:
        """Return the loss of a step, of the batch that belongs to it."""

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """Return plain numbers about a network in evaluation mode, on the validation split."""


@dataclass(frozen=True)
class TrainingFolder:
    """The files of a run.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def state(self) -> Path:
        """Weights, their mean, the optimiser: all that is needed to go on."""
        return self.path / "state.pt"

    @property
    def plan(self) -> Path:
        """What was asked for: a run goes on only with the same."""
        return self.path / "plan.json"

    @property
    def evaluations(self) -> Path:
        """JSON lines, one an evaluation."""
        return self.path / "evaluations.jsonl"

    @property
    def is_begun(self) -> bool:
        """Whether there are steps to go on from. A plan alone binds nobody: the first may have
        failed.
        """
        return self.plan.is_file() and self.state.is_file()

    def read_plan(self) -> dict[str, Any]:
        """Return the plan. Raises :class:`InputError` if there is none, or it is damaged."""
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no such folder: expected that of a run")
        try:
            plan: dict[str, Any] = parsed(self.plan.read_bytes())
            _require_plan(plan)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.plan}: no plan of a run ({error}): begin in another folder"
            ) from error
        return plan

    def settled_plan(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plan of this folder, which is the one that is given if no run is begun yet.

        Raises:
            InputError: the folder holds a run with another plan; names what differs.
        """
        if self.state.is_file():
            # Without a plan too: nobody knows of what these weights are.
            return self.required_plan(plan)
        with atomic_path(self.plan) as temporary:
            temporary.write_text(json.dumps(plan, indent=1), "utf-8")
        return dict(plan)

    def required_plan(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plan of the run in this folder.

        Raises:
            InputError: there is none, or it is another than the one that is given; names what
                differs.
        """
        stored = self.read_plan()
        earlier = _EARLIER | stored
        # As it would be read back: JSON has no tuples.
        for name, value in json.loads(json.dumps(plan)).items():
            # What else a plan of an older version does not have cannot be compared.
            may_differ = name in _MAY_DIFFER or name not in earlier
            if not may_differ and earlier[name] != value:
                raise InputError(
                    f"{self.path}: was begun with {name} = {earlier[name]!r}, not {value!r}: "
                    "use another folder, or the same configuration and data"
                )
        return stored


def _require_plan(plan: object) -> None:
    """Refuse what is no plan. Raises :class:`InputError`, which says what."""
    if not isinstance(plan, dict):
        raise InputError(f"expected an object, got {plan!r:.80}")
    whole_in_range("steps", plan.get("steps"), low=0)
    in_range("started", plan.get("started"), low=0)
    network = plan.get("network")
    if not isinstance(network, dict):
        raise InputError(f"network: expected an object, got {network!r:.80}")
    whole_in_range("network.size", network.get("size"), low=1)


# What plans did not say before it could be set, as it was then.
_EARLIER = {
    "skin_tones": 0.0,
    "rendered_share": 0.5,
    "steady": 0.0,
    "meeting": 0.0,
    "cut_off": 0.0,
    "fists": 0.0,
}

# Entries of a plan that the run's folder decides on once it is begun.
_MAY_DIFFER = ("steps", "started", "version")


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        learner: with the last weights and their mean.
        plan: of the run's folder.
        evaluations: in the order of their steps.
    """

    learner: Learner
    plan: dict[str, Any]
    evaluations: list[dict[str, Any]] = field(default_factory=list)


def train(
    trainee: Trainee,
    learn: LearnConfig,
    plan: Mapping[str, Any],
    folder: TrainingFolder,
    *,
    minutes: float | None = None,
    progress: Progress = silent,
) -> RunResult:
    """Train until all steps are done; called again it goes on where it was stopped.

    Args:
        trainee: the network, its examples, its loss.
        learn: rate, steps and the like.
        plan: plain values that must not change between two stretches of one run.
        folder: of the run; made if it is not there.
        minutes: instead of ``learn.steps``: as many steps as fit, by the speed of a short trial.
            Decided once; a run that goes on keeps its number of steps.
        progress: told how far it is.

    Raises:
        InputError: another run's folder, broken examples, or minutes that are no time.
        TrainingError: the loss is no number; the last state stays.
        FileError: the disk is full; the last state stays.
    """
    if minutes is not None:
        in_range("minutes", minutes, low=0, low_open=True, high=_MOST_MINUTES)
    torch.set_num_threads(learn.threads)
    with locked(folder.path, ".lock"):
        # Before the plan: a start that cannot be read leaves no folder that wants it again. A run
        # that goes on has its weights, whatever has become of what it started from.
        learner = make_learner(trainee, replace(learn, start="") if folder.is_begun else learn)
        steps = learn.steps
        # Once: another speed tomorrow would be another schedule, and so another run.
        if minutes is not None and not folder.is_begun:
            steps = _steps_in(minutes, trainee, learn, progress)
        settled = folder.settled_plan(
            {**plan, "steps": steps, "started": time.time(), "version": __version__}
        )
        if minutes is None and settled["steps"] != learn.steps:
            note = f"of {settled['steps']} steps, as it was begun with; not {learn.steps}"
            progress("train", 0.0, note)
        learn = replace(learn, steps=int(settled["steps"]))
        return _go_on(trainee, learner, learn, settled, folder, progress)


def _go_on(
    trainee: Trainee,
    learner: Learner,
    learn: LearnConfig,
    plan: dict[str, Any],
    folder: TrainingFolder,
    progress: Progress,
) -> RunResult:
    watch = _Watch(trainee, learner, learn, folder, progress)
    fit(
        learner,
        lambda step: _gradients(trainee, learner, step),
        schedule_of(learn),
        learn.steps,
        save=folder.state,
        report=watch.after_step,
        seed=learn.seed,
        after=learner.update,
    )
    watch.finish()
    return RunResult(learner, plan, watch.evaluations)


def make_learner(trainee: Trainee, learn: LearnConfig) -> Learner:
    """Return the network with its first weights, or those of the run that it starts from."""
    # Before the network is made: its first weights are drawn from torch's own generator.
    torch.manual_seed(learn.seed)
    network = trainee.make_network()
    if learn.starts:
        network.load_state_dict(_first_weights(trainee, network, learn.starts))
    network = network.to(device())
    # As `to_unit` gives the pictures; convolutions would else turn them in every layer.
    # torch's types have no overload for the format alone.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Learner(network, learn.average)


def _first_weights(
    trainee: Trainee, network: nn.Module, starts: Mapping[str, float]
) -> dict[str, torch.Tensor]:
    """Return the weights that a run starts from, cut where those are of a wider network, resampled
    where they are for pictures of another size.

    Raises:
        InputError: there are none, or not for this network; names the setting.
    """
    try:
        size = cast(Any, network).shape.size
        wide = _network_of(trainee, starts, size)
        weights = wide.state_dict()
        shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
        if shapes == {name: tensor.shape for name, tensor in weights.items()}:
            return weights
        # Two: a batch of one is taken for a constant.
        return narrowed_state(wide, network, torch.zeros(2, 3, size, size))
    except HandheldError as error:
        raise InputError(f"learn.start = {', '.join(map(repr, starts))}: {error}") from error


def _network_of(trainee: Trainee, starts: Mapping[str, float], size: int) -> nn.Module:
    """Return the network that a run starts from, for pictures of a size."""
    files = {_file_of(trainee, start): share for start, share in starts.items()}
    # As a pack and by its path: a share would be lost.
    if len({file.resolve() for file in files}) < len(starts):
        raise InputError("one network is named twice: give it one share")
    first, *others = files
    for file in files if others else ():
        if file.suffix != ".tflite":
            raise InputError(f"{file}: expected a pack or a .tflite of one, to take a mean of")
    if others or first.suffix == ".tflite":
        return _from_files(trainee, files, size)
    return _resized(_from_run(trainee, first), size)


def _file_of(trainee: Trainee, start: str) -> Path:
    """Return the file of a pack's name or folder, or of the file itself."""
    path = Path(start)
    if start in (OURS, LITE) or (path / "pack.toml").is_file():
        return trainee.file_in(load_pack(start))
    if not path.is_file():
        raise InputError(
            f"{start}: no such file: expected the state.pt of a run, {OURS}, {LITE}, the "
            "folder of a pack, or a .tflite of one; several: packs and .tflite files alone"
        )
    return path


def _from_files(trainee: Trainee, files: Mapping[Path, float], size: int) -> nn.Module:
    """Return the network of packs' files: the mean of their weights, each with its share."""
    shapes = {file: shape_of_file(file) for file in files}
    shape, *others = shapes.values()
    if any(other != shape for other in others):
        raise InputError(f"{' and '.join(map(str, files))} are of networks of several shapes")
    network = trainee.make_network(shape)
    # Before the normalisations are given back: each network's measured something else.
    mean = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for file, share in files.items():
        fill_from_file(network, file)
        for name, value in network.state_dict().items():
            mean[name] += (share / sum(files.values()) * value).to(value.dtype)
    network.load_state_dict(mean)
    network = _resized(network, size)
    # By the loss of a step, as that is how a batch gets to the network.
    normalise(network, lambda filled: trainee.loss(filled, 0))
    return network


def _from_run(trainee: Trainee, state: Path) -> nn.Module:
    """Return the network of another run, with its mean weights."""
    weights = averaged_weights(state)
    folder = TrainingFolder(state.parent)
    # A state that travelled alone can only be of the network of this training.
    shape = folder.read_plan().get("network") if folder.plan.is_file() else None
    network = trainee.make_network(shape)
    _fill(network, weights, state)
    return network


def _fill(network: nn.Module, weights: Mapping[str, torch.Tensor], state: Path) -> None:
    """Give a network the weights of a state. Raises :class:`InputError` if they are another's."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"{state}: its weights are not of the network in its plan.json, "
            "or of this one where it has none"
        ) from error


def _resized(network: nn.Module, size: int) -> nn.Module:
    """Return a network for pictures of another size."""
    if cast(Any, network).shape.size == size:
        return network
    return cast(nn.Module, cast(Any, network).resized(size))


def averaged_network(
    trainee: Trainee, folder: TrainingFolder, plan: Mapping[str, Any]
) -> nn.Module:
    """Return the mean of a run's weights as a network in evaluation mode, from its last state.

    Raises:
        InputError: there is no such run, or it is of another plan.
    """
    folder.required_plan(plan)
    network = trainee.make_network()
    _fill(network, averaged_weights(folder.state), folder.state)
    return network.eval()


def averaged_weights(state: Path) -> dict[str, torch.Tensor]:
    """Return the mean weights of a run's state. Raises :class:`InputError` if it holds none."""
    mean = {}
    stored = load_state(state).get("network")
    for name, value in stored.items() if isinstance(stored, dict) else ():
        if str(name).startswith(_MEAN):
            mean[name.removeprefix(_MEAN)] = value
    if not mean:
        raise InputError(
            f"{state}: holds no averaged weights: expected the state of a training run of hands"
        )
    return mean


def schedule_of(learn: LearnConfig) -> Schedule:
    """Return the schedule of AdamW: the rate rises, and falls to nothing along a cosine."""
    return Schedule(
        # Batches are drawn without an end: there are steps, and no passes over anything.
        epochs=1,
        batch=learn.batch,
        rate=learn.rate,
        warmup=learn.warmup,
        decay=learn.decay,
        clip=learn.clip,
        optimiser="adam",
    )


def _steps_in(minutes: float, trainee: Trainee, learn: LearnConfig, progress: Progress) -> int:
    """Return how many steps fit into a time, by a few steps with weights that are thrown away."""
    learner = make_learner(trainee, learn)
    moments: list[float] = []

    def after_step(step: int, steps: int, loss: float) -> None:
        moments.append(time.perf_counter())
        progress("trial", step / steps, "how fast this machine is")

    fit(
        learner,
        lambda step: _gradients(trainee, learner, step),
        schedule_of(learn),
        _WARM_UP + _TRIAL_STEPS,
        report=after_step,
        after=learner.update,
    )
    seconds = (moments[-1] - moments[_WARM_UP - 1]) / _TRIAL_STEPS
    return max(1, int(60 * minutes / seconds))


def _gradients(trainee: Trainee, learner: Learner, step: int) -> float:
    """Compute the gradients of a step, and return its loss."""
    loss = trainee.loss(learner.network.train(), step)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
    return float(loss.detach())


class _Watch:
    """Tells how a run goes: progress after each step, an evaluation now and
    then, both kept on disk.
    """

    def __init__(
        self,
        trainee: Trainee,
        learner: Learner,
        learn: LearnConfig,
        folder: TrainingFolder,
        progress: Progress,
    ) -> None:
        self._trainee = trainee
        self._learner = learner
        self._learn = learn
        self._folder = folder
        self._progress = progress
        self._board = _open_board(folder.path / "tensorboard")
        self._began: tuple[float, int] | None = None
        self.evaluations = _read_evaluations(folder.evaluations)

    def after_step(self, step: int, steps: int, loss: float) -> None:
        """Report step ``step`` of ``steps``, counted from 1."""
        words = f"step {step}, loss {loss:.4f}, {self._speed(step):.0f} examples/s"
        self._progress("train", step / steps, words)
        if self._board is not None and step % _LOSS_EVERY == 0:
            self._board.add_scalar("loss", loss, step)
        # The last step's is made by `finish`, in runs that had ended as well.
        if step % self._learn.evaluate_every == 0 and step < steps:
            self._evaluate(step)

    def _speed(self, step: int) -> float:
        """Return examples a second since the first step of this stretch, evaluations included."""
        self._began = self._began or (time.monotonic(), step)
        moment, first = self._began
        seconds = time.monotonic() - moment
        return (step - first) * self._learn.batch / seconds if seconds else 0.0

    def finish(self) -> None:
        """Evaluate the last weights, unless that was done."""
        self._evaluate(self._learn.steps)
        if self._board is not None:
            self._board.close()

    def _evaluate(self, step: int) -> None:
        # A run that goes on from a state of before its last evaluation meets that step again.
        if any(line["step"] == step for line in self.evaluations):
            return
        average = self._learner.average.module.eval()
        with torch.no_grad():
            scores = self._trainee.evaluate(average)
        line = {"step": step, **scores}
        self.evaluations.append(line)
        with append_lines(self._folder.evaluations) as lines:
            lines.write(json.dumps(line) + "\n")
        self._plot(step, scores)

    def _plot(self, step: int, scores: Mapping[str, Any]) -> None:
        if self._board is None:
            return
        for name, value in scores.items():
            # A curve has numbers only: not the errors by set, nor by keypoint.
            if isinstance(value, float):
                self._board.add_scalar(name, value, step)


def _read_evaluations(path: Path) -> list[dict[str, Any]]:
    """Return what was measured before; a line that is none, as a stop leaves it, is left out."""
    if not path.is_file():
        return []
    evaluations = []
    for line in path.read_bytes().splitlines():
        # Measured again when the run comes to that step, as no entry has it.
        with contextlib.suppress(ValueError):
            evaluation = parsed(line)
            if isinstance(evaluation, dict) and "step" in evaluation:
                evaluations.append(evaluation)
    return evaluations


def _open_board(folder: Path) -> Any:
    """Return TensorBoard's writer, or ``None`` where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
