"""Configurations: what is wrong is named."""

import pytest
from federations import write_federation

from handheld.errors import InputError
from handheld.federated.server.config import TaskSettings, open_tasks, read_settings
from handheld.federated.server.hosting import tls_files, token_of

WRONG = {
    "an entry that is none": ("[server]\nprot = 1", "no entry 'prot'"),
    "a text as a number": ('[server]\nport = "x"', "server.port: expected a whole number"),
    "a key alone": ('[server]\nkey = "a"', "server.certificate: expected a certificate and a key"),
    "another way to enrol": ('[server]\nenrolment = "x"', "server.enrolment"),
    "no authority": ('[server]\nenrolment = "certificate"', "server.client_authority"),
    "a group of three": ('[[tasks]]\ntask = "a:b"\ngroup = 3', r"tasks\[0\].group"),
    "less than nothing": ('[[tasks]]\ntask = "a:b"\nleast = 11', r"least: .* in \[1, 10\]"),
    "a meeting out of reach": ("[pace]\nlongest = 10", r"pace.meeting: expected a number in"),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(tmp_path, text, words):
    path = tmp_path / "federation.toml"
    if "[[tasks]]" not in text:
        text += '\n[[tasks]]\ntask = "a:b"'
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_settings(path)


def test_no_tasks(tmp_path):
    path = tmp_path / "federation.toml"
    path.write_text("tasks = []")
    with pytest.raises(InputError, match="one task or more"):
        read_settings(path)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([{}, {}], r"tasks\[1\]: there is a task 'sum' already"),
        ([{"model_of": "other"}], r"tasks\[0\].model_of: there is no task 'other'"),
        ([{"options": {"name": "a b"}}], "name: expected 1 to 64 letters"),
        ([{"task": "tiny_tasks:nothing"}], "no factory"),
    ],
)
def test_tasks_that_do_not_go_together(tmp_path, certificates, tasks, words):
    folder = write_federation(tmp_path / "federation", certificates, tasks=tasks)
    with pytest.raises(InputError, match=words):
        open_tasks(read_settings(folder / "federation.toml"), folder)


def test_what_follows_from_a_goal():
    settings = TaskSettings(task="a:b", goal=100, over_selection=1.25)
    assert settings.most_selected == 125
    assert settings.least_clients == 67


def test_no_http_for_other_machines(tmp_path):
    path = tmp_path / "federation.toml"
    path.write_text('[server]\nhost = "0.0.0.0"\n[[tasks]]\ntask = "a:b"')
    with pytest.raises(InputError, match=r"server.certificate: expected one, as 0\.0\.0\.0"):
        tls_files(read_settings(path).server, tmp_path)


def test_a_token_of_the_environment_goes_to_no_child(monkeypatch):
    import os

    monkeypatch.setenv("HANDHELD_OPERATOR_TOKEN", "a secret of mine")
    assert token_of("HANDHELD_OPERATOR_TOKEN") == "a secret of mine"
    assert "HANDHELD_OPERATOR_TOKEN" not in os.environ
