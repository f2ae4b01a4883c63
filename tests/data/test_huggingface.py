"""Data sets that Hugging Face's ``save_to_disk`` wrote, with columns of every type and splits of
every name.
"""

import io
import json

import numpy as np
import pytest
from PIL import Image

from handheld.data import load
from handheld.errors import InputError

pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'train'")

LABEL = {"_type": "ClassLabel", "names": ["cat", "dog"]}
TEXTS = [f"text {number}" for number in range(20)]
HALVES = [number % 2 for number in range(20)]


def png(value, mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (8, 6), value).save(file, "PNG")
    return file.getvalue()


def write(folder, columns, features=None):
    """Write a split as the library does; features of columns are told apart from their
    Arrow types.
    """
    folder.mkdir(parents=True)
    table = pyarrow.table(columns)
    with (
        pyarrow.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
        pyarrow.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
    )
    (folder / "dataset_info.json").write_text(json.dumps({"features": features or {}}))
    return folder


def write_splits(folder, names, columns):
    for name in names:
        write(folder / name, columns)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(names)}))
    return folder


def test_pictures(tmp_path):
    pictures = [{"bytes": png((value, 0, 0)), "path": None} for value in range(20)]
    for split in ("train", "test"):
        write(
            tmp_path / split,
            {"image": pictures, "label": HALVES},
            {"image": {"_type": "Image"}, "label": LABEL},
        )
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    splits = load(tmp_path)
    assert splits.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (18, 2, 20)
    assert splits.test.inputs[7].tolist() == [[[7, 0, 0]] * 8] * 6
    assert load(tmp_path, grey=True, size=(3, 4)).train.inputs.shape[1:] == (3, 4, 1)


def test_deep_pictures_are_scaled_and_those_of_no_range_named(tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.full((6, 8), 900, np.float32)).save(file, "TIFF")
    deep = io.BytesIO()
    Image.fromarray(np.full((6, 8), 0x8000, np.uint16)).save(deep, "PNG")
    pictures = [{"bytes": deep.getvalue(), "path": None}] * 19 + [
        {"bytes": file.getvalue(), "path": None}
    ]
    splits = load(write(tmp_path / "saved", {"img": pictures, "label": HALVES}))
    assert np.unique(splits.train.inputs).tolist() == [128]
    assert [skipped.name.rpartition(", ")[2] for skipped in splits.skipped] == ["row 19"]
    assert "expected fractions in [0, 1]" in splits.skipped[0].reason


def test_paths_without_pictures_are_refused_with_a_word(tmp_path):
    pictures = [{"bytes": None, "path": f"/photos/{number}.jpg"} for number in range(20)]
    with pytest.raises(
        InputError, match=r"column 'image' holds paths only, such as /photos/0\.jpg, .*save_to_disk"
    ):
        load(write(tmp_path / "saved", {"image": pictures, "label": HALVES}))
    pictures[4:] = [{"bytes": png((value, 0, 0)), "path": "x.jpg"} for value in range(16)]
    pictures[9] = None
    splits = load(write(tmp_path / "mixed", {"image": pictures, "label": HALVES}))
    assert [skipped.reason for skipped in splits.skipped] == [
        *(f"holds a path only: /photos/{number}.jpg" for number in range(4)),
        "expected a picture, got none",
    ]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pyarrow.array(HALVES), ("0", "1")),
        (pyarrow.array([1 + half for half in HALVES], pyarrow.uint8()), ("1", "2")),
        (pyarrow.array([10 - half for half in HALVES]), ("9", "10")),
        (pyarrow.array(["pos", "neg"] * 10), ("neg", "pos")),
        (pyarrow.array(["pos", "neg"] * 10, pyarrow.large_string()), ("neg", "pos")),
        (pyarrow.array(["pos", "neg"] * 10).dictionary_encode(), ("neg", "pos")),
        (pyarrow.array([True, False] * 10), ("false", "true")),
    ],
    ids=["int", "uint8 from 1", "order of numbers", "string", "large_string", "dictionary", "bool"],
)
@pytest.mark.parametrize(
    "texts", [pyarrow.string(), pyarrow.large_string()], ids=["texts", "large texts"]
)
def test_labels_of_any_type(tmp_path, labels, classes, texts):
    splits = load(write(tmp_path / "saved", {"text": pyarrow.array(TEXTS, texts), "label": labels}))
    assert splits.classes == classes
    assert splits.train.counts.tolist() == [8, 8]
    assert splits.train.is_text


def test_dictionary_encoded_texts(tmp_path):
    splits = load(
        write(
            tmp_path / "saved", {"text": pyarrow.array(TEXTS).dictionary_encode(), "label": HALVES}
        )
    )
    assert set(splits.train.inputs) < set(TEXTS)


