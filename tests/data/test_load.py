import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handheld.data import load, load_split
from handheld.errors import InputError

RNG = np.random.default_rng(0)


def png(value, size=(6, 8)):
    file = io.BytesIO()
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write_classes(folder, classes=("cat", "dog"), each=10, size=(6, 8)):
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            (folder / name / f"{index:02}.png").write_bytes(png(100 * number + index, size))
    return folder


def test_a_folder_of_pictures_by_class(tmp_path):
    splits = load(write_classes(tmp_path / "pets"))
    assert splits.classes == ("cat", "dog")
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [16, 2, 2]
    assert splits.train.inputs.shape == (16, 6, 8, 3)
    assert splits.train.inputs.dtype == np.uint8
    assert (splits.train.inputs[splits.train.labels == 1] >= 100).all()
    assert load(tmp_path / "pets").train.digest == splits.train.digest
    assert load(tmp_path / "pets", seed=1).train.digest != splits.train.digest


def test_split_folders_are_kept(tmp_path):
    for split, each in (("train", 5), ("val", 2), ("test", 3)):
        write_classes(tmp_path / split, each=each)
    splits = load(tmp_path, size=(4, 4))
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [10, 4, 6]
    assert splits.train.inputs.shape[1:] == (4, 4, 3)


def test_a_corrupt_picture_among_good_ones_is_named_and_counted(tmp_path):
    write_classes(tmp_path)
    (tmp_path / "cat" / "03.png").write_bytes(b"no picture")
    (tmp_path / "dog" / "04.png").write_bytes(png(1)[:40])
    splits = load(tmp_path)
    assert [skipped.name.rpartition("/")[2] for skipped in splits.skipped] == ["03.png", "04.png"]
    assert "expected a picture" in splits.skipped[0].reason
    assert all("0x" not in skipped.reason for skipped in splits.skipped)
    assert len(splits.train) + len(splits.valid) + len(splits.test) == 18


def test_one_odd_picture_of_many_is_left_out_and_named(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(100):
            (tmp_path / label / f"{number:03}.png").write_bytes(png(number, (6, 8)))
    (tmp_path / "cat" / "050.png").write_bytes(png(1, (30, 40)))
    splits = load(tmp_path)
    assert [skipped.name for skipped in splits.skipped] == [str(tmp_path / "cat" / "050.png")]
    assert "is 30 x 40, most are 6 x 8" in splits.skipped[0].reason
    assert len(splits.train) + len(splits.valid) + len(splits.test) == 199
    assert load(tmp_path, size=(6, 8)).skipped == ()


def test_sizes_that_differ_need_one(tmp_path):
    write_classes(tmp_path)
    (tmp_path / "cat" / "99.png").write_bytes(png(1, (3, 3)))
    with pytest.raises(
        InputError,
        match=r"3 x 3, most are 6 x 8: give size=.*, in a configuration size = \[height, width\] "
        r"under \[data\]",
    ):
        load(tmp_path)
    assert load(tmp_path, size=(5, 5)).train.inputs.shape[1:] == (5, 5, 3)


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are Unicode there")
def test_names_that_are_no_utf8(tmp_path):
    write_classes(tmp_path)
    broken = tmp_path / "cat" / os.fsdecode(b"br\xffoken.png")
    broken.write_bytes(b"no picture")
    (skipped,) = load(tmp_path).skipped
    assert skipped.name.endswith(r"br\udcffoken.png")
    (tmp_path / "cat").rename(tmp_path / os.fsdecode(b"c\xfft"))
    with pytest.raises(InputError, match="is no text that UTF-8 can write; rename it"):
        load(tmp_path)


def test_arrays(tmp_path):
    x, y = RNG.integers(0, 256, (40, 5, 5), np.uint8), np.arange(40) % 4
    splits = load(
        save(
            tmp_path / "a.npz",
            x_train=x,
            y_train=y,
            x_test=x[:8],
            y_test=y[:8, None],
            classes=np.array(list("abcd")),
        )
    )
    assert splits.classes == ("a", "b", "c", "d")
    assert splits.train.inputs.shape[1:] == (5, 5, 1)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (36, 4, 8)
    assert load(save(tmp_path / "b.npz", x=x.astype(np.float32), y=y)).classes == (
        "0",
        "1",
        "2",
        "3",
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((4, 2)), "y_train": np.zeros(3, int)}, "4 examples, but 3 labels"),
        ({"x_train": np.zeros((4, 2))}, "x_train has no y_train"),
        ({"x_train": np.zeros((4, 2)), "y_train": np.zeros(4)}, "whole numbers"),
        ({"x": np.zeros((9, 2)), "y": np.zeros(9, int)}, "two classes or more"),
        ({"x": np.full((9, 2), np.nan), "y": np.arange(9) % 2}, "not finite"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0, int)}, "holds no examples"),
        ({"a": np.zeros(3)}, "expected arrays x_train"),
        ({"x": np.array(["a", "b"]), "y": np.arange(2)}, "x holds texts: expected numbers; .*csv"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(4)}, "expected y of shape"),
        (
            {"x": np.zeros((4, 2)), "y": np.arange(4) % 2, "x_train": np.zeros((4, 2))},
            "holds x and x_train",
        ),
        ({"x": np.zeros((4, 2)), "y": np.array([0, 1, 2, 2**40])}, "need names"),
        (
            {"x": np.zeros((4, 2)), "y": np.arange(4) % 2, "classes": np.array(["one"])},
            "there are 1 classes",
        ),
        (
            {"x": np.zeros((4, 2)), "y": np.arange(4) % 2, "classes": np.array([b"\xff", b"\xfe"])},
            "the name of a class is no UTF-8 .* save classes as texts",
        ),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        load(save(tmp_path / "a.npz", **arrays))


