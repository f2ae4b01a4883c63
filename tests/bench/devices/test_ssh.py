import json
import os
import shlex
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest

from handheld import __version__
from handheld.bench.devices import BenchJob, SshPatience, TaskOption
from handheld.bench.devices.messages import MARK
from handheld.errors import DeviceError, InputError, ModelError

HELLO = {"hello": {"handheld": __version__}}


def saying(*messages, after=""):
    """A command that says messages, as the agent would, and does something afterwards."""
    lines = [MARK.decode() + json.dumps(message) for message in (HELLO, *messages)]
    script = "\n".join(f"print({line!r}, flush=True)" for line in lines)
    script += f"\nimport sys, time\n{after or 'sys.stdin.buffer.read()'}"
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(script)}"


def values_of(device, model_file, job):
    """A result as it comes over the wire."""
    (result,) = device.run([model_file], job)
    return json.loads(json.dumps(result.to_json()))


def left_there(tmp_path):
    return list((tmp_path / "there").iterdir())


@pytest.fixture
def data(tmp_path):
    """Pictures by class, in a folder whose names would do harm in a shell."""
    labels = np.arange(30) % 3
    pictures = np.zeros((30, 2, 2, 3), np.uint8)
    pictures[np.arange(30), 0, 0, labels] = 255
    path = tmp_path / 'it\'s $(touch pwned); -rf `touch pwned` "d".npz'
    np.savez(path, x_test=pictures, y_test=labels, x_train=pictures, y_train=labels)
    return path


def test_a_model_is_measured_there(near, model_file, job, tmp_path, fake_ssh):
    said = []
    (result,) = near().run([model_file], job, said.append)
    assert result.device == "ssh:lab"
    assert (result.model.name, result.model.file) == ("tiny", str(model_file))
    assert result.latency.calls > 0
    assert result.latency.p50.value > 0
    assert said == ["ssh:lab: connected", f"{model_file} on ssh:lab ..."]
    assert left_there(tmp_path) == []
    (words,) = fake_ssh()
    assert words[words.index("--") :][:2] == ["--", "lab"]


def test_several_models_and_data_with_names_that_harm_nothing(
    near, make_classifier, data, job, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    models = []
    for name in ("-rf; touch pwned.tflite", "$(touch pwned) 'x'.tflite", "plain.tflite"):
        path = tmp_path / name
        path.write_bytes(make_classifier())
        models.append(path)
    options = (
        TaskOption(name="--task", text="classification"),
        TaskOption(name="--pixels", text="-1:1"),
        TaskOption(name="--data", path=data),
    )
    results = list(near().run(models, replace(job, options=options)))
    assert [result.model.name for result in results] == [path.stem for path in models]
    assert [result.accuracy.value for result in results] == [1.0, 1.0, 1.0]
    assert not list(tmp_path.rglob("pwned"))
    assert left_there(tmp_path) == []


def test_a_folder_of_data_keeps_its_names(near, model_file, tmp_path, job):
    from PIL import Image

    for number, name in enumerate(("a b", "c'd", "é")):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for file in range(2):
            pixels = np.zeros((2, 2, 3), np.uint8)
            pixels[0, 0, number] = 255
            # The two are one file, which is sent once.
            Image.fromarray(pixels).save(folder / f"{file} $HOME.png")
    options = (TaskOption(name="--data", path=tmp_path / "pictures"),)
    (result,) = near().run([model_file], replace(job, options=options))
    assert (result.examples, result.task) == (6, "classification")


def test_a_model_that_fails_there(near, model_file, tmp_path, job):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"nothing")
    running = near().run([model_file, broken, model_file], job)
    assert next(running).model.name == "tiny"
    with pytest.raises(ModelError, match=r"broken\.tflite on ssh:lab: "):
        next(running)
    assert left_there(tmp_path) == []


def test_what_stands_before_the_first_word_is_a_login_shells(near, remote_command, model_file, job):
    device = near(f"env sh -c {shlex.quote(f'echo welcome; {remote_command} bench agent')}")
    (result,) = device.run([model_file], job)
    assert result.latency.calls > 0


