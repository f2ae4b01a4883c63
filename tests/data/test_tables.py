"""Tables of labelled texts in every usual form; what is not understood is refused."""

import gc
import gzip
from pathlib import Path

import pytest

from handheld.data import load, read_table
from handheld.errors import InputError

PAIRS = [("a", "one two"), ("b", "three")]


def pairs(path: Path, **how: object) -> list[tuple[str, str]]:
    data, _ = read_table(path, **how)  # type: ignore[arg-type]
    return [
        (data.classes[label], str(text))
        for label, text in zip(data.labels, data.inputs, strict=True)
    ]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(raw) if name.lower().endswith(".gz") else raw)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", "a\tone two\nb\tthree\n"),
        ("t.TSV", "a\tone two\r\nb\tthree\r\n"),
        ("t.tsv", "a\tone two\rb\tthree\r"),
        ("t.tsv", b"\xef\xbb\xbfa\tone two\nb\tthree"),
        ("t.tsv", "a\tone two\nb\tthree\n".encode("utf-16")),
        ("t.tsv", "\ufeffa\tone two\nb\tthree\n".encode("utf-16-be")),
        ("t.CSV", 'a,"one two"\nb,three\n'),
        ("t.csv", "text,label\none two,a\nthree,b\n"),
        ("t.csv", "\ntext;label\none two;a\nthree;b\n"),
        ("t.csv", "\n,\ntext,label\none two,a\nthree,b\n"),
        ("t.csv", "text\tlabel\none two\ta\nthree\tb\n"),
        ("t.csv", "text|label\none two|a\nthree|b\n"),
        ("t.csv", 'a;"one two"\nb;three\n'),
        ("t.csv", "v1,v2,,,\na,one two,,,\nb,three,,,\n"),
        ("t.csv", "utterance,intent\none two,a\nthree,b\n"),
        ("t.csv", "Class Index,Title,Description\na,one,two\nb,three,\n"),
        ("t.csv", "id,Category,Text\n1,a,one two\n2,b,three\n"),
        ("t.txt", "__label__a one two\n__label__b three\n"),
        ("t.tsv", "__label__a one two\n__label__b three\n"),
        ("t.txt", "__label__a\tone two\n__label__b\fthree\n"),
        ("t.jsonl", '{"text": "one two", "label": "a"}\n\n{"label": "b", "text": "three"}\n'),
        ("t.json", '[{"text": "one two", "label": "a"}, {"label": "b", "text": "three"}]'),
        ("t.tsv.gz", "a\tone two\nb\tthree\n"),
        ("T.CSV.GZ", "label,text\na,one two\nb,three\n"),
        ("t.jsonl.gz", '{"text": "one two", "label": "a"}\n{"label": "b", "text": "three"}\n'),
    ],
)
def test_every_form_gives_the_same(tmp_path: Path, name: str, content: str | bytes):
    assert pairs(written(tmp_path, name, content)) == PAIRS


def test_a_text_with_tabs_is_kept_whole(tmp_path: Path):
    assert pairs(written(tmp_path, "t.tsv", "a\thello\tworld\n")) == [("a", "hello\tworld")]
    assert pairs(written(tmp_path, "h.tsv", "label\ttext\na\thello\tworld\n")) == [
        ("a", "hello\tworld")
    ]


def test_a_quoted_field_may_hold_all_and_be_long(tmp_path: Path):
    long = "x" * 300_000
    content = f'label,text\na,"one, ""two""\nthree"\nb,{long}\n'
    assert pairs(written(tmp_path, "t.csv", content)) == [("a", 'one, "two"\nthree'), ("b", long)]


@pytest.mark.parametrize(
    ("content", "how"),
    [
        ("one two;x,a\n", {"label_column": "2", "text_columns": ["1"]}),
        ("body of it,kind of it\none two;x,a\n", {"label_column": "kind of it"}),
        (
            "Kind of it,n,body\na,7,one two;x\n",
            {"label_column": "kind of it", "text_columns": ["body"]},
        ),
    ],
)
def test_columns_are_those_that_are_named(tmp_path: Path, content: str, how: dict[str, object]):
    assert pairs(written(tmp_path, "t.csv", content), **how) == [("a", "one two;x")]


def test_several_columns_of_text_are_joined(tmp_path: Path):
    path = written(tmp_path, "t.csv", "k,p,q\na,one,two\n")
    assert pairs(path, label_column="k", text_columns=["q", "p"]) == [("a", "two one")]