def test_pickles_are_refused(tmp_path):
    save(tmp_path / "a.npz", x=np.array([{"a": 1}, None], dtype=object), y=np.array([0, 1]))
    with pytest.raises(InputError, match="cannot be read as arrays"):
        load(tmp_path / "a.npz")


def test_texts(tmp_path):
    (tmp_path / "a.tsv").write_text(
        "".join(f'greet\thello "{i}"\nbye\tso long, {i}\n' for i in range(10)), "utf-8"
    )
    splits = load(tmp_path / "a.tsv")
    assert splits.classes == ("bye", "greet")
    assert len(splits.train) == 16
    assert 'hello "' in "".join(splits.train.inputs)
    (tmp_path / "b.csv").write_text(
        "text,label\n" + '"so long, you",bye\nhi,greet\n' * 5 + "only text,\n", "utf-8"
    )
    from_csv = load(tmp_path / "b.csv", valid=0.2, test=0.2)
    assert "so long, you" in from_csv.train.inputs
    assert [(skipped.name.rpartition(", ")[2], skipped.reason) for skipped in from_csv.skipped] == [
        ("line 12", "expected a label and a text, got no label")
    ]


def test_texts_in_split_files_share_the_classes_of_the_first(tmp_path):
    for split in ("train", "valid", "test"):
        extra = "" if split == "train" else "odd\tnever seen\n"
        (tmp_path / f"{split}.tsv").write_text("a\tone\nb\ttwo\n" * 3 + extra)
    splits = load(tmp_path)
    assert splits.classes == ("a", "b")
    assert len(splits.skipped) == 2
    assert "'odd' is not among the classes" in splits.skipped[0].reason


@pytest.mark.parametrize("where", ["000", "050", "099"])
def test_the_odd_picture_may_be_any(tmp_path, where):
    write_classes(tmp_path, each=100)
    for label in ("cat", "dog"):
        (tmp_path / label / f"{int(where):02}.png").rename(tmp_path / label / f"{where}.png")
    (tmp_path / "cat" / f"{where}.png").write_bytes(png(1, (30, 40)))
    assert [skipped.name for skipped in load(tmp_path).skipped] == [
        str(tmp_path / "cat" / f"{where}.png")
    ]


