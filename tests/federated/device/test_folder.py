"""What a device keeps, and what it demands."""

import json
import stat

import pytest

pytest.importorskip("cryptography")

from handheld.errors import InputError
from handheld.federated.device import ClientDemands, ClientFolder
from handheld.federated.device.config import read
from handheld.federated.stages import Clip, LocalNoise
from handheld.federated.tasks import DevicePlan

SHAPES = ((4,),)


def test_a_device_is_the_same_after_a_restart(tmp_path):
    folder = ClientFolder(tmp_path / "device")
    folder.trust(bytes(range(32)))
    again = ClientFolder(tmp_path / "device")
    assert again.identity.public == folder.identity.public
    assert again.server == bytes(range(32))


def test_its_files_are_its_owners_alone(tmp_path):
    folder = ClientFolder(tmp_path / "device")
    folder.trust(bytes(32))
    folder.is_new_round(bytes(16))
    for path in (tmp_path / "device").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_round_is_new_once_whatever_happens_meanwhile(tmp_path):
    folder = ClientFolder(tmp_path)
    assert folder.is_new_round(b"one")
    assert not folder.is_new_round(b"one")
    assert not ClientFolder(tmp_path).is_new_round(b"one")
    assert ClientFolder(tmp_path).is_new_round(b"two")


def test_the_list_of_rounds_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("handheld.federated.device.folder._MOST_ROUNDS", 3)
    folder = ClientFolder(tmp_path)
    for number in range(5):
        assert folder.is_new_round(bytes([number]))
    assert json.loads((tmp_path / "rounds.json").read_text()) == ["02", "03", "04"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("identity.key", b""),
        ("identity.key", b"00" * 31),
        ("identity.key", b"zz" * 32),
        ("identity.key", b"\xff\xfe"),
        ("server.pub", b"00"),
        ("rounds.json", b"{}"),
        ("rounds.json", b"[1]"),
        ("rounds.json", b"[" * 9000),
        ("rounds.json", b""),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        assert ClientFolder(tmp_path).server


def test_a_sum_is_demanded_by_default():
    plan = DevicePlan(shapes=SHAPES)
    with pytest.raises(InputError, match="expected secure aggregation"):
        ClientDemands().require(plan, is_secure=False)
    ClientDemands().require(plan, is_secure=True)
    ClientDemands(secure=False).require(plan, is_secure=False)


def noisy(multiplier):
    return DevicePlan(shapes=SHAPES, stages=(Clip(1.0), LocalNoise(multiplier)), equal=True)


def test_noise_of_the_devices_own_can_be_demanded():
    demands = ClientDemands(local_epsilon=4.0)
    demands.require(noisy(3.0), is_secure=True)
    for plan in (DevicePlan(shapes=SHAPES), noisy(0.0), noisy(0.5)):
        with pytest.raises(InputError, match="epsilon of 4 at most"):
            demands.require(plan, is_secure=True)


@pytest.mark.parametrize(
    "values",
    [
        {"least_clients": 2},
        {"least_threshold": 1},
        {"local_epsilon": 0.0},
        {"delta": 0.0},
        {"delta": 1.0},
    ],
    ids=str,
)
def test_demands_out_of_range(values):
    with pytest.raises(InputError, match=next(iter(values))):
        ClientDemands(**values)


CONFIG = """
server = "https://localhost:1"
folder = "mine"
peers = "peers.txt"
[demands]
least_clients = 5
[conditions]
charging = false
[[tasks]]
name = "points"
examples = "examples.sqlite"
shape = [5]
classes = 3
model = { network = "linear" }
"""


def test_a_device_from_a_file(tmp_path):
    (tmp_path / "device.toml").write_text(CONFIG)
    (tmp_path / "peers.txt").write_text("ab" * 32 + "\n" + "cd" * 32 + "\n")
    client = read(tmp_path / "device.toml").client()
    assert client._demands.least_clients == 5
    assert client._demands.is_known(b"\xab" * 32)
    assert not client._demands.is_known(b"\x00" * 32)
    device = client._devices["points"]
    assert len(device.vector) == 18
    assert not device.gate.conditions.charging


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("https://localhost:1", "ftp://localhost", "https"),
        ("https://localhost:1", "http://example.com", "https"),
        ('network = "linear"', 'network = "none"', "no network"),
        ("least_clients = 5", "least_clients = 1", "least_clients"),
        ("least_clients = 5", "is_known = 1", "is_known"),
        ("shape = [5]", "shape = [0]", "shape"),
        ("[conditions]", "[condition]", "condition"),
        ("peers.txt", "none.txt", "none.txt"),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path, before, after, why):
    (tmp_path / "device.toml").write_text(CONFIG.replace(before, after))
    (tmp_path / "peers.txt").write_text("ab" * 32)
    with pytest.raises(InputError, match=why):
        read(tmp_path / "device.toml").client()
