"""What attacks on our other servers showed does not work here."""

import base64
import contextlib
import http.client
import os
import socket
import ssl
import threading

import msgspec
import pytest
from federations import TOKEN

from handheld.errors import FetchError, InputError
from handheld.federated.secagg.keys import SigningKey
from handheld.federated.server.enrolment import EnrolmentStore
from handheld.federated.server.pki import write_certificates, write_device_certificate
from handheld.federated.wire import messages as wire
from handheld.federated.wire.connection import ConnectionPatience, FederationConnection
from handheld.federated.wire.session import FederationSession


def ask(one, method, path, content=b"", **headers):
    """Ask with a device's own token, without its care."""
    headers.setdefault("Authorization", f"Bearer {one.session._token}")
    return one.connection.ask(method, path, content, headers=headers, most_bytes=100_000)


def problem(answer):
    return wire.message_from(answer.content, wire.Problem).reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        b"\x91" * 5000,
        b"\xff" * 8000,
        msgspec.msgpack.encode(["check-in", 1, ["a\0b"], [1], []])[:-1],
        msgspec.msgpack.encode(["check-in", 2, [], [1], []]),
        msgspec.msgpack.encode(["check-in", 1, [], [1], [], "more"]),
        msgspec.msgpack.encode(["check-in", 1, [], [2**63], []]),
        b"\x95\xa8check-in\x01\x91\xa3\xed\xa0\x80\x91\x01\x90",  # half a letter
    ],
    ids=["empty", "none", "deep", "noise", "cut", "newer", "more", "large", "half a letter"],
)
def test_what_is_no_check_in_is_refused_and_harms_nobody(federation, start, device, content):
    server = start(federation())
    one = device(server)
    answer = ask(one, "POST", "/v1/check-in", content)
    assert answer.status == 400
    assert problem(answer)
    one.session.check_in(plans=[1])
    assert server.process.poll() is None


def test_nul_and_strange_letters_reach_no_database(federation, start, device, database_url):
    server = start(federation(server={"database": database_url}))
    one = device(server)
    assert one.session.check_in(plans=[1], tasks=["a\0b"]).seconds >= 0
    assert one.session.check_in(plans=[1], abilities=["\0", "\U0010ffff"])
    for path in ("/v1/rounds/%00/offer", "/v1/rounds/%ED%A0%80/offer", "/v1/blobs/%00"):
        assert ask(one, "GET", path).status == 404
    for name in ("%00", "%ED%A0%80"):
        answer = ask(one, "GET", f"/tasks/{name}", Authorization="Bearer a token to operate")
        assert answer.status == 404
    assert ask(one, "GET", "/healthz").status == 200


def test_a_device_whose_messages_are_noise_stops_only_its_own_part(
    federation, start, device, together, book
):
    folder = federation(
        tasks=[{"goal": 4, "least": 3, "report_seconds": 1.5, "phase_seconds": 1.0}]
    )
    server = start(folder)
    devices = [device(server, value=value) for value in (1, 10, 100)]
    noisy = device(server)

    def make_noise():
        offer = noisy.session.offer(noisy.selected())
        return noisy.session.exchange(offer.round, 0, os.urandom(200))

    *outcomes, refused = together(*[one.take_part for one in devices], make_noise)
    assert all(outcome.counted for outcome in outcomes)
    assert not refused.counted
    assert "Advertisement" in refused.reason
    ours = book(folder)
    ours.until(lambda: ours.head()[0] == 1)
    assert ours.head()[1]["total"] == [111] * 5
    # Nothing of it is in the log, but that it was refused.
    assert [line for line in server.log() if line["event"] == "message refused"]


def test_bodies_end_where_they_may(federation, start, device):
    server = start(federation(tasks=[{"goal": 1, "options": {"plain": True}}]))
    one = device(server)
    offer = one.session.offer(one.selected())
    path = f"/v1/rounds/{offer.round}/messages/0"
    answer = ask(one, "POST", path, bytes(1001))
    assert answer.status == 413
    assert ask(one, "POST", "/v1/check-in", bytes(9000)).status == 413
    assert _chunked(server, path, one.session._token) == 413
    assert one.send(offer).counted


