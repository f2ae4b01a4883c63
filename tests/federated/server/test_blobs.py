"""Blobs: by their hash, whole or not at all, here and at a store."""

import hashlib
import secrets

import pytest

from handheld.errors import InputError, ServiceError
from handheld.federated.server.blobs import FederationBlobs, UploadSequence

ROUND = "0123456789abcdef" * 2
NAMES = [f"0-0-{hashlib.sha256(bytes([number])).hexdigest()}" for number in range(3)]


@pytest.fixture(params=["folder", "memory"])
def blobs(request, tmp_path):
    if request.param == "folder":
        return FederationBlobs(tmp_path / "blobs")
    return FederationBlobs(f"memory://{secrets.token_hex(4)}")


def test_what_is_kept_comes_back(blobs):
    digest = blobs.put(b"a state")
    assert digest == hashlib.sha256(b"a state").hexdigest()
    assert blobs.put(b"a state") == digest
    assert blobs.get(digest) == b"a state"
    blobs.remove(digest)
    blobs.remove(digest)
    with pytest.raises(ServiceError):
        blobs.get(digest)


def test_uploads_go_with_their_round(blobs):
    assert blobs.rounds() == []
    for number, name in enumerate(NAMES):
        blobs.put_upload(ROUND, name, bytes([number]))
    assert blobs.rounds() == [ROUND]
    uploads = UploadSequence(blobs, ROUND, NAMES)
    assert list(uploads) == [b"\0", b"\1", b"\2"]
    assert list(uploads[1:]) == [b"\1", b"\2"]
    blobs.remove_round(ROUND)
    assert blobs.rounds() == []


@pytest.mark.parametrize("name", ["", "..", "0-0-x", "0-0-" + "a" * 63, "../" + NAMES[0]])
def test_names_that_lead_elsewhere(blobs, name):
    with pytest.raises(InputError):
        blobs.put_upload(ROUND, name, b"")
    with pytest.raises(InputError):
        blobs.put_upload(name, NAMES[0], b"")
    with pytest.raises(InputError):
        blobs.get(name)


def test_a_damaged_file_is_told(tmp_path):
    blobs = FederationBlobs(tmp_path)
    digest = blobs.put(b"a state")
    (tmp_path / "kept" / digest[:2] / digest).write_bytes(b"another")
    with pytest.raises(ServiceError, match="damaged"):
        blobs.get(digest)


def test_a_store_that_nobody_knows():
    with pytest.raises(InputError, match="nowhere:// cannot be used"):
        FederationBlobs("nowhere://somebody:secret@place")
