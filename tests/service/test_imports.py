"""The room is there without its extra, which is loaded when it is used."""

import subprocess
import sys

EXTRA = ("starlette", "uvicorn", "sqlalchemy", "python_multipart", "psycopg")


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_room_loads_nothing_of_the_extra():
    loaded = run(
        "import sys, handheld.service; print(*{name.partition('.')[0] for name in sys.modules})"
    ).split()
    assert "handheld" in loaded
    assert not {*EXTRA, "numpy", "torch"} & set(loaded)


def test_what_is_missing_is_named():
    code = """
import sys
for name in {extra}:
    sys.modules[name] = None
from handheld.errors import MissingDependencyError
from handheld.service import JobKind, serve, unpack
try:
    serve([JobKind(name="a", title="A", entry="a:b")], folder="/nowhere")
except MissingDependencyError as error:
    print(error)
"""
    assert "pip install '.[server]'" in run(code.format(extra=EXTRA))
