"""Pictures as other programs write them: every mode and depth that Pillow knows, animations, files
that are none.
"""

import io
import os
import stat
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from handheld.errors import MediaError, TooManyPixelsError
from handheld.pictures import (
    FORMATS,
    MAX_PIXELS,
    as_rgb,
    decode,
    decode_animation,
    is_animated,
    of_image,
    orientation_of,
    resize,
    size_of,
    to_grey,
)

RAMP = np.linspace(0, 65535, 12).astype(np.uint16).reshape(3, 4)
"""16-bit numbers from black to white."""


def encoded(picture, form, **options):
    content = io.BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def tiff_of(mode, content):
    return encoded(Image.frombytes(mode, (4, 3), content), "TIFF")


DEEP = {
    "16-bit PNG": encoded(Image.fromarray(RAMP), "PNG"),
    "16-bit TIFF, little end first": encoded(Image.fromarray(RAMP), "TIFF"),
    "16-bit TIFF, big end first": tiff_of("I;16B", RAMP.astype(">u2").tobytes()),
    "16 bits in 32": encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"),
    "fractions": encoded(Image.fromarray((RAMP / 65535).astype(np.float32)), "TIFF"),
}


@pytest.mark.parametrize("content", DEEP.values(), ids=DEEP)
def test_deep_pictures_are_scaled(content):
    picture = decode(content)
    assert picture.shape == (3, 4, 3)
    assert np.abs(picture[:, :, 0].astype(int) - np.linspace(0, 255, 12).reshape(3, 4)).max() <= 1


def test_a_file_of_16_bits_that_counts_from_white_is_turned():
    """TIFF 6.0, WhiteIsZero: 0 is white."""
    file = io.BytesIO()
    values = np.array([[0, 0xFFFF, 0x4000]], np.uint16)
    Image.fromarray(values).save(file, "TIFF", tiffinfo={262: 0})
    assert decode(file.getvalue())[0, :, 0].tolist() == [255, 0, 0xBF]
    with Image.open(io.BytesIO(file.getvalue())) as opened:
        assert as_rgb(opened)[0, :, 0].tolist() == [255, 0, 0xBF]


def test_a_see_through_colour_of_16_bits_is_laid_on_white():
    file = io.BytesIO()
    values = np.array([[0, 1, 0x8000]], np.uint16)
    Image.fromarray(values).save(file, "PNG", transparency=0)
    assert decode(file.getvalue())[0, :, 0].tolist() == [255, 0, 0x80]


def test_fractions_that_count_from_white_are_turned():
    values = np.array([[0, 1, 0.25]], np.float32)
    content = encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0})
    assert decode(content)[0, :, 0].tolist() == [255, 0, 191]


