import stat

import pytest

from handheld.errors import MediaError
from handheld.media import atomic_path


def test_a_file_appears_at_the_end_with_usual_permissions(tmp_path):
    with atomic_path(tmp_path / "new" / "a.txt") as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("done")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "done"
    assert stat.S_IMODE((tmp_path / "new" / "a.txt").stat().st_mode) & 0o400
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_an_error_keeps_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def fail():
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="cannot be written"), atomic_path(tmp_path / "file" / "a"):
        pass


def test_a_full_disk_is_explained_and_keeps_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def write():
        with atomic_path(tmp_path / "a.txt"), open("/dev/full", "w") as full:
            full.write("x" * 100_000)

    with pytest.raises(MediaError, match=r"a\.txt: cannot be written: No space left on device; what was there"):
        write()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]
