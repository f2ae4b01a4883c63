"""Submitted files by their hash."""

import hashlib

import pytest

from handheld.bench.challenge.files import ModelFiles, hash_of
from handheld.errors import InputError, ServiceError

CONTENT = b"a model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["folder", "fsspec"])
def files(request, tmp_path):
    if request.param == "folder":
        return ModelFiles(tmp_path / "models")
    return ModelFiles((tmp_path / "models").as_uri())


@pytest.fixture
def upload(tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(CONTENT)
    return path


def test_a_file_comes_back(files, upload, tmp_path):
    assert hash_of(upload) == DIGEST
    files.put(upload, DIGEST)
    files.put(upload, DIGEST)
    files.fetch(DIGEST, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == CONTENT
    assert len(list((tmp_path / "models").rglob("*.tflite"))) == 1


def test_a_file_that_was_damaged_is_not_measured(files, upload, tmp_path):
    files.put(upload, DIGEST)
    (stored,) = (tmp_path / "models").rglob("*.tflite")
    stored.chmod(0o600)
    stored.write_bytes(b"another")
    with pytest.raises(ServiceError, match="is damaged"):
        files.fetch(DIGEST, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_file_that_is_not_there(files, tmp_path):
    with pytest.raises(ServiceError, match="cannot be reached"):
        files.fetch(DIGEST, tmp_path / "back")


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_a_hash_leads_to_a_file(files, upload, name):
    with pytest.raises(InputError, match="expected the hash"):
        files.put(upload, name)


def test_a_scheme_that_nobody_knows():
    with pytest.raises(InputError, match="nonsense:// cannot be used"):
        ModelFiles("nonsense://bucket/models")
