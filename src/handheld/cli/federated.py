"""``handheld federated``: one model over many devices whose data never leaves them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._output import INTERRUPTED, Json, Output, Quiet
from handheld.errors import InputError

if TYPE_CHECKING:
    from handheld.federated.learning import PopulationLearner
    from handheld.federated.learning.evaluation import PerUser
    from handheld.federated.simulator import SimulationRun

_NAMED = 20  # rejected devices that are named one by one

app = typer.Typer(
    help="Train one model over many devices whose data never leaves them.", no_args_is_help=True
)


@app.callback()
def _root() -> None:
    pass


@app.command()
def simulate(
    config: Annotated[
        Path, typer.Argument(help="TOML file: data, model, algorithm, work, devices, stages.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run, instead of the configuration's.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(help="Rounds, instead of the configuration's; a run may become longer."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that learn.")] = 1,
    backend: Annotated[
        str, typer.Option(help="Where devices learn: local, or ray, on a cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster; a local one is started without.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option(help="Also write for TensorBoard, into the run's folder.")
    ] = False,
    delta: Annotated[
        float | None,
        typer.Option(help="Chance that what noise promises fails; one over the devices."),
    ] = None,
    per_user: Annotated[
        bool,
        typer.Option(help="Also evaluate the model on each device's own examples, for the report."),
    ] = False,
    target_epsilon: Annotated[
        float | None,
        typer.Option(
            help="What central noise is to promise after all rounds, instead of its multiplier."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Let a population of devices learn, in this machine. Ctrl-C stops it; the same command goes on where it was."""
    from dataclasses import replace

    from handheld.cli._bars import stage_bars
    from handheld.federated.config import read
    from handheld.federated.report import TensorBoard, require_tensorboard, write_run
    from handheld.federated.simulator import StoppedRunError
    from handheld.federated.simulator import simulate as run_plan

    output = Output(json=json, quiet=quiet)
    if tensorboard:
        require_tensorboard()
    wanted = read(config)
    plan = wanted.plan if rounds is None else replace(wanted.plan, rounds=rounds)
    plan = plan if delta is None else replace(plan, delta=delta)
    folder, learner = out or wanted.out, wanted.learner()
    if per_user and plan.promises:
        raise InputError(
            "--per-user tells of devices' own examples without noise, which this plan's noise promises to hide"
        )
    target = wanted.target_epsilon if target_epsilon is None else target_epsilon
    if target is not None:
        plan = plan.for_epsilon(target, len(learner.examples), out=folder)
    board: list[TensorBoard] = []
    last: dict[str, float] = {}
    problem: StoppedRunError | None = None
    try:
        with stage_bars(output.console) as bars:

            def show(done: int, of: int, row: dict[str, float]) -> None:
                last.update(row)
                bars("rounds", done / of, f"{done:,} of {of:,}  {_figures(last)}")
                if tensorboard:
                    if not board:
                        board.append(TensorBoard(folder / "tensorboard", done))
                    board[0].add(row)

            made = run_plan(
                plan,
                learner,
                out=folder,
                workers=workers,
                backend=backend,
                address=address,
                progress=show,
            )
    except KeyboardInterrupt:
        done = (
            f"after round {last['round']:,.0f} of {plan.rounds:,}"
            if last
            else "before its first new round"
        )
        output.say(f"stopped {done}; the same command goes on from there ({folder})")
        raise typer.Exit(INTERRUPTED) from None
    except StoppedRunError as stopped:
        if stopped.run is None:  # it came from another process, without what came of the run
            raise
        problem, made = stopped, stopped.run
    finally:
        for each in board:
            each.close()
    for user, why in sorted(made.rejected.items())[:_NAMED]:
        output.say(f"device {user}: update not taken: {why}")
    if len(made.rejected) > _NAMED:
        output.say(f"and {len(made.rejected) - _NAMED:,} devices more")
    own = _own_examples(learner, made) if per_user and problem is None else None
    promised = write_run(folder, plan, learner, made, problem=str(problem or ""), users=own)
    if problem is not None:
        output.say(f"wrote {folder / 'report.html'}")
        raise problem
    spreads = {name: own.spread(name) for name in own.figures} if own is not None else {}
    lines = ["  ".join(f"{name} {value:.6g}" for name, value in made.rows[-1].items())]
    for name, spread in spreads.items():
        figures = "  ".join(f"{part} {value:.4g}" for part, value in spread.items())
        lines.append(f"{name} on devices' own examples: {figures}")
    lines += [f"(epsilon, delta) = {promise}" for promise in promised]
    values = {
        "last_round": made.rows[-1],
        "own_examples": spreads,
        "promises": list(map(str, promised)),
        "report": folder / "report.html",
    }
    output.result("\n".join(lines), values)
    output.say(f"wrote {folder / 'report.html'}")


def _figures(row: Mapping[str, float]) -> str:
    """Return the newest figures in few letters: a bar and its times leave some forty of eighty columns."""
    told = []
    for name, short in (
        ("loss", "loss"),
        ("test_loss", "test"),
        ("test_accuracy", "right"),
        ("epsilon", "epsilon"),
    ):
        if name in row:
            told.append(
                f"{short} {row[name]:.1%}"
                if name == "test_accuracy"
                else f"{short} {row[name]:.3g}"
            )
    return "  ".join(told)


def _own_examples(learner: "PopulationLearner", run: "SimulationRun") -> "PerUser":
    from handheld.federated.learning.modules import ModuleLearner

    if not isinstance(learner, ModuleLearner):
        raise InputError(
            f"--per-user: {type(learner).__name__} does not evaluate devices' own examples; a torch module does"
        )
    return learner.evaluate_users(run.state)
