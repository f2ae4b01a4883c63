import errno
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from handheld.errors import FileError, InputError
from handheld.files import (
    append_lines,
    atomic_folder,
    atomic_path,
    ensure_apart,
    ensure_writable,
    locked_file,
    open_lines,
    paths_below,
    uninterrupted,
)


def test_a_file_appears_at_the_end_with_usual_permissions(tmp_path):
    with atomic_path(tmp_path / "new" / "a.txt") as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("done")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "done"
    assert stat.S_IMODE((tmp_path / "new" / "a.txt").stat().st_mode) & 0o400
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_what_cannot_be_written_is_known_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path in ("-", "/dev/stdout", tmp_path / "new" / "folder" / "a.txt", tmp_path / "file"):
        ensure_writable(path)
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileError, match="it is a folder"):
        ensure_writable(tmp_path)
    with pytest.raises(FileError, match=r"no file can be made in .*file"):
        ensure_writable(tmp_path / "file" / "a.txt")
    monkeypatch.setattr("os.access", lambda _path, _mode: False)  # root may write anywhere
    with pytest.raises(FileError, match="no file can be made in"):
        ensure_writable(tmp_path / "new" / "a.txt")


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "photos").mkdir()
    file = tmp_path / "photos" / "a.jpg"
    file.write_text("a photo")
    return file


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["itself", "symlink", "hardlink"])
def test_a_result_is_not_one_of_the_inputs_under_any_name(photo, tmp_path, link):
    other = tmp_path / "b.jpg"
    if link is None:
        other = tmp_path / "photos" / ".." / "photos" / "a.jpg"
    else:
        link(photo, other)
    with pytest.raises(InputError) as caught:
        ensure_apart([None, tmp_path / "new.json", other], [None, tmp_path / "none", photo])
    assert str(caught.value).startswith(f"{other}: would be written over what is read ({photo})")


def test_a_result_is_no_file_of_a_folder_that_is_read(photo, tmp_path):
    with pytest.raises(InputError, match="would be written over what is read"):
        ensure_apart([photo], [tmp_path])
    ensure_apart([photo.with_name("new.json")], [tmp_path])


def test_what_holds_nothing_may_be_read_and_written(tmp_path):
    ensure_apart(["-", "-", "/dev/null", Path("/dev/null")], ["-", "/dev/null"])


def test_two_results_are_not_one_file(tmp_path):
    with pytest.raises(InputError, match="two results cannot go to one file"):
        ensure_apart([tmp_path / "a", tmp_path / "b" / ".." / "a"])


@pytest.fixture
def steps(monkeypatch):
    """What reached the disk and what got its name, in order: the size of a file, or the names in a
    folder.
    """
    seen = []

    def fsync(opened, before=os.fsync):
        is_folder = stat.S_ISDIR(os.fstat(opened).st_mode)
        seen.append(
            ("folder", sorted(os.listdir(opened)))
            if is_folder
            else ("file", os.fstat(opened).st_size)
        )
        before(opened)

    def replace(path, target, before=Path.replace):
        seen.append(("name", target.name))
        return before(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return seen


def test_content_is_on_the_disk_before_its_name_and_the_name_before_it_returns(tmp_path, steps):
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("12345")
    assert steps == [("file", 5), ("name", "a.txt"), ("folder", ["a.txt"])]


def test_what_may_be_lost_waits_for_no_disk(tmp_path, steps):
    with atomic_path(tmp_path / "a.txt", durable=False) as temporary:
        temporary.write_text("12345")
    assert steps == [("name", "a.txt")]


def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch):
    def fsync(opened):
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a.txt").read_text() == "x"


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
    with pytest.raises(FileError, match="cannot be written"), atomic_path(tmp_path / "file" / "a"):
        pass


