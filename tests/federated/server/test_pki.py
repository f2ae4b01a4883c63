"""Certificates for a try, as OpenSSL's strictest check takes them."""

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handheld.errors import InputError
from handheld.federated.secagg.keys import SigningKey
from handheld.federated.server.pki import (
    identity_of,
    write_certificates,
    write_device_certificate,
)


def test_a_server_s_certificate_is_good_for_its_names_alone(tmp_path):
    authority, certificate, key = write_certificates(tmp_path, ["localhost", "127.0.0.1"])
    root = x509.load_pem_x509_certificate(authority.read_bytes())
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    builder = x509.verification.PolicyBuilder().store(x509.verification.Store([root]))
    builder.build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("elsewhere.example")).verify(leaf, [])
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "authority.key").stat().st_mode & 0o777 == 0o600
    ssl.create_default_context(cafile=authority).load_cert_chain(certificate, key)


def test_the_authority_stays_when_a_certificate_is_made_anew(tmp_path):
    authority, certificate, _ = write_certificates(tmp_path, ["localhost"])
    before = authority.read_bytes(), certificate.read_bytes()
    write_certificates(tmp_path, ["localhost", "server.example"])
    assert authority.read_bytes() == before[0]
    assert certificate.read_bytes() != before[1]


def test_a_device_s_certificate_is_made_out_to_its_identity(tmp_path):
    write_certificates(tmp_path, ["localhost"])
    key = SigningKey()
    path, _ = write_device_certificate(tmp_path, tmp_path / "device.pem", key.private)
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    assert identity_of(certificate.public_bytes(Encoding.DER)) == key.public
    # That of a server is made out to no device.
    server = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    assert identity_of(server.public_bytes(Encoding.DER)) is None
    assert identity_of(b"nothing") is None


@pytest.mark.parametrize(
    ("hosts", "words"), [([], "got none"), (["bücher.example"], "the name of a host")]
)
def test_hosts_that_are_none(tmp_path, hosts, words):
    with pytest.raises(InputError, match=words):
        write_certificates(tmp_path, hosts)


def test_folders_with_half_an_authority_or_none(tmp_path):
    with pytest.raises(InputError, match="expected an authority"):
        write_device_certificate(tmp_path, tmp_path / "device.pem", bytes(32))
    (tmp_path / "authority.pem").write_text("half")
    with pytest.raises(InputError, match="not both"):
        write_certificates(tmp_path, ["localhost"])
