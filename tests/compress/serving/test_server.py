"""Jobs of strangers, sent to a real server; and a server that dies in the middle of one."""

import contextlib
import io
import stat
import tarfile
import zipfile

import pytest
from uploads import VALUES, shapes, tar_gz_of, zip_of

LIMITS = {"unpacked_bytes": 1_000_000, "pictures": 200, "classes": 10}


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def zip_link():
    info = zipfile.ZipInfo("shapes/circle/x.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zip_of([(info, b"/etc/passwd")])


def npz_bomb():
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(50_000_000))
    return zip_of({"a.npz": inner.getvalue()})


HOSTILE = {
    "out of the folder": ("data.zip", zip_of({"../../../evil.png": b"x"}), "leads out of it"),
    "absolute": (
        "data.tar.gz",
        tar_gz_of([(tarfile.TarInfo("/tmp/evil.png"), b"x")]),
        "an absolute one",
    ),
    "bomb": (
        "data.zip",
        zip_of({"a/1.png": bytes(20_000_000)}),
        "more than the 1000000 bytes allowed",
    ),
    "bomb in a bomb": (
        "data.zip",
        npz_bomb(),
        "x.npy': the archive holds more than the 1000000 bytes allowed",
    ),
    "link": (
        "data.tar.gz",
        tar_gz_of([link("a", "/etc"), (tarfile.TarInfo("a/evil.png"), b"x")]),
        "got a link",
    ),
    "hard link": (
        "data.tar.gz",
        tar_gz_of([link("a/1.png", "../../jobs.sqlite", tarfile.LNKTYPE)]),
        "got a link",
    ),
    "link in a zip": ("data.zip", zip_link(), "got a link or a device"),
    "very many": (
        "data.zip",
        zip_of({f"a/{number}": b"" for number in range(300)}),
        "at most 233 files and folders",
    ),
}


def test_hostile_archives_end_as_failed_jobs(start_server, until, tmp_path):
    server = start_server(LIMITS)
    before = outside(tmp_path)
    for what, (name, content, message) in HOSTILE.items():
        answer = server.submit("compress", VALUES, {"data": (name, content)})
        assert answer.status == 201, answer.body
        job = ended(server, answer.json["url"], until)
        assert job["state"] == "failed", what
        assert message in job["error"], (what, job["error"])
        assert str(tmp_path) not in job["error"], what
        assert job["files"] == []
    assert outside(tmp_path) == before
    folders = list((tmp_path / "server" / "jobs").iterdir())
    assert len(folders) == len(HOSTILE)
    for folder in folders:
        assert not list(folder.rglob("*evil*"))
        assert {path.name for path in folder.iterdir()} == {
            "upload",
            "work",
            "result",
            "lock",
            "log.txt",
        }


def ended(server, url, until):
    return until(
        lambda: (job := server.ask("GET", url).json)["state"] not in ("queued", "running") and job
    )


def note(path, times):
    """Note when a file was written, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        times.append(path.stat().st_mtime_ns)


def outside(folder):
    """Everything that is in no job's folder, but for the database."""
    return sorted(
        path
        for path in folder.rglob("*")
        if "jobs" not in path.parts and not path.name.startswith("jobs.sqlite")
    )


@pytest.mark.parametrize(
    ("values", "files", "message"),
    [
        ({"targets": "5 parsecs"}, {}, "Targets: target '5 parsecs'"),
        ({}, {"model": ("model.pt", b"PK\x03\x04")}, "'model.pt' is a pickle, which can run code"),
        ({}, {"model": ("model.safetensors", b"PK\x03\x04")}, "this is a pickle"),
        ({"epochs": "1000"}, {}, "Epochs: expected a number in [0.1, 50"),
        ({"network": "os:getcwd"}, {}, "Large network: expected one of"),
    ],
)
def test_what_is_refused_at_once(start_server, tmp_path, values, files, message):
    server = start_server()
    answer = server.submit(
        "compress", VALUES | values, {"data": ("data.zip", zip_of(shapes(1)))} | files
    )
    assert answer.status == 422
    assert message in answer.json["error"]
    assert not list((tmp_path / "server" / "jobs").iterdir())


def test_a_job_goes_on_after_its_server_was_killed(start_server, until, tmp_path):
    first = start_server()
    url = first.submit("compress", VALUES, {"data": ("data.zip", zip_of(shapes()))}).json["url"]
    (folder,) = (tmp_path / "server" / "jobs").iterdir()
    plan = folder / "work" / "residual-4" / "run" / "candidates.json"
    written = [until(lambda: plan.exists() and plan.stat().st_mtime_ns)]
    first.end("kill")
    second = start_server()
    until(lambda: (folder / "work" / "residual-4" / "report.html").exists() or note(plan, written))
    assert len(set(written)) == 1, "it went on where it was, rather than plan again"
    job = ended(second, url, until)
    assert (job["state"], job["error"], job["fraction"]) == ("done", None, 1.0)
    assert {"report.html", "plain_1.tflite"} <= {file["name"] for file in job["files"]}
    assert second.ask("GET", f"{url}/files/plain_1.tflite").body[4:8] == b"TFL3"
