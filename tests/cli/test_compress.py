import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.compress import TeacherWarning
from handheld.compress import run as run_module
from handheld.compress.family import Family, Latency, Member
from handheld.errors import InputError

RUNNER = CliRunner()


def member(name: str, size: int, valid: float) -> Member:
    latency = Latency(size * 1e-8, size * 1e-8, 0.0, 40)
    return Member(
        name,
        f"{name}.tflite",
        name,
        "int8",
        size,
        size,
        size,
        latency,
        valid,
        valid,
        valid,
        size,
        latency,
    )


@pytest.fixture
def family(tmp_path: Path) -> Family:
    made = Family(
        tmp_path,
        ("a", "b"),
        member("teacher", 900_000, 0.95),
        (member("large", 90_000, 0.93), member("tiny", 9_000, 0.88)),
    )
    made.save()
    for one in made.members:
        (tmp_path / one.file).write_bytes(b"x" * one.size)
    return made


def test_the_most_accurate_that_fits_is_copied(family: Family, tmp_path: Path):
    out = tmp_path / "picked.tflite"
    for limits, name in (
        (["--max-size", "200KB"], "large"),
        (["--max-size", "10KB"], "tiny"),
        (["--max-latency", "0.5ms"], "tiny"),
    ):
        done = RUNNER.invoke(
            app, ["compress", "pick", str(family.folder), *limits, "--out", str(out)]
        )
        assert done.exit_code == 0, done.output
        assert name in done.output
        assert out.read_bytes() == (family.folder / f"{name}.tflite").read_bytes()


def test_what_does_not_fit_copies_nothing(family: Family, tmp_path: Path):
    out = tmp_path / "picked.tflite"
    for limits in (["--max-size", "1KB"], ["--max-size", "10KB", "--min-accuracy", "92%"], []):
        done = RUNNER.invoke(
            app, ["compress", "pick", str(family.folder), *limits, "--out", str(out)]
        )
        assert isinstance(done.exception, InputError)
    assert not out.exists()


CONFIG = """
out = "made"
targets = ["2x smaller"]
[data]
path = "pictures.npz"
[teacher]
width = 4
"""


def test_a_configuration_is_run_as_it_says(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import numpy as np

    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "pictures.npz",
        x=rng.integers(0, 255, (40, 8, 8), dtype=np.uint8),
        y=np.arange(40) % 2,
    )
    (tmp_path / "c.toml").write_text(CONFIG)
    given: dict[str, Any] = {}

    def compress(teacher: Any, data: Any, **options: Any) -> Family:
        given.update(options, teacher=teacher, data=data)
        options["progress"]("joint training", 0.5, "loss 1")
        warnings.warn("the teacher [x] guesses", TeacherWarning, stacklevel=1)
        return family

    monkeypatch.setattr(run_module, "compress", compress)
    for words in (
        ["compress", str(tmp_path / "c.toml")],
        ["compress", "run", str(tmp_path / "c.toml"), "--out", "there"],
    ):
        done = RUNNER.invoke(app, words)
        assert done.exit_code == 0, done.output
        assert "| large" in done.output
        assert "note: the teacher [x] guesses\n" in done.output
        assert "joint training 50%  loss 1\n" in done.output  # nobody watches: a line
    assert given["teacher"].width == 4
    assert given["out"] == Path("there")
    assert [str(target) for target in given["targets"]] == ["2x smaller, nested"]
    assert len(given["data"].train) + len(given["data"].valid) + len(given["data"].test) == 40


def test_what_is_left_out_and_what_is_odd_is_told(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = "".join(f"{'ab'[number % 2]},text {number}\n" for number in range(20))
    for name in ("train", "test", "more"):
        (tmp_path / "texts").mkdir(exist_ok=True)
        (tmp_path / "texts" / f"{name}.csv").write_text("label,text\n" + rows)
    (tmp_path / "c.toml").write_text('[data]\npath = "texts"\n')
    monkeypatch.setattr(run_module, "compress", lambda *_, **__: family)
    done = RUNNER.invoke(app, ["compress", str(tmp_path / "c.toml")])
    assert done.exit_code == 0, done.output
    assert "more.csv: is the name of no split: expected one of train," in done.stderr
    assert (
        "of the 20 test examples also in the training split: accuracy on them says little"
        in done.stderr
    )


def test_a_configuration_that_is_wrong_is_named(tmp_path: Path):
    (tmp_path / "c.toml").write_text('[data]\npath = "x"\n[teacher]\nwith = 4\n')
    done = RUNNER.invoke(app, ["compress", str(tmp_path / "c.toml")])
    assert isinstance(done.exception, InputError)
    assert "'with'" in str(done.exception)


def test_a_family_is_json(family: Family):
    assert json.loads((family.folder / "family.json").read_text())["format"] == 1


@pytest.mark.parametrize("option", ["--max-upload", "--max-unpacked", "--max-memory"])
@pytest.mark.parametrize("amount", ["nan", "inf", "0", "-1", "1e300"])
def test_a_server_names_the_limit_that_is_no_amount(option: str, amount: str):
    refused = RUNNER.invoke(app, ["compress", "serve", option, amount])
    assert isinstance(refused.exception, InputError)
    assert str(refused.exception).startswith(f"{option}: expected a number in (0, 1000000000]")


@pytest.mark.parametrize("option", ["--max-epochs", "--hours", "--keep-days"])
def test_a_server_takes_no_time_without_an_end(option: str):
    for amount in ("nan", "inf"):
        refused = RUNNER.invoke(app, ["compress", "serve", option, amount])
        assert isinstance(refused.exception, InputError)
        assert str(refused.exception).endswith(f"got {amount}")


@pytest.mark.parametrize("room", ["compress", "reply"])
@pytest.mark.parametrize("port", ["-1", "65536", "99999"])
def test_a_port_that_cannot_be_is_a_wrong_call(room: str, port: str):
    refused = RUNNER.invoke(app, [room, "serve", "--port", port])
    assert refused.exit_code == 2
    assert "--port" in refused.output


@pytest.mark.parametrize(
    ("option", "said", "expected"),
    [
        ("--max-size", "92%", "nothing but its size"),
        ("--max-size", "200KB, plain", "nothing but its size"),
        ("--max-latency", "70KB", "nothing but its latency"),
        ("--min-accuracy", "5ms", "nothing but its accuracy"),
    ],
)
def test_a_limit_of_something_else_is_refused(
    family: Family, option: str, said: str, expected: str
):
    done = RUNNER.invoke(app, ["compress", "pick", str(family.folder), option, said])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == f"{option}: expected {expected}, got {said!r}"


def test_a_member_is_not_copied_over_the_family(family: Family, tmp_path: Path):
    (tmp_path / family.teacher.file).write_bytes(b"teacher")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    pick = ["compress", "pick", str(tmp_path), "--max-size", "1MB"]
    for name in ("family.json", family.teacher.file, *(one.file for one in family.members)):
        RUNNER.invoke(app, [*pick, "--out", str(tmp_path / name)])
        RUNNER.invoke(app, [*pick, "--out", str(tmp_path / "copy"), "--json", str(tmp_path / name)])
    assert RUNNER.invoke(app, [*pick, "--out", str(tmp_path / "copy")]).exit_code == 0
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "copy"}
    assert after.keys() == before.keys()
    assert all(after[name] == content for name, content in before.items())