def test_deep_pictures_in_a_folder_are_scaled_or_refused_by_name(tmp_path):
    ramp = np.linspace(0, 65535, 48).astype(np.uint16).reshape(6, 8)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(5):
            Image.fromarray(ramp).save(tmp_path / label / f"{number}.png")
    Image.fromarray(np.full((6, 8), 700, np.float32)).save(tmp_path / "dog" / "0.tiff")
    splits = load(tmp_path)
    assert (splits.train.inputs.min(), splits.train.inputs.max()) == (0, 255)
    assert len(np.unique(splits.train.inputs)) > 40
    assert [skipped.name for skipped in splits.skipped] == [str(tmp_path / "dog" / "0.tiff")]
    assert "expected fractions in [0, 1], got 700 to 700" in splits.skipped[0].reason


def test_a_folder_of_grey_pictures_says_so_and_can_be_read_as_grey(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(5):
            Image.new("L", (8, 6), 50 * number).save(tmp_path / label / f"{number}.png")
    splits = load(tmp_path)
    assert splits.train.inputs.shape[1:] == (6, 8, 3)
    assert "all 10 pictures are grey: grey=True" in splits.notes[0]
    grey = load(tmp_path, grey=True)
    assert grey.train.inputs.shape[1:] == (6, 8, 1)
    assert not any("grey" in note for note in grey.notes)
    assert load(tmp_path, grey=True, size=(4, 4)).train.inputs.shape[1:] == (4, 4, 1)


def test_colours_become_grey_as_models_that_want_grey_see_them(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(3):
            Image.new("RGB", (8, 6), (200, 100, 50 * number)).save(
                tmp_path / label / f"{number}.png"
            )
    assert not any("grey" in note for note in load(tmp_path).notes)
    values = np.unique(load(tmp_path, grey=True).train.inputs).tolist()
    assert values == [118, 124, 130] or set(values) < {
        118,
        119,
        124,
        130,
    }  # 0.299 * 200 + 0.587 * 100 + 0.114 * blue


@pytest.mark.parametrize("name", ["val", "dev", "validation", "valid", "Eval", "EVALUATION"])
def test_a_split_has_many_names(tmp_path, name):
    for split, each in (("Training", 5), (name, 2)):
        write_classes(tmp_path / split, each=each)
    splits = load(tmp_path)
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [8, 4, 2]


def test_a_folder_beside_splits_that_is_none_is_told(tmp_path):
    for split in ("train", "test", "extra"):
        write_classes(tmp_path / split)
    splits = load(tmp_path)
    assert splits.classes == ("cat", "dog")
    assert [skipped.name for skipped in splits.skipped] == [str(tmp_path / "extra")]
    assert "is the name of no split: expected one of train, " in splits.skipped[0].reason


def test_a_class_may_be_called_train(tmp_path):
    assert load(write_classes(tmp_path, classes=("train", "bus"))).classes == ("bus", "train")


def test_two_names_of_one_split_are_refused(tmp_path):
    for split in ("train", "val", "dev"):
        write_classes(tmp_path / split)
    with pytest.raises(InputError, match="dev and val are both the valid split"):
        load(tmp_path)


def test_arrays_of_any_split_name(tmp_path):
    x, y = RNG.integers(0, 256, (40, 5, 5), np.uint8), np.arange(40) % 4
    splits = load(
        save(tmp_path / "a.npz", x_train=x, y_train=y, x_val=x[:8], y_val=y[:8], x_more=x, y_more=y)
    )
    assert len(splits.valid) == 8
    assert [skipped.name.rpartition(", ")[2] for skipped in splits.skipped] == ["x_more"]


def test_arrays_with_channels_first_are_turned(tmp_path):
    x, y = RNG.integers(0, 256, (40, 8, 6, 3), np.uint8), np.arange(40) % 4
    first = load(save(tmp_path / "a.npz", x=np.moveaxis(x, -1, 1), y=y))
    assert first.train.digest == load(save(tmp_path / "b.npz", x=x, y=y)).train.digest
    path = save(tmp_path / "c.npz", x=x[:, :3], y=y)
    with pytest.raises(
        InputError,
        match=r'c\.npz, x: 3 x 6 x 3 could have its channels first or last: .*channels="last"',
    ):
        load(path)
    assert load(path, channels="last").train.inputs.shape[1:] == (3, 6, 3)
    assert load(path, channels="first").train.inputs.shape[1:] == (6, 3, 3)
    with pytest.raises(InputError, match="channels: expected 'first' or 'last', got 'middle'"):
        load(path, channels="middle")


RAMP = np.linspace(0, 1, 40 * 48).reshape(40, 6, 8, 1)


@pytest.mark.parametrize(
    "x",
    [
        RAMP,
        (RAMP * 255).astype(np.float32),
        (RAMP * 255).astype(np.int64),
        (RAMP * 65535).astype(np.uint16),
    ],
    ids=["fractions", "float bytes", "int bytes", "16 bit"],
)
def test_arrays_of_any_depth_are_brought_to_eight_bits(tmp_path, x):
    splits = load(
        save(
            tmp_path / "a.npz",
            x_train=x,
            y_train=np.arange(40) % 4,
            x_test=x[:2],
            y_test=np.array([0, 1]),
        )
    )
    assert splits.test.inputs.dtype == np.uint8
    assert np.abs(splits.test.inputs.astype(float) - RAMP[:2] * 255).max() <= 1.5


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (RAMP * 16, "float64 of 0 to 16; expected 0 to 1 or 0 to 255"),
        (RAMP - 0.5, "float64 of -0.5 to 0.5"),
        ((RAMP * 4095).astype(np.uint16)[..., 0], "uint16 of 0 to 4095"),
        (np.zeros((40, 6, 8, 5), np.uint8), "6 x 8 x 5 has 5 channels"),
        (np.zeros((40, 6, 8, 4), np.uint8), "6 x 8 x 4 has 4 channels, .* alpha"),
    ],
)
def test_arrays_that_could_be_read_in_several_ways_are_refused(tmp_path, x, message):
    with pytest.raises(InputError, match=f"a.npz, x: {message}"):
        load(save(tmp_path / "a.npz", x=x, y=np.arange(40) % 4))


