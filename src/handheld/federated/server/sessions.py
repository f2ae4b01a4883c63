"""Who a device is: nonces that it signs, and the sessions that it gets for one.

Nothing is kept of either: both carry a keyed hash (HMAC) whose key comes of the server's signing
key, so every process knows those of every other, and a check-in costs one hash.
"""

import base64
import binascii
import hmac
import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from handheld.errors import InputError, ServiceError
from handheld.federated.secagg.keys import KEY_BYTES, SigningKey, is_signed
from handheld.federated.wire import messages
from handheld.files import atomic_path

NONCE_SECONDS = 60.0
"""For which a nonce is good."""

_TIME_BYTES = 8
_RANDOM_BYTES = 8
_MAC_BYTES = 16
_MICRO = 1_000_000


class SessionKeys:
    """What a server knows its nonces and its sessions by.

    Args:
        signing: the server's key.
        session_seconds: for which a session is good.
        clock: seconds since the epoch, within some seconds the same on all servers.
    """

    def __init__(
        self,
        signing: SigningKey,
        *,
        session_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.public = signing.public
        self.session_seconds = session_seconds
        self._signing = signing
        self._clock = clock
        self._nonce_key = self._derived(b"nonces")
        self._token_key = self._derived(b"sessions")
        self._cookie_key = self._derived(b"operator")

    def nonce(self) -> bytes:
        """Return something that a device signs to show who it is."""
        # Its time is what makes it good once: a device's newest is kept, and older ones are
        # refused.
        moment = int(self._clock() * _MICRO).to_bytes(_TIME_BYTES, "big")
        content = moment + os.urandom(_RANDOM_BYTES)
        return content + _mac(self._nonce_key, content)

    def nonce_at(self, nonce: bytes) -> int | None:
        """Return when a nonce was made, in microseconds; None: it is none of ours, or old."""
        content = _opened(self._nonce_key, nonce)
        if content is None or len(content) != _TIME_BYTES + _RANDOM_BYTES:
            return None
        moment = int.from_bytes(content[:_TIME_BYTES], "big")
        # To both sides: another server's clock may be ahead.
        if abs(self._clock() - moment / _MICRO) > NONCE_SECONDS:
            return None
        return moment

    def session(self, identity: bytes) -> str:
        """Return the token of a device."""
        until = int(self._clock() + self.session_seconds).to_bytes(_TIME_BYTES, "big")
        content = identity + until
        return base64.urlsafe_b64encode(content + _mac(self._token_key, content)).decode()

    def identity_of(self, token: str) -> bytes | None:
        """Return whose token that is; None: nobody's, or it is good no more."""
        content = _opened(self._token_key, _decoded(token))
        if content is None or len(content) != KEY_BYTES + _TIME_BYTES:
            return None
        if self._clock() >= int.from_bytes(content[KEY_BYTES:], "big"):
            return None
        return content[:KEY_BYTES]

    def cookie(self, seconds: float) -> str:
        """Return what an operator's browser shows, for some seconds."""
        content = int(self._clock() + seconds).to_bytes(_TIME_BYTES, "big")
        return base64.urlsafe_b64encode(content + _mac(self._cookie_key, content)).decode()

    def is_cookie(self, cookie: str) -> bool:
        """Return whether that is an operator's, and still good."""
        content = _opened(self._cookie_key, _decoded(cookie))
        return content is not None and self._clock() < int.from_bytes(content, "big")

    def is_enrolment(self, message: messages.Enrolment) -> bool:
        """Return whether a device signed that it enrols here."""
        content = messages.signed_enrolment(self.public, message.nonce)
        return is_signed(message.identity, message.signature, content)

    def is_session_request(self, message: messages.SessionRequest) -> bool:
        """Return whether a device signed that it opens a session here."""
        content = messages.signed_session(self.public, message.nonce)
        return is_signed(message.identity, message.signature, content)

    def signed_offer(self, identity: bytes, offer: messages.Offer) -> messages.Signed:
        """Return an offer for one device, signed."""
        content = offer.to_bytes()
        signature = self._signing.sign(messages.signed_offer(identity, content))
        return messages.Signed(content=content, signature=signature)

    def _derived(self, purpose: bytes) -> bytes:
        # One key for each use: a nonce can never be shown as a session.
        return hmac.digest(self._signing.private, b"handheld federation 1 " + purpose, sha256)


def signing_key(path: Path) -> SigningKey:
    """Return the server's key; a new one where there is no file.

    Raises:
        ServiceError: the file cannot be read, or is no key.
    """
    try:
        if not path.exists():
            with atomic_path(path, mode=0o600) as temporary:
                temporary.write_text(f"{SigningKey().private.hex()}\n")
        return SigningKey(bytes.fromhex(path.read_text("ascii").strip()))
    except (OSError, ValueError, InputError) as error:
        raise ServiceError(f"{path}: expected 64 hexadecimal digits of a key: {error}") from error


def _mac(key: bytes, content: bytes) -> bytes:
    # 128 bits: nobody tries so many at a server, and tokens travel with each request.
    return hmac.digest(key, content, sha256)[:_MAC_BYTES]


def _opened(key: bytes, sealed: bytes) -> bytes | None:
    """Return the content whose keyed hash stands behind it; None where that is wrong."""
    content = sealed[:-_MAC_BYTES]
    if not hmac.compare_digest(_mac(key, content), sealed[-_MAC_BYTES:]):
        return None
    return content


def _decoded(text: str) -> bytes:
    try:
        # validate: without it other letters are passed over, and one token has many forms.
        return base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