def test_handheld_is_missing_there(near, model_file, job):
    with pytest.raises(DeviceError, match=r"handheld is missing there .*--remote-command"):
        list(near("no-such-program").run([model_file], job))
    command = f"{shlex.quote(sys.executable)} -m no_such_module"
    with pytest.raises(DeviceError, match="handheld is missing there"):
        list(near(command).run([model_file], job))


def test_another_version_there(near, model_file, job, remote_command):
    hello = MARK.decode() + json.dumps({"hello": {"handheld": "0.0.1"}})
    with pytest.raises(DeviceError, match=r"has handheld '0\.0\.1', here is .*: install the same"):
        list(near(f"echo {shlex.quote(hello)}").run([model_file], job))
    with pytest.raises(DeviceError, match="is another version of handheld installed"):
        list(near(f"{remote_command} bench no-agent --no-such").run([model_file], job))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latency": None}, "latency"),
        ({"latency.p50.value": -1.0}, r"latency\.p50\.value"),
        ({"latency.p50.value": 1e300}, r"latency\.p50\.value"),
        ({"model.macs": -5}, r"model\.macs"),
        ({"model.sha256": "0" * 64}, "result of another model"),
        ({"task": "x" * 20_000}, "too many for a result"),
        ({"more": 1}, "no entry 'more'"),
        ({"verdict.valid": "yes"}, "verdict"),
    ],
)
def test_results_are_checked_before_they_are_used(near, model_file, job, change, message):
    values = values_of(near(), model_file, job)
    for path, value in change.items():
        *folders, last = path.split(".")
        table = values
        for name in folders:
            table = table[name]
        table[last] = value
    with pytest.raises(DeviceError, match=message) as caught:
        list(near(saying({"done": [values]})).run([model_file], job))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "message", [{"done": 1}, {"done": []}, {"done": [1]}, {"done": [{}, {}]}, {"done": [[[]]]}]
)
def test_what_is_no_result(near, model_file, job, message):
    with pytest.raises(DeviceError, match="sent what is no result"):
        list(near(saying(message)).run([model_file], job))


def test_floods_are_refused(near, model_file, job):
    patience = SshPatience(farewell=0.2)
    endless = near(f"{shlex.quote(sys.executable)} -c \"print('x' * 20_000_000)\"", patience)
    with pytest.raises(DeviceError, match="a line that is too long"):
        list(endless.run([model_file], job))
    with pytest.raises(DeviceError, match="lines that are no messages"):
        list(near("yes", patience).run([model_file], job))


def test_what_has_the_mark_and_is_no_message(near, model_file, job):
    with pytest.raises(DeviceError, match="an answer that is no JSON"):
        list(near(f"echo {shlex.quote(MARK.decode() + '{')}").run([model_file], job))
    with pytest.raises(DeviceError, match="no object"):
        list(near(f"echo {shlex.quote(MARK.decode() + '[]')}").run([model_file], job))


def test_a_connection_that_is_lost_keeps_what_came_before(near, model_file, job):
    values = values_of(near(), model_file, job)
    # It goes when it is told to run the second one.
    until_second = "runs = 0\nwhile runs < 2:\n    runs += b'run' in sys.stdin.buffer.readline()"
    lost = saying({"done": [values]}, after=until_second)
    running = near(lost).run([model_file, model_file], job)
    assert next(running).device == "ssh:lab"
    with pytest.raises(DeviceError, match="ssh:lab: the connection was lost"):
        next(running)


def test_silence_is_an_end(near, model_file, job):
    patience = SshPatience(greeting=60.0, silence=0.2, run=60.0)
    with pytest.raises(DeviceError, match=r"it was silent for 0\.2 s"):
        list(near(saying(), patience).run([model_file], job))
    patience = SshPatience(greeting=0.2, silence=60.0, run=60.0)
    with pytest.raises(DeviceError, match="no answer; is it reachable"):
        list(near("cat", patience).run([model_file], job))


def test_signs_of_life_are_no_result(near, model_file, job):
    line = MARK.decode() + '{"alive": true}'
    alive = f"while True:\n    print({line!r}, flush=True)\n    time.sleep(0.01)"
    patience = SshPatience(greeting=60.0, silence=60.0, run=0.3, farewell=0.2)
    with pytest.raises(DeviceError, match=r"no result within 0\.3 s"):
        list(near(saying(after=alive), patience).run([model_file], job))