def test_nulls_and_empty_fields_are_left_out_and_counted(tmp_path: Path):
    path = written(
        tmp_path,
        "t.jsonl",
        '{"label": "a", "text": null}\n{"label": null, "text": "x"}\n{"label": 3, "text": "y"}\n',
    )
    data, skipped = read_table(path)
    assert data.classes == ("3",)
    assert [one.name.rpartition(", ")[2] for one in skipped] == ["line 1", "line 2"]


def test_unknown_labels_can_be_kept(tmp_path: Path):
    path = written(tmp_path, "t.tsv", "z\tone\na\ttwo\n")
    data, skipped = read_table(path, ("a", "b"), keep_unknown=True)
    assert data.classes == ("a", "b", "z")
    assert data.labels.tolist() == [2, 0]
    assert not skipped


HEADERLESS = "".join(f"some text {number},{'ab'[number % 2]}\n" for number in range(10))
SHORT = "".join(f"{'ab'[number % 2]},some text {number}\n" for number in range(10))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tsv", b"a\tone\nb\t\xff\n", "line 2: cannot be read as UTF-8"),
        ("t.tsv", "a\tone\n".encode("utf-16-le"), "line 1: cannot be read as text: zero bytes"),
        ("t.csv", 'a,one\nb,"two\nc,three\n', "line 2: cannot be read as a table"),
        ("t.csv", 'a,one\nb,"two\nc,"three"\n', "line 2: cannot be read as a table"),
        ("t.csv", "a,one,two\nb,three,four\n", "3 columns, and nothing says which"),
        ("t.csv", "a;one;two\nb;three;four\n", "3 columns, and nothing says which"),
        ("t.csv", "label,text\na,one,two\n", "line 2: 3 columns, expected 2"),
        ("t.tsv", "text\tlabel\none\ttwo\ta\n", "line 2: 3 columns, expected 2"),
        ("t.csv", "label,category,text\na,b,c\n", "'label', 'category' could all be the labels"),
        (
            "t.csv",
            "label,question,comment\na,b,c\n",
            "'question', 'comment' could all be the texts",
        ),
        ("t.csv", HEADERLESS, "the second column, not the first, looks like the labels"),
        (
            "t.csv",
            "kind,words\n" + SHORT,
            "line 1: 'kind' is a label of no other line, so this may be a header",
        ),
        ("t.txt", "hello\n", "read as fastText's"),
        ("t.txt", "__label__a x\nb y\n", "line 2: begins with no __label__"),
        ("t.txt", "__label__a __label__b x\n", "line 1: has two labels"),
        ("t.jsonl", '{"label": "a", "text": "x"}\n{"label"\n', "line 2: no JSON"),
        ("t.jsonl", '["a"]\n', "line 1: expected an object"),
        ("t.jsonl", '{"a": 1, "b": 2}\n', "nothing says which of 'a', 'b'"),
        ("t.xlsx", b"PK", "expected a file that ends in"),
        ("t.tsv.gz2", b"PK", "expected a file that ends in"),
    ],
)
def test_what_is_not_understood_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str
):
    with pytest.raises(InputError, match=message):
        read_table(written(tmp_path, name, content))


def test_a_missing_file_and_a_broken_gz_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.tsv: no such file"):
        read_table(tmp_path / "none.tsv")
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(b"a\tone\n" * 100)[:-9])
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_table(tmp_path / "t.tsv.gz")


@pytest.mark.parametrize("how", [{"label_column": "nope"}, {"label_column": "9"}])
def test_a_column_that_is_not_there_is_named(tmp_path: Path, how: dict[str, str]):
    with pytest.raises(InputError, match="no column"):
        read_table(written(tmp_path, "t.csv", "label,text\na,one\n"), **how)  # type: ignore[arg-type]


def test_a_folder_holds_splits_in_any_form(tmp_path: Path):
    for name, count in (("train.jsonl.gz", 8), ("VALIDATION.CSV", 4), ("test.tsv", 4)):
        rows = [("ab"[number % 2], f"text {number}") for number in range(count)]
        form = (
            '{{"label": "{}", "text": "{}"}}'
            if "json" in name
            else "{},{}"
            if "CSV" in name
            else "{}\t{}"
        )
        written(tmp_path, name, "\n".join(form.format(*row) for row in rows))
    splits = load(tmp_path)
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [8, 4, 4]


