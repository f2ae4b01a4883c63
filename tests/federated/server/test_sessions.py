"""Nonces and sessions: what is not the server's own is nobody's."""

import pytest

from handheld.errors import ServiceError
from handheld.federated.secagg.keys import SigningKey
from handheld.federated.server.sessions import SessionKeys, signing_key
from handheld.federated.wire import messages as wire

DEVICE = SigningKey()


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(clock):
    return SessionKeys(SigningKey(bytes(32)), session_seconds=100.0, clock=clock)


def test_a_session_ends(keys, clock):
    token = keys.session(DEVICE.public)
    clock.now = 1099.0
    assert keys.identity_of(token) == DEVICE.public
    clock.now = 1100.0
    assert keys.identity_of(token) is None


def test_every_process_with_the_key_knows_it(keys, clock):
    other = SessionKeys(SigningKey(bytes(32)), session_seconds=5.0, clock=clock)
    assert other.identity_of(keys.session(DEVICE.public)) == DEVICE.public
    stranger = SessionKeys(SigningKey(), session_seconds=5.0, clock=clock)
    assert stranger.identity_of(keys.session(DEVICE.public)) is None


def test_a_token_with_any_bit_changed_is_none(keys):
    token = keys.session(DEVICE.public)
    for place in range(len(token)):
        for letter in "Az0-":
            changed = token[:place] + letter + token[place + 1 :]
            if changed != token:
                assert keys.identity_of(changed) != SigningKey().public
                assert keys.identity_of(changed) in (None, DEVICE.public)
    assert keys.identity_of(token[:-4]) is None


def test_a_nonce_is_good_for_a_minute(keys, clock):
    nonce = keys.nonce()
    assert keys.nonce_at(nonce) == 1_000_000_000
    clock.now = 1060.0
    assert keys.nonce_at(nonce) == 1_000_000_000
    clock.now = 1060.1
    assert keys.nonce_at(nonce) is None
    assert keys.nonce_at(nonce[:-1] + b"\0") is None
    assert keys.nonce_at(b"") is None


def test_a_session_is_no_nonce_and_no_cookie(keys):
    assert not keys.is_cookie(keys.session(DEVICE.public))
    assert keys.identity_of(keys.cookie(100.0)) is None
    assert keys.is_cookie(keys.cookie(100.0))
    assert not keys.is_cookie("")


def test_signatures_are_for_one_server_and_one_purpose(keys):
    nonce = keys.nonce()
    signature = DEVICE.sign(wire.signed_session(keys.public, nonce))
    request = wire.SessionRequest(identity=DEVICE.public, nonce=nonce, signature=signature)
    assert keys.is_session_request(request)
    as_enrolment = wire.Enrolment(identity=DEVICE.public, nonce=nonce, signature=signature)
    assert not keys.is_enrolment(as_enrolment)
    elsewhere = DEVICE.sign(wire.signed_session(SigningKey().public, nonce))
    assert not keys.is_session_request(
        wire.SessionRequest(identity=DEVICE.public, nonce=nonce, signature=elsewhere)
    )


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "signing.key"
    first = signing_key(path)
    assert signing_key(path).private == first.private
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("nonsense")
    with pytest.raises(ServiceError, match="64 hexadecimal digits"):
        signing_key(path)
