"""Compiled functions on machines where nothing can be kept."""

from pathlib import Path

import numba

import handheld
from handheld._kernels import kernel


def add(x, y):
    return x + y


def test_a_kernel_is_compiled_and_kept():
    compiled = kernel()(add)
    assert compiled(2, 3) == 5
    assert type(compiled._cache).__name__ == "FunctionCache"


def test_a_kernel_works_where_no_folder_can_be_written(monkeypatch):
    njit = numba.njit

    def refusing(**options):
        if options.get("cache"):
            raise RuntimeError(
                "cannot cache function 'add': no locator available for file 'add.py'"
            )
        return njit(**options)

    monkeypatch.setattr(numba, "njit", refusing)
    assert kernel(fastmath=True)(add)(2, 3) == 5


def test_nothing_else_asks_numba_to_keep_what_it_compiles():
    files = [
        path
        for path in Path(handheld.__file__).parent.rglob("*.py")
        if "cache=True" in path.read_text("utf-8")
    ]
    assert [path.name for path in files] == ["_kernels.py"]