def test_white_can_be_said_of_arrays(tmp_path):
    assert (
        load(
            save(tmp_path / "a.npz", x=RAMP[..., 0] * 16, y=np.arange(40) % 4), white=16
        ).train.inputs.dtype
        == np.uint8
    )
    kept = load(save(tmp_path / "b.npz", x=RAMP[..., 0] * 16, y=np.arange(40) % 4))
    assert kept.train.inputs.dtype == np.float64  # rows of measurements, as far as one can know
    with pytest.raises(InputError, match="channels and white are of pictures"):
        load(save(tmp_path / "c.npz", x=RAMP[:, 0, :, 0], y=np.arange(40) % 4), white=16)


def test_numbers_that_no_label_has_are_no_classes(tmp_path):
    x = RNG.integers(0, 256, (40, 5, 5), np.uint8)
    splits = load(save(tmp_path / "a.npz", x=x, y=1 + np.arange(40) % 3))
    assert splits.classes == ("1", "2", "3")
    assert splits.train.counts.min() > 0
    assert "no example has label 0" in splits.notes[0]


def test_examples_in_two_splits_are_noted(tmp_path):
    x, y = RNG.integers(0, 256, (40, 5, 5), np.uint8), np.arange(40) % 4
    splits = load(
        save(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:8], y_test=y[:8]), valid=0.2
    )
    assert "of the 8 test examples also in the training split" in splits.notes[0]
    assert sum(splits.test.shared(part) for part in (splits.train, splits.valid)) == 8


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        (
            "pets",
            {"label_column": "x"},
            "label_column says nothing of a folder of pictures by class: leave it out",
        ),
        ("pets", {"white": 255}, "white says nothing of a folder of pictures"),
        ("a.npz", {"size": (4, 4)}, "size says nothing of arrays"),
        ("a.csv", {"grey": True}, "grey says nothing of a table of texts"),
        ("pets", {"size": (0, 4)}, "size: expected a whole number of 1 or more, got 0"),
    ],
)
def test_an_option_of_another_form_is_refused(tmp_path, name, how, message):
    write_classes(tmp_path / "pets")
    save(tmp_path / "a.npz", x=np.zeros((4, 5, 5), np.uint8), y=np.arange(4) % 2)
    (tmp_path / "a.csv").write_text("a,one\nb,two\n" * 5)
    with pytest.raises(InputError, match=message):
        load(tmp_path / name, **how)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder for each class"),
        (lambda path: write_classes(path, each=0), "holds no examples"),
        (lambda path: write_classes(path, classes=("one",)), "two classes or more"),
        (lambda path: path.write_text("x"), "a file without suffix"),
        (
            lambda path: [
                write_classes(path, each=2),
                [f.write_bytes(b"x") for f in path.rglob("*.png")],
            ],
            "nothing could be read; the first of 4",
        ),
    ],
    ids=["missing", "empty folder", "zero pictures", "one class", "unknown form", "all corrupt"],
)
def test_nothing_to_learn_from(tmp_path, make, message):
    make(tmp_path / "data")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "data")


