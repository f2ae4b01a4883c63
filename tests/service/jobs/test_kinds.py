import math

import pytest

from handheld.errors import InputError
from handheld.service import FormField, JobKind, Limits

NUMBER = FormField(name="n", label="Epochs", type="number", minimum=1, maximum=5)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (NUMBER, "3", 3.0),
        (FormField(name="n", label="N", type="number", required=False), " ", None),
        (FormField(name="f", label="F", type="flag"), "on", True),
        (FormField(name="f", label="F", type="flag"), "", False),
        (FormField(name="c", label="C", type="choice", choices=("a", "b")), "b", "b"),
        (FormField(name="t", label="T"), " x ", " x "),
    ],
)
def test_values(field, text, value):
    assert field.parse(text) == value


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        (NUMBER, "6", r"Epochs: expected a number in \[1, 5\], got 6"),
        (NUMBER, "nan", r"in \[1, 5\], got nan"),
        (NUMBER, "many", "expected a number, got 'many'"),
        (NUMBER, "", "expected a number, got nothing"),
        (FormField(name="n", label="N", type="number"), str(math.nan), "got nan"),
        (FormField(name="n", label="N", type="number"), "1e999", r"in \(-inf, inf\), got inf"),
        (
            FormField(name="c", label="C", type="choice", choices=("a", "b")),
            "d",
            "one of a, b, got 'd'",
        ),
        (FormField(name="t", label="T"), "x" * 10_001, "at most 10000 characters"),
    ],
)
def test_values_that_are_refused(field, text, message):
    with pytest.raises(InputError, match=message):
        field.parse(text)


def test_files_are_kept_under_names_of_ours():
    field = FormField(name="data", label="Data", type="file", accept=(".gz", ".tar.gz"))
    assert field.file_name("../../My Photos.TAR.GZ") == "data.tar.gz"
    assert FormField(name="data", label="Data", type="file").file_name("a.sh") == "data"
    with pytest.raises(InputError, match=r"called \*.gz, \*.tar.gz, got 'x.exe'"):
        field.file_name("x.exe")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FormField(name="../x", label="X"), "a name of a-z"),
        (lambda: FormField(name="token", label="X"), "neither 'kind' nor 'token'"),
        (lambda: FormField(name="x", label="X", type="choice"), "needs choices"),
        (lambda: FormField(name="x", label="X", type="data"), "expected a type of file, text, "),
        (lambda: FormField(name="x", label="X", accept=".zip"), "accept as a list of texts"),
        (
            lambda: FormField(name="x", label="X", type="choice", choices=("a",), default="b"),
            "X: expected one of a, got 'b'",
        ),
        (
            lambda: FormField(name="x", label="X", type="number", default="many"),
            "X: expected a number, got 'many'",
        ),
        (
            lambda: JobKind(name="x", title="X", entry="a:b", fields=(NUMBER, NUMBER)),
            "kind 'x': two fields are called 'n'",
        ),
        (lambda: Limits(running=None), "running: expected a whole number of 1 or more, got None"),
        (
            lambda: JobKind(name="x", title="X", entry="os.system"),
            "'package.module:function', got 'os.system'",
        ),
        (lambda: JobKind(name="x/y", title="X", entry="a:b"), "a name of a-z"),
        (lambda: Limits(running=0), "^running: expected a whole number of 1 or more, got 0"),
        (lambda: Limits(seconds=math.nan), "^seconds: expected a number in"),
        (lambda: Limits(lease_seconds=math.inf), "^lease_seconds: expected a number in"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(InputError, match=message):
        make()
