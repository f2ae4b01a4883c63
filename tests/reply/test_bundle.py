import contextlib
import io
import json
import random
import shutil
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handheld.errors import ModelError
from handheld.reply import Replier, ReplyBundle


def rewritten(path: Path, out: Path, name: str, change) -> Path:
    """Copy a bundle with one part changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for each in old.namelist():
            content = old.read(each)
            if (changed := change(content) if each == name else content) is not None:
                new.writestr(each, changed)
    return out


def with_card(**changes):
    return lambda content: json.dumps({**json.loads(content), **changes}).encode()


def with_detector(**changes):
    def change(content: bytes) -> bytes:
        card = json.loads(content)
        card["detector"].update(changes)
        return json.dumps(card).encode()

    return change


def test_a_bundle_is_read_as_it_was_written(bundle_file: Path, tmp_path: Path):
    bundle = ReplyBundle.read(bundle_file)
    bundle.write(tmp_path / "again.replies")
    assert (tmp_path / "again.replies").read_bytes() == bundle_file.read_bytes()
    again = ReplyBundle.read(tmp_path / "again.replies")
    assert (again.intents, again.replies, again.fallback) == (
        bundle.intents,
        bundle.replies,
        bundle.fallback,
    )
    messages = ["hello there", "lunch?", "something else"]
    assert [Replier(again).suggest(m, always=True) for m in messages] == [
        Replier(bundle).suggest(m, always=True) for m in messages
    ]


def test_the_card_says_where_it_comes_from(bundle_file: Path):
    card = ReplyBundle.read(bundle_file).card
    assert (card["name"], card["licence"]) == ("tiny", "CC0")
    assert card["training"]["sources"] == ["talk.jsonl"]
    assert card["training"]["pairs"] > 100


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_named(bundle_file: Path, tmp_path: Path, share: float):
    path = tmp_path / "cut.replies"
    content = bundle_file.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"cut\.replies"):
        ReplyBundle.read(path)


@pytest.mark.parametrize(
    ("part", "change", "expected"),
    [
        ("card.json", with_card(format=1), "has format 1; this version reads 4"),
        ("card.json", with_card(intents=["a", "b"]), "do not fit together"),
        ("card.json", with_card(replies=[]), "do not fit together"),
        ("card.json", with_card(replies=[["Hi", 0, 0.0]]), "do not fit together"),
        ("card.json", with_card(fallback=[9999]), "do not fit together"),
        ("card.json", with_detector(topics=["harmless"]), "expected 4 topics"),
        ("card.json", with_detector(topics=["a", "b", "c", "d"]), "'harmless' among them"),
        (
            "card.json",
            with_detector(silent=0.1, careful=0.9),
            r"careful: expected a number in \[0, 0.1\], got 0.9",
        ),
        (
            "card.json",
            with_detector(mild=float("nan")),
            r"mild: expected a number in \[0, 1\], got nan",
        ),
        ("card.json", with_card(tones=[0]), "names 6 intents and the tones"),
        ("card.json", with_card(tones=[7] * 6), "names 6 intents and the tones"),
        (
            "card.json",
            with_card(trigger={"weights": [1], "threshold": 0.5, "caution": 1}),
            "weights: expected 7, got 1",
        ),
        (
            "card.json",
            with_card(trigger={"weights": [0] * 7, "threshold": 0.5, "caution": -1}),
            r"caution: expected a number in \[0, inf\), got -1",
        ),
        ("card.json", with_card(ranker={"reads": "signs"}), "no bundle of replies"),
        ("card.json", lambda content: b"{", "no bundle of replies"),
        ("card.json", lambda content: None, "cannot be read as a bundle"),
        ("ranker.npz", lambda content: content[:1000], "no bundle of replies"),
        ("ranker.npz", lambda content: b"\x80\x04N.", "no bundle of replies"),
        ("detector.npz", lambda content: b"", "no bundle of replies"),
        ("detector.npz", lambda content: bytes(17 << 20), "unpacks to more than"),
        (
            "detector.npz",
            lambda content: with_arrays(lambda a: a.update(more=np.zeros(17 << 20, np.uint8)))(
                content
            ),
            "unpacks to",
        ),
        ("card.json", with_card(fallback=[float("inf")]), "no bundle of replies"),
        (
            "card.json",
            with_card(mixing={"network": "much"}),
            r"network: expected a number in \[0, 1\], got 'much'",
        ),
        (
            "card.json",
            with_card(mixing={"fit": None}),
            r"fit: expected a number in \[0, 1\], got None",
        ),
        (
            "card.json",
            with_card(mixing={"share": float("nan")}),
            r"share: expected a number in \[0, 1\], got nan",
        ),
        ("card.json", lambda content: b'{"a":' * 200_000, "no bundle of replies"),
        ("card.json", with_card(card="tiny"), "expected an entry with names, got str"),
        ("card.json", with_card(intents="abcdef"), "expected a list, got str"),
        ("card.json", with_card(intents=[None] * 6), "expected a text, got NoneType"),
        ("card.json", with_card(fallback={}), "expected a list, got dict"),
        ("card.json", with_card(fallback=[0.5]), "'float' object cannot be interpreted"),
        ("card.json", with_card(replies=[[None, 0, 0.5]]), "expected a text, got NoneType"),
        ("card.json", with_card(replies=[["", 0, 0.5]]), "a reply has 0 letters, expected 1 to"),
        ("card.json", with_card(replies=[["a" * 501, 0, 0.5]]), "a reply has 501 letters"),
        ("card.json", with_card(replies=[["\x1b[2J", 0, 0.5]]), "steer a terminal"),
        ("card.json", with_card(replies=[["Hi", 0.7, 0.5]]), "'float' object cannot be"),
        ("card.json", with_card(replies=[["Hi", 0, "0.5"]]), "share of 'Hi': expected a number"),
        ("card.json", with_card(replies=[["Hi", 0, 5e-324]]), "do not fit together"),
        ("card.json", with_card(replies=[["Hi", 0, 0.5]] * 9000), "9000 replies, more than 8192"),
        ("card.json", with_card(replies=[["Hi " * 90, 0, 0.5]] * 900), "more than 131072 letters"),
        (
            "card.json",
            with_card(trigger={"weights": [1e308] * 7, "threshold": 0.5, "caution": 1}),
            r"weights\[0\]: expected a number in \[-1000000.0, 1000000.0\]",
        ),
        (
            "card.json",
            with_card(trigger={"weights": [0] * 7, "threshold": "0.5", "caution": 1}),
            "got '0.5'",
        ),
        (
            "card.json",
            with_card(trigger={"weights": [0] * 7, "threshold": 0.5, "caution": 10**400}),
            "a number of 401 digits",
        ),
        (
            "card.json",
            with_card(trigger={"weights": [0] * 7, "threshold": 0.5}),
            "no entry 'caution'",
        ),
        ("card.json", with_detector(mild="0.5"), r"mild: expected a number .*, got '0.5'"),
    ],
)
def test_what_is_damaged_or_of_another_version_is_refused(
    bundle_file: Path, tmp_path: Path, part, change, expected
):
    with pytest.raises(ModelError, match=expected):
        ReplyBundle.read(rewritten(bundle_file, tmp_path / "bad.replies", part, change))


def test_features_that_would_take_long_are_refused(bundle_file: Path, tmp_path: Path):
    def slow(content: bytes) -> bytes:
        card = json.loads(content)
        card["ranker"]["letters"] = [3] * 100
        return json.dumps(card).encode()

    with pytest.raises(ModelError, match="its ranker reads 192 features, letters by"):
        ReplyBundle.read(rewritten(bundle_file, tmp_path / "bad.replies", "card.json", slow))


def test_an_entry_that_says_it_is_smaller_fills_no_memory(bundle_file: Path, tmp_path: Path):
    path = tmp_path / "bomb.replies"
    with zipfile.ZipFile(bundle_file) as old, zipfile.ZipFile(path, "w") as new:
        for name in ("ranker.npz", "detector.npz"):
            new.writestr(name, old.read(name))
        new.writestr("card.json", bytes(0x4ABCDEF), zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    # once before the entry, once in the archive's list
    size = (0x4ABCDEF).to_bytes(4, "little")
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, (1000).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="cannot be read as a bundle"):
            ReplyBundle.read(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_methods_that_unpack_all_at_once_are_refused(bundle_file: Path, tmp_path: Path):
    path = tmp_path / "lzma.replies"
    with zipfile.ZipFile(bundle_file) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    damaged = bytearray(path.read_bytes())
    damaged[60:90] = b"\xff" * 30
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="compressed by method 14"):
        ReplyBundle.read(path)


def test_a_reply_that_hardly_anybody_says_is_kept(bundle_file: Path, tmp_path: Path):
    bundle = ReplyBundle.read(bundle_file)
    rare = replace(bundle.replies[0], share=0.0001)
    replace(bundle, replies=(rare, *bundle.replies[1:])).write(tmp_path / "rare.replies")
    assert ReplyBundle.read(tmp_path / "rare.replies").replies[0].share == 0.001


def test_any_damaged_byte_is_a_model_error_or_harmless(bundle_file: Path, tmp_path: Path):
    whole, rng = bundle_file.read_bytes(), random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (tmp_path / "bad.replies").write_bytes(damaged)
        with contextlib.suppress(ModelError):
            ReplyBundle.read(tmp_path / "bad.replies")


def with_arrays(change):
    def changed(content: bytes) -> bytes:
        with np.load(io.BytesIO(content)) as file:
            arrays = dict(file)
        change(arrays)
        out = io.BytesIO()
        np.savez_compressed(out, **arrays)
        return out.getvalue()

    return changed


@pytest.mark.parametrize(
    ("part", "name", "change", "expected"),
    [
        (
            "ranker.npz",
            "query_bias",
            lambda a: a * np.float32("nan"),
            "some weights are no numbers",
        ),
        (
            "detector.npz",
            "topic_bias",
            lambda a: a * np.float32("inf"),
            "some weights are no numbers",
        ),
        ("detector.npz", "hidden_weight", lambda a: a[:, :-1], "layer 'hidden' has the shape"),
        ("detector.npz", "keys_low", lambda a: a[:-1], "network that reads messages is damaged"),
        ("detector.npz", "vectors", lambda a: a[:-1], "levels as uint8"),
        ("detector.npz", "vectors", lambda a: a | 0xF0, "levels above 7"),
        ("detector.npz", "rows", lambda a: -a, "levels as uint8"),
        ("detector.npz", "table", lambda a: a.astype(np.float64), "levels as float64"),
        ("detector.npz", "step", lambda a: a * 0, "steps"),
        ("detector.npz", "step", lambda a: a * 0 + np.float32(1e38), "steps"),
        ("detector.npz", "norm", lambda a: a * 0 + np.float64(1e308), "norm"),
        ("detector.npz", "conv_bias", lambda a: a[:, None], "layer 'conv' has the shape"),
        # what numpy would pair each with each: terabytes
        ("detector.npz", "keys_low", lambda a: np.zeros((1, 1 << 20), np.uint8), "keys of words"),
        ("detector.npz", "keys_high", lambda a: np.zeros((1 << 20, 1), np.uint8), "keys of words"),
        ("detector.npz", "style", lambda a: a.astype(np.complex64), "expected real numbers"),
        ("ranker.npz", "mix", lambda a: a * np.float32("nan"), "mix: some weights"),
        ("ranker.npz", "mix", lambda a: a.astype("U8"), "mix: expected real numbers, got <U8"),
        ("ranker.npz", "mix", lambda a: a[:, None], r"mix: expected the shape \[3\]"),
        ("ranker.npz", "rarity_scale", lambda a: a * np.float32("inf"), "rarity: some weights"),
        ("ranker.npz", "rarity", lambda a: np.zeros((1, 1 << 20), np.int8), "rarity: expected"),
        ("ranker.npz", "step", lambda a: a * 0 + np.float32(1e38), "step: some weights"),
        ("ranker.npz", "norm", lambda a: np.zeros((2, 1 << 20, 1, 1), np.int8), "norm: expected"),
        (
            "ranker.npz",
            "reply_bias",
            lambda a: np.zeros((1 << 23, 1), np.int8),
            "layer 'reply' has the shape",
        ),
        ("detector.npz", "norm", lambda a: a[:1], r"norm: expected the shape \[2, 8\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    bundle_file: Path, tmp_path: Path, part, name, change, expected
):
    def broken(arrays):
        arrays[name] = change(arrays[name])

    with pytest.raises(ModelError, match=expected):
        ReplyBundle.read(
            rewritten(bundle_file, tmp_path / "bad.replies", part, with_arrays(broken))
        )


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ModelError, match=r"none\.replies cannot be read"):
        Replier.open(tmp_path / "none.replies")


def test_a_write_that_fails_leaves_the_old_file(
    bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "kept.replies"
    shutil.copy(bundle_file, path)
    monkeypatch.setattr(
        Path,
        "write_bytes",
        lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")),
    )
    with pytest.raises(Exception, match="No space left"):
        ReplyBundle.read(bundle_file).write(path)
    monkeypatch.undo()
    assert path.read_bytes() == bundle_file.read_bytes()
