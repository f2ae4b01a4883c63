"""``handheld bench``: the commands of a challenge, for its host and its contestants."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handheld.cli._hosts import LOCAL
from handheld.cli._output import Json, Output, Quiet

if TYPE_CHECKING:
    from handheld.bench.challenge import ChallengeFolder

_FAILED = 1  # exit status of submit where a model was not accepted

Folder = Annotated[Path, typer.Argument(help="Folder of the challenge.")]
Database = Annotated[
    str | None,
    typer.Option(help="SQLite file or postgresql:// URL; a file in the folder if left out."),
]
Files = Annotated[
    str | None,
    typer.Option(help="Folder or URL (such as s3://bucket/models) of what is submitted."),
]
Url = Annotated[str, typer.Option(help="Address of the challenge.")]


def init(
    folder: Annotated[Path, typer.Argument(help="New folder of the challenge.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Examples, an .npz file, or for detection a folder with annotations.json; small "
            "pictures are drawn if left out."
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(help="What models do: classification or detection.")
    ] = "classification",
    split: Annotated[
        str, typer.Option(help="Examples of such a file: test, valid, train or all.")
    ] = "test",
    seed: Annotated[int, typer.Option(min=0, help="Of the division in two parts.")] = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Write a challenge: rules, a public and a hidden part of the data, sample submissions."""
    from handheld.bench.challenge import write_challenge

    output = Output(json=json, quiet=quiet)
    output.reads(data, folder)
    challenge = write_challenge(folder, data=data, split=split, seed=seed, task=task)
    samples = challenge.samples()
    lines = [f"{folder}: challenge.toml, data/public.npz, data/hidden.npz"]
    lines += [f"a sample submission: {path.relative_to(challenge.root)}" for path in samples]
    lines.append(f"host it: handheld bench serve {folder}")
    output.result("\n".join(lines), {"folder": folder, "samples": samples})


def serve(
    folder: Folder,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8080,
    database: Database = None,
    files: Files = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="Device that this process measures on; the first one if left out."),
    ] = None,
    measure: Annotated[
        bool, typer.Option(help="Measure here; else workers do ('handheld bench work').")
    ] = True,
    invitation: Annotated[
        str | None,
        typer.Option(
            envvar="HANDHELD_INVITATION",
            help="What a team must know to register; all may without one.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name under which people reach the server; may be repeated."),
    ] = None,
) -> None:
    """Host a challenge: pages, submissions, measurements, leaderboard; Ctrl-C stops it, and it goes
    on next time.
    """
    from handheld.bench.challenge.hosting import serve_challenge
    from handheld.engine import isolation

    challenge = _challenge(folder)
    # A word and no error: a network may be closed to others by other means.
    if invitation is None and host not in LOCAL:
        typer.echo(
            "without --invitation, everybody who reaches this address may register", err=True
        )
    typer.echo(f"models run in {isolation()}", err=True)
    devices: list[str] | None = device
    if not measure:
        devices = []
    serve_challenge(
        challenge,
        database=database,
        files=files,
        devices=devices,
        invitation=invitation,
        host=host,
        port=port,
        hosts=name or (),
        on_start=lambda address: typer.echo(f"listening on {address}"),
    )


def work(
    folder: Folder,
    device: Annotated[str, typer.Option(help="Device of the rules that this machine is.")],
    database: Database = None,
    files: Files = None,
) -> None:
    """Measure submissions on a device, beside a server that shares folder and database; Ctrl-C
    stops it.
    """
    from handheld.bench.challenge import hosting

    challenge = _challenge(folder)
    typer.echo(f"measuring on {device}", err=True)
    hosting.work(challenge, device, database=database, files=files)


def close(
    folder: Folder, database: Database = None, json: Json = None, quiet: Quiet = False
) -> None:
    """Take no more models; once all are measured, the best go on to the hidden part."""
    from handheld.bench.challenge.hosting import opened_store

    output = Output(json=json, quiet=quiet)
    output.reads(folder)
    with opened_store(_challenge(folder), database) as store:
        store.close()
    words = f"{folder}: closed; a server or a worker that runs measures the finals"
    output.result(words, {"folder": folder, "closed": True})


