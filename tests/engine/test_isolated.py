"""A model in a process of its own: the same face, and what goes wrong in it stays there."""

import gc
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import structures

from handheld.engine import Model, RunLimits, isolation
from handheld.engine import _sandbox as sandbox
from handheld.errors import InputError, ModelError

ONES = np.ones((1, 4), np.float32)


@pytest.fixture(params=["bubblewrap", "limits alone"])
def wrapper(request, monkeypatch):
    if request.param == "bubblewrap":
        if not sandbox.bubblewrap():
            pytest.skip("bubblewrap does not work here")
    else:
        monkeypatch.setattr(sandbox, "bubblewrap", lambda: "")
    return request.param


@pytest.fixture
def add(fixtures, wrapper):
    with Model.open(fixtures / "tiny_add.tflite", isolated=True) as model:
        yield model


def child_of(parent):
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                return int(path.parent.name)
    raise AssertionError(f"process {parent} has no child")


def process(model):
    return model._runtime._process._process


def test_it_has_the_same_face(add, fixtures):
    with Model.open(fixtures / "tiny_add.tflite") as here:
        assert add.isolated
        assert not here.isolated
        assert (add.inputs, add.outputs, add.card, add.size) == (
            here.inputs,
            here.outputs,
            here.card,
            here.size,
        )
        for outputs in (add.run(ONES, ONES), add.run(ONES, y=ONES)):
            np.testing.assert_array_equal(outputs[0], here.run(ONES, ONES)[0])
    add.input_view(0)[...] = 3
    np.testing.assert_array_equal(add.invoke()[0], 4 * ONES)
    outputs = add.run(ONES, ONES)
    outputs[0][...] = 7  # the caller's own
    with pytest.raises(InputError, match="not finite"):
        add.run(ONES * np.nan, ONES)


def test_real_models_give_the_same_bytes(fixture_file):
    rng = np.random.default_rng(0)
    with Model.open(fixture_file) as here, Model.open(fixture_file, isolated=True) as there:
        arrays = [rng.random(info.shape).astype(info.dtype) for info in here.inputs]
        for a, b in zip(here.run(*arrays), there.run(*arrays), strict=True):
            assert (a.tobytes(), a.shape, a.dtype) == (b.tobytes(), b.shape, b.dtype)


def test_scalars_stay_scalars():
    with Model.load(structures.loop(), isolated=True) as model:
        count, doubled = model.run(np.int32(0), np.ones(4, np.float32))
        assert (count.shape, int(count)) == ((), 3)
        np.testing.assert_array_equal(doubled, 8 * np.ones(4))


def test_an_endless_run_is_stopped(wrapper):
    with Model.load(structures.loop(endless=True), isolated=RunLimits(seconds=1.5)) as model:
        with pytest.raises(ModelError, match=r"took longer than 1\.5 s and was stopped"):
            model.run(np.int32(0), np.ones(4, np.float32))
        with pytest.raises(ModelError, match="open the model again"):
            model.run(np.int32(0), np.ones(4, np.float32))
        assert process(model).poll() is not None


def test_a_loop_runs_apart_without_being_asked_to():
    with Model.load(structures.loop()) as model:
        assert model.isolated
        assert "a loop, whose end only a run can tell" in model.doubts[0]
    with Model.load(structures.loop(), isolated=False) as model:
        assert not model.isolated


def test_a_crash_is_an_error_and_harms_nobody_else(add, fixtures):
    with Model.open(fixtures / "tiny_add.tflite", isolated=True) as other:
        child = process(add).pid
        if sandbox.bubblewrap():  # the sandbox waits for its own child, the interpreter
            child = child_of(child_of(child))
        os.kill(child, signal.SIGSEGV)
        with pytest.raises(ModelError, match=r"crashed|ended"):
            add.run(ONES, ONES)
        with pytest.raises(ModelError, match="open the model again"):
            add.run(ONES, ONES)
        np.testing.assert_array_equal(other.run(ONES, ONES)[0], 2 * ONES)


CHILD = """
import os, sys, json, struct
source = os.fdopen(0, "rb")
def read():
    size = struct.unpack("<Q", source.read(8))[0]
    head = json.loads(source.read(size))
    for length in head["lengths"]: source.read(length)
def say(head, data=b""):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    os.write(1, struct.pack("<Q", len(text)) + text + data)
read()
say({"arrays": [["<f4", [1, 4]], ["<f4", [1, 4]]]}, bytes(32))
read()
"""

ANSWERS = {
    "a flood": ("os.write(1, b'x' * 100_000)", "something else than arrays"),
    "a long head": ("os.write(1, struct.pack('<Q', 1 << 40))", "a head of"),
    "no JSON": ("say(b'{')", "something else than arrays"),
    "deep JSON": ("say(b'[' * 100_000)", "something else than arrays"),
    "no object": ("say([1])", "no object"),
    "objects": ("say({'arrays': [['O', [4]]]})", "an array"),
    "negative": ("say({'arrays': [['<f4', [-4]]]})", "an array"),
    "no shape": ("say({'arrays': [['<f4', 'many']]})", "an array"),
    "too much": ("say({'arrays': [['<f8', [1 << 40]]]})", "bytes"),
    "half": ("say({'arrays': [['<f4', [4]]]}, b'1234')", "ended with status 0"),
    "an error": ("say({'error': 'no\\n'})", "the runtime failed: no"),
    "status 3": ("sys.exit(3)", "ended with status 3"),
    "abort": ("os.abort()", "crashed .SIGABRT"),
    "cpu": ("import signal; os.kill(os.getpid(), signal.SIGXCPU)", "more CPU time"),
}