def test_a_number_of_the_row_is_never_the_text(tmp_path):
    ids = [f"a{number}" for number in range(20)]
    for number, columns in enumerate(({"idx": ids, "text": TEXTS}, {"idx": ids, "words": TEXTS})):
        splits = load(write(tmp_path / str(number), {**columns, "label": HALVES}, {"label": LABEL}))
        assert set(splits.train.inputs) < set(TEXTS)
        assert splits.classes == ("cat", "dog")
    with pytest.raises(
        InputError, match="nothing says which are the texts: no column is left for them"
    ):
        load(write(tmp_path / "only", {"idx": ids, "label": HALVES}, {"label": LABEL}))


PAIR = {"first": TEXTS, "second": [f"also {number}" for number in range(20)], "label": HALVES}


def test_several_texts_are_refused_with_their_names_or_said(tmp_path):
    path = write(tmp_path / "saved", PAIR, {"label": LABEL})
    with pytest.raises(
        InputError,
        match="nothing says which are the texts: columns 'first', 'second' could be them: "
        "name them",
    ):
        load(path)
    assert load(path, text_columns=["second"]).train.inputs[0].startswith("also")
    assert " also " in load(path, text_columns=["first", "second"]).train.inputs[0]
    news = {"title": TEXTS, "description": PAIR["second"], "label": HALVES}
    assert " also " in load(write(tmp_path / "news", news, {"label": LABEL})).train.inputs[0]


def test_several_labels_are_refused_with_their_names_or_said(tmp_path):
    columns = {"text": TEXTS, "coarse": HALVES, "fine": HALVES}
    path = write(
        tmp_path / "saved", columns, {"coarse": LABEL, "fine": {**LABEL, "names": ["a", "b"]}}
    )
    with pytest.raises(
        InputError,
        match=r"nothing says which of 'text' \(string\), 'coarse' \(int64\), 'fine' .*label_column",
    ):
        load(path)
    assert load(path, label_column="fine").classes == ("a", "b")
    pictures = [{"bytes": png(value, "L"), "path": None} for value in range(20)]
    path = write(
        tmp_path / "pictures",
        {"img": pictures, "coarse": HALVES, "fine": HALVES},
        {"coarse": LABEL, "fine": LABEL},
    )
    with pytest.raises(
        InputError, match=r"columns 'coarse' \(int64\), 'fine' \(int64\) could all be the labels"
    ):
        load(path)
    assert load(path, label_column="coarse").classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            {"label_column": "nope"},
            r"no column 'nope'; there are 'text' \(string\), 'label' \(int64\), 'score' \(double\)",
        ),
        (
            {"label_column": "score"},
            r"expected labels that are names or whole numbers, got 'score' \(double\)",
        ),
        ({"text_columns": ["label"]}, r"expected a column of texts, got 'label' \(int64\)"),
        ({"text_columns": ["1"]}, "no column '1'"),
        ({"size": (4, 4)}, "size says nothing of texts"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, how, message):
    path = write(tmp_path / "saved", {"text": TEXTS, "label": HALVES, "score": [0.5] * 20})
    with pytest.raises(InputError, match=message):
        load(path, **how)


def test_no_text_and_no_label_is_left_out_and_counted(tmp_path):
    texts, labels = [*TEXTS], [*HALVES]
    texts[3] = None
    texts[4] = "  "
    labels[5] = None
    labels[6] = -1
    splits = load(write(tmp_path / "saved", {"text": texts, "label": labels}, {"label": LABEL}))
    assert [(skipped.name.rpartition(", ")[2], skipped.reason) for skipped in splits.skipped] == [
        ("row 3", "expected a text, got none"),
        ("row 4", "expected a text, got none"),
        ("row 5", "expected a label, got none"),
        ("row 6", "expected a label, got none"),
    ]
    assert "None" not in {*splits.train.inputs, *splits.valid.inputs, *splits.test.inputs}


def test_minus_one_is_a_label_where_numbers_are_plain(tmp_path):
    splits = load(
        write(tmp_path / "saved", {"text": TEXTS, "label": [2 * half - 1 for half in HALVES]})
    )
    assert splits.classes == ("-1", "1")
    assert splits.skipped == ()


@pytest.mark.parametrize("name", ["val", "dev", "validation", "valid", "eval"])
def test_splits_of_any_name_are_kept(tmp_path, name):
    splits = load(
        write_splits(tmp_path / "saved", ("train", name, "test"), {"text": TEXTS, "label": HALVES})
    )
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [20, 20, 20]


