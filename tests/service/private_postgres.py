"""A PostgreSQL of one's own on loopback, for tests and for benchmarks/hostile_uploads.py."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path


def missing():
    """Say what keeps PostgreSQL from running here, or nothing."""
    if not any(_programs()):
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if os.getuid() == 0 and not shutil.which("runuser"):
        return "PostgreSQL does not run as root, and there is no runuser"
    return ""


def _programs():
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


@contextmanager
def private_postgres():
    """Run it; gives a function that makes an empty database and returns its URL."""
    programs = _programs()[-1]
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="handheld-pg-"))
    password = secrets.token_hex(8)
    (folder / "password").write_text(password)
    if as_user:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres")

    def run(*command):
        subprocess.run([*as_user, *command], check=True, capture_output=True, cwd="/", timeout=60)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = folder / "data"
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off -c shared_buffers=16MB"
    try:
        run(
            programs / "initdb",
            "-D",
            data,
            "-U",
            "tester",
            "-A",
            "scram-sha-256",
            f"--pwfile={folder / 'password'}",
            "-N",
        )
        run(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield lambda: _new_database(f"postgresql://tester:{password}@127.0.0.1:{port}")
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_database(server):
    import psycopg

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"