@pytest.mark.parametrize(("action", "message"), ANSWERS.values(), ids=ANSWERS)
def test_whatever_a_child_answers_is_an_error(fixtures, monkeypatch, action, message):
    command = [sys.executable, "-S", "-c", f"{CHILD}\n{action}\n"]
    monkeypatch.setattr(sandbox, "command", lambda *_: (command, {}))
    limits = RunLimits(seconds=20)
    with (
        Model.open(fixtures / "tiny_add.tflite", isolated=limits) as model,
        pytest.raises(ModelError, match=message),
    ):
        model.run(ONES, ONES)


def test_a_child_that_does_not_read_is_no_trap(fixtures, monkeypatch):
    command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(sandbox, "command", lambda *_: (command, {}))
    with pytest.raises(ModelError, match=r"took longer than 0\.5 s"):
        Model.open(fixtures / "tiny_palm.tflite", isolated=RunLimits(seconds=0.5))


def test_a_program_that_is_not_there_is_an_error(fixtures, monkeypatch):
    monkeypatch.setattr(sandbox, "command", lambda *_: (["/nowhere/python"], {}))
    with pytest.raises(ModelError, match="no process of its own can be started"):
        Model.open(fixtures / "tiny_add.tflite", isolated=True)


def test_a_model_that_needs_too_much_memory_is_an_error(wrapper):
    b = structures.Builder()
    x = b.input((16384, 8192))
    b.output(b.op("EXP", [x], (16384, 8192)))  # half a GiB each
    with pytest.raises(ModelError, match=r"refuses|failed|crashed|ended"):
        Model.load(b.finish(), isolated=RunLimits(memory=1 << 30))


def test_the_child_has_no_secrets_and_little_else(add, wrapper, monkeypatch):
    monkeypatch.setenv("HANDHELD_TOKEN", "secret")
    with Model.load(structures.loop(), isolated=True) as model:
        assert b"secret" not in Path(f"/proc/{process(model).pid}/environ").read_bytes()
        limits = Path(f"/proc/{process(add).pid}/limits").read_text()
    if wrapper == "limits alone":
        rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
        assert rows["Max core file size"] == rows["Max file size"] == "0"
        assert int(rows["Max address space"]) == RunLimits().memory


def test_closing_ends_the_process(fixtures):
    model = Model.open(fixtures / "tiny_add.tflite", isolated=True)
    child = process(model)
    model.close()
    model.close()
    assert child.poll() is not None
    with pytest.raises(InputError, match="closed"):
        model.run(ONES, ONES)
    model = Model.open(fixtures / "tiny_add.tflite", isolated=True)
    child = process(model)
    del model
    gc.collect()
    assert child.poll() is not None


def test_the_child_outlives_the_thread_that_opened_it_and_no_more(fixtures, wrapper):
    with ThreadPoolExecutor(1) as pool:
        path = fixtures / "tiny_add.tflite"
        model = pool.submit(Model.open, path, isolated=True).result()
    np.testing.assert_array_equal(model.run(ONES, ONES)[0], 2 * ONES)
    model.close()


def test_the_child_ends_with_its_parent(fixtures, tmp_path):
    code = (
        "import os, sys, handheld.engine as e\n"
        f"m = e.Model.open({str(fixtures / 'tiny_add.tflite')!r}, isolated=True)\n"
        "print(m._runtime._process._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    child = int(done.stdout)
    deadline = time.monotonic() + 20
    while _is_alive(child):
        assert time.monotonic() < deadline, "the child goes on without its parent"


def _is_alive(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_limits_are_judged():
    for wrong in (
        {"seconds": 0},
        {"seconds": float("nan")},
        {"seconds": "5"},
        {"seconds": 1e10},  # more than a child can be waited for
        {"memory": 1 << 63},  # more than the system takes as a limit
        {"memory": 1000},
        {"memory": 2e9},
    ):
        with pytest.raises(InputError, match="expected"):
            RunLimits(**wrong)
    assert isolation()


def test_the_environment_isolates_every_file_that_is_opened(fixtures, monkeypatch):
    path = fixtures / "tiny_add.tflite"
    monkeypatch.setenv("HANDHELD_ISOLATED", "1")
    with Model.open(path) as model, Model.open(path, isolated=False) as trusted:
        assert model.isolated
        assert not trusted.isolated
    monkeypatch.setenv("HANDHELD_ISOLATED", "0")
    with Model.open(path) as model:
        assert not model.isolated
    monkeypatch.setenv("HANDHELD_ISOLATED", "")
    with Model.open(path) as model:
        assert not model.isolated


@pytest.mark.parametrize("said", ["true", "yes", "2", " 1"])
def test_an_environment_that_says_something_else_protects_nobody_silently(
    fixtures, monkeypatch, said
):
    monkeypatch.setenv("HANDHELD_ISOLATED", said)
    with pytest.raises(InputError, match=f"HANDHELD_ISOLATED is '{said}' in the environment"):
        Model.open(fixtures / "tiny_add.tflite")
    with Model.open(fixtures / "tiny_add.tflite", isolated=False) as trusted:
        assert not trusted.isolated


def test_a_fork_does_not_read_its_parents_answers(add, monkeypatch):
    monkeypatch.setattr(add._runtime._process, "_owner", -1)
    with pytest.raises(ModelError, match="of which this one is a fork"):
        add.run(ONES, ONES)
    monkeypatch.undo()
    np.testing.assert_array_equal(add.run(ONES, ONES)[0], 2 * ONES)


def test_the_child_sees_the_folders_of_its_packages_alone(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path))
    words = sandbox.command(("numpy",))[0]
    assert str(tmp_path) not in words
    assert not any(str(tmp_path) in word for word in words)
