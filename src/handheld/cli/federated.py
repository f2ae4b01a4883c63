"""``handheld federated``: one model over many devices whose data never leaves them."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handheld.cli import federated_serve
from handheld.cli._output import INTERRUPTED, Json, Output, Quiet
from handheld.cli.federated_device import join, rehearse
from handheld.errors import InputError

if TYPE_CHECKING:
    from handheld.federated.learning import PopulationLearner
    from handheld.federated.learning.evaluation import PerUser
    from handheld.federated.report import TensorBoard
    from handheld.federated.simulator import Plan, SimulationRun, StoppedRunError

    Progress = Callable[[int, int, dict[str, float]], None]

_NAMED = 20  # rejected devices that are named one by one

_SHORT = {
    "loss": "loss {:.3g}",
    "test_loss": "test {:.3g}",
    "test_accuracy": "right {:.1%}",
    "epsilon": "epsilon {:.3g}",
}
"""Figures that a bar shows, in this order, and how."""

app = typer.Typer(
    help="Train one model over many devices whose data never leaves them.", no_args_is_help=True
)


# With one command typer would leave its name out: the callback keeps "federated simulate".
@app.callback()
def _root() -> None:
    pass


app.command()(join)
app.command()(rehearse)


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
    """Let a population of devices learn, in this machine.

    Ctrl-C stops it; the same command goes on where it was.
    """
    from handheld.config import code_in
    from handheld.federated.config import read
    from handheld.federated.report import files_of, require_tensorboard, write_run

    output = Output(json=json, quiet=quiet)
    # before it is read: a result that would be written over it is refused
    output.reads(config)
    # Now, and not after the first round.
    if tensorboard:
        require_tensorboard()
    settings = read(config)
    folder = out or settings.out
    output.writes(*files_of(folder))
    output.reads(config, *settings.files)
    learner = settings.learner()
    # What a configuration runs is known once it was imported.
    output.reads(*code_in(settings.folder))
    plan = _with_options(settings.plan, rounds=rounds, delta=delta)
    if per_user:
        _require_no_noise(plan)
    # after the rounds are known, over which the promise is spent
    if target_epsilon is None:
        target_epsilon = settings.target_epsilon
    if target_epsilon is not None:
        plan = plan.for_epsilon(target_epsilon, len(learner.examples), out=folder)
    board_folder = None
    if tensorboard:
        board_folder = folder
    rounds_shown = _Rounds(board_folder)
    # closed whatever ends the run: the last figures may still be in TensorBoard's buffer
    with closing(rounds_shown):
        run, problem = _run(
            plan,
            learner,
            folder,
            rounds_shown,
            output,
            workers=workers,
            backend=backend,
            address=address,
        )
    _tell_rejected(run, output)
    report = folder / "report.html"
    # Of a run that a fault stopped the report tells, and the error that is raised.
    if problem is not None:
        write_run(folder, plan, learner, run, problem=str(problem))
        output.say(f"wrote {report}")
        raise problem
    per_device = None
    if per_user:
        per_device = _evaluated_users(learner, run)
    promises = write_run(folder, plan, learner, run, users=per_device)
    _give_results(output, run, per_device, list(map(str, promises)), report)
    output.say(f"wrote {report}")


def _require_no_noise(plan: "Plan") -> None:
    """Raise :class:`InputError` where figures of single devices would break what noise promises."""
    if plan.promises:
        raise InputError(
            "--per-user tells of devices' own examples without noise, which this plan's noise "
            "promises to hide"
        )


def _run(
    plan: "Plan",
    learner: "PopulationLearner",
    folder: Path,
    rounds_shown: "_Rounds",
    output: Output,
    **options: Any,
) -> "tuple[SimulationRun, StoppedRunError | None]":
    """Return what came of a run, and what stopped it before its end, if something did.

    Args:
        plan, learner: of the run.
        folder: that it goes on from.
        rounds_shown: is told of each round.
        output: for a word where Ctrl-C ends it.
        options: where devices learn.
    """
    from handheld.cli._bars import stage_bars
    from handheld.federated.simulator import StoppedRunError
    from handheld.federated.simulator import simulate as run_plan

    try:
        with stage_bars(output.console) as bars:
            progress = rounds_shown.on(bars)
            return run_plan(plan, learner, out=folder, progress=progress, **options), None
    except KeyboardInterrupt:
        last = rounds_shown.last_of(plan.rounds)
        output.say(f"stopped {last}; the same command goes on from there ({folder})")
        raise typer.Exit(INTERRUPTED) from None
    except StoppedRunError as problem:
        if problem.run is None:  # it came from another process, without what came of the run
            raise
        return problem.run, problem


def _with_options(plan: "Plan", *, rounds: int | None, delta: float | None) -> "Plan":
    """Return a plan with what the command line says in place of the configuration's."""
    from dataclasses import replace

    if rounds is not None:
        plan = replace(plan, rounds=rounds)
    if delta is not None:
        plan = replace(plan, delta=delta)
    return plan


