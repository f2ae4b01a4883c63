"""Editors on Windows begin a file with a byte order mark: it is no part of what a file says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handheld.untrusted import read_json

MARK = b"\xef\xbb\xbf"
EXAMPLES = Path(__file__).parents[1] / "examples"


def _federated(path: Path) -> Any:
    pytest.importorskip("torch")
    from handheld.federated import config

    return config.read(path).plan


def _compress(path: Path) -> Any:
    pytest.importorskip("torch")
    from handheld.compress import config

    return config.read(path)


def _reply(path: Path) -> Any:
    pytest.importorskip("torch")
    from handheld.reply.training import config

    return config.read_config(config._BundleFile, path)  # without the files that it names


def _sections(path: Path) -> Any:
    from handheld.reply.sections import read_lines

    return read_lines(path)


@pytest.mark.parametrize(
    ("read", "example"),
    [
        (_federated, "federated/fashion_mnist.toml"),
        (_compress, "compress/fashion_mnist.toml"),
        (_reply, "reply/english.toml"),
        (_sections, "reply/english.toml"),
    ],
)
def test_a_configuration_may_begin_with_a_mark(
    read: Callable[[Path], Any], example: str, tmp_path: Path
):
    content = (EXAMPLES / example).read_bytes()
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    expected = read(path)
    path.write_bytes(MARK + content)
    assert read(path) == expected


def test_a_gesture_table_and_a_pack_may(tmp_path: Path):
    from handheld import hands
    from handheld.errors import ModelError
    from handheld.hands.gestures import GestureTable
    from handheld.hands.packs import load_pack

    table = tmp_path / "table.toml"
    tables = Path(hands.__file__).parent / "tables"
    table.write_bytes(MARK + (tables / "european.toml").read_bytes())
    assert GestureTable.load(table) == GestureTable.load("european")
    # Read, and found wanting by what it says.
    (tmp_path / "pack.toml").write_bytes(MARK + b"palm = 3\n")
    with pytest.raises(ModelError, match="palm: expected a text, got 3"):
        load_pack(tmp_path)


def test_letters_of_users_do_not_begin_with_it(tmp_path: Path):
    from handheld.data.users.letters import one_each

    (tmp_path / "ann.txt").write_bytes(MARK + b"hello there\n")
    assert one_each(tmp_path)["ann"][0].startswith("hello")


def test_json_may_begin_with_it_as_bytes_and_as_text():
    assert read_json(MARK + b'{"a": 1}') == read_json("\ufeff" + '{"a": 1}') == {"a": 1}
