"""``handheld federated join``: this machine as a device of a federation."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._output import Json, Output, Quiet

if TYPE_CHECKING:
    from handheld.federated.device import ClientTurn

_LOCK = "device.lock"


def join(
    config: Annotated[
        Path, typer.Argument(help="TOML file: server, folder, demands, conditions, tasks.")
    ],
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="End after so many rounds that counted; it goes on without."),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Take part in a federation: learn when the server asks and the device may.

    Ctrl-C ends it; a round that it was in goes on without it.
    """
    from handheld.federated.device.config import read
    from handheld.training.runs import locked

    output = Output(json=json, quiet=quiet)
    output.reads(config)
    settings = read(config)
    stop = threading.Event()
    shown = _Turns(stop, rounds, output)

    # One process a device: two with one identity would be refused in turns.
    with locked(settings.folder, _LOCK):
        try:
            settings.client().run(stop, progress=shown)
        except KeyboardInterrupt:
            output.say("stopped")
    output.result(
        f"{shown.counted} rounds counted of {shown.taken}",
        {"counted": shown.counted, "taken": shown.taken},
    )


class _Turns:
    """Tells of turns, and ends after enough of them."""

    def __init__(self, stop: threading.Event, rounds: int | None, output: Output) -> None:
        self.counted = 0
        self.taken = 0
        self._stop = stop
        self._rounds = rounds
        self._output = output

    def __call__(self, turn: "ClientTurn") -> None:
        if turn.task:
            self.taken += 1
            self.counted += turn.counted
        self._output.say(_words(turn))
        if self._rounds is not None and self.counted >= self._rounds:
            self._stop.set()


def _words(turn: "ClientTurn") -> str:
    if turn.counted:
        return f"{turn.task}: counted; next in {turn.seconds:.0f} s"
    if turn.task:
        return f"{turn.task}: did not count ({turn.reason}); next in {turn.seconds:.0f} s"
    return f"waiting {turn.seconds:.0f} s ({turn.reason or 'nothing to do'})"


def rehearse(
    config: Annotated[Path, typer.Argument(help="TOML file of a simulation: data, model, work.")],
    out: Annotated[Path, typer.Option(help="Folder for the server's and the devices' files.")],
    devices: Annotated[
        int, typer.Option(min=3, help="Devices, the first of the simulation's population.")
    ] = 10,
    rounds: Annotated[
        int, typer.Option(min=0, help="Rounds that they learn now; 0 writes the files alone.")
    ] = 0,
    clip: Annotated[
        float | None,
        typer.Option(help="Length at which devices clip updates, so that sums can be secure."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the server.")] = 8443,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make a real federation of a simulation on this machine: a server, and devices in processes of
    their own, over TLS.

    Its files are what a federation of many machines begins with.
    """
    from handheld.cli._bars import stage_bars
    from handheld.federated.config import read
    from handheld.federated.rehearsal import RehearsedRound, run_rehearsal, write_rehearsal

    output = Output(json=json, quiet=quiet)
    output.reads(config)
    settings = read(config)
    output.writes(out)
    output.reads(config, *settings.files)
    rehearsal = write_rehearsal(
        settings.plan,
        settings.learner(),
        out,
        model=settings.model,
        devices=devices,
        port=port,
        clip=clip,
        code=settings.folder,
    )
    output.say(f"wrote {rehearsal.server_file} and {devices} devices beside it")
    values = []
    with stage_bars(output.console) as bars:

        def tell(one: RehearsedRound) -> None:
            values.append({"round": one.number, "clients": one.clients, **one.test})
            figures = "  ".join(f"{name} {value:.4g}" for name, value in one.test.items())
            bars("rounds", len(values) / rounds, f"{len(values)} of {rounds}  {figures}")

        run_rehearsal(rehearsal, rounds, progress=tell)
    lines = ["  ".join(f"{name} {value:.6g}" for name, value in row.items()) for row in values]
    output.result("\n".join(lines), {"server": rehearsal.server_file, "rounds": values})
