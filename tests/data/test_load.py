import io
import json

import numpy as np
import pytest
from PIL import Image

from handheld.data import load
from handheld.errors import InputError

pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'train'")

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
    assert "is 30 x 40, those before are 6 x 8" in splits.skipped[0].reason
    assert len(splits.train) + len(splits.valid) + len(splits.test) == 199
    assert load(tmp_path, size=(6, 8)).skipped == ()


def test_sizes_that_differ_need_one(tmp_path):
    write_classes(tmp_path)
    (tmp_path / "cat" / "99.png").write_bytes(png(1, (3, 3)))
    with pytest.raises(InputError, match=r"3 x 3, those before are 6 x 8; give size"):
        load(tmp_path)
    assert load(tmp_path, size=(5, 5)).train.inputs.shape[1:] == (5, 5, 3)


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_arrays(tmp_path):
    x, y = RNG.integers(0, 256, (40, 5, 5), np.uint8), np.arange(40) % 4
    splits = load(
        save(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:8], y_test=y[:8, None], classes=np.array(list("abcd")))
    )
    assert splits.classes == ("a", "b", "c", "d")
    assert splits.train.inputs.shape[1:] == (5, 5, 1)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (36, 4, 8)
    assert load(save(tmp_path / "b.npz", x=x.astype(np.float32), y=y)).classes == ("0", "1", "2", "3")


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
        ({"x": np.zeros((4, 2)), "y": np.array([0, 1, 2, 2**40])}, "need names"),
        ({"x": np.zeros((4, 2)), "y": np.arange(4) % 2, "classes": np.array(["one"])}, "there are 1 classes"),
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
    (tmp_path / "a.tsv").write_text("".join(f'greet\thello "{i}"\nbye\tso long, {i}\n' for i in range(10)), "utf-8")
    splits = load(tmp_path / "a.tsv")
    assert splits.classes == ("bye", "greet")
    assert len(splits.train) == 16
    assert 'hello "' in "".join(splits.train.inputs)
    (tmp_path / "b.csv").write_text("text,label\n" + '"so long, you",bye\nhi,greet\n' * 5 + "only text,\n", "utf-8")
    from_csv = load(tmp_path / "b.csv", valid=0.2, test=0.2)
    assert "so long, you" in from_csv.train.inputs
    assert [(skipped.name.rpartition(", ")[2], skipped.reason) for skipped in from_csv.skipped] == [
        ("line 12", "expected a label and a text")
    ]


def test_texts_in_split_files_share_the_classes_of_the_first(tmp_path):
    for split in ("train", "valid", "test"):
        extra = "" if split == "train" else "odd\tnever seen\n"
        (tmp_path / f"{split}.tsv").write_text("a\tone\nb\ttwo\n" * 3 + extra)
    splits = load(tmp_path)
    assert splits.classes == ("a", "b")
    assert len(splits.skipped) == 2
    assert "'odd' is not among the classes" in splits.skipped[0].reason


def write_saved(folder, rows, features):
    folder.mkdir(parents=True)
    table = pyarrow.Table.from_pylist(rows)
    with (
        pyarrow.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
        pyarrow.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))


LABEL = {"_type": "ClassLabel", "names": ["cat", "dog"]}


def test_a_saved_data_set_of_pictures(tmp_path):
    for split in ("train", "test"):
        rows = [{"image": {"bytes": png(i), "path": None}, "label": i % 2} for i in range(20)]
        write_saved(tmp_path / split, rows, {"image": {"_type": "Image"}, "label": LABEL})
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    splits = load(tmp_path)
    assert splits.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (18, 2, 20)


def test_a_saved_data_set_of_texts(tmp_path):
    rows = [{"text": f"text {i}", "label": i % 2} for i in range(20)]
    write_saved(tmp_path / "saved", rows, {"text": {"_type": "Value", "dtype": "string"}, "label": LABEL})
    assert load(tmp_path / "saved").train.is_text


def test_a_saved_data_set_may_not_point_elsewhere(tmp_path):
    write_saved(
        tmp_path / "saved", [{"text": "x", "label": 0}], {"text": {"_type": "Value", "dtype": "string"}, "label": LABEL}
    )
    (tmp_path / "saved" / "state.json").write_text('{"_data_files": [{"filename": "../../secret.arrow"}]}')
    with pytest.raises(InputError, match="lies outside"):
        load(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("[1")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "saved")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder for each class"),
        (lambda path: write_classes(path, each=0), "holds no examples"),
        (lambda path: write_classes(path, classes=("one",)), "two classes or more"),
        (lambda path: path.write_text("x"), "a file without suffix"),
        (
            lambda path: [write_classes(path, each=2), [f.write_bytes(b"x") for f in path.rglob("*.png")]],
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
