"""The rules of a challenge, and the challenge that ``init`` writes."""

import stat

import numpy as np
import pytest

from handheld.bench.challenge import ChallengeFolder, ChallengeRules, write_challenge
from handheld.bench.challenge.rules import DeviceProfile, read_examples
from handheld.errors import InputError

HEAD = 'title = "t"\n'


def read(tmp_path, text):
    (tmp_path / "challenge.toml").write_text(text, "utf-8")
    return ChallengeFolder.read(tmp_path).rules


def test_a_new_challenge_has_two_halves_that_share_no_example(written):
    public = written.data("public")
    hidden = written.data("hidden")
    assert (len(public), len(hidden)) == (200, 200)
    assert public.shared(hidden) == 0
    assert public.classes == ("flat", "upright", "falling", "rising")
    assert [path.stem for path in written.samples()] == [
        "blind",
        "family_nested",
        "family_plain",
        "family_teacher",
        "linear",
        "slow",
    ]


def test_hidden_labels_are_for_their_owner_alone(written):
    assert stat.S_IMODE((written.root / "data" / "hidden.npz").stat().st_mode) == 0o600
    assert "data/hidden.npz" in (written.root / ".gitignore").read_text()


def test_two_new_challenges_of_one_seed_are_alike(written, tmp_path):
    again = write_challenge(tmp_path / "again")
    assert again.data("hidden").digest == written.data("hidden").digest


def test_a_challenge_on_data_of_one_s_own(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(40) % 4
    path = tmp_path / "mine.npz"
    np.savez(
        path, x_train=pictures[:20], y_train=labels[:20], x_test=pictures[20:], y_test=labels[20:]
    )
    challenge = write_challenge(tmp_path / "mine", data=path)
    assert len(challenge.data("public")) + len(challenge.data("hidden")) == 20
    assert challenge.samples() == []
    assert challenge.rules.budget == 0.033


def test_a_folder_with_something_in_it_is_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="a new or an empty folder"):
        write_challenge(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years"


def test_a_folder_without_rules(tmp_path):
    with pytest.raises(InputError, match=r"no challenge\.toml"):
        ChallengeFolder.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('titel = "t"', "no entry 'titel'"),
        ("budget_ms = 1", "'title' is missing"),
        (HEAD + "budget_ms = 0", r"budget_ms: expected a number in \(0"),
        (HEAD + 'task = "poetry"', "task: expected classification"),
        (HEAD + "opens = 2026-01-01T00:00:00", "opens: expected a time with its zone"),
        (HEAD + "opens = 2026-01-02T00:00:00Z\ncloses = 2026-01-01T00:00:00Z", "closes: expected"),
        (HEAD + "finals = 0", "finals: expected a whole number"),
        (HEAD + "devices = []", "devices: expected one or more"),
        (HEAD + '[[devices]]\nname = "A b"', r"devices\[0\].*name: expected a device"),
        (HEAD + '[[devices]]\nname = "a"\n[[devices]]\nname = "a"', "two are called 'a'"),
        (HEAD + "[limits]\nmodel_bytes = 0", "limits.model_bytes: expected a whole number"),
        (HEAD + "[limits]\nmemory_bytes = 1", "limits.memory_bytes: expected"),
        (HEAD + "[measurement]\nthreads = 0", "measurement.threads: expected"),
        (HEAD + "[measurement]\nattempts = 0", "measurement.attempts: expected"),
        ('title = "a\\nb"', "title: expected one line"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text, problem):
    with pytest.raises(InputError, match=problem):
        read(tmp_path, text)


def test_times_of_opening_and_closing(tmp_path):
    rules = read(tmp_path, HEAD + "opens = 1970-01-01T00:01:00Z\ncloses = 1970-01-01T00:02:00Z")
    assert [rules.has_opened(now) for now in (59, 60)] == [False, True]
    assert [rules.has_closed(now) for now in (119, 120)] == [False, True]


def test_without_times_it_is_open():
    rules = ChallengeRules(title="t")
    assert rules.has_opened(0)
    assert not rules.has_closed(10**12)


def test_a_device_by_name():
    rules = ChallengeRules(title="t", devices=(DeviceProfile(name="a"), DeviceProfile(name="b")))
    assert rules.device("b").name == "b"
    with pytest.raises(InputError, match="expected one of a, b"):
        rules.device("c")


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"x": np.zeros((2, 3))}, "no array 'y'"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(2), "classes": ["a", "b"]}, "whole numbers"),
        ({"x": np.zeros((2, 3)), "y": np.array([0, 2]), "classes": ["a", "b"]}, "label"),
        ({"x": np.zeros((2, 3)), "y": np.array([0]), "classes": ["a", "b"]}, "2 examples, but 1"),
    ],
)
def test_examples_that_are_none(tmp_path, arrays, problem):
    path = tmp_path / "part.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=problem):
        read_examples(path)


def test_an_archive_that_is_none(tmp_path):
    (tmp_path / "part.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="cannot be read as examples"):
        read_examples(tmp_path / "part.npz")
