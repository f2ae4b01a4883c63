"""What devices are answered: MessagePack, an answer of ``wire.messages`` each."""

import hmac
import re
import time
from collections.abc import Awaitable, Callable

from handheld.errors import BusyError, HandheldError, InputError, MissingDependencyError
from handheld.federated.secagg.messages import terms_from
from handheld.federated.server.bodies import read_body
from handheld.federated.server.groups import (
    INPUTS_PHASE,
    LEAST_SECURE,
    most_message_bytes,
    secure_phases,
)
from handheld.federated.server.host import FederationHost
from handheld.federated.server.pki import identity_of
from handheld.federated.server.round_store import (
    GroupRow,
    Joined,
    Participant,
    RoundRow,
    Taken,
    digest_of,
    upload_name,
)
from handheld.federated.server.watcher import phases_of
from handheld.federated.wire import messages as wire
from handheld.service.intake import UploadError
from handheld.service.tls import CLIENT_CERTIFICATE

try:
    from sqlalchemy.exc import SQLAlchemyError
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_MEDIA_TYPE = "application/msgpack"
_IN_ROW_BYTES = 16_384  # of a message; a longer one stands in a file
_BEARER = "Bearer "
_RETRY_SECONDS = 2
_ROUND_ID = re.compile(r"[0-9a-f]{32}")
_LAG_SECONDS = 5.0  # by which a process may see later than another
_MOST_GROUPS_KNOWN = 100_000

_Endpoint = Callable[[Request], Awaitable[Response]]