def test_a_full_disk_is_explained_and_keeps_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def write():
        with atomic_path(tmp_path / "a.txt"), open("/dev/full", "w") as full:
            full.write("x" * 100_000)

    with pytest.raises(
        FileError, match=r"a\.txt: cannot be written: No space left on device; what was there"
    ):
        write()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def modes(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    with atomic_path(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "new"


def test_a_link_to_nothing_makes_what_it_points_to(tmp_path):
    (tmp_path / "link.txt").symlink_to("later.txt")
    with atomic_path(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "later.txt").read_text() == "new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    with atomic_path(path) as temporary:
        assert modes(temporary) & ~mode == 0  # at no moment more open than the file itself
        temporary.write_text("new")
    assert (path.read_text(), modes(path)) == ("new", mode)


def test_a_private_file_is_private_from_the_first_moment_and_whatever_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o644)
    with atomic_path(path, mode=0o600) as temporary:
        assert modes(temporary) == 0o600
        temporary.write_text("new")
    assert modes(path) == 0o600


def test_a_new_file_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("new")
    finally:
        os.umask(before)
    assert modes(tmp_path / "a.txt") == 0o640


def test_a_device_is_written_into_and_stays_a_device(tmp_path):
    before = os.stat("/dev/null")
    with atomic_path("/dev/null") as temporary:
        temporary.write_text("gone")
    after = os.stat("/dev/null")
    assert stat.S_ISCHR(after.st_mode)
    assert (after.st_ino, after.st_rdev) == (before.st_ino, before.st_rdev)


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(pipe.read_text)
        with atomic_path(pipe) as temporary:
            temporary.write_text("through")
        assert reading.result(timeout=10) == "through"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_device_is_explained(tmp_path):
    def write():
        with atomic_path("/dev/full") as temporary:
            temporary.write_text("x" * 100_000)

    with pytest.raises(FileError, match="/dev/full: cannot be written: No space left"):
        write()
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_an_open_file_by_its_number_is_written_into(tmp_path):
    with (tmp_path / "out.txt").open("w") as file:
        with atomic_path(f"/dev/fd/{file.fileno()}") as temporary:
            temporary.write_text("into")
        inode = os.fstat(file.fileno()).st_ino
    assert (tmp_path / "out.txt").read_text() == "into"
    assert (tmp_path / "out.txt").stat().st_ino == inode


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    code = (
        "import os, sys; from handheld.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path:\n path.write_text('half'); os._exit(9)"
    )
    target = tmp_path / "a.txt"
    (tmp_path / ".a.other.txt").write_text("a person's own")
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with (
        atomic_path(target) as mine,
        atomic_path(target) as beside,
    ):  # two at once leave each other alone
        mine.write_text("first")
        beside.write_text("second")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.other.txt", "a.txt"]


def test_a_long_name_is_no_problem(tmp_path):
    path = tmp_path / ("n" * 240 + ".txt")
    with atomic_path(path) as temporary:
        temporary.write_text("x")
    assert path.read_text() == "x"


def test_lines_into_a_pipe_come_one_by_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    first = Event()

    def read():
        with pipe.open() as reader:
            line = reader.readline()
            first.set()
            return line + reader.read()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        with open_lines(pipe) as lines:
            lines.write("one\n")
            assert first.wait(timeout=10)  # read before the file is closed
            lines.write("two\n")
        assert reading.result(timeout=10) == "one\ntwo\n"


def test_lines_into_a_file_appear_at_the_end(tmp_path):
    with open_lines(tmp_path / "a.jsonl") as lines:
        lines.write("ü\n")
        assert not (tmp_path / "a.jsonl").exists()
    assert (tmp_path / "a.jsonl").read_bytes() == "ü\n".encode()


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit of a file's size")
def test_a_file_of_lines_with_a_gap_does_not_appear(tmp_path):
    import resource

    path = tmp_path / "a.jsonl"
    path.write_text("before\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(lines):
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, limits[1]))
        for _ in range(1000):
            lines.write("x" * 49 + "\n")

    try:
        # Its writer goes on, as one that has another result to finish.
        with (
            pytest.raises(FileError, match=r"a\.jsonl: cannot be written: File too large"),
            open_lines(path) as lines,
            suppress(FileError, OSError),
        ):
            fill(lines)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [path]