def _chunked(server, path, token):
    """Send a body without end, which says nothing of its length."""
    context = ssl.create_default_context(cafile=server.folder / "certificates" / "authority.pem")
    connection = http.client.HTTPSConnection("localhost", _port(server), context=context)
    connection.timeout = 30
    try:
        connection.request(
            "POST",
            path,
            (bytes(10_000) for _ in range(100_000)),
            {"Authorization": f"Bearer {token}"},
            encode_chunked=True,
        )
        return connection.getresponse().status
    except OSError:
        return 413  # it closes while more is being sent
    finally:
        connection.close()


def _port(server):
    return int(server.url.rpartition(":")[2])


def test_silent_connections_block_nobody(federation, start, device, together):
    """Some never begin TLS, some never a request, some never a body: a round goes on."""
    server = start(federation())
    context = ssl.create_default_context(cafile=server.folder / "certificates" / "authority.pem")
    address = ("localhost", _port(server))
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(socket.create_connection(address))
        head = b"POST /v1/check-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        for content in [b""] * 25 + [head] * 25:
            plain = socket.create_connection(address)
            secured = context.wrap_socket(plain, server_hostname="localhost")
            stack.enter_context(secured)
            secured.sendall(content)
        devices = [device(server) for _ in range(3)]
        assert all(outcome.counted for outcome in together(*[one.take_part for one in devices]))


def test_who_is_not_enrolled_has_no_session(federation, start, stranger):
    server = start(federation())
    one = stranger(server)
    with pytest.raises(InputError, match="not enrolled"):
        one.session.check_in(plans=[1])
    with pytest.raises(InputError, match="expected the token to enrol with"):
        one.enrol("a wrong token")
    one.enrol(TOKEN)
    one.session.check_in(plans=[1])


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 76, base64.b64encode(bytes(56)).decode()])
def test_a_made_up_session_is_none(federation, start, device, token):
    server = start(federation())
    one = device(server)
    header = f"Bearer {token}".encode().decode("latin-1")
    answer = ask(one, "POST", "/v1/check-in", b"", Authorization=header)
    assert (answer.status, problem(answer)) == (401, "expected the token of a session")


def test_a_session_request_is_good_once(federation, start, device):
    server = start(federation())
    one = device(server)
    nonce = wire.message_from(ask(one, "GET", "/v1/nonce").content, wire.Nonce)
    signature = one.identity.sign(wire.signed_session(nonce.server, nonce.nonce))
    request = wire.SessionRequest(
        identity=one.identity.public, nonce=nonce.nonce, signature=signature
    ).to_bytes()
    assert ask(one, "POST", "/v1/session", request).status == 200
    again = ask(one, "POST", "/v1/session", request)
    assert (again.status, problem(again)) == (
        403,
        "this device is not enrolled, or the nonce is used up",
    )


def test_a_session_that_is_over_is_opened_anew(federation, start, device):
    server = start(federation(server={"session_seconds": 1.0}))
    one = device(server)
    first = one.session._token
    for _ in range(100):
        one.session.check_in(plans=[1])
        if one.session._token != first:
            break
        threading.Event().wait(0.05)
    assert one.session._token != first


def check_in_for_ever(one):
    for _ in range(100):
        one.session.check_in(plans=[1])
        threading.Event().wait(0.1)


def test_a_device_that_is_revoked_has_no_part(federation, start, device, book):
    folder = federation()
    server = start(folder)
    one = device(server)
    one.session.check_in(plans=[1])
    EnrolmentStore(book(folder).database).revoke(one.identity.public)
    with pytest.raises(InputError, match="may not take part"):
        check_in_for_ever(one)
    with pytest.raises(InputError, match="may not take part"):
        one.enrol()