def test_broken_files(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK broken")
    (tmp_path / "b.tsv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "c.csv").write_text('a,"' + "x" * 200_000)
    for name in ("a.npz", "b.tsv", "c.csv"):
        with pytest.raises(InputError, match="cannot be read"):
            load(tmp_path / name)


def test_a_class_that_nothing_teaches_is_none(tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "train/empty", "test/a", "test/b", "test/c"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(0 if "empty" in name else 12):
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(
                tmp_path / name / f"{number}.png"
            )
    found = load(tmp_path)
    assert found.classes == ("a", "b")
    assert len(found.test) == 24
    told = {Path(one.name).name: one.reason for one in found.skipped}
    assert "no picture to train on" in told["c"]
    assert told["empty"] == "holds no picture"


@pytest.mark.parametrize(
    "text", ['{"label": NaN, "text": "x y z"}', '{"label": null, "text": "x y z"}']
)
def test_a_label_that_is_no_number_is_none(tmp_path: Path, text: str) -> None:
    lines = [
        f'{{"label": "{label}", "text": "text {n} of {label}"}}'
        for label in "ab"
        for n in range(10)
    ]
    (tmp_path / "x.jsonl").write_text("\n".join([*lines, text]), "utf-8")
    found = load(tmp_path / "x.jsonl")
    assert found.classes == ("a", "b")
    assert len(found.skipped) == 1


def test_nested_beyond_measure_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[" * 100_000, "utf-8")
    with pytest.raises(InputError, match="no JSON"):
        load(tmp_path / "x.json")


def test_arrays_that_are_none(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x", b"no array")
        archive.writestr("y", b"nor this")
    with pytest.raises(InputError, match="no array"):
        load(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", x=np.zeros((20, 4), "datetime64[s]"), y=np.arange(20) % 2)
    with pytest.raises(InputError, match="neither numbers nor texts"):
        load(tmp_path / "y.npz")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"valid": "0.1"}, "valid: expected a number in \\[0, 1\\), got '0.1'"),
        ({"valid": None}, "valid: expected a number in \\[0, 1\\), got None"),
        ({"test": 1}, "test: expected a number in \\[0, 1\\), got 1"),
        ({"test": 0}, "expected a fraction above 0: nothing else is set apart"),
        ({"seed": -1}, "seed: expected a whole number of 0 or more, got -1"),
        ({"seed": 0.5}, "seed: expected a whole number of 0 or more, got 0.5"),
        ({"size": 8}, "size: expected .height, width., got 8"),
        ({"size": (8,)}, "size: expected .height, width., got .8,."),
        ({"size": ("8", "8")}, "size: expected a whole number of 1 or more, got '8'"),
        (
            {"size": (100_000, 100_000)},
            "size: 100,000 x 100,000 is more than 67,108,864 pixels a picture",
        ),
        ({"grey": "yes"}, "grey: expected True or False, got 'yes'"),
        ({"white": "255"}, "white: expected a number in \\(0, inf\\), got '255'"),
        ({"white": float("nan")}, "white: expected a number in \\(0, inf\\), got nan"),
        ({"channels": 3}, "channels: expected 'first' or 'last', got 3"),
        ({"label_column": 1}, "label_column: expected a text, got 1"),
        (
            {"text_columns": "text"},
            "text_columns: expected a list of names, got the text 'text': give .'text'.",
        ),
        ({"text_columns": ("a", "a")}, "text_columns: expected each name once"),
        ({"text_columns": (1,)}, "text_columns: expected a list of names, got .1,."),
    ],
)
def test_an_argument_that_says_nothing_is_named(tmp_path, how, message):
    with pytest.raises(InputError, match=message):
        load(write_classes(tmp_path / "pets"), **how)


def test_an_empty_path_is_not_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(write_classes(tmp_path / "pets"))
    assert len(load(".").train)
    with pytest.raises(InputError, match=r"path: expected .*, got an empty text"):
        load("")


def test_a_path_that_is_none_is_refused():
    with pytest.raises(InputError, match="path: expected the path of a file or folder, got None"):
        load(None)


def test_splits_of_another_size_are_refused(tmp_path):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "test", size=(5, 8))
    with pytest.raises(
        InputError,
        match=r"the test examples are 5 x 8 x 3, the train examples 6 x 8 x 3: .*size=.height, "
        r"width",
    ):
        load(tmp_path)
    assert load(tmp_path, size=(5, 5)).test.inputs.shape[1:] == (5, 5, 3)
    save(
        tmp_path / "a.npz",
        x_train=np.zeros((8, 5, 5), np.uint8),
        y_train=np.arange(8) % 2,
        x_test=np.zeros((2, 5, 6), np.uint8),
        y_test=np.arange(2),
    )
    with pytest.raises(
        InputError, match=r"a\.npz: the test examples are 5 x 6 x 1, the train examples 5 x 5 x 1"
    ):
        load(tmp_path / "a.npz")


def test_names_of_classes_that_stand_twice_are_refused(tmp_path):
    save(
        tmp_path / "a.npz",
        x=np.zeros((8, 5, 5), np.uint8),
        y=np.arange(8) % 2,
        classes=np.array(["cat", "cat"]),
    )
    with pytest.raises(
        InputError, match=r"a\.npz: two classes have the name 'cat': give each a name of its own"
    ):
        load(tmp_path / "a.npz")


def test_what_has_the_name_of_a_picture_and_is_none_is_named(tmp_path):
    folder = write_classes(tmp_path / "pets")
    (folder / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "cat" / "more").symlink_to(folder / "dog")
    (folder / "cat" / "album.png").mkdir()
    os.mkfifo(folder / "dog" / "pipe.jpg")
    (folder / "notes.txt").write_text("no picture")
    (folder / "loose.png").write_bytes(png(3))
    splits = load(folder)
    assert {Path(name).name: reason for name, reason in splits.skipped} == {
        "loose.png": "lies beside the folders of the classes, so it has none",
        "gone.png": "is a link to nothing",
        "more": "is a link to a folder, and such are not followed",
        "pipe.jpg": "is no file",
    }
    assert len(splits.train) + len(splits.valid) + len(splits.test) == 20


def test_pictures_of_every_format_that_is_known_are_read(tmp_path):
    for number, suffix in enumerate(("ppm", "tga", "jp2", "pgm") * 5):
        folder = tmp_path / ("a", "b")[number % 2]
        folder.mkdir(exist_ok=True)
        mode = "L" if suffix == "pgm" else "RGB"
        Image.new(mode, (8, 6), number).save(folder / f"{number}.{suffix}")
    splits = load(tmp_path)
    assert len(splits.train) + len(splits.valid) + len(splits.test) == 20
    assert splits.skipped == ()


def test_masks_of_0_and_1_in_arrays_are_told_and_can_be_made_white(tmp_path):
    masks = RNG.integers(0, 2, (20, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "m.npz", x=masks, y=np.arange(20) % 2)
    (note,) = load(tmp_path / "m.npz").notes
    assert "brightest of all 20 pictures has 1 of 255: white=1" in note
    splits = load(tmp_path / "m.npz", white=1)
    assert splits.notes == ()
    assert splits.train.inputs.max() == 255


def test_pictures_that_are_all_dark_are_told(tmp_path):
    for number in range(20):
        folder = tmp_path / ("a", "b")[number % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 4096, (6, 8), dtype=np.uint16)).save(
            folder / f"{number}.png"
        )
    notes = load(tmp_path, grey=True).notes
    assert notes == (
        "the brightest of all 20 pictures has 15 of 255: if their numbers have 10 or 12 bits "
        "in files of 16, "
        "bring them to 16 first",
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": np.array(3), "y": np.arange(4) % 2},
            r"x has the shape \[\]: expected \(examples, ...\)",
        ),
        (
            {"x": np.zeros((4, 0, 5), np.uint8), "y": np.arange(4) % 2},
            r"x has the shape \[4, 0, 5\]",
        ),
        (
            {"x": np.zeros((4, 2, 5, 5, 3), np.uint8), "y": np.arange(4) % 2},
            r"the train examples have 4 axes, \[2, 5, 5, 3\]: expected pictures",
        ),
        (
            {"x": np.zeros((4, 5, 5), np.uint8), "y": np.array([2**63, 1, 0, 1], np.uint64)},
            "labels run up to 9223372036854775808",
        ),
        (
            {"x": np.zeros((20, 5, 5), np.uint8), "y": 37 * np.arange(20)},
            "20 of 20 examples have a label that no other has",
        ),
    ],
)
def test_arrays_of_no_examples_or_classes_are_named(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        load(save(tmp_path / "a.npz", **arrays))


def test_a_path_that_no_system_takes_is_refused():
    with pytest.raises(InputError, match=r"path: a+ cannot be looked at: File name too long"):
        load("a" * 5000)


def divided(tmp_path, **counts):
    """Write an archive with so many rows of each split, of two classes by turns."""
    arrays = {"classes": np.array(["a", "b"])}
    for split, count in counts.items():
        arrays[f"x_{split}"] = np.arange(2.0 * count).reshape(count, 2)
        arrays[f"y_{split}"] = np.arange(count) % 2
    np.savez(tmp_path / "d.npz", **arrays)
    return tmp_path / "d.npz"


def test_a_split_alone_can_be_read(tmp_path):
    path = divided(tmp_path, test=6)
    assert len(load_split(path, "test")) == 6
    assert len(load_split(path, "all")) == 6
    with pytest.raises(InputError, match="holds test, but nothing to train on"):
        load_split(path, "valid")


def test_a_split_is_what_the_data_says_and_the_others_do_not_matter(tmp_path):
    # one example of each class: no validation split can be set apart, and none is asked for
    path = divided(tmp_path, train=2, test=4)
    assert load_split(path, "test").labels.tolist() == [0, 1, 0, 1]
    assert len(load_split(path, "all")) == 6


def test_a_split_that_is_missing_is_set_apart_as_load_does_it(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=np.arange(80.0).reshape(40, 2), y=np.arange(40) % 2)
    assert load_split(path, "test").inputs.tolist() == load(path).test.inputs.tolist()
    assert len(load_split(path, "all")) == 40


@pytest.mark.parametrize(
    ("split", "message"),
    [("dev", "split: expected one of train, valid, test or all"), ("test", "holds no examples")],
)
def test_splits_that_are_none(tmp_path, split, message):
    with pytest.raises(InputError, match=message):
        load_split(divided(tmp_path, train=4, test=0), split)
