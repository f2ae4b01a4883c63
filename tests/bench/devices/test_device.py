import pytest

from handheld.bench.devices import DeviceAddress, LocalDevice, list_devices, open_device
from handheld.errors import DeviceError, InputError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("this", DeviceAddress("this")),
        ("ssh:lab", DeviceAddress("ssh", "lab")),
        ("ssh:me@lab.example:2222", DeviceAddress("ssh", "lab.example", "me", 2222)),
        ("ssh:me@[::1]:22", DeviceAddress("ssh", "::1", "me", 22)),
        ("ssh:fe80::1%eth0", DeviceAddress("ssh", "fe80::1%eth0")),
        ("adb", DeviceAddress("adb")),
        ("adb:emulator-5554", DeviceAddress("adb", "emulator-5554")),
        ("adb:192.168.1.5:5555", DeviceAddress("adb", "192.168.1.5:5555")),
    ],
)
def test_devices_by_name(text, address):
    assert DeviceAddress.of(text) == address
    assert DeviceAddress.of(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "that",
        "this:1",
        "ssh",
        "ssh:",
        "ssh:@lab",
        "ssh:-oProxyCommand=touch pwned",
        "ssh:-l@lab",
        "ssh:lab;touch pwned",
        "ssh:$(touch pwned)",
        "ssh:`touch pwned`@lab",
        "ssh:a b",
        "ssh:a'b",
        'ssh:a"b@lab',
        "ssh:lab\n",
        "ssh:lab\0",
        "ssh:lab:",
        "ssh:lab:0",
        "ssh:lab:65536",
        "ssh:lab:22x",
        "ssh:lab:٢٢",
        "ssh:[::1]:99999999999999999999",
        "ssh:a|b@lab",
        "adb:",
        "adb:-s",
        "adb:a;reboot",
        "adb:a b",
        "telnet:lab",
    ],
)
def test_what_is_no_device(text):
    with pytest.raises(InputError, match="--device: expected"):
        DeviceAddress.of(text)


def test_this_machine(model_file, job, quiet):
    device = LocalDevice(quiet(2.0).tools)
    (result,) = device.run([model_file], job)
    assert (device.name, result.device) == ("this", "this")
    assert result.latency.p50.value == 2.0


def test_a_phone_needs_its_binary(fake_adb, tmp_path):
    with pytest.raises(InputError, match="benchmark_model"):
        open_device(DeviceAddress.of("adb"))
    with pytest.raises(InputError, match="is no file"):
        open_device(DeviceAddress.of("adb"), benchmark_binary=tmp_path / "none")


def test_programs_that_are_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="ssh is not installed here"):
        open_device(DeviceAddress.of("ssh:lab"))
    with pytest.raises(DeviceError, match="adb is not installed here"):
        open_device(DeviceAddress.of("adb"), benchmark_binary=tmp_path)
    assert [one.device for one in list_devices()] == ["this"]


def test_devices_that_are_seen(fake_adb):
    fake_adb(["devices", "List of devices attached\nA1\tdevice\nB2\tunauthorized\n\n", 0])
    listed = [(one.device, one.state) for one in list_devices()]
    assert listed == [("this", "ready"), ("adb:A1", "ready"), ("adb:B2", "unauthorized")]