def test_only_the_operator_enrols_where_devices_are_listed(federation, start, stranger, book):
    folder = federation(server={"enrolment": "listed"})
    server = start(folder)
    one = stranger(server)
    with pytest.raises(InputError, match="enrolled by the operator"):
        one.enrol()
    EnrolmentStore(book(folder).database).enrol(one.identity.public)
    one.session.check_in(plans=[1])


def test_devices_with_certificates_are_who_these_say(federation, start, stranger, tmp_path):
    folder = federation(
        server={
            "enrolment": "certificate",
            "client_authority": "certificates/authority.pem",
        }
    )
    server = start(folder)
    keys = [SigningKey(), SigningKey()]
    files = write_device_certificate(
        folder / "certificates", tmp_path / "device.pem", keys[0].private
    )
    authority = folder / "certificates" / "authority.pem"
    with_certificate = FederationConnection(
        server.url, authority=authority, certificate=files[0], key=files[1]
    )
    FederationSession(with_certificate, keys[0]).enrol()
    with pytest.raises(InputError, match="made out to this device"):
        FederationSession(with_certificate, keys[1]).enrol()
    with_certificate.close()
    without = stranger(server, patience=ConnectionPatience(attempts=1))
    with pytest.raises(FetchError):
        without.enrol()


def test_another_server_is_not_taken_for_ours(federation, start, device):
    server = start(federation())
    one = device(server)
    pinned = FederationSession(one.connection, one.identity, server=bytes(32))
    with pytest.raises(FetchError, match="expected the server"):
        pinned.check_in(plans=[1])


def test_a_certificate_of_another_authority_is_refused(federation, start, tmp_path):
    server = start(federation())
    other = write_certificates(tmp_path / "other", ["localhost"])[0]
    connection = FederationConnection(server.url, authority=other)
    with pytest.raises(FetchError, match="not vouched for"):
        connection.ask("GET", "/healthz", most_bytes=100)


def test_states_and_the_models_of_others_are_not_given_out(federation, start, device, book):
    folder = federation()
    server = start(folder)
    one = device(server)
    one.selected()
    head = book(folder).ledger.head("sum")
    assert ask(one, "GET", f"/v1/blobs/{head.state_blob}").status == 404
    assert ask(one, "GET", f"/v1/blobs/{head.model_blob}").status == 200
    assert ask(one, "GET", f"/v1/blobs/{head.model_blob}", Authorization="").status == 401


def test_a_full_disk_takes_nothing_in_and_loses_nothing(federation, start, device, book):
    folder = federation(
        server={"free_bytes": 10**18}, tasks=[{"goal": 1, "options": {"plain": True}}]
    )
    server = start(folder)
    one = device(server)
    ours = book(folder)
    # Known from the first beat on.
    ours.until(lambda: [line for line in server.log() if "disk is full" in line["event"]])
    assert one.session.check_in(plans=[1]).seconds >= 0
    server.end()
    (folder / "federation.toml").write_text(
        (folder / "federation.toml").read_text().replace(str(10**18), "1000")
    )
    again = start(folder)
    two = device(again)
    assert two.take_part().counted
    ours.until(lambda: ours.head()[0] == 1)


def test_tokens_and_keys_are_not_given_away(federation, start, device):
    server = start(federation())
    device(server)
    for name in ("signing.key", "federation.sqlite"):
        assert (server.folder / name).stat().st_mode & 0o077 == 0
    assert (server.folder / "blobs").stat().st_mode & 0o077 == 0
    text = (server.folder / "log").read_text()
    assert TOKEN not in text


def test_pages_of_other_sites_change_nothing(federation, start, device):
    server = start(federation())
    one = device(server)
    answer = ask(
        one,
        "POST",
        "/tasks/sum/pause",
        Authorization="Bearer a token to operate",
        Origin="https://other.example",
    )
    assert answer.status == 403
    assert ask(one, "POST", "/tasks/sum/pause", Authorization="").status == 401
    assert ask(one, "GET", "/", Host="other.example").status == 421
