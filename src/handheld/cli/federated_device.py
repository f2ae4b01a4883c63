"""``handheld federated join``: this machine as a device of a federation."""

import signal
import threading
from pathlib import Path
from types import FrameType
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

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
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
