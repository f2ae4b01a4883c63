import contextlib
import io
import os
import tarfile

import numpy as np
import pytest

from handheld.data.users.letters import ALPHABET, numbers, one_each, plays, windows
from handheld.errors import InputError

PLAY = """\tHAMLET

\tHAMLET\tprince (not a line).
HAMLET\tnot a line either.

ACT I

SCENE I\tElsinore.

\t[Enter FRANCISCO
\tand BERNARDO]

BERNARDO\tWho's there?

FRANCISCO\tNay, answer me: stand, and unfold yourself.
\t[Aside] or not
\tAnother line.

First Clown\tIs she to be buried?

The end of all.
\tnobody says this
"""


def test_a_play_is_read_role_by_role(tmp_path):
    (tmp_path / "hamlet.txt").write_text(PLAY)
    said = {
        "hamlet/BERNARDO": ["Who's there?"],
        "hamlet/FRANCISCO": ["Nay, answer me: stand, and unfold yourself.", "Another line."],
        "hamlet/First Clown": ["Is she to be buried?"],
    }
    assert plays(tmp_path) == said
    packed = tmp_path / "plays.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        member = tarfile.TarInfo("../../hamlet.txt")
        member.size = len(PLAY)
        archive.addfile(member, io.BytesIO(PLAY.encode()))
    assert plays(packed) == said


def test_where_nothing_can_be_read(tmp_path):
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b nothing")
    for path in (tmp_path / "none", tmp_path / "broken.tar.gz"):
        with pytest.raises(InputError, match="cannot be read"):
            plays(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no plays"):
        plays(tmp_path / "empty")
    with pytest.raises(InputError, match=r"no \.txt files"):
        one_each(tmp_path / "empty")


def test_windows_are_each_users_own_and_the_last_lines_are_to_test_on(tmp_path):
    for user, lines in (
        ("ann", ["abcdefgh", "ij", "kl", "mn", "tested"]),
        ("bob", ["x", "yz"]),
        ("cy", ["once"]),
    ):
        (tmp_path / f"{user}.txt").write_text("\n".join(lines))
    found = windows(one_each(tmp_path), length=5)
    assert found.partition.names == ("ann", "bob")
    assert found.partition.sizes.tolist() == [4, 1]
    assert (found.inputs[0] == numbers("abcde")).all()
    assert (found.targets[0] == numbers("bcdef")).all()
    whole = np.concatenate([row[row >= 0] for row in found.targets[:4]])
    assert (whole == numbers("bcdefgh\nij\nkl\nmn\n")).all()
    assert found.targets[3].tolist()[-3:] == [-1] * 3
    assert (found.test_targets[0] == numbers("ested")).all()
    assert found.inputs.max() <= len(ALPHABET)


def test_letters_that_are_not_known_are_one_letter():
    assert numbers("aé€b").tolist() == [*numbers("a"), 0, 0, *numbers("b")]


@pytest.mark.parametrize(
    "values", [{"test": 1.0}, {"test": "0.2"}, {"length": 0}, {"length": 1.5}, {"min_lines": "2"}]
)
def test_windows_that_cannot_be(values):
    with pytest.raises(InputError, match=f"{next(iter(values))}: expected a"):
        windows({"a": ["b", "c"]}, **values)
    with pytest.raises(InputError, match="no user has 2 lines"):
        windows({"a": ["b"]})


def test_what_in_a_folder_is_no_text_is_left_out_or_named(tmp_path):
    (tmp_path / "ann.txt").write_text("hi\nthere")
    (tmp_path / "notes.txt").mkdir()
    assert one_each(tmp_path) == {"ann": ["hi", "there"]}
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"cannot be read as a folder .*gone\.txt"):
        one_each(tmp_path)
    (tmp_path / "gone.txt").unlink()
    # Nobody writes into it, so that reading it had no end.
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="it is a pipe"):
        plays(tmp_path)


def test_a_packed_file_that_is_damaged_in_the_middle_is_named(tmp_path):
    rng = np.random.default_rng(0)
    text = f"ACT I\nHAMLET\t{rng.bytes(20_000).hex()}\n".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("hamlet.txt")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    path = tmp_path / "plays.tar.gz"
    for place in range(1000, len(packed.getvalue()) - 1000, 997):
        content = bytearray(packed.getvalue())
        content[place] ^= 255
        path.write_bytes(content)
        # A letter may have become another one.
        with contextlib.suppress(InputError):
            plays(path)
