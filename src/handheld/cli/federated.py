"""``handheld federated``: one model over many devices whose data never leaves them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Train one model over many devices whose data never leaves them.", no_args_is_help=True)


_LINES = 20  # of a run, where no terminal shows a bar


@app.callback()
def _root() -> None:
    pass


@app.command()
def simulate(
    config: Annotated[Path, typer.Argument(help="TOML file: data, model, algorithm, work, devices, stages.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run, instead of the configuration's.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds, instead of the configuration's; a run may become longer.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that learn.")] = 1,
    engine: Annotated[str, typer.Option(help="Where devices learn: local, or ray, on a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Address of a Ray cluster; a local one is started without.")] = None,
    tensorboard: Annotated[bool, typer.Option(help="Also write for TensorBoard, into the run's folder.")] = False,
    delta: Annotated[float | None, typer.Option(help="Chance that what noise promises fails; one over the devices.")] = None,
    target_epsilon: Annotated[
        float | None, typer.Option(help="What central noise is to promise after all rounds, instead of its multiplier.")
    ] = None,
) -> None:
    """Let a population of devices learn, in this machine. Ctrl-C stops it; the same command goes on where it was."""
    from dataclasses import replace

    from rich.console import Console

    from handheld.cli._bars import stage_bars
    from handheld.federated.config import read
    from handheld.federated.report import TensorBoard, write_run
    from handheld.federated.simulator import simulate as run_plan

    console, wanted = Console(stderr=True), read(config)
    plan = wanted.plan if rounds is None else replace(wanted.plan, rounds=rounds)
    plan = plan if delta is None else replace(plan, delta=delta)
    folder, learner = out or wanted.out, wanted.learner()
    target = wanted.target_epsilon if target_epsilon is None else target_epsilon
    if target is not None:
        plan = plan.for_epsilon(target, len(learner.examples))
    reached = 0
    board: list[TensorBoard] = []
    with stage_bars(console) as bars:

        def show(done: int, of: int, row: dict[str, float]) -> None:
            nonlocal reached
            reached = done
            names = ("loss", "test_loss", "test_accuracy", "epsilon")
            known = [f"{name} {row[name]:.4g}" for name in names if name in row]
            text = f"{done:,} of {of:,}  {'  '.join(known)}"
            bars("rounds", done / of, text)
            # A log gets no bar, but some twenty lines.
            if not console.is_terminal and (done * _LINES // of > (done - 1) * _LINES // of):
                console.print(f"round {text}", highlight=False, soft_wrap=True)
            if tensorboard:
                if not board:
                    board.append(TensorBoard(folder / "tensorboard", done))
                board[0].add(row)

        try:
            made = run_plan(plan, learner, out=folder, workers=workers, engine=engine, address=address, progress=show)
        except KeyboardInterrupt:
            where = "before the first round of this call"
            if reached:
                where = f"after round {reached:,} of {plan.rounds:,}, which {folder} keeps"
            console.print(f"stopped {where}; the same command goes on from there", soft_wrap=True)
            raise typer.Exit(130) from None
        finally:
            for each in board:
                each.close()
    for user, why in sorted(made.rejected.items()):
        console.print(f"device {user}: update not taken: {why}", highlight=False, soft_wrap=True)
    promised = write_run(folder, plan, learner, made)
    typer.echo("  ".join(f"{name} {value:.6g}" for name, value in made.rows[-1].items()))
    for promise in promised:
        typer.echo(f"(epsilon, delta) = {promise}")
    console.print(f"wrote {folder / 'report.html'}", soft_wrap=True)
