"""Keys of a round: agreed by X25519, used to seal what goes from one client to another.

What is agreed and what is sealed is bound to a context, which says for which round, from whom and
to whom it is: what was sealed for another place opens nowhere else.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from handheld.errors import InputError

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_FIELD = 2**255 - 19  # of Curve25519: coordinates are below it
# Nonce and tag of AES-GCM as NIST SP 800-38D recommends them.
_NONCE_BYTES = 12
_TAG_BYTES = 16
SEALED_BYTES = _NONCE_BYTES + _TAG_BYTES
"""By how many bytes what is sealed is longer."""


class AgreementKey:
    """A pair of keys by which two parties agree on a secret (RFC 7748).

    Args:
        private: 32 bytes, to have a pair again, as where its secret was put together from shares;
            None: a new one from the operating system's generator.

    Raises:
        InputError: ``private`` is not 32 bytes.
    """

    def __init__(self, private: bytes | None = None) -> None:
        if private is None:
            private = os.urandom(KEY_BYTES)
        _check_length("private key", private, KEY_BYTES)
        self._key = X25519PrivateKey.from_private_bytes(private)
        self.private = private
        self.public = self._key.public_key().public_bytes_raw()

    def agree(self, public: bytes, context: bytes) -> bytes:
        """Return 32 bytes that the other party's ``agree`` gives too, and nobody else has.

        Args:
            public: the other's key.
            context: what the secret is for.

        Raises:
            InputError: the key is none, or of those for which the secret would be known to all, or
                other bytes for the same point than X25519 gives.
        """
        _check_length("public key", public, KEY_BYTES)
        try:
            shared = self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise InputError("expected a public key, got a point of low order") from error
        # X25519 takes several bytes for one point, so that a copied key could look like another.
        if int.from_bytes(public, "little") >= _FIELD:
            raise InputError("expected a public key as it is written, got other bytes of its point")
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=context).derive(shared)


class SigningKey:
    """Who a client is: a pair of keys to sign with (Ed25519, RFC 8032).

    Args:
        private: 32 bytes; None: a new one.

    Raises:
        InputError: ``private`` is not 32 bytes.
    """

    def __init__(self, private: bytes | None = None) -> None:
        if private is None:
            private = os.urandom(KEY_BYTES)
        _check_length("private key", private, KEY_BYTES)
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.private = private
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, content: bytes) -> bytes:
        """Return a signature of 64 bytes."""
        return self._key.sign(content)


def is_signed(public: bytes, signature: bytes, content: bytes) -> bool:
    """Return whether the owner of a key signed some content."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        # libsodium's takes half as long as OpenSSL's, and clients do little else.
        crypto_sign_open(signature + content, public)
    except BadSignatureError:
        return False
    return True


def seal(key: bytes, content: bytes, context: bytes) -> bytes:
    """Return content that who has the key can open, and nobody change (AES-GCM).

    Args:
        key: 32 bytes.
        content: any.
        context: that who opens it must know.
    """
    # At random is safe here: a key seals two messages of one round, one in each direction.
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        InputError: it was sealed with another key or for another context, or changed.
    """
    # AESGCM raises a ValueError, not InvalidTag, where too little of the nonce is left.
    if len(sealed) < SEALED_BYTES:
        raise InputError(f"expected {SEALED_BYTES} sealed bytes or more, got {len(sealed)}")
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except InvalidTag as error:
        raise InputError("what was sealed is changed, or for somebody else") from error


def _check_length(name: str, content: bytes, length: int) -> None:
    if len(content) != length:
        raise InputError(f"{name}: expected {length} bytes, got {len(content)}")
