"""What lies in archives: found, and judged before it is in memory."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image
from uploads import arrays, zip_of

from handheld.compress.serving import CompressLimits
from handheld.compress.serving.contents import check_data, find_data
from handheld.errors import InputError

PIXELS = np.zeros((6, 16, 16, 3), np.uint8)
LABELS = np.arange(6) % 3


def laid_out(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def picture(width, height, kind="png"):
    content = io.BytesIO()
    Image.new("RGB", (width, height)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (("cat/1.png", "dog/1.png"), "."),
        (("pets/cat/1.png", "pets/dog/1.png"), "pets"),
        (("a/b/cat/1.png", "a/b/dog/1.png"), "a/b"),
        (("train/cat/1.png", "train/dog/1.png", "test/cat/1.png"), "."),
        (("pets/cat/1.png", "pets/dog/1.png", "__MACOSX/pets/cat/._1.png", ".DS_Store"), "pets"),
        (("cat/1.png", "dog/1.png", "licence.txt"), "."),
        (("pets/cat/1.png", "pets/dog/1.png", "licence.txt"), "pets"),
        (("digits.npz",), "digits.npz"),
        (("some/where/digits.npz", "some/readme.md"), "some/where/digits.npz"),
        (("texts.tsv",), "texts.tsv"),
    ],
)
def test_data_is_found(tmp_path, files, found):
    assert find_data(laid_out(tmp_path, dict.fromkeys(files, b"x"))) == (tmp_path / found)
    assert not list(tmp_path.rglob("._*"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "two classes or more in the archive, got nothing"),
        (("1.png", "2.png"), "two classes or more in the archive, got 1.png, 2.png"),
        (("cat/1.png",), "two classes or more in the archive, got cat/"),
        (("a.npz", "b/c.csv"), "one .npz, .csv or .tsv in the archive, got 2: a.npz, b/c.csv"),
        (("state.json", "data/x.arrow"), "state.json in the archive belongs to a saved data set"),
        (tuple(f"{number}.txt" for number in range(9)), "4.txt and 4 more"),
    ],
)
def test_data_that_is_not_there(tmp_path, files, message):
    with pytest.raises(InputError, match=message):
        find_data(laid_out(tmp_path, dict.fromkeys(files, b"x")))


FINE = {
    "cat/1.png": picture(16, 16),
    "dog/1.png": picture(16, 16),
    "dog/damaged.png": b"x",
    "dog/note.txt": b"x",
}


@pytest.mark.parametrize(
    ("files", "side", "limits", "message"),
    [
        ({}, None, {"pictures": 3}, "Data, pictures: this server takes at most 3, got 4"),
        (
            {"cat/2.png": picture(300, 10)},
            None,
            {},
            "cat/2.png is 300 x 10 pixels, at most 256 x 256 .* say in Side",
        ),
        (
            {"cat/2.png": picture(90, 10)},
            16,
            {"source_side": 80},
            "cat/2.png is 90 x 10 pixels, .* make it smaller",
        ),
        (
            {"cat/2.png": picture(16, 20)},
            None,
            {},
            r"differ in size \(cat/1.png of 16 x 16, cat/2.png of 16 x 20\)",
        ),
        ({}, None, {"unpacked_bytes": 3000}, "4 pictures of 16 x 16 take .* GB of memory"),
        ({}, 256, {"unpacked_bytes": 3000}, "take fewer, or a smaller side"),
    ],
)
def test_pictures_that_are_too_much(tmp_path, files, side, limits, message):
    with pytest.raises(InputError, match=message):
        check_data(laid_out(tmp_path, FINE | files), side, CompressLimits(**limits))


def test_a_picture_that_says_it_is_enormous(tmp_path):
    bomb = bytearray(picture(16, 16))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(InputError, match=r"cat/2\.png has more pixels than are taken"):
        check_data(laid_out(tmp_path, FINE | {"cat/2.png": bytes(bomb)}), 16, CompressLimits())


def test_pictures_that_are_fine(tmp_path):
    check_data(laid_out(tmp_path, FINE), None, CompressLimits())
    check_data(laid_out(tmp_path, FINE | {"cat/2.png": picture(99, 20)}), 16, CompressLimits())


def test_pictures_are_those_that_can_be_learned_from(tmp_path):
    with pytest.raises(
        InputError, match=r"cat/2\.png of 16 x 20"
    ):  # a format that the readers of data know
        check_data(
            laid_out(tmp_path, FINE | {"cat/2.png": picture(16, 20, "ppm")}), None, CompressLimits()
        )
    # none, so it is left out later
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 20\n%%EndComments\n"
    check_data(laid_out(tmp_path, FINE | {"cat/2.png": postscript}), None, CompressLimits())


def inside(**files):
    return zip_of({name.replace("__", "."): content for name, content in files.items()})


def lies(content):
    """An array whose header says it is a million times longer."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": (10**12,)}
    )
    return zip_of({"x.npy": buffer.getvalue() + content})


