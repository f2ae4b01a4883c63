"""Jobs for tests, run in processes of their own; PYTHONPATH leads them here."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

from handheld.errors import InputError

DAEMON = """
import os, sys, time
os.setsid()
if os.fork():
    os._exit(0)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""


# Empties its environment and ignores what asks it to end; a daemon in a session of its own.
GHOST = """
import os, signal, sys, time
if "HANDHELD_JOB" in os.environ:
    os.execve(sys.executable, [sys.executable, "-S", "-c", sys.argv[1], *sys.argv[1:]], {})
os.setsid()
if os.fork():
    os._exit(0)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
open(sys.argv[2], "w").write(str(os.getpid()))
time.sleep(600)
"""

# Processes that start another before they end, so that there always are as many.
SWARM = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(int(sys.argv[1])):
    if not os.fork():
        os.setsid()
        while True:
            time.sleep(0.3)
            if os.fork():
                os._exit(0)
time.sleep(600)
"""


def shout(folder, spec, report):
    """Write what was uploaded, in capitals."""
    report(0.5, "shouting")
    text = (folder / "upload" / spec["text"]).read_text()
    (folder / "result" / "shout.txt").write_text(text.upper() * int(spec.get("times") or 1))
    (folder / "result" / "page").mkdir(exist_ok=True)
    (folder / "result" / "page" / "report.html").write_text(
        "<title>r</title><script>document.title='ran'</script><p>fine</p>"
    )
    report(0.9, "written")


def count(folder, spec, report):
    """Count to 100 in steps that are kept, so that it can go on; waits from 30 on for a file called
    ``go``.
    """
    steps = folder / "work" / "steps"
    done = len(steps.read_text().splitlines()) if steps.exists() else 0
    with (folder / "work" / "starts").open("a") as starts:
        starts.write(f"{done}\n")
    for step in range(done, 100):
        with steps.open("a") as file:
            file.write(f"{step}\n")
        report((step + 1) / 100, f"counted to {step + 1}")
        while step >= 30 and not Path(spec.get("go") or folder / "work" / "go").exists():
            threading.Event().wait(0.02)
    (folder / "result" / "count.txt").write_text(steps.read_text())


def wait(folder, spec, report):
    """Wait for ever, with a process of its own that does so too."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "work" / "pids").write_text(f"{os.getpid()} {process.pid}")
    report(0.25, "waiting")
    threading.Event().wait()


def fail(folder, spec, report):
    """Go wrong, as the spec says."""
    (folder / "result" / "partial.txt").write_text("so far")
    match spec["how"]:
        case "input":
            raise InputError("labels.csv: expected 10 labels, got 9")
        case "bug":
            raise KeyError("weights")
        case "exit":
            os._exit(3)
        case "quiet exit":
            os._exit(0)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            _ = bytearray(8 << 30)
        case "disk":
            (folder / "work" / "large").write_bytes(bytes(200_000))
            threading.Event().wait()
        case "disk without a name":
            with tempfile.TemporaryFile(dir=folder / "work") as file:
                file.write(bytes(200_000))
                file.flush()
                threading.Event().wait()
        case "long words":
            raise InputError("A" * 3_000_000)
        case "no text":
            raise InputError("a\0b \udcff c")
        case "no text in a report":
            report(0.5, "name \udcff\0")
        case "long report":
            report(0.5, "B" * 3_000_000)
        case "no report":
            os.write(3, b"x" * 3_000_000)
        case "strange report":
            os.write(3, b'["fraction", 1]\n')
        case "deep report":
            os.write(3, b"[" * 100_000 + b"\n")
        case "environment":
            (folder / "result" / "environment.txt").write_text("\n".join(sorted(os.environ)))
        case "noise":
            print("a line that is no report", flush=True)
            os.write(2, b"another\n")
            report(float("nan"), "odd")
            report(7, "far")


def orphan(folder, spec, report):
    """Start a process in a session of its own, and end the keeper, which ends this process too."""
    subprocess.run([sys.executable, "-c", DAEMON, str(folder / "work" / "escaped")], check=True)
    while (
        not (folder / "work" / "escaped").exists() or not (folder / "work" / "escaped").read_text()
    ):
        threading.Event().wait(0.02)
    os.kill(os.getppid(), signal.SIGKILL)
    threading.Event().wait()


def ghost(folder, spec, report):
    """Leave a process without a mark, and end the keeper, which ends this process too."""
    subprocess.run(
        [sys.executable, "-S", "-c", GHOST, GHOST, str(folder / "work" / "escaped")], check=True
    )
    while (
        not (folder / "work" / "escaped").exists() or not (folder / "work" / "escaped").read_text()
    ):
        threading.Event().wait(0.02)
    os.kill(os.getppid(), signal.SIGKILL)
    threading.Event().wait()


def swarm(folder, spec, report):
    """Start many processes that replace each other, and wait."""
    subprocess.Popen([sys.executable, "-S", "-c", SWARM, spec["count"]])
    report(0.5, "swarming")
    threading.Event().wait()


def fill(folder, spec, report):
    """Write until the disk is full, into a file with a name or without."""
    with (folder / "work" / "large").open("wb", buffering=0) as file:
        if not spec["name"]:
            (folder / "work" / "large").unlink()
        while True:
            file.write(bytes(1_000_000))
            threading.Event().wait(0.002)


def escape(folder, spec, report):
    """Start a process in a session of its own, whose parent ends at once, as a daemon does; then
    wait.
    """
    subprocess.run([sys.executable, "-c", DAEMON, str(folder / "work" / "escaped")], check=True)
    while (
        not (folder / "work" / "escaped").exists() or not (folder / "work" / "escaped").read_text()
    ):
        threading.Event().wait(0.02)
    report(0.5, "away")
    if not spec.get("go"):
        threading.Event().wait()


def imports(folder, spec, report):
    """Use the standard library while a file in the working folder has the name of one of its
    modules.
    """
    import colorsys

    (folder / "result" / "where.txt").write_text(colorsys.__file__)


def archive(folder, spec, report):
    """Read an uploaded archive the way a real job does."""
    from handheld.service import unpack

    opened = unpack(
        folder / "upload" / spec["data"], folder / "work" / "data", max_bytes=10_000, max_files=10
    )
    names = sorted(path.relative_to(opened).as_posix() for path in opened.rglob("*"))
    with zipfile.ZipFile(folder / "result" / "copy.zip", "w") as copy:
        for name in names:
            copy.write(opened / name, name)
