import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.errors import ArchiveError, InputError
from handheld.service import unpack

FILES = {"a.txt": b"one", "folder/b.bin": bytes(range(256)) * 30, "folder/déjà vu.txt": b""}


def zip_of(files, **how):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(files, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_member(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def unpacked(tmp_path, content, *, max_bytes=100_000, max_files=20):
    archive = tmp_path / "archive"
    archive.write_bytes(content)
    folder = unpack(archive, tmp_path / "out", max_bytes=max_bytes, max_files=max_files)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


GOOD = {
    "zip": zip_of(FILES),
    "tar": tar_of(FILES),
    "tar, GNU": tar_of(FILES, tarfile.GNU_FORMAT),
    "tar, old": tar_of(FILES, tarfile.USTAR_FORMAT),
    "tar.gz": gzip.compress(tar_of(FILES)),
    "tar.xz": lzma.compress(tar_of(FILES)),
    "tar.xz in two streams": lzma.compress(tar_of(FILES)[:1000])
    + lzma.compress(tar_of(FILES)[1000:]),
    "tar of '.'": tar_of(
        [
            (member(".", tarfile.DIRTYPE), b""),
            *((f"./{name}", content) for name, content in FILES.items()),
        ]
    ),
    "zip with folders": zip_of([("folder/", b""), *FILES.items()]),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_archives_come_out_as_they_went_in(tmp_path, content):
    assert unpacked(tmp_path, content) == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "out"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_of_tar_archives(tmp_path, form):
    name = "/".join(["d" * 90, "e" * 90, "f" * 120])
    assert unpacked(tmp_path, tar_of({name: b"x"}, form)) == {name: b"x"}


def encrypted():
    content = bytearray(zip_of({"a": b"x"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def lzma_zip():
    info = zipfile.ZipInfo("a")
    info.compress_type = zipfile.ZIP_LZMA
    return zip_of([(info, b"x")])


def lying_zip():
    """A member whose header says 5 bytes and which holds 5 million."""
    content = bytearray(zip_of({"a": bytes(5_000_000)}))
    at = content.index(b"PK\x01\x02")
    content[22:26] = content[at + 24 : at + 28] = struct.pack("<I", 5)
    return bytes(content)


def overlapping_zip():
    """A directory whose entries all lead to one member, of 90 kB."""
    content = zip_of({"a": bytes(90_000)})
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[start:end]
    entries = b"".join(entry[:46] + bytes([97 + i]) + entry[47:] for i in range(5))
    return (
        content[:start]
        + entries
        + b"PK\x05\x06"
        + struct.pack("<HHHHIIH", 0, 0, 5, 5, len(entries), start, 0)
    )


def huge_directory():
    """An end that says the directory has 3 GB."""
    return (
        zip_of({"a": b""})[:-22]
        + b"PK\x05\x06"
        + struct.pack("<HHHHIIH", 0, 0, 1, 1, 3 << 30, 0, 0)
    )


def long_name_bomb():
    """A long name of 100 MB, which tarfile would take into memory."""
    return gzip.compress(tar_of([(member("a", tarfile.GNUTYPE_LONGNAME), bytes(100_000_000))]), 1)


def sparse_tar():
    info = tarfile.TarInfo("a")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"}
    return tar_of([(info, b"x")])


def many_headers():
    return tar_of([(member("a", tarfile.XGLTYPE), b"")] * 200)


NAMES = {
    "up": ("../evil", "leads out"),
    "up within": ("a/../../evil", "leads out"),
    "absolute": ("/etc/evil", "absolute"),
    "drive": ("C:/evil", "absolute"),
    "backslash": ("a\\..\\evil", "printable"),
    "newline": ("a\nb", "printable"),
    "right to left": ("a\u202egnp.exe", "printable"),
    "empty part": ("a//b", "printable"),
    "space": ("a /b", "printable"),
    "long": ("x" * 300, "at most 255 bytes"),
    "deep": ("d/" * 40 + "x", "32 folders deep"),
}


def with_number(content, sign, offset, form, number):
    """Return an archive with another number at an offset from a sign."""
    changed = bytearray(content)
    struct.pack_into(form, changed, content.index(sign) + offset, number)
    return bytes(changed)


HOSTILE = {
    "link in a tar": (
        tar_of([(member("a", tarfile.SYMTYPE, "/etc/passwd"), b"")]),
        "a link, a device",
    ),
    "hard link": (tar_of([(member("a", tarfile.LNKTYPE, "b"), b"")]), "a link, a device"),
    "device": (tar_of([(member("a", tarfile.CHRTYPE), b"")]), "a link, a device"),
    "pipe": (tar_of([(member("a", tarfile.FIFOTYPE), b"")]), "a link, a device"),
    "sparse": (sparse_tar(), "sparse"),
    "old sparse": (tar_of([(member("a", tarfile.GNUTYPE_SPARSE), b"")]), "sparse"),
    "link in a zip": (
        zip_of([(zip_member("a", stat.S_IFLNK | 0o777), b"/etc/passwd")]),
        "a link or a device",
    ),
    "encrypted": (encrypted(), "not encrypted"),
    "lzma in a zip": (lzma_zip(), "deflated"),
    "zip bomb": (zip_of({"a": bytes(5_000_000)}), "more than the 100000 bytes"),
    "zip bomb in parts": (
        zip_of({str(i): bytes(30_000) for i in range(5)}),
        "more than the 100000 bytes",
    ),
    "zip whose header lies": (lying_zip(), "broken"),
    "zip of one member many times": (overlapping_zip(), "more than the 100000 bytes|broken"),
    "zip of a huge directory": (huge_directory(), "at most 20 files"),
    "tar.gz bomb": (gzip.compress(tar_of({"a": bytes(50_000_000)})), "more than the 100000 bytes"),
    "tar.xz bomb": (
        lzma.compress(tar_of({"a": bytes(20_000_000)}), preset=0),
        "more than the 100000 bytes",
    ),
    "tar of a long name": (long_name_bomb(), "at most 65536 bytes"),
    "tar of headers": (many_headers(), "extended headers"),
    "zip of many": (zip_of({str(i): b"" for i in range(3000)}), "at most 20 files"),
    "zip of some too many": (zip_of({str(i): b"" for i in range(21)}), "at most 20 files"),
    "tar of many": (tar_of({str(i): b"" for i in range(21)}), "at most 20 files"),
    "folders of many": (tar_of({f"{i}/a": b"" for i in range(11)}), "at most 20 files"),
    "twice in a tar": (tar_of([("a", b"1"), ("a", b"2")]), "two members"),
    "twice but for an accent": (tar_of([("caf\u00e9", b"1"), ("cafe\u0301", b"2")]), "two members"),
    "file then folder": (tar_of([("a", b"1"), ("a/b", b"2")]), "name"),
    "folder then file": (tar_of([("a/b", b"1"), ("a", b"2")]), "name"),
    "cut zip": (GOOD["zip"][:-30], "missing|broken"),
    "cut tar": (GOOD["tar"][:2000], "ends in the middle"),
    "cut gzip": (GOOD["tar.gz"][:200], "broken"),
    "cut xz": (GOOD["tar.xz"][:-100], "broken"),
    "damaged zip": (
        zip_of({"a": b"abcdef"}).replace(b"PK\x03\x04", b"PK\x03\x04", 1)[:40] + b"zz" * 80,
        "missing|broken",
    ),
    "zip without a name": (zip_of({"abc": b"x"}).replace(b"abc", b"\0bc"), "broken"),
    "zip with a member before the file": (
        # Of the archive's end where the directory begins.
        with_number(zip_of({"a": b"x"}), b"PK\x05\x06", 16, "<I", 60),
        "broken",
    ),
    "damaged tar": (b"x" + GOOD["tar"][1:], "broken"),
    "text": (b"hello", "expected a .zip"),
    "nothing": (b"", "expected a .zip"),
} | {
    f"{kind}: {label}": (make([(name, b"x")]), message)
    for label, (name, message) in NAMES.items()
    for kind, make in (("zip", zip_of), ("tar", tar_of))
}


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_leave_nothing(tmp_path, content, message):
    with pytest.raises(ArchiveError, match=message):
        unpacked(tmp_path, content)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_a_name_cut_by_a_zero_byte(tmp_path):
    content = zip_of({"abcd.txt": b"x"}).replace(b"abcd.txt", b"ab\0d.txt")
    with pytest.raises(ArchiveError, match="printable"):
        unpacked(tmp_path, content)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(GOOD)))
def test_damage_is_an_error_or_harmless(tmp_path_factory, data, kind):
    content = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damage")
    try:
        unpacked(folder, bytes(content[: data.draw(st.integers(1, len(content)))]))
    except ArchiveError:
        assert [path.name for path in folder.iterdir()] == ["archive"]


def test_a_folder_in_use_is_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    assert unpacked(tmp_path, GOOD["zip"]) == FILES
    with pytest.raises(InputError, match="does not exist or is empty"):
        unpacked(tmp_path, GOOD["zip"])


def test_the_limits_themselves_are_allowed(tmp_path):
    content = tar_of({"a/b": bytes(99_000), "c": bytes(1000)})
    assert len(unpacked(tmp_path, content, max_bytes=100_000, max_files=3)) == 2
