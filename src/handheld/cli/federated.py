"""``handheld federated``: one model over many devices whose data never leaves them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Train one model over many devices whose data never leaves them.", no_args_is_help=True)


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
    folder, learner = out or wanted.out, wanted.learner()
    board: list[TensorBoard] = []
    with stage_bars(console) as bars:

        def show(done: int, of: int, row: dict[str, float]) -> None:
            known = [f"{name} {row[name]:.4g}" for name in ("loss", "test_loss", "test_accuracy") if name in row]
            bars("rounds", done / of, f"{done:,} of {of:,}  {'  '.join(known)}")
            if tensorboard:
                if not board:
                    board.append(TensorBoard(folder / "tensorboard", done))
                board[0].add(row)

        made = run_plan(plan, learner, out=folder, workers=workers, engine=engine, address=address, progress=show)
    for each in board:
        each.close()
    for user, why in sorted(made.rejected.items()):
        console.print(f"device {user}: update not taken: {why}", highlight=False, soft_wrap=True)
    promised = write_run(folder, plan, learner, made, delta=delta)
    typer.echo("  ".join(f"{name} {value:.6g}" for name, value in made.rows[-1].items()))
    for promise in promised:
        typer.echo(f"(epsilon, delta) = {promise}")
    console.print(f"wrote {folder / 'report.html'}", soft_wrap=True)
