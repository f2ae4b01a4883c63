"""All files that a run leaves besides its state."""

from dataclasses import replace
from pathlib import Path

from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.vectors import load
from handheld.federated.privacy import Guarantee
from handheld.federated.report.history import write_parquet
from handheld.federated.report.page import write_report
from handheld.federated.simulator import Plan, Run
from handheld.media import atomic_path


def write_run(folder: Path, plan: Plan, learner: ModuleLearner, run: Run, *, delta: float | None = None) -> list[Guarantee]:
    """Write ``model.safetensors``, ``rounds.parquet`` and ``report.html``; return what noise promises.

    Args:
        folder: of the run.
        plan: of the run.
        learner: the population.
        run: what came of it.
        delta: chance that a promise fails; the plan's if left out.

    Raises:
        InputError: a delta outside of 0 to 1.
        MediaError: files cannot be written.
    """
    from safetensors.torch import save_file

    population = len(learner.examples)
    plan = plan if delta is None else replace(plan, delta=delta)
    promised = plan.promised(population, len(run.rows), int(run.times.max()))
    load(learner.module, run.state.weights)
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file({name: value.clone() for name, value in learner.module.state_dict().items()}, temporary)
    write_parquet(folder / "rounds.parquet", run.rows)
    write_report(
        folder / "report.html", f"Federated run {folder.resolve().name}", plan, run.rows, population=population,
        weights=len(run.state.weights), guarantees=promised, users=learner.users,
    )  # fmt: skip
    return promised
