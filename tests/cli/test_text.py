"""``handheld text``, run as a person would, with a few hundred short texts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORDS = {
    "colour": ("red", "green", "blue"),
    "greeting": ("hello", "hi", "hey"),
    "number": ("one", "two", "three"),
}


def handheld(*words: object, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "handheld.cli", "text", *map(str, words)]
    usual = {"PATH": "/usr/bin", "COLUMNS": "200", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return subprocess.run(command, input=stdin, capture_output=True, check=False, env=usual | env)


def table(path: Path, count: int, seed: int) -> Path:
    rng, lines = np.random.default_rng(seed), []
    for label, words in WORDS.items():
        lines += [
            f"{label}\t{rng.choice(words)} and {rng.choice(words)} {rng.choice(words)}"
            for _ in range(count)
        ]
    lines += [
        f"oos\tthe {animal} of {place}"
        for animal in ("dog", "cat", "cow")
        for place in ("Rome", "Oslo")
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("text")
    table(place / "train.tsv", 40, 0)
    table(place / "valid.tsv", 15, 1)
    done = handheld(
        "train",
        place / "train.tsv",
        "--valid",
        place / "valid.tsv",
        "--oos",
        "oos",
        "--max-size",
        "20KB",
        "--out",
        place / "m.tflite",
        "--licence",
        "CC0-1.0",
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"texts right; out of scope: AUROC" in done.stdout
    assert b"of its own texts" in done.stdout
    return place


def test_examples_to_validate_by_that_are_learned_from_are_counted(folder: Path):
    done = handheld(
        "train",
        folder / "train.tsv",
        "--valid",
        folder / "train.tsv",
        "--max-size",
        "20KB",
        "--out",
        folder / "x.tflite",
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"note: 126 of the 126 validation examples also in the training split" in done.stderr


def test_training_leaves_a_model_and_its_report(folder: Path):
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(("m.", ".m"))) == [
        "m.tflite",
        "m.training.html",
    ]
    assert (folder / "m.tflite").stat().st_size <= 20_000
    page = (folder / "m.training.html").read_text()
    assert "majority" in page
    assert not re.search(r"(src|href)=[\"']?http", page)


def test_a_model_that_could_not_be_written_is_not_learned(folder: Path):
    done = handheld("train", folder / "train.tsv", "--out", folder / "train.tsv" / "model.tflite")
    assert done.returncode == 1
    assert b"no file can be made in" in done.stderr
    assert b"train.tsv/model.tflite" in done.stderr


def test_evaluation_says_how_many_are_right_and_shows_the_wrong(folder: Path):
    odd = folder / "odd.tsv"
    odd.write_text("colour\tred and <b>blue</b>\nnumber\thello and hi\ntree\toak\nnumber\n")
    done = handheld("evaluate", folder / "m.tflite", odd, "--out", folder / "odd.html")
    assert done.returncode == 0, done.stderr.decode()
    assert b"33.33% of 3 texts right" in done.stdout
    assert (
        b"1 texts have labels that the model does not know and count as wrong: 'tree'"
        in done.stderr
    )
    page = (folder / "odd.html").read_text()
    assert "hello and hi" in page
    assert "<b>blue" not in page


def test_lines_are_labelled(folder: Path):
    lines = (
        b"hi and hello\n\n  \r\none two three\nred\tgreen blue\n\x07\n"
        + b"two " * 25_000
        + b"\n\xf0\x9f\x91\x8d"
    )
    done = handheld("predict", folder / "m.tflite", stdin=lines)
    assert done.returncode == 0, done.stderr.decode()
    answers = [line.split("\t", 2) for line in done.stdout.decode().rstrip("\n").split("\n")]
    assert [label for label, _, _ in answers][:5] == ["greeting", "?", "?", "number", "colour"]
    assert answers[6][0] == "number"
    assert len(answers) == 8
    assert answers[4][2] == "red\tgreen blue"
    assert all(0 <= float(share) <= 1 for _, share, _ in answers)


def test_what_is_out_of_scope_is_refused_if_asked(folder: Path):
    text = b"the cow of Rome\n"
    assert handheld("predict", folder / "m.tflite", "--reject", stdin=text).stdout.startswith(
        b"?\t"
    )
    assert not handheld("predict", folder / "m.tflite", stdin=text).stdout.startswith(b"?")


def test_predictions_as_json_lines(folder):
    done = handheld("predict", folder / "m.tflite", "--json", "-", stdin=b"one\n\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["one", ""]
    assert rows[1]["label"] == "?"


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path):
    command = (
        f"yes one | head -20000 | {sys.executable} -m handheld.cli text predict "
        f"{folder / 'm.tflite'} | head -1"
    )
    done = subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {command}; echo ${{PIPESTATUS[2]}}"],
        capture_output=True,
        check=False,
    )
    assert done.stdout.split(b"\n")[0].startswith(b"number\t")
    assert done.stdout.split(b"\n")[1] == b"0"
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ("", (), "expected lines of label TAB text, got none"),
        ("no label here\n", (), "got none; the first of 1 that were left out"),
        ("a\tone\na\ttwo\na\tthree\n", (), "expected two labels or more"),
        ("a\tone\nb\ttwo\n", (), "no label has two texts"),
        ("a\t\u200b\nb\t\u200d\n" * 20, (), "no words or letters are in any of the 36 texts"),
        ("a\tone\nb\ttwo\n" * 20, ("--max-size", "2KB"), "2000 bytes are too few for 2 labels"),
        ("a\tone\nb\ttwo\n" * 20, ("--max-size", "5ms"), "expected bytes, such as 100KB"),
        ("a\tone\nb\ttwo\n" * 20, ("--trainer", "large"), "no trainer 'large'"),
        ("a\tone\nb\ttwo\n" * 20, ("--reads", "words"), "reads: expected picked, rows, signs"),
        ("a\tone\nb\ttwo\n" * 20, ("--oos", "c"), "no text has the label 'c'"),
    ],
)
def test_what_cannot_be_learned_is_named(
    tmp_path: Path, lines: str, options: tuple[str, ...], message: str
):
    (tmp_path / "t.tsv").write_text(lines)
    done = handheld("train", tmp_path / "t.tsv", "--out", tmp_path / "m.tflite", *options)
    assert done.returncode == 1
    assert message in " ".join(done.stderr.decode().split())
    assert not (tmp_path / "m.tflite").exists()


def test_the_only_text_of_a_label_is_learned(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("a\tone fish\nb\ttwo birds\n" * 20 + "c\tthree horses\n")
    done = handheld("train", tmp_path / "t.tsv", "--out", tmp_path / "m.tflite")
    assert done.returncode == 0, done.stderr
    assert "1 of 3 labels have one text, which is learned" in " ".join(done.stderr.decode().split())
    labels = handheld("predict", tmp_path / "m.tflite", stdin=b"three horses\n").stdout
    assert labels.startswith(b"c\t")


def test_a_truncated_model_is_refused(folder: Path, tmp_path: Path):
    (tmp_path / "half.tflite").write_bytes((folder / "m.tflite").read_bytes()[:1500])
    done = handheld("predict", tmp_path / "half.tflite", stdin=b"hi\n")
    assert done.returncode == 1
    assert b"half.tflite" in done.stderr
    assert b"Traceback" not in done.stderr


def test_labels_that_do_not_match_are_refused(folder: Path, tmp_path: Path):
    (tmp_path / "t.tsv").write_text("tree\toak\n")
    done = handheld("evaluate", folder / "m.tflite", tmp_path / "t.tsv")
    assert done.returncode == 1
    assert "the model knows none of the labels 'tree'" in " ".join(done.stderr.decode().split())


@pytest.mark.parametrize("size", ["-5KB", "1e5", "94x smaller", "large", "0KB", "5 GBit"])
def test_a_size_that_is_none_is_told_in_sizes_alone(tmp_path: Path, size: str):
    (tmp_path / "t.tsv").write_text("a\tone\nb\ttwo\n" * 20)
    done = handheld(
        "train", tmp_path / "t.tsv", "--out", tmp_path / "m.tflite", f"--max-size={size}"
    )
    assert done.returncode == 1
    message = " ".join(done.stderr.decode().split())
    assert "expected bytes, such as 100KB, 1.5MB or 98304" in message
    assert "smaller, " not in message


def test_a_missing_file_is_no_such_file(tmp_path: Path):
    done = handheld("train", tmp_path / "none.tsv", "--out", tmp_path / "m.tflite")
    assert done.returncode == 1
    assert "none.tsv: no such file" in " ".join(done.stderr.decode().split())


def test_an_effort_that_is_none_is_named(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("a\tone\nb\ttwo\n" * 20)
    done = handheld("train", tmp_path / "t.tsv", "--out", tmp_path / "m.tflite", "--effort", "most")
    assert done.returncode == 1
    assert "--effort 'most': expected default or high" in " ".join(done.stderr.decode().split())


@pytest.mark.parametrize("line", [b"ok\n\xff\xfe\n", b"ok\nh\x00i\x00\n"])
def test_bytes_that_are_no_text_are_refused_with_their_line(folder: Path, line: bytes):
    done = handheld("predict", folder / "m.tflite", stdin=line)
    assert done.returncode == 1
    assert "standard input, line 2" in " ".join(done.stderr.decode().split())
    assert b"Traceback" not in done.stderr


def test_columns_are_named_and_training_is_told_beside_validation(tmp_path: Path):
    rows = ["kind,n,words"]
    for number in range(60):
        label = ("colour", "number")[number % 2]
        rows.append(
            f'{label},{number},"{WORDS[label][number % 3]}, and {WORDS[label][number % 2]}"'
        )
    (tmp_path / "t.CSV").write_text("\n".join(rows))
    options = (
        "--label-column",
        "kind",
        "--text-column",
        "words",
        "--class-weight",
        "balanced",
        "--max-size",
        "30KB",
    )
    done = handheld("train", tmp_path / "t.CSV", "--out", tmp_path / "m.tflite", *options)
    assert done.returncode == 0, done.stderr.decode()
    assert b"of its own texts 100.00% right" in done.stdout
    assert b"the commonest label 50.00%" in done.stdout
    columns = ("--label-column", "kind", "--text-column", "words")
    done = handheld("evaluate", tmp_path / "m.tflite", tmp_path / "t.CSV", *columns)
    assert b"100.00% of 60 texts right" in done.stdout


def test_a_label_that_means_no_answer_is_warned_of(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("".join(f"a\tred {i}\n?\tblue {i}\n" for i in range(20)))
    done = handheld(
        "train", tmp_path / "t.tsv", "--max-size", "20KB", "--out", tmp_path / "m.tflite"
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (
        b"warning: the label '?' is also what predict prints where it has no answer" in done.stderr
    )
