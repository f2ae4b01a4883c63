import pytest
from typer.testing import CliRunner

from handheld.cli.app import app


@pytest.fixture
def served(monkeypatch):
    """Keep what the server would be started with."""
    given = []
    monkeypatch.setattr(
        "handheld.service.serve", lambda kinds, **values: given.append((kinds, values))
    )
    return given


def test_options_become_limits(served):
    options = (
        "--host 0.0.0.0 --max-upload 0.5 --hours 2 --max-memory 8 --max-epochs 5 --max-unpacked "
        "1 --max-side 64"
    )
    done = CliRunner().invoke(app, ["compress", "serve", *options.split(), "--name", "a.example"])
    assert done.exit_code == 0, done.output
    assert "without --token, everybody who reaches this address may submit jobs" in done.output
    (((kind,), values),) = served
    limits = values["limits"]
    assert (limits.upload_bytes, limits.seconds, limits.memory_bytes) == (
        500_000_000,
        7200,
        8 * 10**9,
    )
    assert (kind.field("epochs").maximum, kind.field("side").maximum, values["hosts"]) == (
        5,
        64,
        ["a.example"],
    )
    assert "1 GB unpacked" in kind.field("data").help


def test_defaults_are_for_this_machine_alone(served):
    done = CliRunner().invoke(app, ["compress", "serve"], env={"HANDHELD_TOKEN": "a long secret"})
    assert (done.exit_code, done.output) == (0, "")
    assert (served[0][1]["host"], served[0][1]["token"], served[0][1]["limits"].running) == (
        "127.0.0.1",
        "a long secret",
        1,
    )