def test_added_lines_are_there_at_once_and_half_a_line_goes(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    cases = (
        (None, ""),
        ('{"a": 1}\n{"a"', '{"a": 1}\n'),
        ('{"a', ""),
        ('{"a": 1}\n', '{"a": 1}\n'),
        # Whole, but an editor left out its end.
        ('{"a": 1}\n{"a": 2}', '{"a": 1}\n{"a": 2}\n'),
    )
    for content, kept in cases:
        if content is not None:
            path.write_text(content)
        with append_lines(path) as lines:
            lines.write("ü\n")
            assert path.read_text("utf-8") == f"{kept}ü\n"
    with append_lines("/dev/null") as lines:
        lines.write("one\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_lines_that_have_no_room_are_explained():
    with (
        pytest.raises(FileError, match="/dev/full: cannot be written: No space left"),
        append_lines("/dev/full") as lines,
    ):
        lines.write("one\n")


def test_a_file_is_one_writers_by_all_its_names(tmp_path):
    path = tmp_path / "folder" / "lines.jsonl"
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    with locked_file(path):
        for name in (path, link, os.path.relpath(path)):
            with pytest.raises(InputError, match="another process writes it"), locked_file(name):
                pass
        with locked_file(path.with_name("others.jsonl")):
            pass
    with locked_file(link):
        pass


def test_what_is_no_file_has_no_writer_of_its_own():
    with locked_file("-"), locked_file("-"), locked_file("/dev/null"), locked_file("/dev/null"):
        pass
    assert not Path("/dev/.null.lock").exists()


def test_a_writer_is_waited_for(tmp_path):
    path = tmp_path / "lines.jsonl"
    order = []
    held = Event()

    def write_slowly():
        with locked_file(path):
            held.set()
            time.sleep(0.2)
            order.append("first")

    thread = Thread(target=write_slowly)
    thread.start()
    held.wait()
    with locked_file(path, patience=30):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_lines_to_standard_output(capsys):
    with open_lines("-") as lines:
        lines.write("one\n")
    assert capsys.readouterr().out == "one\n"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "folder"
    with pytest.raises(UnicodeEncodeError), atomic_folder(target) as temporary:
        (temporary / "half").write_text("x\udcff", "utf-8")
    assert list((tmp_path / "new").iterdir()) == []
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("x")
        assert not target.exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folder"]
    assert (target / "a").read_text() == "x"
    assert target.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(FileError, match="folder: cannot be written"),
        atomic_folder(tmp_path / "file" / "folder"),
    ):
        pass
    with (
        pytest.raises(FileError, match="folder: cannot be written: No space left on device"),
        atomic_folder(tmp_path / "folder"),
        open("/dev/full", "w") as full,
    ):
        full.write("x" * 10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="has no such signal")
def test_a_signal_that_is_ignored_hides_no_other():
    """Behind ``nohup`` the terminal is closed first, and then the machine goes down."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ended = signal.signal(signal.SIGTERM, lambda number, frame: come.append(number))
    come: list[int] = []
    try:
        with uninterrupted():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
            assert come == []
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGTERM, ended)
    assert come == [signal.SIGTERM]


def test_a_folder_that_may_not_be_read_is_no_empty_one(tmp_path, monkeypatch):
    (tmp_path / "open" / "deep").mkdir(parents=True)
    (tmp_path / "open" / "a").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths_below(tmp_path)] == [
        "link",
        "open",
        "open/a",
        "open/deep",
    ]
    scan = os.scandir

    def scandir(folder):
        # Tests may run as a user to whom all is open.
        if Path(folder).name == "deep":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"deep: cannot be read: Permission denied"):
        paths_below(tmp_path)
