import errno
import os

import numpy as np
import pytest
from PIL import Image

from handheld.errors import FileError, MediaError
from handheld.media import read_image, write_image

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_lossless_formats_return_what_was_written(tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", RGB)
    assert np.array_equal(read_image(tmp_path / f"a{suffix}"), RGB)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK", "I;16"])
def test_any_mode_becomes_rgb(tmp_path, mode):
    source = (
        Image.fromarray(np.full((4, 5), 300, np.uint16))
        if mode == "I;16"
        else Image.new(mode, (5, 4))
    )
    source.save(tmp_path / "a.tiff")
    assert read_image(tmp_path / "a.tiff").shape == (4, 5, 3)


def test_phone_pictures_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the right when shown
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(RGB, -1))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "an empty file"), (b"hello world", "begin with b'hello wo'"), (None, "cannot be read")],
    ids=["empty", "text", "missing"],
)
def test_no_picture(tmp_path, content, message):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=message):
        read_image(path)


def test_a_truncated_picture(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        tmp_path / "a.jpg"
    )
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(MediaError, match=r"a\.jpg: cannot be read as a picture"):
        read_image(tmp_path / "a.jpg")


def test_an_unknown_suffix_or_folder_writes_nothing(tmp_path):
    for name, suffix in (("a.xyz", ".xyz"), ("noext", "")):
        with pytest.raises(MediaError) as caught:
            write_image(tmp_path / name, RGB)
        said = f"no picture format has the suffix {suffix!r}; name a .png or .jpg"
        assert str(caught.value) == f"{tmp_path / name}: cannot be written: {said}"
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", RGB)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_told_with_the_name_that_was_asked_for(tmp_path, monkeypatch):
    def fail(picture, path, **_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(MediaError) as caught:
        write_image(tmp_path / "a.png", RGB)
    assert str(caught.value) == f"{tmp_path / 'a.png'}: cannot be written: No space left on device"


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 300 + ".png"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    with pytest.raises(FileError, match="cannot be written"):
        write_image(tmp_path / name, RGB)
    with pytest.raises(MediaError, match="cannot be read as a picture"):
        read_image(tmp_path / name)
