"""What is no file is refused wherever one is expected: a pipe that nobody writes into, which would
be waited for, and names that no file can have.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("av")

from handheld.arrays import read_npz
from handheld.compress.config import read as read_compress
from handheld.compress.family import Family
from handheld.config import read_config
from handheld.data import load
from handheld.data.users.sparse import read_libsvm
from handheld.engine import Model
from handheld.errors import HandheldError
from handheld.federated.config import read as read_federated
from handheld.federated.device import ExampleStore
from handheld.hands import GestureClassifier, GestureTable, TaughtGestures
from handheld.hands.training.config import LearnConfig
from handheld.media import open_animation, read_image
from handheld.propagation import read_seeds
from handheld.reply import Replier, read_conversations
from handheld.reply.personal import PersonalState
from handheld.reply.sections import read_sections
from handheld.reply.training.config import read as read_reply
from handheld.service.archives import unpack
from handheld.training import load_state

READERS: dict[str, Callable[[Path], Any]] = {
    "a.npz": load,
    "a.tsv": load,
    "a.csv.gz": load,
    "a.libsvm": read_libsvm,
    "a.tflite": Model.open,
    "a.png": read_image,
    "a.webp": open_animation,
    "a.pt": load_state,
    "a.zip": lambda path: unpack(path, path.with_name("unpacked"), max_bytes=9, max_files=9),
    "a.sqlite": partial(ExampleStore, max_examples=9, megabytes=1, days=1, classes=2),
    "seeds.tsv": partial(read_seeds, nodes=3),
    "family.json": lambda path: Family.open(path.parent),
    "compress.toml": read_compress,
    "federated.toml": read_federated,
    "reply.toml": read_reply,
    "gestures.toml": GestureTable.load,
    "my.gestures": TaughtGestures.load,
    "gestures.npz": GestureClassifier.load,
    "hands.toml": partial(read_config, LearnConfig),
    "conversations.jsonl": read_conversations,
    "sections.txt": read_sections,
    "personal.json": PersonalState.read,
    "english.replies": Replier.open,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_refused(tmp_path: Path, name: str):
    os.mkfifo(tmp_path / name)
    with pytest.raises(HandheldError, match="it is a pipe, expected a file"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", READERS.keys() - {"personal.json", "family.json"})
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str):
    for impossible in ("a\0b", "x" * 300):
        with pytest.raises(HandheldError):
            READERS[name](tmp_path / impossible)


@pytest.mark.parametrize("name", [name for name in READERS if name.endswith(".toml")])
def test_brackets_in_brackets_are_refused(tmp_path: Path, name: str):
    (tmp_path / name).write_text("a = " + "[" * 10_000 + "]" * 10_000)
    with pytest.raises(HandheldError, match="brackets in brackets"):
        READERS[name](tmp_path / name)


@pytest.mark.timeout(20)
def test_arrays_in_a_pipe_are_an_error_of_the_system(tmp_path: Path):
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(OSError, match="it is a pipe, expected a file"):
        read_npz(tmp_path / "a.npz", 9)