ARRAYS = {
    "many": (
        arrays(x=PIXELS, y=LABELS),
        {"pictures": 5},
        None,
        "Data, pictures: .* at most 5, got 6",
    ),
    "many in splits": (
        arrays(x_train=PIXELS, y_train=LABELS, x_test=PIXELS, y_test=LABELS),
        {"pictures": 11},
        None,
        "got 12",
    ),
    "wide": (
        arrays(x=np.zeros((2, 300, 300), np.uint8), y=LABELS[:2]),
        {},
        None,
        "side of the pictures in x: .* got 300",
    ),
    "side": (
        arrays(x=PIXELS, y=LABELS),
        {},
        32,
        r"Side: arrays are learned from as they are, here \[16, 16\]|Side: arrays",
    ),
    "classes": (
        arrays(x=PIXELS, y=LABELS * 10**15),
        {},
        None,
        "Data, classes: this server takes at most 1,000",
    ),
    "names": (
        arrays(x=PIXELS, y=LABELS, classes=np.array(["a"] * 2000)),
        {},
        None,
        "Data, classes",
    ),
    "objects": (arrays(x=PIXELS, y=np.array([{}], object)), {}, None, "y.npy is no array: "),
    "bomb": (
        arrays(x=np.zeros(3_000_000, np.uint8)),
        {"unpacked_bytes": 10**6},
        None,
        "more than the 1000000 bytes",
    ),
    "bomb that is no array": (
        inside(x=bytes(3_000_000)),
        {"unpacked_bytes": 10**6},
        None,
        "more than the 1000000 bytes",
    ),
    "no array": (inside(x=b"hello"), {}, None, "x is no array"),
    "very many": (
        zip_of({f"{number}.npy": b"" for number in range(99)}),
        {},
        None,
        "at most 64 files",
    ),
    "out of it": (zip_of({"../x.npy": b""}), {}, None, "leads out of it"),
    "header that lies": (lies(b"x"), {}, None, "x.npy is no array"),
    "no archive": (b"hello", {}, None, "expected a .zip"),
}


@pytest.mark.parametrize(("content", "limits", "side", "message"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_are_too_much(tmp_path, content, limits, side, message):
    path = laid_out(tmp_path, {"digits.npz": content}) / "digits.npz"
    with pytest.raises(InputError, match=message):
        check_data(path, side, CompressLimits(**limits))
    assert [one.name for one in tmp_path.iterdir()] == ["digits.npz"]


def test_arrays_that_are_fine(tmp_path):
    path = (
        laid_out(
            tmp_path, {"digits.npz": arrays(x=PIXELS, y=LABELS, classes=np.array(["a", "b", "c"]))}
        )
        / "digits.npz"
    )
    check_data(path, None, CompressLimits())
    check_data(path, 16, CompressLimits())


def test_tables(tmp_path):
    path = laid_out(tmp_path, {"texts.csv": b"label,text\n" + b"a,b\n" * 10}) / "texts.csv"
    check_data(path, None, CompressLimits())
    for end in (b"\n", b"\r\n", b"\r"):
        path.write_bytes(b"label,text" + end + (b"a,b" + end) * 10)
        check_data(path, None, CompressLimits(pictures=11))
        with pytest.raises(InputError, match="Data, rows: this server takes at most 10, got 11"):
            check_data(path, None, CompressLimits(pictures=10))
    path.write_bytes(b"label,text\n" + b"a,b\n" * 10)
    with pytest.raises(InputError, match=r"texts.csv has 51 bytes, at most 12 are taken"):
        check_data(path, None, CompressLimits(unpacked_bytes=100))