def test_who_stops_early_leaves_nothing_there(near, model_file, job, tmp_path):
    running = near().run([model_file, model_file], job)
    next(running)
    assert left_there(tmp_path)
    running.close()
    assert left_there(tmp_path) == []


def test_rules_that_cannot_be_sent(near, model_file, job):
    changed = BenchJob(protocol=replace(job.protocol, crop=1.0))
    with pytest.raises(InputError, match="crop, seed"):
        list(near().run([model_file], changed))


def test_files_that_cannot_be_read(near, model_file, tmp_path, job):
    (tmp_path / "pictures").mkdir()
    os.mkfifo(tmp_path / "pictures" / "pipe.png")
    options = (TaskOption(name="--data", path=tmp_path / "pictures"),)
    with pytest.raises(InputError, match=r"pipe\.png: cannot be read \(it is a pipe"):
        list(near().run([model_file], replace(job, options=options)))
    with pytest.raises(InputError, match=r"none\.tflite: cannot be read"):
        list(near().run([tmp_path / "none.tflite"], job))


class TestRealServer:
    """With OpenSSH's own server and client."""

    def test_a_model_is_measured_there(self, sshd, remote_command, model_file, data, job, tmp_path):
        options = (TaskOption(name="--data", path=data),)
        device = sshd(remote_command)
        (result,) = device.run([model_file], replace(job, options=options))
        assert result.device == device.name
        assert result.accuracy.value == 1.0
        assert left_there(tmp_path) == []

    def test_a_key_that_is_not_known(self, sshd, remote_command, model_file, job):
        with pytest.raises(DeviceError, match=r"ssh failed: .*Permission denied"):
            list(sshd(remote_command, key="stranger").run([model_file], job))

    def test_a_server_that_is_not_known(self, sshd, remote_command, model_file, job):
        with pytest.raises(DeviceError, match=r"ssh failed: .*[Hh]ost key"):
            list(sshd(remote_command, known="nobody").run([model_file], job))

    def test_handheld_is_missing_there(self, sshd, model_file, job):
        with pytest.raises(DeviceError, match="handheld is missing there"):
            list(sshd("no-such-program").run([model_file], job))

    def test_nobody_listens(self, sshd, remote_command, model_file, job):
        sshd.process.terminate()
        sshd.process.wait(30)
        with pytest.raises(DeviceError, match=r"ssh failed: .*refused"):
            list(sshd(remote_command).run([model_file], job))

    def test_a_connection_that_breaks_leaves_nothing(
        self, sshd, remote_command, model_file, job, tmp_path, until
    ):
        running = sshd(remote_command).run([model_file, model_file], job)
        next(running)
        assert left_there(tmp_path)
        for process in children_of(sshd.process.pid):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(DeviceError, match="the connection was lost"):
            list(running)
        until(lambda: not left_there(tmp_path), 30)


def children_of(process):
    below = []
    waiting = [process]
    while waiting:
        parent = waiting.pop()
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            children = list(map(int, file.read().split()))
        # What it serves with: not the agent itself, which must notice by itself.
        for child in children:
            with open(f"/proc/{child}/comm") as file:
                if file.read().startswith("sshd"):
                    below.append(child)
                    waiting.append(child)
    return below


def test_one_of_several_that_cannot_do_the_task_is_timed_at_least(
    near, model_file, data, job, fixtures_folder
):
    """As on this machine; it ended the run."""
    options = (
        TaskOption(name="--task", text="classification"),
        TaskOption(name="--data", path=data),
    )
    unfit = fixtures_folder / "tiny_palm.tflite"
    task = replace(job, options=options)
    first, second, third = near().run([model_file, unfit, model_file], task)
    assert (first.refusal, third.refusal) == ("", "")
    assert str(unfit) in second.refusal
    assert second.accuracy is None
    assert second.latency.p50.value > 0
    assert first.accuracy == third.accuracy
    with pytest.raises(ModelError) as caught:
        list(near().run([unfit], task))
    # By its name here, and not by the one that it has there.
    assert str(caught.value).count(str(unfit)) == 2
    assert "models/" not in str(caught.value)
