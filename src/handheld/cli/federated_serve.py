"""``handheld federated``: the commands of a federation's server, for who runs it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._output import Json, Output, Quiet
from handheld.errors import InputError

if TYPE_CHECKING:
    from handheld.federated.server.enrolment import EnrolmentStore

_KEY_DIGITS = 64

Config = Annotated[Path, typer.Argument(help="TOML file: server, pace, tasks.")]
Identity = Annotated[str, typer.Argument(help="Public key of the device, 64 hexadecimal digits.")]


def serve(
    config: Config,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port to listen on, instead of the file's; 0 takes a free one."
        ),
    ] = None,
) -> None:
    """Serve a federation: devices check in, rounds are made of them; Ctrl-C stops it, and it goes
    on next time.

    HANDHELD_ENROLMENT_TOKEN is what devices enrol with, HANDHELD_OPERATOR_TOKEN opens the
    operator's page.
    """
    from handheld.federated.server.hosting import (
        ENROLMENT_TOKEN,
        OPERATOR_TOKEN,
        serve_federation,
        token_of,
    )

    operator_token = token_of(OPERATOR_TOKEN)
    if operator_token is None:
        typer.echo(f"without {OPERATOR_TOKEN} there is no operator's page", err=True)
    serve_federation(
        config,
        enrolment_token=token_of(ENROLMENT_TOKEN),
        operator_token=operator_token,
        port=port,
        on_start=lambda address: typer.echo(f"listening on {address}"),
    )


def certificates(
    folder: Annotated[Path, typer.Argument(help="Folder of the authority and its certificates.")],
    host: Annotated[
        list[str], typer.Option(help="Name or address of the server; may be repeated.")
    ],
    days: Annotated[int, typer.Option(min=1, max=3650, help="For which they are good.")] = 365,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make an authority of one's own and a server's certificate, for a try or a closed network."""
    from handheld.federated.server.pki import write_certificates

    output = Output(json=json, quiet=quiet)
    paths = write_certificates(folder, host, days=days)
    authority, certificate, key = paths
    words = f"for the server: {certificate}, {key}\nfor devices: {authority}"
    output.result(words, {"authority": authority, "certificate": certificate, "key": key})


def enrol(config: Config, identity: Identity, json: Json = None, quiet: Quiet = False) -> None:
    """Let a device take part, by its public key."""
    output = Output(json=json, quiet=quiet)
    output.reads(config)
    key = _key(identity)
    _enrolment(config).enrol(key)
    output.result(f"enrolled: {key.hex()}", {"identity": key.hex(), "enrolled": True})


def revoke(config: Config, identity: Identity, json: Json = None, quiet: Quiet = False) -> None:
    """Let a device take part no more; servers know within some seconds."""
    output = Output(json=json, quiet=quiet)
    output.reads(config)
    key = _key(identity)
    _enrolment(config).revoke(key)
    output.result(f"revoked: {key.hex()}", {"identity": key.hex(), "enrolled": False})


COMMANDS = (serve, certificates, enrol, revoke)
"""In the order of the help."""


def _enrolment(config: Path) -> "EnrolmentStore":
    from handheld.federated.server.hosting import open_enrolment

    return open_enrolment(config)


def _key(identity: str) -> bytes:
    try:
        key = bytes.fromhex(identity)
    except ValueError:
        key = b""
    if len(key) * 2 != _KEY_DIGITS:
        raise InputError(
            f"identity: expected {_KEY_DIGITS} hexadecimal digits, got {identity[:80]!r}"
        )
    return key
