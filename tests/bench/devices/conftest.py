"""Machines by ssh and phones by adb, as tests have them.

``ssh`` is either a program of ours that runs the command here, or the real one with a real server
on loopback, which has keys of its own in the test's folder.
"""

import json
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import handheld
from handheld.bench import BenchProtocol
from handheld.bench.devices import BenchJob, DeviceAddress, SshDevice, SshPatience

SOURCE = Path(handheld.__file__).parents[1]
SSHD = Path("/usr/sbin/sshd")
SHORT = BenchProtocol(min_queries=20, min_seconds=0, budgets=(1.0,))
QUICK = SshPatience(greeting=60.0, silence=30.0, run=120.0)

FAKE_SSH = """#!{python}
import json, os, sys
with open({log!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
os.execv("/bin/sh", ["sh", "-c", sys.argv[-1]])
"""

FAKE_ADB = """#!{python}
import json, re, sys
words = " ".join(sys.argv[1:])
with open({log!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
for pattern, output, status in json.load(open({rules!r})):
    if re.search(pattern, words):
        sys.stdout.write(output)
        if words.rpartition(" ")[2].startswith("handheld-status:"):
            sys.stdout.write("handheld-status:%d\\n" % status)
            status = 0
        sys.exit(status)
sys.exit("adb: no transcript of " + words)
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def calls(log):
    """The words of each call of a program of ours."""
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


@pytest.fixture
def remote_command(tmp_path):
    """What starts this package "there": with a folder of its own for temporary files."""
    there = tmp_path / "there"
    there.mkdir()
    words = [f"TMPDIR={there}", f"PYTHONPATH={SOURCE}", sys.executable, "-m", "handheld.cli"]
    return "env " + " ".join(map(shlex.quote, words))


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch):
    """An ``ssh`` that runs the command here; gives a function that returns its calls."""
    log = tmp_path / "ssh.log"
    program(tmp_path / "bin" / "ssh", FAKE_SSH.format(python=sys.executable, log=str(log)))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return lambda: calls(log)


@pytest.fixture
def near(fake_ssh, remote_command):
    """A function that makes a device whose ssh is ours; ``command`` runs in place of the agent."""

    def make(command=None, patience=QUICK):
        if command is not None:
            # What follows, "bench agent", are words that the shell does not look at.
            command = f"exec {command} #"
        return SshDevice(
            DeviceAddress.of("ssh:lab"), command=command or remote_command, patience=patience
        )

    return make


@pytest.fixture
def job():
    return BenchJob(protocol=SHORT)


def why_no_sshd():
    if not SSHD.exists():
        return "no ssh server is installed (apt-get install openssh-server)"
    if not shutil.which("ssh-keygen"):
        return "no ssh client is installed (apt-get install openssh-client)"
    return ""


@pytest.fixture
def sshd(tmp_path, until):
    """A real server on loopback; gives a function that makes devices on it, and its process."""
    if problem := why_no_sshd():
        pytest.skip(problem)
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    for name in ("host", "user", "stranger"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nPidFile none\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
    )
    (folder / "known").write_text(
        f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text('utf-8')}", "utf-8"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    log = (folder / "log").open("wb")
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=log)

    def answers():
        assert process.poll() is None, (folder / "log").read_text("utf-8")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    until(answers, 30)

    def make(command, key="user", known="known", **options):
        words = {
            "IdentityFile": folder / key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": folder / known,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
        }
        ssh_options = ["-F", "none"]
        for name, value in words.items():
            ssh_options += ["-o", f"{name}={value}"]
        address = DeviceAddress.of(f"ssh:127.0.0.1:{port}")
        return SshDevice(address, command=command, options=ssh_options, patience=QUICK, **options)

    make.process = process
    yield make
    process.terminate()
    process.wait(30)
    log.close()


@pytest.fixture
def fake_adb(tmp_path, monkeypatch):
    """An ``adb`` that answers from a table; gives a function that sets it, with ``calls``."""
    log = tmp_path / "adb.log"
    rules = tmp_path / "adb.json"
    text = FAKE_ADB.format(python=sys.executable, log=str(log), rules=str(rules))
    program(tmp_path / "bin" / "adb", text)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def answer(*table):
        rules.write_text(json.dumps(table), "utf-8")

    answer.calls = lambda: calls(log)
    return answer