def renew_token(
    folder: Folder,
    team: Annotated[str, typer.Argument(help="Name of the team.")],
    database: Database = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Give a team another token; the one before is worth nothing any more."""
    from handheld.bench.challenge.hosting import opened_store

    output = Output(json=json, quiet=quiet)
    output.reads(folder)
    with opened_store(_challenge(folder), database) as store:
        token = store.renew_token(team)
    output.result(token, {"team": team, "token": token})


def log(folder: Folder, database: Database = None, json: Json = None, quiet: Quiet = False) -> None:
    """Say who did what and when: registrations, submissions, measurements, the end."""
    from handheld.bench.challenge.hosting import opened_store
    from handheld.bench.challenge.rules import time_text

    output = Output(json=json, quiet=quiet)
    output.reads(folder)
    with opened_store(_challenge(folder), database) as store:
        entries = store.audit_log()
    lines = []
    for entry in entries:
        words = (entry["actor"], entry["action"], entry["subject"], entry["detail"])
        lines.append(" ".join([time_text(entry["at"]), *filter(None, words)]))
    output.result("\n".join(lines), entries)


def register(
    team: Annotated[str, typer.Argument(help="Name of the team.")],
    url: Url,
    invitation: Annotated[
        str, typer.Option(envvar="HANDHELD_INVITATION", help="Of the host, where one is needed.")
    ] = "",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Register a team at a challenge; prints its token, which is shown this once."""
    from handheld.bench.challenge.client import ChallengeClient

    output = Output(json=json, quiet=quiet)
    answer = ChallengeClient(url).register(team, invitation)
    output.result(str(answer.get("token", "")), answer)


def submit(
    model: Annotated[Path, typer.Argument(help="Model file, .tflite.")],
    url: Url,
    token: Annotated[str, typer.Option(envvar="HANDHELD_TOKEN", help="Of the team.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the model; that of the file if left out.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is measured.")] = True,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Submit a model to a challenge, and wait for what is measured.

    Exit status 1 where it was not accepted.
    """
    from handheld.bench.challenge.client import ChallengeClient

    output = Output(json=json, quiet=quiet)
    output.reads(model)
    client = ChallengeClient(url, token)
    if client.is_open:
        output.warn("the token goes over http, where others on the way can read it")
    answer = client.submit(model, name or model.stem)
    address = str(answer.get("url", ""))
    output.say(f"submitted: {url.rstrip('/')}{address}")
    if not wait:
        output.result(address, answer)
        return
    last = ""
    with output.stoppable():
        for answer in client.follow(address):
            words = f"{answer.get('state')} {answer.get('message')}".strip()
            if words != last:
                output.say(words)
                last = words
    output.result(_words(answer), answer)
    if answer.get("state") != "done":
        raise typer.Exit(_FAILED)


COMMANDS = (init, serve, work, close, renew_token, log, register, submit)
"""In the order of the help."""


def _challenge(folder: Path) -> "ChallengeFolder":
    from handheld.bench.challenge import ChallengeFolder

    return ChallengeFolder.read(folder)


def _words(answer: dict[str, Any]) -> str:
    """Return what became of a submission, a line for each measurement."""
    from handheld.reports import percent, seconds_text

    if answer.get("state") != "done":
        return f"not accepted: {answer.get('error')}"
    lines = []
    metric = answer.get("metric", "accuracy")
    for row in answer.get("measurements", ()):
        verdict = "VALID"
        if not row["valid"]:
            verdict = f"INVALID ({'; '.join(row['reasons'])})"
        lines.append(
            f"{row['data']} part on {row['device']}: score {percent(row['score'], 1)}, {metric} "
            f"{percent(row['accuracy'], 1)}, {seconds_text(row['latency'])}, {verdict}"
        )
    return "\n".join(lines)