def test_a_split_of_no_known_name_is_told(tmp_path):
    splits = load(
        write_splits(
            tmp_path / "saved", ("train", "unsupervised"), {"text": TEXTS, "label": HALVES}
        )
    )
    assert [skipped.name for skipped in splits.skipped] == [
        str(tmp_path / "saved" / "unsupervised")
    ]
    assert "is the name of no split: expected one of train" in splits.skipped[0].reason
    with pytest.raises(
        InputError, match=r"nothing to train on; .*unsupervised is the name of no split"
    ):
        load(write_splits(tmp_path / "none", ("unsupervised",), {"text": TEXTS, "label": HALVES}))


def test_a_name_that_only_begins_like_a_split_is_none(tmp_path):
    write(tmp_path / "saved" / "train", {"text": TEXTS, "label": HALVES})
    (tmp_path / "saved" / "dataset_dict.json").write_text(
        '{"splits": ["train", "test./../../secret"]}'
    )
    splits = load(tmp_path / "saved")
    assert [skipped.name.endswith("secret") for skipped in splits.skipped] == [True]


def test_grey_pictures_are_told(tmp_path):
    pictures = [{"bytes": png(13 * value, "L"), "path": None} for value in range(20)]
    path = write(tmp_path / "saved", {"image": pictures, "label": HALVES}, {"label": LABEL})
    assert "all 20 pictures are grey: grey=True" in load(path).notes[-1]
    assert load(path, grey=True).notes == ()


def test_a_label_that_training_lacks_is_left_out_of_the_others(tmp_path):
    write(tmp_path / "train", {"text": TEXTS, "label": ["a", "b"] * 10})
    write(tmp_path / "test", {"text": TEXTS, "label": ["b", "c"] * 10})
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["test", "train"]}')
    splits = load(tmp_path)
    assert splits.classes == ("a", "b")
    assert len(splits.test) == 10
    assert "label 'c' is not among the classes" in splits.skipped[0].reason


def test_it_may_not_point_elsewhere(tmp_path):
    path = write(tmp_path / "saved", {"text": TEXTS, "label": HALVES})
    for content, message in (
        ('{"_data_files": [{"filename": "../../secret.arrow"}]}', "lies outside"),
        ('{"_data_files": []}', "names no files"),
        ("[1", "cannot be read"),
    ):
        (path / "state.json").write_text(content)
        with pytest.raises(InputError, match=message):
            load(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.json", {"_data_files": 5}, "state.json: _data_files: expected a list, got 5"),
        (
            "state.json",
            {"_data_files": ["a.arrow"]},
            'state.json: _data_files: expected objects with a "filename"',
        ),
        (
            "state.json",
            {"_data_files": [{"filename": 3}]},
            'state.json: _data_files: expected objects with a "filename"',
        ),
        (
            "state.json",
            {"_data_files": [{}]},
            'state.json: _data_files: expected objects with a "filename"',
        ),
        ("state.json", {}, "state.json names no files"),
        ("state.json", [], "state.json: expected a JSON object"),
        (
            "dataset_info.json",
            {"features": ["text"]},
            "dataset_info.json: features: expected an object, got .'text'.",
        ),
        (
            "dataset_info.json",
            {"features": {"label": {"_type": "ClassLabel", "names": 2}}},
            "dataset_info.json: features: expected names of the class labels 'label', got 2",
        ),
        (
            "dataset_info.json",
            {"features": {"label": {"_type": "ClassLabel"}}},
            "names of the class labels 'label', got None",
        ),
    ],
)
def test_what_the_library_would_not_have_written_is_named(tmp_path, name, content, message):
    folder = write(tmp_path / "set", {"text": TEXTS, "label": HALVES})
    (folder / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        load(folder)


@pytest.mark.parametrize("splits", [5, "train", {"train": 1}])
def test_splits_that_are_no_list_are_named(tmp_path, splits):
    folder = write_splits(tmp_path / "set", ["train"], {"text": TEXTS, "label": HALVES})
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
    with pytest.raises(InputError, match=r"dataset_dict\.json: splits: expected a list"):
        load(folder)


def test_features_of_other_kinds_say_nothing(tmp_path):
    folder = write(tmp_path / "set", {"text": TEXTS, "label": HALVES})
    (folder / "dataset_info.json").write_text(
        json.dumps({"features": {"label": "int64", "text": [1]}})
    )
    assert load(folder).classes == ("0", "1")


def test_bytes_that_are_none_are_no_pictures(tmp_path):
    pictures = [{"bytes": "text", "path": None}] * 20
    with pytest.raises(
        InputError, match="expected a column of labels and one of pictures or texts"
    ):
        load(write(tmp_path / "set", {"image": pictures, "label": HALVES}))
