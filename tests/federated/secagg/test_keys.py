"""Keys: agreed alike, bound to what they are for, and opened by nobody else."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from handheld.errors import InputError
from handheld.federated.secagg.keys import (
    SEALED_BYTES,
    AgreementKey,
    SigningKey,
    is_signed,
    seal,
    unseal,
)

# Points of small order on the curve, of which X25519 gives nothing but zeros (RFC 7748, 6.1;
# https://cr.yp.to/ecdh.html#validate).
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def test_reference_of_an_agreement():
    """HKDF of RFC 5869 by hmac, of what X25519 gives."""
    one, other = AgreementKey(bytes(range(32))), AgreementKey(bytes(range(1, 33)))
    private = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    shared = private.exchange(other._key.public_key())
    pseudorandom = hmac.new(bytes(32), shared, hashlib.sha256).digest()
    expected = hmac.new(pseudorandom, b"for this" + b"\x01", hashlib.sha256).digest()
    assert one.agree(other.public, b"for this") == expected
    assert other.agree(one.public, b"for this") == expected


def test_an_agreement_is_for_one_thing():
    one, other = AgreementKey(), AgreementKey()
    assert one.agree(other.public, b"round 1") != one.agree(other.public, b"round 2")


def test_a_pair_can_be_had_again():
    key = AgreementKey()
    assert AgreementKey(key.private).public == key.public
    signing = SigningKey()
    assert SigningKey(signing.private).public == signing.public


def test_new_keys_come_from_the_operating_system(monkeypatch):
    monkeypatch.setattr("handheld.federated.secagg.keys.os.urandom", lambda count: b"\x07" * count)
    assert AgreementKey().private == SigningKey().private == b"\x07" * 32
    assert seal(bytes(32), b"", b"")[:12] == b"\x07" * 12


@pytest.mark.parametrize("public", LOW_ORDER, ids=range(len(LOW_ORDER)))
def test_points_of_low_order_are_refused(public):
    with pytest.raises(InputError, match="low order"):
        AgreementKey().agree(public, b"")


def test_other_bytes_for_a_key_are_refused():
    """X25519 does not look at the highest bit, and takes coordinates beyond the field."""
    key, other = AgreementKey(), AgreementKey()
    flipped = other.public[:-1] + bytes([other.public[-1] | 0x80])
    assert key._key.exchange(X25519PublicKey.from_public_bytes(flipped)) == key._key.exchange(
        X25519PublicKey.from_public_bytes(other.public)
    )
    beyond = (2**255 - 19 + 9).to_bytes(32, "little")  # the base point, 9
    for public in (flipped, beyond):
        with pytest.raises(InputError, match="other bytes of its point"):
            key.agree(public, b"")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_of_another_length_are_refused(length):
    for make in (AgreementKey, SigningKey):
        with pytest.raises(InputError, match=f"expected 32 bytes, got {length}"):
            make(bytes(length))
    with pytest.raises(InputError, match="public key"):
        AgreementKey().agree(bytes(length), b"")


def test_signatures():
    key = SigningKey()
    signature = key.sign(b"content")
    assert is_signed(key.public, signature, b"content")
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    for public, mark, content in (
        (key.public, signature, b"contents"),
        (key.public, flipped, b"content"),
        (key.public, signature[:-1], b"content"),
        (SigningKey().public, signature, b"content"),
        (key.public[:-1], signature, b"content"),
        (b"\xff" * 32, signature, b"content"),
    ):
        assert not is_signed(public, mark, content)


def test_what_is_sealed_opens_with_its_key_and_context_alone():
    key = bytes(range(32))
    sealed = seal(key, b"shares", b"1 from a to b")
    assert len(sealed) == len(b"shares") + SEALED_BYTES
    assert unseal(key, sealed, b"1 from a to b") == b"shares"
    assert seal(key, b"shares", b"1 from a to b") != sealed
    wrong = [
        (bytes(32), sealed, b"1 from a to b"),
        (key, sealed, b"1 from a to c"),
        (key, sealed[:-1], b"1 from a to b"),
        (key, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"1 from a to b"),
        (key, b"\x00" + sealed[1:], b"1 from a to b") if sealed[0] else (key, sealed[1:], b""),
    ]
    for other_key, content, context in wrong:
        with pytest.raises(InputError, match="changed, or for somebody else"):
            unseal(other_key, content, context)
    with pytest.raises(InputError, match="28 sealed bytes or more"):
        unseal(key, b"short", b"")
