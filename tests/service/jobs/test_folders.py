import os

import pytest

from handheld.errors import InputError, ServiceError
from handheld.service.jobs.folders import Folders, key_of, new_id


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path / "jobs here")


def test_ids_are_long_and_their_keys_are_hashes():
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(key_of(each)) == 64 and each not in key_of(each) for each in ids)
    for wrong in ("", "x", "../" * 11, new_id() + "a", "é" * 32, key_of(new_id())):
        with pytest.raises(InputError, match="the id of a job"):
            key_of(wrong)


def test_only_results_can_be_had(folders):
    mine, other = key_of(new_id()), key_of(new_id())
    folder, stranger = folders.make(mine), folders.make(other)
    (folder / "result" / "sub").mkdir()
    (folder / "result" / "sub" / "a.txt").write_text("fine")
    (folder / "upload" / "secret").write_text("mine")
    (stranger / "result" / "b.txt").write_text("not mine")
    (folder / "result" / "link").symlink_to(stranger / "result" / "b.txt")
    (folder / "result" / "way").symlink_to(stranger / "result")
    assert [(file.name, file.bytes) for file in folders.results(mine)] == [("sub/a.txt", 4)]
    assert folders.result(mine, "sub/a.txt").read_text() == "fine"
    assert folders.bytes_of(mine) == 8
    wrong = [
        "../upload/secret",
        f"../../{other}/result/b.txt",
        "link",
        "way/b.txt",
        "/etc/passwd",
        "",
        ".",
        "sub",
        "sub/",
        "x\0y",
    ]
    for name in (*wrong, "sub//a.txt", "sub/./a.txt", "..\\upload\\secret", "nothing"):
        with pytest.raises(InputError, match="result"):
            folders.result(mine, name)


def test_orphans_are_removed_once_old(folders):
    known, orphan, young = (key_of(new_id()) for _ in range(3))
    for key in (known, orphan, young):
        folders.make(key)
    for key in (known, orphan):
        os.utime(folders.of(key), (1000, 1000))
    folders.remove_orphans({known}, older_than=500)
    assert [folders.of(key).exists() for key in (known, orphan, young)] == [True, False, True]


def test_keys_are_checked(folders):
    with pytest.raises(InputError):
        folders.of("../x")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="cannot be made"):
        Folders(tmp_path / "file" / "jobs")
