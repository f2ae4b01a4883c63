"""All files that a run leaves besides its state."""

from pathlib import Path

import numpy as np

from handheld.errors import InputError
from handheld.federated.learning.evaluation import PerUser
from handheld.federated.learning.learner import PopulationLearner
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.privacy import Guarantee
from handheld.federated.report.history import write_parquet
from handheld.federated.report.page import RunFacts, write_report
from handheld.federated.simulator import Plan, SimulationRun, checkpoint
from handheld.files import atomic_path

_MODEL = "model.safetensors"
_ROUNDS = "rounds.parquet"
_REPORT = "report.html"


def files_of(folder: Path) -> list[Path]:
    """Return the files that a run and :func:`write_run` keep in a folder, there or not."""
    return [folder / name for name in (*checkpoint.FILES, _MODEL, _ROUNDS, _REPORT)]


def write_run(
    folder: Path,
    plan: Plan,
    learner: PopulationLearner,
    run: SimulationRun,
    *,
    problem: str = "",
    users: PerUser | None = None,
) -> list[Guarantee]:
    """Write ``model.safetensors``, ``rounds.parquet`` and ``report.html``; return the promises.

    The model file holds a module's ``state_dict``; of a learner that is not a
    :class:`ModuleLearner`, arrays ``weights`` (n,) and ``statistics`` (m,).

    Args:
        folder: of the run.
        plan: of the run.
        learner: the population.
        run: what came of it.
        problem: why the run did not end as planned, to be shown.
        users: how good the model is for each device, to be shown; see
            ``ModuleLearner.evaluate_users``.

    Raises:
        InputError: ``users`` of a plan whose noise promises that nothing of them is told.
        FileError: files cannot be written.
    """
    if users is not None and plan.promises:
        raise InputError(
            "users: how good the model is for each device tells of its own examples, without noise:"
            " leave it out"
        )
    population = len(learner.examples)
    # By the rounds that were, which may be fewer than planned.
    times = int(run.times.max(initial=0))
    promised = plan.promised(population, len(run.rows), times)
    folder.mkdir(parents=True, exist_ok=True)
    _write_model(folder / _MODEL, learner, run)
    write_parquet(folder / _ROUNDS, run.rows)
    # What a device has is nobody's to see where noise promises that.
    shown = None
    if isinstance(learner, ModuleLearner) and not plan.promises:
        shown = learner.users
    facts = RunFacts(population, len(run.state.weights), promised, shown, problem, users)
    title = f"Federated run {folder.resolve().name}"
    write_report(folder / _REPORT, title, plan, run.rows, facts)
    return promised


def _write_model(path: Path, learner: PopulationLearner, run: SimulationRun) -> None:
    # Bytes, as safetensors' own way to write replaces the file by one that nobody else may read.
    content = _bytes(learner, run)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _module_bytes(learner: ModuleLearner, run: SimulationRun) -> bytes:
    from safetensors.torch import save

    module = learner.fresh()
    learner.layout.load(module, run.state.weights, run.state.statistics)
    # Copies, as tensors that share memory are refused.
    return save({name: value.clone() for name, value in module.state_dict().items()})


def _bytes(learner: PopulationLearner, run: SimulationRun) -> bytes:
    if isinstance(learner, ModuleLearner):
        return _module_bytes(learner, run)
    # What a user's own learner makes of its weights, nobody else knows.
    from safetensors.numpy import save

    statistics = np.asarray(run.state.statistics, np.float64)
    return save({"weights": run.state.weights, "statistics": statistics})