class DeviceEndpoints:
    """A method for each address that devices ask.

    Args:
        host: the parts of the server.
    """

    def __init__(self, host: FederationHost) -> None:
        self._host = host
        self._joining: dict[str, int] = {}
        # Groups of devices, which never change once there are any.
        self._groups: dict[tuple[str, str], int] = {}

    def routes(self) -> list[Route]:
        """Return the addresses, and what answers them."""
        return [
            Route("/v1/nonce", self._answered("nonce", self.nonce)),
            Route("/v1/enrol", self._answered("enrol", self.enrol), methods=["POST"]),
            Route("/v1/session", self._answered("session", self.session), methods=["POST"]),
            Route("/v1/check-in", self._answered("check_in", self.check_in), methods=["POST"]),
            Route("/v1/rounds/{id}/offer", self._answered("offer", self.offer)),
            Route(
                "/v1/rounds/{id}/messages/{phase:int}",
                self._answered("message", self.message),
                methods=["POST"],
            ),
            Route("/v1/rounds/{id}/messages/{phase:int}", self._answered("poll", self.poll)),
            Route("/v1/blobs/{digest}", self._answered("blob", self.blob)),
        ]

    async def nonce(self, _request: Request) -> Response:
        """Give something to sign."""
        return _answer(wire.Nonce(nonce=self._host.keys.nonce(), server=self._host.keys.public))

    async def enrol(self, request: Request) -> Response:
        """Let a device take part."""
        content = await read_body(request, wire.SMALL_BYTES)
        message = wire.message_from(content, wire.Enrolment)
        host = self._host
        nonce_at = host.keys.nonce_at(message.nonce)
        if nonce_at is None or not host.keys.is_enrolment(message):
            raise UploadError(401, "expected the signature of a new nonce")
        self._require_invited(request, message)
        if not await host.in_thread(host.enrolment.enrol, message.identity, nonce_at):
            raise UploadError(403, "this device may not take part")
        host.log.event("device enrolled", device=message.identity.hex()[:12])
        return self._session(message.identity)

    async def session(self, request: Request) -> Response:
        """Open a session for a device that shows who it is."""
        content = await read_body(request, wire.SMALL_BYTES)
        message = wire.message_from(content, wire.SessionRequest)
        host = self._host
        nonce_at = host.keys.nonce_at(message.nonce)
        if nonce_at is None or not host.keys.is_session_request(message):
            raise UploadError(403, "expected the signature of a new nonce")
        self._require_certificate(request, message.identity)
        if not await host.in_thread(host.enrolment.seen, message.identity, nonce_at):
            raise UploadError(403, "this device is not enrolled, or the nonce is used up")
        return self._session(message.identity)

    async def check_in(self, request: Request) -> Response:
        """Select a device for a round, or tell it when to come back."""
        identity = self._identity(request)
        content = await read_body(request, wire.SMALL_BYTES)
        message = wire.message_from(content, wire.CheckIn)
        host = self._host
        # Before anything is decided: those who are sent away are arrivals too.
        host.steering.arrived()
        reason = ""
        if host.has_room:
            for row in self._fitting(message):
                joined = await self._join(row, identity)
                if joined is Joined.SELECTED:
                    host.metrics.count("selected", task=row.task)
                    return _answer(wire.Selected(round=row.id, task=row.task))
                if joined is Joined.REVOKED:
                    raise UploadError(403, "this device may not take part")
                if joined is Joined.RESTING:
                    reason = "this device took part a short while ago"
        return _answer(wire.ComeBack(seconds=host.steering.come_back(), reason=reason))

    async def offer(self, request: Request) -> Response:
        """Give the work of a round, once devices are selected."""
        identity = self._identity(request).hex()
        round_id = request.path_params["id"]
        until = self._host.clock() + self._host.settings.poll_seconds
        while True:
            version = self._host.watcher.version(phases_of(round_id))
            row = await self._row(round_id)
            if not row.is_open:
                return await self._outcome(row, None, identity)
            group_row = await self._group(row, identity)
            if group_row is not None:
                offer = self._offer(row, group_row)
                signed = self._host.keys.signed_offer(bytes.fromhex(identity), offer)
                return _answer(signed)
            if not await self._changed(round_id, version, until):
                return _answer(wire.StillWaiting())

    async def message(self, request: Request) -> Response:
        """Take what a device sends in a phase, and tell it what comes next."""
        identity = self._identity(request).hex()
        phase = request.path_params["phase"]
        row, group = await self._part(request, identity, phase)
        if group is None:
            return await self._outcome(row, None, identity)
        content = await self._received(request, row, group, phase)
        taken = await self._take(row, group, phase, identity, content)
        self._host.metrics.count("messages", phase=str(phase), outcome=taken.name.lower())
        if taken is Taken.DIFFERENT:
            raise UploadError(409, "this device sent something else for this phase")
        self._host.watcher.poke()
        return await self._next(row.id, group.number, phase, identity)

    async def poll(self, request: Request) -> Response:
        """Tell a device what comes after a phase."""
        identity = self._identity(request).hex()
        phase = request.path_params["phase"]
        row, group = await self._part(request, identity, phase)
        if group is None:
            return await self._outcome(row, None, identity)
        return await self._next(row.id, group.number, phase, identity)

    async def blob(self, request: Request) -> Response:
        """Give a model or a plan of a round that is under way."""
        self._identity(request)
        digest = request.path_params["digest"]
        # Of what is under way alone: states lie beside models, and have what devices must not see.
        if digest not in self._public_blobs():
            raise UploadError(404, "there is no such model or plan now")
        content = await self._host.blob(digest)
        self._host.metrics.count("bytes_down", len(content))
        return Response(content, media_type="application/octet-stream")

    def _answered(self, name: str, endpoint: _Endpoint) -> _Endpoint:
        """Return an endpoint that is timed, and whose errors devices understand."""

        async def answer(request: Request) -> Response:
            begun = time.perf_counter()
            try:
                response = await endpoint(request)
            except HandheldError as error:
                response = self._problem(error)
            except SQLAlchemyError as error:
                self._host.log.event("database failed", request=name, error=type(error).__name__)
                response = _problem(503, "the database does not answer")
            self._host.metrics.observe("request_seconds", time.perf_counter() - begun, request=name)
            self._host.metrics.count("requests", request=name, status=str(response.status_code))
            return response

        return answer

    def _problem(self, error: HandheldError) -> Response:
        if isinstance(error, UploadError):
            return _problem(error.status, str(error))
        if isinstance(error, InputError):
            return _problem(400, str(error))
        if isinstance(error, BusyError):
            return _problem(503, str(error))
        # Words of ours may name places of this machine.
        self._host.log.event("request failed", error=str(error))
        return _problem(503, "the server cannot do this now")

    def _identity(self, request: Request) -> bytes:
        token = request.headers.get("authorization", "")
        identity = self._host.keys.identity_of(token.removeprefix(_BEARER))
        if identity is None:
            raise UploadError(401, "expected the token of a session")
        if identity.hex() in self._host.revoked:
            raise UploadError(403, "this device may not take part")
        return identity

    def _require_invited(self, request: Request, message: wire.Enrolment) -> None:
        enrolment = self._host.settings.enrolment
        if enrolment == "listed":
            raise UploadError(403, "devices are enrolled by the operator here")
        if enrolment == "token":
            expected = self._host.enrolment_token
            if not expected or not hmac.compare_digest(message.token.encode(), expected.encode()):
                raise UploadError(403, "expected the token to enrol with")
        self._require_certificate(request, message.identity)

    def _require_certificate(self, request: Request, identity: bytes) -> None:
        """Refuse a device with another's certificate, where devices enrol by theirs."""
        if self._host.settings.enrolment != "certificate":
            return
        shown = request.scope.get("extensions", {}).get(CLIENT_CERTIFICATE, b"")
        if identity_of(shown) != identity:
            raise UploadError(403, "expected a certificate that is made out to this device")

    def _session(self, identity: bytes) -> Response:
        keys = self._host.keys
        return _answer(wire.OpenSession(token=keys.session(identity), seconds=keys.session_seconds))

    def _fitting(self, message: wire.CheckIn) -> list[RoundRow]:
        """Return the rounds that a device could take part in, the fullest and oldest first."""
        fitting = []
        for row in self._host.watcher.snapshot.rounds.values():
            # With those who are being written in: a thousand at once would else all ask the
            # database for the last seat.
            has_room = row.selected + self._joining.get(row.id, 0) < row.most
            if row.state != "selecting" or not has_room:
                continue
            if message.tasks and row.task not in message.tasks:
                continue
            if self._can(message, row):
                fitting.append(row)
        # Few devices, which come at the same time, fill one round rather than none. The one that
        # began first is over first, so that tasks side by side take turns.
        return sorted(fitting, key=lambda row: (-row.selected / row.most, row.deadline, row.id))

    def _can(self, message: wire.CheckIn, row: RoundRow) -> bool:
        task = self._host.tasks.get(row.task)
        if task is None or not set(task.settings.needs) <= set(message.abilities):
            return False
        plan_versions = {plan.plan_version for plan in wire.plans_from(row.plans)}
        return not plan_versions.isdisjoint(message.plans)

    async def _join(self, row: RoundRow, identity: bytes) -> Joined:
        self._joining[row.id] = self._joining.get(row.id, 0) + 1
        resting = self._host.tasks[row.task].settings.rest
        try:
            joined = await self._host.in_thread(
                lambda: self._host.store.join(row.id, identity.hex(), resting=resting)
            )
        finally:
            self._joining[row.id] -= 1
            if not self._joining[row.id]:
                del self._joining[row.id]
        if joined is Joined.SELECTED:
            self._host.watcher.poke()
        return joined

    async def _row(self, round_id: str) -> RoundRow:
        # Before the database: PostgreSQL takes no NUL, and says so like one that is away.
        if not _ROUND_ID.fullmatch(round_id):
            raise UploadError(404, "there is no such round")
        row = self._host.watcher.snapshot.rounds.get(round_id)
        if row is None:
            # Ended, or begun by another process since the last look.
            row = await self._host.in_thread(self._host.store.get, round_id)
        if row is None:
            raise UploadError(404, "there is no such round")
        return row

    async def _part(
        self, request: Request, identity: str, phase: int
    ) -> tuple[RoundRow, GroupRow | None]:
        """Return a device's round, and its group while the round is under way.

        What the device knows of another process, this one may not have seen yet.
        """
        round_id = request.path_params["id"]
        until = self._host.clock() + _LAG_SECONDS
        while True:
            version = self._host.watcher.version(phases_of(round_id))
            row = await self._row(round_id)
            if not row.is_open:
                return row, None
            group = await self._group(row, identity)
            if group is not None and (group.phase >= phase or group.state != "open"):
                return row, group
            if not await self._changed(round_id, version, until):
                raise UploadError(409, f"phase {phase} has not begun")

    async def _changed(self, round_id: str, version: int, until: float) -> bool:
        """Wait for a change of a round's phases; return False where none comes in time."""
        seconds = until - self._host.clock()
        key = phases_of(round_id)
        return seconds > 0 and await self._host.watcher.changed(key, version, seconds)

    async def _group(self, row: RoundRow, identity: str) -> GroupRow | None:
        """Return a device's group; None while devices are selected, as far as is seen here."""
        number = self._groups.get((row.id, identity))
        if number is None:
            participant = await self._participant(row.id, identity)
            number = participant.group
            if number is None:
                return None
            # All of them, rather than the oldest: what is missing is read once more from the
            # database.
            if len(self._groups) >= _MOST_GROUPS_KNOWN:
                self._groups.clear()
            self._groups[row.id, identity] = number
        return self._host.watcher.snapshot.groups.get((row.id, number))

    async def _participant(self, round_id: str, identity: str) -> Participant:
        participant = await self._host.in_thread(self._host.store.participant, round_id, identity)
        if participant is None:
            raise UploadError(404, "this device has no part in that round")
        return participant

    def _offer(self, row: RoundRow, group: GroupRow) -> wire.Offer:
        task = self._host.tasks[row.task]
        return wire.Offer(
            round=row.id,
            number=row.base + 1,
            task=row.task,
            purpose=task.served.purpose,
            model=wire.BlobAddress(bytes.fromhex(row.model_blob), row.model_bytes),
            plans=wire.plans_from(row.plans),
            seconds=max(group.deadline - self._host.clock(), 0.0),
            most_bytes=row.most_bytes,
            terms=group.terms,
            least_clients=LEAST_SECURE if group.terms else 1,
        )

    def _public_blobs(self) -> set[str]:
        """Return the hashes of what devices may have: never those of states."""
        digests = set()
        for row in self._host.watcher.snapshot.rounds.values():
            digests.add(row.model_blob)
            digests |= {plan.blob.sha256.hex() for plan in wire.plans_from(row.plans)}
        return digests

    async def _received(
        self, request: Request, row: RoundRow, group: GroupRow, phase: int
    ) -> bytes:
        """Return a message, within what all that are being received may take of the memory."""
        if phase >= _phases(group):
            raise UploadError(404, "there is no such phase")
        limit = row.most_bytes
        if group.terms:
            limit = most_message_bytes(phase, terms_from(group.terms), members=group.members)
        host = self._host
        if not host.has_room:
            raise UploadError(507, "the server's disk is full")
        # One is always taken, however large: a limit that is set too low must not stop all.
        if host.inflight_bytes and host.inflight_bytes + limit > host.settings.inflight_bytes:
            raise BusyError("too much is being received; try again in a moment")
        # By what it may become: its true length is known when it is too late.
        host.inflight_bytes += limit
        try:
            content = await read_body(request, limit)
        finally:
            host.inflight_bytes -= limit
        host.metrics.count("bytes_up", len(content))
        return content

    async def _take(
        self, row: RoundRow, group: GroupRow, phase: int, identity: str, content: bytes
    ) -> Taken:
        return await self._host.in_thread(self._keep, row, group, phase, identity, content)

    def _keep(
        self, row: RoundRow, group: GroupRow, phase: int, identity: str, content: bytes
    ) -> Taken:
        """Keep a message: what is large or plain in a file, before the row that leads to it."""
        digest = digest_of(content)
        in_row: bytes | None = content
        if not group.terms or len(content) > _IN_ROW_BYTES:
            name = upload_name(group.number, phase, digest)
            self._host.blobs.put_upload(row.id, name, content)
            in_row = None
        return self._host.store.take(
            group, phase, identity, in_row, digest=digest, size=len(content)
        )

    async def _next(self, round_id: str, number: int, phase: int, identity: str) -> Response:
        """Wait for the phase after one, or for the end of the device's part."""
        host = self._host
        until = host.clock() + host.settings.poll_seconds
        while True:
            version = host.watcher.version(phases_of(round_id))
            row = await self._row(round_id)
            group = host.watcher.snapshot.groups.get((round_id, number))
            if not row.is_open or group is None:
                return await self._outcome(row, number, identity)
            is_last = phase == _phases(group) - 1
            # Devices need not wait for the sum: their part has ended with the last message.
            if is_last or group.state == "failed":
                return await self._outcome(row, number, identity)
            if group.phase > phase:
                content = await host.in_thread(
                    host.store.answer, round_id, number, phase + 1, identity
                )
                if content is None:
                    return await self._outcome(row, number, identity)
                return _answer(wire.NextPhase(phase=phase + 1, content=content))
            if not await self._changed(round_id, version, until):
                participant = await self._participant(round_id, identity)
                if participant.refused is not None:
                    return await self._outcome(row, number, identity)
                return _answer(wire.StillWaiting())

    async def _outcome(self, row: RoundRow, number: int | None, identity: str) -> Response:
        """Tell a device that its part has ended."""
        host = self._host
        counted = False
        reason = row.reason
        if number is not None:
            is_counted, refused = await host.in_thread(self._ended, row, number, identity)
            counted = is_counted and row.state != "abandoned"
            if refused:
                reason = refused
            elif not is_counted and row.is_open:
                reason = "enough others were faster"
        state = row.state if not row.is_open else "open"
        return _answer(
            wire.RoundOutcome(
                counted=counted, state=state, reason=reason, seconds=host.steering.come_back()
            )
        )

    def _ended(self, row: RoundRow, number: int, identity: str) -> tuple[bool, str | None]:
        """Return whether a device's values came, and why they are refused if they are."""
        store = self._host.store
        participant = store.participant(row.id, identity)
        refused = participant.refused if participant else None
        phase = INPUTS_PHASE if row.count else 0
        return store.has_sent(row.id, number, phase, identity) and not refused, refused


def _answer(message: wire.WireMessage, status: int = 200) -> Response:
    return Response(message.to_bytes(), status, media_type=_MEDIA_TYPE)


def _phases(group: GroupRow) -> int:
    """Return how many phases a group has."""
    if not group.terms:
        return 1
    return secure_phases(terms_from(group.terms))


def _problem(status: int, reason: str) -> Response:
    response = _answer(wire.Problem(reason=reason[:400]), status)
    if status == 503:
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response