def test_a_tiff_of_12_bits_is_scaled():
    """Scanners write it; its white is 4095."""
    values = [0, 4095, 2048, 300]
    bits = "".join(f"{value:012b}" for value in values)
    rows = int(bits, 2).to_bytes(6, "big")
    # Width, height, bits, no compression, black is zero, where the rows are, samples, rows, bytes.
    tags = {256: 4, 257: 1, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: len(rows)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II" + struct.pack("<HI", 42, 8 + len(rows))
    content = head + rows + struct.pack("<H", len(tags)) + entries + bytes(4)
    assert decode(content)[0, :, 0].tolist() == [0, 255, 128, 18]


def png_of(depth, colour_type, samples, key):
    """A PNG with a row of samples, by the specification alone: Pillow writes no such depths."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    width = len(samples) // (3 if colour_type == 2 else 1)
    bits = "".join(f"{sample:0{depth}b}" for sample in samples)
    bits += "0" * (-len(bits) % 8)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour_type, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("depth", "shades"), [(1, [0, 255]), (2, [0, 85, 170, 255]), (4, range(0, 256, 17))]
)
def test_a_see_through_grey_of_few_bits_is_laid_on_white(depth, shades):
    for key in range(2**depth):
        content = png_of(depth, 0, range(2**depth), [key])
        expected = [*shades[:key], 255, *shades[key + 1 :]]
        assert decode(content)[0, :, 0].tolist() == expected


def test_a_see_through_colour_of_48_bits_is_laid_on_white():
    key = [0xC8C8, 0, 0]
    samples = [*key, 0x00C8, 0, 0, 0x4000, 0x8000, 0xFFFF]
    assert decode(png_of(16, 2, samples, key))[0].tolist() == [[255] * 3, [0] * 3, [64, 128, 255]]
    # Not the colour whose upper bits are the lower ones of the key.
    assert decode(png_of(16, 2, [0xC800, 0, 0], [0xC8, 0, 0]))[0].tolist() == [[200, 0, 0]]


@pytest.mark.parametrize("form", ["TGA", "BMP"])
def test_a_fourth_channel_of_noughts_hides_nothing(form):
    picture = Image.new("RGBA", (4, 3), (200, 100, 10, 0))
    content = bytearray(encoded(picture, form))
    if form == "BMP":
        # Pillow writes 32 bits without saying what the fourth is: say it, in a header of 108 bytes.
        masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(52)
        content = content[:54] + masks + content[54:]
        struct.pack_into("<I", content, 10, 54 + len(masks))
        struct.pack_into("<I", content, 14, 108)
        struct.pack_into("<I", content, 30, 3)
    assert decode(bytes(content))[0, 0].tolist() == [200, 100, 10]
    assert decode(encoded(picture, "PNG"))[0, 0].tolist() == [255, 255, 255]


def test_a_black_picture_of_16_bits_is_black():
    assert decode(encoded(Image.fromarray(np.zeros((3, 4), np.uint16)), "PNG")).max() == 0


UNKNOWN = {
    "beyond 16 bits": (
        Image.fromarray(np.full((3, 4), 70_000, np.int32)),
        r"whole numbers in \[0, 65535\], got 70000",
    ),
    "below 0": (Image.fromarray(np.full((3, 4), -1, np.int32)), r"got -1 to -1: scale them first"),
    "fractions above 1": (
        Image.fromarray(np.full((3, 4), 255, np.float32)),
        r"fractions in \[0, 1\], got 255 to 255",
    ),
    "8 bits in 32": (Image.fromarray(np.full((3, 4), 200, np.int32)), "200 to 200 need 8 alone"),
    "8 bits in 16": (Image.fromarray(np.full((3, 4), 200, np.uint16)), "200 to 200 need 8 alone"),
    "no number": (Image.fromarray(np.full((3, 4), np.nan, np.float32)), "got nan to nan"),
}


@pytest.mark.parametrize(("picture", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_numbers_of_no_known_range_are_refused_not_clipped(picture, message):
    with pytest.raises(MediaError, match=f"x.tiff: .*{message}"):
        decode(encoded(picture, "TIFF"), "x.tiff")


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "LAB", "YCbCr", "HSV", "La", "RGBa"],
)
def test_every_mode_that_a_file_can_have_is_read(mode):
    try:
        content = encoded(Image.new("RGB", (4, 3), (255, 255, 255)).convert(mode), "TIFF")
    except (OSError, ValueError):
        pytest.skip(f"Pillow writes no file of mode {mode}")
    assert decode(content).mean() > 250


SEE_THROUGH = {
    "RGBA": Image.new("RGBA", (4, 3), (10, 20, 30, 0)),
    "LA": Image.new("LA", (4, 3), (10, 0)),
    "half": Image.new("RGBA", (4, 3), (0, 0, 0, 128)),
    "opaque": Image.new("RGBA", (4, 3), (10, 20, 30, 255)),
}


@pytest.mark.parametrize(
    ("name", "colour"),
    [("RGBA", (255,) * 3), ("LA", (255,) * 3), ("half", (127,) * 3), ("opaque", (10, 20, 30))],
)
def test_what_is_see_through_is_laid_on_white(name, colour):
    assert decode(encoded(SEE_THROUGH[name], "PNG"))[0, 0].tolist() == list(colour)


def test_a_palette_with_a_see_through_colour_is_laid_on_white():
    picture = Image.new("P", (4, 3), 1)
    picture.putpalette([0, 0, 0, 200, 0, 0])
    for form in ("PNG", "GIF"):
        assert decode(encoded(picture, form, transparency=1))[0, 0].tolist() == [255, 255, 255]
        assert decode(encoded(picture, form))[0, 0].tolist() == [200, 0, 0]


def test_grey_is_brightness():
    coloured = decode(encoded(Image.new("RGB", (4, 3), (200, 100, 50)), "PNG"))
    assert to_grey(coloured).tolist() == [[[124]] * 4] * 3  # 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert (to_grey(decode(DEEP["16-bit PNG"]))[:, :, 0] == RAMP >> 8).all()


def test_pictures_of_pillow_keep_one_channel_where_they_have_no_colours():
    assert of_image(Image.new("L", (4, 3), 7)).tolist() == [[[7]] * 4] * 3
    assert of_image(Image.new("LA", (4, 3), (7, 255))).tolist() == [[[7]] * 4] * 3
    assert of_image(Image.new("RGBA", (4, 3), (1, 2, 3, 255))).tolist() == [[[1, 2, 3]] * 4] * 3


def test_a_quarter_turn_in_the_header_is_made():
    picture = Image.new("RGB", (4, 2))
    exif = picture.getexif()
    exif[0x0112] = 6  # the top of the scene is on the right
    assert decode(encoded(picture, "JPEG", exif=exif)).shape == (4, 2, 3)


def test_what_is_no_picture_says_what_it_is():
    with pytest.raises(
        MediaError,
        match=r"a.jpg: expected a picture .PNG, .*, got 6 bytes that begin with b'nothin'",
    ):
        decode(b"nothin", "a.jpg")
    with pytest.raises(MediaError, match="got an empty file"):
        decode(b"")


def test_a_picture_that_is_cut_short_is_refused():
    content = encoded(
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)), "PNG"
    )
    with pytest.raises(MediaError, match="cannot be read as a picture"):
        decode(content[: len(content) // 2])


def test_postscript_in_disguise_starts_no_other_program(tmp_path, monkeypatch):
    called = tmp_path / "called"
    script = tmp_path / "gs"
    script.write_text(f"#!/bin/sh\ntouch {called}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with pytest.raises(MediaError, match="expected a picture"):
        decode(content, "photo.jpg")
    assert not called.exists()
    assert "EPS" not in FORMATS


def test_more_pixels_than_memory_is_for_are_refused_unread(monkeypatch):
    monkeypatch.setattr("handheld.pictures.decoder.MAX_PIXELS", 11)
    with pytest.raises(TooManyPixelsError, match=r"has 4 x 3 pixels; expected at most 11 in all"):
        decode(DEEP["16-bit PNG"])
    assert MAX_PIXELS >= 108_000_000  # today's phones


@pytest.mark.parametrize("form", ["WEBP", "GIF", "PNG"])
def test_animations_keep_their_times(form):
    shades = [Image.new("RGB", (8, 8), (60 * n,) * 3) for n in range(3)]
    content = encoded(
        shades[0], form, save_all=True, append_images=shades[1:], duration=[40, 80, 200]
    )
    timed = list(decode_animation(content))
    assert [one.seconds for one in timed] == [0.04, 0.08, 0.2]
    assert [round(float(one.picture.mean()) / 60) for one in timed] == [0, 1, 2]
    assert decode(content).mean() == 0  # the first


def test_one_picture_is_an_animation_of_one():
    assert len(list(decode_animation(DEEP["16-bit PNG"]))) == 1


def test_a_picture_for_those_who_show_no_animation_is_none_of_it():
    """APNG: a picture before the first frame's header."""
    shades = [Image.new("RGB", (8, 8), (60 * n,) * 3) for n in range(3)]
    content = encoded(
        shades[0],
        "PNG",
        save_all=True,
        append_images=shades[1:],
        default_image=True,
        duration=[40, 80],
    )
    timed = list(decode_animation(content))
    assert [one.seconds for one in timed] == [0.04, 0.08]
    assert [round(float(one.picture.mean()) / 60) for one in timed] == [1, 2]
    assert is_animated(content)


@pytest.mark.parametrize("form", ["TIFF", "MPO"])
def test_pages_are_no_animation(form):
    pages = [Image.new("RGB", (16, 16), (60 * n,) * 3) for n in range(3)]
    content = encoded(pages[0], form, save_all=True, append_images=pages[1:])
    assert not is_animated(content)
    assert [one.picture.max() for one in decode_animation(content)] == [0]


@pytest.mark.parametrize("form", ["GIF", "TIFF"])
def test_damage_of_any_kind_is_a_media_error(form):
    """Pillow raises IndexError and TypeError too."""
    shades = [Image.new("RGB", (8, 8), (60 * n,) * 3) for n in range(3)]
    content = encoded(shades[0], form, save_all=True, append_images=shades[1:])
    for position in range(len(content)):
        for byte in (0, 0xFF):
            damaged = content[:position] + bytes([byte]) + content[position + 1 :]
            with suppress(MediaError):
                list(decode_animation(damaged))


def test_a_tiff_that_is_not_read_is_not_called_none():
    content = encoded(Image.fromarray(RAMP), "TIFF").replace(
        struct.pack("<HHI", 258, 3, 1) + b"\x10", struct.pack("<HHI", 258, 3, 1) + b"\x0e"
    )
    with pytest.raises(MediaError, match="got a TIFF of a form that is not read"):
        decode(content)


def test_resizing_keeps_what_has_the_size():
    picture = np.zeros((3, 4, 3), np.uint8)
    assert resize(picture, (3, 4)) is picture
    assert resize(picture, (6, 2)).shape == (6, 2, 3)


def test_the_size_is_read_without_the_pixels(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(
        encoded(Image.new("RGB", (40, 30)), "PNG")[:60]
    )  # no more than the header is there
    assert size_of(path) == (30, 40)
    with pytest.raises(MediaError, match="cannot be read as a picture"):
        decode(path.read_bytes())


def test_the_size_of_no_picture(tmp_path):
    path = tmp_path / "a.png"
    with pytest.raises(MediaError, match=r"a\.png: cannot be read as a picture: .*No such file"):
        size_of(path)
    path.write_bytes(b"nothin")
    with pytest.raises(
        MediaError, match=r"^cat: expected a picture .*, got 6 bytes that begin with b'nothin'"
    ):
        size_of(path, "cat")


def test_a_header_that_says_it_is_enormous(tmp_path):
    bomb = bytearray(encoded(Image.new("RGB", (4, 3)), "PNG"))
    for side in (12_000, 60_000):  # more than we read, and more than Pillow opens
        bomb[16:24] = side.to_bytes(4, "big") * 2
        bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
        (tmp_path / "a.png").write_bytes(bomb)
        with pytest.raises(TooManyPixelsError, match=r"a\.png"):
            size_of(tmp_path / "a.png")


def test_the_orientation_of_a_picture_stands_in_its_header(tmp_path):
    path = tmp_path / "a.jpg"
    for orientation in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", (40, 30)).save(path, exif=exif)
        assert orientation_of(path) == orientation
        turned = (40, 30) if orientation in (6, 8) else (30, 40)
        assert decode(path.read_bytes()).shape[:2] == turned
    exif[0x0112] = 77
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    assert orientation_of(path) == 1
    Image.new("RGB", (40, 30)).save(tmp_path / "b.png")
    assert orientation_of(tmp_path / "b.png") == 1
    path.write_bytes(b"no picture")
    with pytest.raises(MediaError, match="expected a picture"):
        orientation_of(path, "a")
