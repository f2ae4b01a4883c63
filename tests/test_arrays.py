"""Archives of arrays that somebody else wrote."""

import io
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from handheld.arrays import read_npz

MOST = 1_000_000


def content(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def archive(name: str, *parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, b"".join(parts))
    return file.getvalue()


def archive_that_lies(name: str, size: int, said: int) -> bytes:
    """Return an archive of zeros that says of its one entry that it is smaller."""
    made = bytearray(archive(name, bytes(size)))
    directory = made.rfind(b"PK\x01\x02")
    for position in (22, directory + 24):
        struct.pack_into("<I", made, position, said)
    return bytes(made)


def header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def test_arrays_come_back(tmp_path: Path):
    made = content(a=np.arange(3), b=np.ones((2, 2), np.float32))
    (tmp_path / "a.npz").write_bytes(made)
    for source in (made, tmp_path / "a.npz"):
        arrays = read_npz(source, MOST)
        assert arrays["a"].tolist() == [0, 1, 2]
        assert arrays["b"].dtype == np.float32


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (content(a=np.zeros(MOST + 1, np.uint8)), "unpacks to"),
        (archive("a.npy", header((1 << 38,))), "damaged"),
        (archive("a.npy", header((100,)), b"few"), "array data"),
        (archive("a.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '((((('}"), "damaged: TokenError"),
        (archive("a.txt", b"words"), "no array"),
        (content(a=np.array([{}], object)), "pickle"),
        (b"no archive", "damaged"),
        (b"", "damaged"),
    ],
)
def test_what_is_wrong_is_one_kind_of_error(source: bytes, why: str):
    with pytest.raises(ValueError, match=why):
        read_npz(source, MOST)


@pytest.mark.parametrize("name", ["a.npy", "a.txt"])
def test_what_an_archive_says_of_its_size_is_believed_no_further(name: str):
    source = archive_that_lies(name, 64 << 20, 1000)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="damaged"):
            read_npz(source, MOST)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_methods_that_unpack_all_at_once_are_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("a.npy", header((0,)))
    with pytest.raises(ValueError, match="compressed by method 14"):
        read_npz(file.getvalue(), MOST)


def test_any_damaged_byte_is_an_error_or_nothing():
    made = content(a=np.arange(40), b=np.random.default_rng(0).random(40))
    rng = random.Random(0)
    for _ in range(400):
        damaged = bytearray(made)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        try:
            read_npz(bytes(damaged), MOST)
        except ValueError:
            continue
