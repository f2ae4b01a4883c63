import pytest

from handheld.errors import InputError
from handheld.federated.device import DeviceConditions, DeviceSituation, LearningGate
from handheld.federated.device import machine as machines
from handheld.federated.device.machine import MachineSensors, bus_property

GOOD = DeviceSituation(idle=True, charging=True, unmetered=True)


class Given:
    def __init__(self, *situations):
        self.situations, self.asked = list(situations), 0

    def read(self):
        self.asked += 1
        return self.situations.pop(0) if len(self.situations) > 1 else self.situations[0]


@pytest.mark.parametrize(
    ("situation", "unmet"),
    [
        (GOOD, ()),
        (DeviceSituation(idle=False, charging=True, unmetered=True), ("not idle",)),
        (DeviceSituation(idle=True, charging=False), ("not charging", "not known to be unmetered")),
        (
            DeviceSituation(),
            ("not known to be idle", "not known to be charging", "not known to be unmetered"),
        ),
    ],
)
def test_all_conditions_must_be_known_to_hold(situation, unmet):
    assert DeviceConditions().unmet(situation) == unmet
    assert LearningGate(Given(situation)).unmet() == unmet


def test_conditions_can_be_dropped():
    assert DeviceConditions(idle=False, unmetered=False).unmet(DeviceSituation(charging=True)) == ()


def test_sensors_are_asked_again_only_after_a_while():
    seconds = iter([0.0, 0.5, 1.0, 1.5])
    sensors = Given(GOOD, DeviceSituation(idle=False, charging=True, unmetered=True))
    gate = LearningGate(sensors, every=1.0, clock=lambda: next(seconds))
    assert [gate.unmet() for _ in range(4)] == [(), (), ("not idle",), ("not idle",)]
    assert sensors.asked == 2


def test_a_gate_that_looks_back_in_time_is_refused():
    with pytest.raises(InputError, match=r"^every: expected a number in \[0, inf\), got -1"):
        LearningGate(Given(GOOD), every=-1)


class Battery:
    def __init__(self, power_plugged):
        self.power_plugged = power_plugged


@pytest.mark.parametrize(
    ("battery", "charging"),
    [(None, True), (Battery(True), True), (Battery(False), False), (Battery(None), None)],
)
@pytest.mark.parametrize(
    ("answer", "unmetered"),
    [("2", True), ("4", True), ("1", False), ("3", False), ("0", None), (None, None)],
)
def test_what_the_system_says(monkeypatch, battery, charging, answer, unmetered):
    monkeypatch.setattr(machines.psutil, "sensors_battery", lambda: battery)
    found = MachineSensors(ask=lambda place: answer if place[-1] == "Metered" else None).read()
    assert (found.charging, found.unmetered) == (charging, unmetered)


class Times(tuple):
    idle = property(lambda self: self[1])


@pytest.mark.parametrize(
    ("others", "hint", "idle"),
    [
        (1.0, None, True),
        (1.0, "true", True),
        (1.0, "false", False),
        (3.0, None, False),
        (3.0, "true", False),
    ],
)
def test_a_machine_is_idle_when_only_we_work(monkeypatch, others, hint, idle):
    class Process:
        def __init__(self, number):
            self.number = number

        def cpu_times(self):
            return type(
                "LocalBackend",
                (),
                {"user": ours, "system": 0.0, "children_user": 0.0, "children_system": 0.0},
            )

    ours = working = 0.0
    monkeypatch.setattr(machines.psutil, "Process", Process)
    monkeypatch.setattr(machines.psutil, "cpu_times", lambda: Times((working, total - working)))
    total = 0.0
    sensors = MachineSensors(busy=0.25, ask=lambda place: hint if place[-1] == "IdleHint" else None)
    total, ours, working = 10.0, 6.0, 6.0 + others
    assert sensors.read().idle is idle


def test_this_machine_is_read():
    willing, strict = (
        MachineSensors(busy=9.0, ask=lambda place: None),
        MachineSensors(busy=-9.0, ask=lambda place: None),
    )
    started = machines.psutil.cpu_times()
    while machines.psutil.cpu_times() == started:  # the system counts in hundredths of a second
        pass
    assert willing.read().idle is True
    assert strict.read().idle is False
    battery = machines.psutil.sensors_battery()
    assert willing.read().charging is (True if battery is None else battery.power_plugged)


def test_a_bus_that_does_not_answer_is_not_known(monkeypatch):
    assert bus_property(("no.such.service", "/no", "no.such", "Property")) is None
    monkeypatch.setenv("PATH", "")
    assert bus_property(("no.such.service", "/no", "no.such", "Property")) is None
