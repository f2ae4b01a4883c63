"""A device's session: what it asks again, how often, and for how long."""

import pytest

pytest.importorskip("cryptography")

from handheld.errors import FetchError
from handheld.federated.secagg.keys import SigningKey
from handheld.federated.wire import messages as wire
from handheld.federated.wire.connection import WireAnswer
from handheld.federated.wire.session import FederationSession

ROUND = "0" * 32


class WaitingServer:
    """Says that others are awaited so many times, and then that the round has ended."""

    def __init__(self, times):
        self.times = times
        self.key = SigningKey()

    def ask(self, method, path, content=b"", *, headers=None, most_bytes):
        if path == "/v1/nonce":
            answer = wire.Nonce(nonce=b"n", server=self.key.public)
        elif path == "/v1/session":
            answer = wire.OpenSession(token="t", seconds=100.0)
        elif self.times > 0:
            self.times -= 1
            answer = wire.StillWaiting()
        else:
            answer = wire.RoundOutcome(counted=False, state="abandoned", reason="", seconds=1.0)
        return WireAnswer(200, answer.to_bytes())


class Clock:
    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def waited(session):
    return session.offer(wire.Selected(round=ROUND, task="points"))


def exchanged(session):
    return session.exchange(ROUND, 0, b"")


@pytest.mark.parametrize("ask", [waited, exchanged])
def test_a_server_that_answers_at_once_is_not_asked_without_end(ask):
    clock = Clock()
    server = WaitingServer(3)
    session = FederationSession(server, SigningKey(), clock=clock, sleep=clock.sleep)
    assert ask(session).state == "abandoned"
    assert clock.pauses == pytest.approx([0.2] * 3)


@pytest.mark.parametrize("ask", [waited, exchanged])
def test_nobody_waits_for_ever(ask):
    clock = Clock()
    server = WaitingServer(10**9)
    session = FederationSession(
        server, SigningKey(), clock=clock, sleep=lambda _: clock.sleep(3600.0)
    )
    with pytest.raises(FetchError, match="others are awaited"):
        ask(session)
    assert clock.now == 25 * 3600.0