class _Rounds:
    """Shows rounds as they end, and writes them for TensorBoard.

    Args:
        folder: of the run; None: nothing is written for TensorBoard.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._board: TensorBoard | None = None
        self._latest: dict[str, float] = {}

    def on(self, bars: Callable[[str, float, str], None]) -> "Progress":
        """Return what is to be called with each round's figures."""

        def show(done: int, total: int, row: dict[str, float]) -> None:
            # Not each round is evaluated: the last known figures stay.
            self._latest.update(row)
            figures = _figures(self._latest)
            bars("rounds", done / total, f"{done:,} of {total:,}  {figures}")
            if self._folder is not None:
                self._write(self._folder, done, row)

        return show

    def _write(self, folder: Path, done: int, row: dict[str, float]) -> None:
        from handheld.federated.report import TensorBoard

        # Not before the first round, which says where a run goes on.
        if self._board is None:
            self._board = TensorBoard(folder / "tensorboard", done)
        self._board.add(row)

    def last_of(self, rounds: int) -> str:
        """Return which round was the last."""
        if not self._latest:
            return "before its first new round"
        return f"after round {self._latest['round']:,.0f} of {rounds:,}"

    def close(self) -> None:
        """End TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def _tell_rejected(run: "SimulationRun", output: Output) -> None:
    """Say which devices' updates were not taken."""
    for user, reason in sorted(run.rejected.items())[:_NAMED]:
        output.say(f"device {user}: update not taken: {reason}")
    if len(run.rejected) > _NAMED:
        output.say(f"and {len(run.rejected) - _NAMED:,} devices more")


def _give_results(
    output: Output,
    run: "SimulationRun",
    per_device: "PerUser | None",
    promises: list[str],
    report: Path,
) -> None:
    spreads = {}
    if per_device is not None:
        spreads = {name: per_device.spread(name) for name in per_device.figures}
    last_round = run.rows[-1]
    lines = ["  ".join(f"{name} {value:.6g}" for name, value in last_round.items())]
    for name, spread in spreads.items():
        figures = "  ".join(f"{quantile} {value:.4g}" for quantile, value in spread.items())
        lines.append(f"{name} on devices' own examples: {figures}")
    lines += [f"(epsilon, delta) = {promise}" for promise in promises]
    values = {
        "last_round": last_round,
        "own_examples": spreads,
        "promises": promises,
        "report": report,
    }
    output.result("\n".join(lines), values)


def _figures(row: Mapping[str, float]) -> str:
    """Return the newest figures in few letters.

    A bar and its times leave some forty of eighty columns.
    """
    shown = []
    for name, text in _SHORT.items():
        if name in row:
            shown.append(text.format(row[name]))
    return "  ".join(shown)


def _evaluated_users(learner: "PopulationLearner", run: "SimulationRun") -> "PerUser":
    from handheld.federated.learning.modules import ModuleLearner

    if not isinstance(learner, ModuleLearner):
        raise InputError(
            f"--per-user: {type(learner).__name__} does not evaluate devices' own examples; "
            "a torch module does"
        )
    return learner.evaluate_users(run.state)


for serve_command in federated_serve.COMMANDS:
    app.command()(serve_command)
