"""A device at its federation: enrolled, checked in, taking part in rounds."""

import hashlib
import time
from collections.abc import Callable, Sequence

from handheld.errors import FetchError, HandheldError, InputError
from handheld.federated.secagg.client import SecureAggregationClient
from handheld.federated.secagg.keys import SigningKey, is_signed
from handheld.federated.secagg.messages import terms_from
from handheld.federated.wire import messages
from handheld.federated.wire.connection import FederationConnection, WireAnswer
from handheld.federated.wire.messages import (
    BlobAddress,
    CheckIn,
    ComeBack,
    Enrolment,
    NextPhase,
    Nonce,
    Offer,
    OpenSession,
    Problem,
    RoundOutcome,
    Selected,
    SessionRequest,
    Signed,
    StillWaiting,
)

_EXPIRED = 401
# A server that only says "ask again at once" is not asked more often, nor for more than a day.
_BETWEEN_SECONDS = 0.2
_LONGEST_WAIT = 86_400.0
_ANSWER_BYTES = 1 << 24  # of what a phase tells a device: the shares of a thousand peers and more


class FederationSession:
    """What one device says to its server.

    Args:
        connection: to the server.
        identity: of the device.
        server: public key that the server must sign offers with; None: that which it names first
            is taken, and kept.
        clock: seconds, rising.
        sleep: waits; an argument for tests, as the clock.
    """

    def __init__(
        self,
        connection: FederationConnection,
        identity: SigningKey,
        *,
        server: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self.server = server
        self._clock = clock
        self._sleep = sleep
        self._identity = identity
        self._token = ""

    def enrol(self, token: str = "") -> None:
        """Make the device one of the federation's; once more does no harm.

        Raises:
            InputError: the server refuses, and says why.
            FetchError: it cannot be reached, or is another than was expected.
        """
        nonce = self._nonce()
        signature = self._identity.sign(messages.signed_enrolment(self._server_key(), nonce))
        message = Enrolment(
            identity=self._identity.public, nonce=nonce, signature=signature, token=token
        )
        answer = self.connection.ask(
            "POST", "/v1/enrol", message.to_bytes(), most_bytes=messages.SMALL_BYTES
        )
        self._opened(answer)

    def check_in(
        self, *, plans: Sequence[int], tasks: Sequence[str] = (), abilities: Sequence[str] = ()
    ) -> ComeBack | Selected:
        """Say that the device could work now.

        Args:
            plans: versions of plans that it can follow, one or more.
            tasks: names of those that it would do; none: all.
            abilities: what else it can.

        Raises:
            InputError: the server refuses.
            FetchError: it cannot be reached.
        """
        message = CheckIn(plans=list(plans), tasks=list(tasks), abilities=list(abilities))
        answer = self._ask("POST", "/v1/check-in", message.to_bytes())
        if not isinstance(answer, (ComeBack, Selected)):
            raise _unexpected(answer)
        return answer

    def offer(self, selected: Selected) -> Offer | RoundOutcome:
        """Wait for the work of a round; an outcome says that there is none.

        Raises:
            FetchError: the server cannot be reached, has said for a day that others are awaited, or
                did not sign the offer.
        """
        path = f"/v1/rounds/{selected.round}/offer"
        answer = self._awaited("GET", path)
        if isinstance(answer, RoundOutcome):
            return answer
        if not isinstance(answer, Signed):
            raise _unexpected(answer)
        return self._checked(answer, selected)

    def blob(self, address: BlobAddress) -> bytes:
        """Return a model or a plan.

        Raises:
            FetchError: it cannot be had, or is not what its hash says.
        """
        answer = self._sent("GET", f"/v1/blobs/{address.sha256.hex()}", b"", address.size)
        if answer.status != 200:
            raise FetchError(f"blob {address.sha256.hex()[:12]}: status {answer.status}")
        if hashlib.sha256(answer.content).digest() != address.sha256:
            raise FetchError(f"blob {address.sha256.hex()[:12]}: the content has another hash")
        return answer.content

    def exchange(self, round_id: str, phase: int, content: bytes) -> NextPhase | RoundOutcome:
        """Send what a phase asks for, and wait for the next phase.

        Raises:
            InputError: the server refuses it.
            FetchError: it cannot be reached.
        """
        path = f"/v1/rounds/{round_id}/messages/{phase}"
        answer = self._awaited("POST", path, content)
        if not isinstance(answer, (NextPhase, RoundOutcome)):
            raise _unexpected(answer)
        return answer

    def send_securely(self, offer: Offer, client: SecureAggregationClient) -> RoundOutcome:
        """Go through the phases of secure aggregation with a client that has the values.

        Raises:
            RefusedMessageError: the server says what no honest server says.
            InputError: the server refuses a message.
            FetchError: it cannot be reached.
        """
        content = client.advertise(offer.terms)
        steps = [client.share, client.mask, client.agree, client.reveal]
        # Of a server that is trusted to tell all the same nobody signs what it tells.
        if not terms_from(offer.terms).is_active:
            steps.remove(client.agree)
        for phase in range(len(steps) + 1):
            answer = self.exchange(offer.round, phase, content)
            if isinstance(answer, RoundOutcome):
                return answer
            content = steps[phase](answer.content)
        raise InputError("the server asks for more than the protocol has")

    def send_plainly(self, offer: Offer, content: bytes) -> RoundOutcome:
        """Send a plain upload.

        Raises:
            InputError: it is longer than the offer says, which may be of a secure sum instead, or
                the server refuses it.
            FetchError: the server cannot be reached.
        """
        if offer.terms:
            raise InputError("expected an offer of a plain upload, got one of a secure sum")
        if len(content) > offer.most_bytes:
            raise InputError(
                f"expected an upload of at most {offer.most_bytes} bytes, got {len(content)}"
            )
        answer = self.exchange(offer.round, 0, content)
        if isinstance(answer, NextPhase):
            raise InputError("the server asks for more than a plain upload")
        return answer

    def _checked(self, signed: Signed, selected: Selected) -> Offer:
        content = messages.signed_offer(self._identity.public, signed.content)
        if not is_signed(self._server_key(), signed.signature, content):
            raise FetchError("the offer is not signed by the federation's server")
        offer = messages.message_from(signed.content, Offer)
        # One for another round is signed as well, and could be given in its place.
        if offer.round != selected.round or offer.task != selected.task:
            raise FetchError("the offer is for another round than the device was selected for")
        return offer

    def _nonce(self) -> bytes:
        answer = self.connection.ask("GET", "/v1/nonce", most_bytes=messages.SMALL_BYTES)
        nonce = messages.answer_from(answer.content, messages.SMALL_BYTES)
        if not isinstance(nonce, Nonce):
            raise _unexpected(nonce)
        if self.server is None:
            self.server = nonce.server
        if nonce.server != self.server:
            raise FetchError(
                f"expected the server {self.server.hex()[:12]}, got {nonce.server.hex()[:12]}"
            )
        return nonce.nonce

    def _server_key(self) -> bytes:
        if self.server is None:
            raise FetchError("the server's key is not known yet")
        return self.server

    def _open_session(self) -> None:
        nonce = self._nonce()
        signature = self._identity.sign(messages.signed_session(self._server_key(), nonce))
        message = SessionRequest(identity=self._identity.public, nonce=nonce, signature=signature)
        answer = self.connection.ask(
            "POST", "/v1/session", message.to_bytes(), most_bytes=messages.SMALL_BYTES
        )
        self._opened(answer)

    def _opened(self, answer: WireAnswer) -> None:
        session = messages.answer_from(answer.content, messages.SMALL_BYTES)
        if not isinstance(session, OpenSession):
            raise _unexpected(session)
        self._token = session.token

    def _ask(self, method: str, path: str, content: bytes = b"") -> messages.Answer:
        answer = self._sent(method, path, content, _ANSWER_BYTES)
        return messages.answer_from(answer.content, _ANSWER_BYTES)

    def _awaited(self, method: str, path: str, content: bytes = b"") -> messages.Answer:
        """Ask, and then again until there is more to say than that others are awaited."""
        begun = self._clock()
        asked = begun
        answer = self._ask(method, path, content)
        while isinstance(answer, StillWaiting):
            now = self._clock()
            if now - begun > _LONGEST_WAIT:
                raise FetchError(f"the server said for {now - begun:.0f} s that others are awaited")
            # Servers hold a question for a while: what comes sooner would be asked without end.
            self._sleep(max(asked + _BETWEEN_SECONDS - now, 0.0))
            asked = self._clock()
            answer = self._ask("GET", path)
        return answer

    def _sent(self, method: str, path: str, content: bytes, most_bytes: int) -> WireAnswer:
        """Ask with the session's token; with a new one where it has ended."""
        if not self._token:
            self._open_session()
        # A refusal may be longer than the file that was asked for.
        room = max(most_bytes, messages.SMALL_BYTES)
        for is_last in (False, True):
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = self.connection.ask(method, path, content, headers=headers, most_bytes=room)
            # Once: a server that refuses its own new token would be asked for ever.
            if answer.status != _EXPIRED or is_last:
                break
            self._open_session()
        return answer


def _unexpected(answer: messages.Answer) -> HandheldError:
    if isinstance(answer, Problem):
        return InputError(f"the server refuses: {answer.reason}")
    return FetchError(f"the server says what was not asked: {type(answer).__name__}")