@pytest.mark.parametrize("header", ["category,text", "Class Index,Title,Description", "text,label"])
def test_a_header_that_is_known_is_no_example_in_any_split(tmp_path: Path, header: str):
    width = header.count(",")
    place = 1 if header == "text,label" else 0
    for name, count in (("train", 8), ("valid", 4), ("test", 4)):
        rows = [[f"{name} {number}"] * (width + 1) for number in range(count)]
        for number, row in enumerate(rows):
            row[place] = "ab"[number % 2]
        written(tmp_path, f"{name}.csv", "\n".join([header, *map(",".join, rows)]))
    splits = load(tmp_path)
    assert splits.classes == ("a", "b")
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [8, 4, 4]
    assert not splits.skipped


@pytest.mark.parametrize("count", [6, 40])
def test_a_header_that_is_not_known_is_refused_in_a_folder_too(tmp_path: Path, count: int):
    rows = "".join(f"{'ab'[number % 2]},some text {number}\n" for number in range(count))
    for name in ("train", "valid", "test"):
        written(tmp_path, f"{name}.csv", "kind,words\n" + rows)
    with pytest.raises(
        InputError,
        match=r"train\.csv, line 1: 'kind' is a label of no other line, so this may be a header",
    ):
        load(tmp_path)
    splits = load(tmp_path, label_column="kind", text_columns=["words"])
    assert splits.classes == ("a", "b")
    assert len(splits.train) == count


def test_a_table_of_no_split_beside_others_is_told(tmp_path: Path):
    for name in ("train.csv", "eval.csv", "unlabelled.csv", "README.txt"):
        written(tmp_path, name, "label,text\n" + SHORT)
    splits = load(tmp_path)
    assert len(splits.valid) == 10
    assert [skipped.name for skipped in splits.skipped] == [str(tmp_path / "unlabelled.csv")]


def test_two_files_of_one_split_are_refused(tmp_path: Path):
    for name in ("train.tsv", "train.csv"):
        written(tmp_path, name, "a\tone\n")
    with pytest.raises(InputError, match=r"train\.csv and train\.tsv are both the train split"):
        load(tmp_path)


def test_labels_that_are_a_quantity_are_told(tmp_path: Path):
    path = written(
        tmp_path,
        "t.csv",
        "text,label\n" + "".join(f"text {number},{number / 3:.3f}\n" for number in range(20)),
    )
    with pytest.raises(
        InputError,
        match="20 of 20 examples have a label that no other has: expected classes; a quantity is",
    ):
        load(path)


def test_five_labels_of_a_text_each_are_no_quantity(tmp_path: Path):
    path = written(tmp_path, "t.tsv", "".join(f"{label}\ttext of {label}\n" for label in "abcde"))
    data, _ = read_table(path)
    with pytest.raises(
        InputError, match="class 'a' has one example: it cannot be divided; add another"
    ):
        data.split(0.2, seed=0)


def test_what_an_unread_row_lacks_is_said(tmp_path: Path):
    _, skipped = read_table(written(tmp_path, "t.csv", "text,label\none,a\ntwo,\n,b\nthree,?\n"))
    assert [(one.name[-6:], one.reason) for one in skipped] == [
        ("line 3", "expected a label and a text, got no label"),
        ("line 4", "expected a label and a text, got no text"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "t.jsonl",
            '{"label": "a", "text": "x"}\n{"label": "b", "text": "cut \\ud83d"}\n',
            ", line 2",
        ),
        ("t.json", '[{"label": "a", "text": "cut \\ud83d"}]', ""),
    ],
)
def test_half_a_letter_is_named(tmp_path: Path, name: str, content: str, line: str):
    with pytest.raises(
        InputError, match=rf"{name}{line}: no JSON: half a letter, \\ud83d without its other half"
    ):
        read_table(written(tmp_path, name, content))


def test_rows_that_are_read_leave_the_collector_as_it_was(tmp_path: Path):
    path = written(tmp_path, "t.tsv", "a\tone\nb\ttwo\n")
    for change in (gc.disable, gc.enable):
        change()
        was_on = gc.isenabled()
        read_table(path)
        assert gc.isenabled() == was_on


def test_one_column_is_not_both(tmp_path: Path):
    path = written(tmp_path, "t.csv", "text,label\none,a\ntwo,b\n")
    with pytest.raises(
        InputError, match="column 'text' is said to be both the labels and a text: name another"
    ):
        read_table(path, label_column="text", text_columns=["text"])


def test_classes_that_are_one_text_are_refused(tmp_path: Path):
    path = written(tmp_path, "t.csv", "text,label\none,a\ntwo,b\n")
    with pytest.raises(InputError, match="classes: expected a list of names, got the text 'ab'"):
        read_table(path, "ab")  # type: ignore[arg-type]
