"""Certificates for a try: an authority of one's own, and what it vouches for.

For development and closed networks. A server that strangers reach takes its certificate from an
authority that their devices know already.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from handheld.errors import InputError, MissingDependencyError
from handheld.files import atomic_path
from handheld.ranges import whole_in_range

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import (
        SECP256R1,
        EllipticCurvePrivateKey,
        generate_private_key,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as error:
    raise MissingDependencyError("cryptography", "federated", "certificates") from error

AUTHORITY = "authority.pem"
AUTHORITY_KEY = "authority.key"
SERVER = "server.pem"
SERVER_KEY = "server.key"
_MOST_DAYS = 3650
_MOST_NAME = 64  # letters of a common name
_BACK = timedelta(minutes=5)  # clocks of devices are not all right


@dataclass(frozen=True)
class _Authority:
    key: EllipticCurvePrivateKey
    certificate: x509.Certificate


def write_certificates(folder: Path, hosts: Sequence[str], *, days: int = 365) -> list[Path]:
    """Write an authority, where the folder has none, and a certificate of a server.

    Args:
        folder: is made, for its owner alone.
        hosts: names and addresses under which the server is reached, one or more.
        days: for which they are good, in [1, 3650].

    Returns:
        ``authority.pem``, which devices are given, ``server.pem`` and ``server.key``.

    Raises:
        InputError: a host is none, or the folder has half an authority.
        FileError: the files cannot be written.
    """
    whole_in_range("days", days, low=1, high=_MOST_DAYS)
    names = _names(hosts)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _authority(folder, days)
    key = generate_private_key(SECP256R1())
    builder = _builder(hosts[0], authority, key.public_key(), days)
    # Clients look at these names alone: a common name has not counted for years.
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = _for(builder, ExtendedKeyUsageOID.SERVER_AUTH)
    certificate = builder.sign(authority.key, SHA256())
    _write(folder / SERVER_KEY, _private(key), 0o600)
    _write(folder / SERVER, certificate.public_bytes(Encoding.PEM), 0o644)
    return [folder / AUTHORITY, folder / SERVER, folder / SERVER_KEY]


def write_device_certificate(
    folder: Path, path: Path, private: bytes, *, days: int = 365
) -> list[Path]:
    """Write the certificate of a device, made out to its Ed25519 identity, and its key.

    Args:
        folder: of the authority, see :func:`write_certificates`.
        path: of the certificate; the key goes beside it, with the suffix ``.key``.
        private: 32 bytes, the private key of the identity.
        days: for which it is good, in [1, 3650].

    Raises:
        InputError: the folder has no authority.
        FileError: the files cannot be written.
    """
    whole_in_range("days", days, low=1, high=_MOST_DAYS)
    if not (folder / AUTHORITY_KEY).exists():
        raise InputError(f"{folder}: expected an authority: make one first")
    authority = _authority(folder, days)
    key = Ed25519PrivateKey.from_private_bytes(private)
    name = key.public_key().public_bytes_raw().hex()
    builder = _builder(name, authority, key.public_key(), days)
    builder = _for(builder, ExtendedKeyUsageOID.CLIENT_AUTH)
    certificate = builder.sign(authority.key, SHA256())
    key_path = path.with_suffix(".key")
    _write(key_path, _private(key), 0o600)
    _write(path, certificate.public_bytes(Encoding.PEM), 0o644)
    return [path, key_path]


def identity_of(certificate: bytes) -> bytes | None:
    """Return the Ed25519 identity that a certificate is made out to; None if it is none.

    Args:
        certificate: in DER, as a TLS connection has it.
    """
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError:
        return None
    if isinstance(key, Ed25519PublicKey):
        return key.public_bytes_raw()
    return None


def _authority(folder: Path, days: int) -> _Authority:
    """Return the folder's authority, a new one where there is none."""
    key_path, path = folder / AUTHORITY_KEY, folder / AUTHORITY
    # A new authority over half an old one would lock out all devices that trust the old.
    if key_path.exists() != path.exists():
        raise InputError(f"{folder}: has one of {AUTHORITY} and {AUTHORITY_KEY}, not both")
    if path.exists():
        try:
            key = load_pem_private_key(key_path.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: the authority cannot be read: {error}") from error
        if not isinstance(key, EllipticCurvePrivateKey):
            raise InputError(f"{key_path}: expected the key of an authority of ours")
        return _Authority(key, certificate)
    key = generate_private_key(SECP256R1())
    builder = _builder("handheld federation", None, key.public_key(), days)
    certificate = (
        # path_length 0: it vouches for servers and devices, and makes no other authorities.
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, SHA256())
    )
    _write(key_path, _private(key), 0o600)
    _write(path, certificate.public_bytes(Encoding.PEM), 0o644)
    return _Authority(key, certificate)


def _builder(
    name: str, authority: _Authority | None, public: object, days: int
) -> x509.CertificateBuilder:
    """Return what all certificates have; without an authority it is one itself."""
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_MOST_NAME])])
    key_id = x509.SubjectKeyIdentifier.from_public_key(public)  # type: ignore[arg-type]
    issuer = subject
    issuer_id = key_id
    if authority is not None:
        issuer = authority.certificate.subject
        issuer_id = x509.SubjectKeyIdentifier.from_public_key(authority.key.public_key())
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]  # one of its kinds of keys
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(key_id, critical=False)
        .add_extension(authority_id, critical=False)
    )


def _for(
    builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier
) -> x509.CertificateBuilder:
    """Add what a certificate of no authority may be used for."""
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    if not hosts:
        raise InputError("expected a host or more under which the server is reached, got none")
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
            continue
        except ValueError:
            pass
        try:
            names.append(x509.DNSName(host))
        except ValueError as error:
            raise InputError(f"expected the name of a host, got {host[:80]!r}") from error
    return names


def _private(key: EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    with atomic_path(path, mode=mode) as temporary:
        temporary.write_bytes(content)
