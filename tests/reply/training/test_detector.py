from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from handheld.errors import InputError  # noqa: E402
from handheld.projection.words import fingerprints  # noqa: E402
from handheld.reply.clauses import spans_of  # noqa: E402
from handheld.reply.message_network import MessageNetwork, WordVectors, short_keys  # noqa: E402
from handheld.reply.training import message_network as training  # noqa: E402
from handheld.reply.training.detector import read_vocabulary, topic_losses, topics_of  # noqa: E402
from handheld.reply.training.messages import WrittenMessage, drawn, read_messages  # noqa: E402
from handheld.reply.training.registers import varied  # noqa: E402
from handheld.reply.training.teacher import (  # noqa: E402
    TeacherNetwork,
    TeacherShares,
    ask_teacher,
    read_teacher_shares,
    write_teacher_shares,
)
from handheld.training import FitRun  # noqa: E402

SHAPE = training.NetworkShape(rows=200, width=8, filters=6, hidden=5)


def vocabulary() -> WordVectors:
    keys = np.unique(short_keys(fingerprints(["my", "mum", "died", "hello", "you"])))
    levels = np.random.default_rng(0).integers(-7, 8, (len(keys), 4)).astype(np.int8)
    return WordVectors(keys, levels, 0.25)


@pytest.fixture
def trained() -> training.TrainedNetwork:
    torch.manual_seed(0)
    return training.TrainedNetwork(SHAPE, vocabulary(), 4, 6).eval()


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "my mum died",
        "hello, my mum died and you know i would love to be there with you all now. sorry!!",
        "?",
        "x y",
    ],
)
def test_the_device_computes_what_was_trained_for_each_span(
    trained, monkeypatch: pytest.MonkeyPatch, text
):
    spans = spans_of(text)
    read = training.exported(trained).read(spans)
    parts = [
        " ".join(spans.words.tokens[a:b]) for a, b in zip(spans.begins, spans.ends, strict=True)
    ]
    monkeypatch.setattr(
        training, "joined", lambda part: part
    )  # the spans' words are as they are read already
    with torch.no_grad():
        topics, answers = trained(training.BatchReader.of(SHAPE, vocabulary())(parts))
    assert read.topics == pytest.approx(topics.numpy(), abs=1e-5)
    assert read.answers == pytest.approx(answers.numpy(), abs=1e-5)
    assert (spans.begins[read.last], spans.ends[read.last]) == (
        spans.begins[spans.ends == spans.ends.max()].min(),
        spans.ends.max(),
    )


def test_eight_bits_change_little(trained):
    network = training.exported(trained)
    again = MessageNetwork.of_arrays(network.arrays())
    spans = spans_of("hello, my mum died")
    assert again.read(spans).topics == pytest.approx(network.read(spans).topics, abs=0.02)
    assert (again.vocabulary.keys == network.vocabulary.keys).all()


@pytest.mark.parametrize("text", ["", " ", "\u200b", "a " * 3000, "x" * 5000, ". , !"])
def test_any_text_is_read(trained, text):
    read = training.exported(trained).read(spans_of(text))
    assert np.isfinite(read.topics).all()


def test_a_line_stands_for_its_choices_and_slots():
    rng = np.random.default_rng(0)
    assert set(drawn("(hi|hello) {who}(!|)", {"who": ["mum", "dad"]}, 100, rng)) == {
        f"{greeting} {who}{mark}"
        for greeting in ("hi", "hello")
        for who in ("mum", "dad")
        for mark in ("!", "")
    }
    assert len(drawn("(a|b) (c|d) (e|f)", {}, 3, rng)) == 3
    assert drawn("no choice (but this)", {}, 5, rng) == ["no choice (but this)"]


def test_messages_are_read_by_topic_and_repeated_alike(tmp_path: Path):
    (tmp_path / "slots.txt").write_text("[who]\nmum\ndad\n", encoding="utf-8")
    (tmp_path / "some.txt").write_text(
        "# why\n[death]\n{who} died\n[harmless]\nhello\n", encoding="utf-8"
    )
    found = read_messages(tmp_path, 4, 0)
    assert {(each.topic, each.text) for each in found} == {
        ("death", "mum died"),
        ("death", "dad died"),
        ("harmless", "hello"),
    }
    assert read_messages(tmp_path, 4, 0) == found
    assert topics_of(found) == ("death", "harmless")
    (tmp_path / "some.txt").write_text("[death]\n{whom} died\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"\{whom\} .* is no section of slots.txt"):
        read_messages(tmp_path, 4, 0)
    with pytest.raises(InputError, match="holds no messages"):
        read_messages(tmp_path / "none", 4, 0)
    with pytest.raises(InputError, match=r"a section \[harmless\]"):
        topics_of([WrittenMessage("death", "he died", ("some", 0))])


def test_registers_keep_most_letters_and_change_some_texts():
    rng = np.random.default_rng(0)
    text = "please tell my mum that i can't come tomorrow"
    written = [varied(text, rng) for _ in range(300)]
    assert (
        80 < written.count(text) < 160
    )  # four in ten stay as they are, and some changes change nothing
    assert len(set(written)) > 60
    assert all(len(each) > 0.5 * len(text) for each in written)
    assert any(
        " " not in each for each in [varied(text, rng) for _ in range(600)]
    )  # some people leave blanks out


def test_registers_keep_something_of_any_text():
    rng = np.random.default_rng(0)
    for text in ("?", "a", "...", "no!", "😂"):
        assert all(varied(text, rng).strip() for _ in range(300)), text


def test_words_are_read_and_bad_files_named(tmp_path: Path):
    np.savez(
        tmp_path / "words.npz",
        words=np.array(["mum", "dad"]),
        vectors=np.array([[1.0, 0.0], [-1.0, 0.0]]),
    )
    found = read_vocabulary(tmp_path / "words.npz", [], 2, 5, 0)
    vectors, known = found.of(fingerprints(["dad", "zebra"]))
    assert known.tolist() == [True, False]
    assert vectors == pytest.approx(np.array([[-1.0, 0.0], [0.0, 0.0]]), abs=0.15)  # in four bits
    assert len(read_vocabulary(None, ["a b", "b c"], 2, 2, 0).keys) == 2
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(InputError, match=r"bad\.npz cannot be read as words"):
        read_vocabulary(tmp_path / "bad.npz", [], 2, 5, 0)


def test_to_call_a_grave_text_harmless_costs_more_than_to_call_it_by_another_grave_topic():
    wanted = torch.tensor([[1.0, 0.0, 0.0]]).repeat(2, 1)  # death, illness, harmless
    logits = torch.log(torch.tensor([[0.2, 0.6, 0.2], [0.2, 0.2, 0.6]]))
    other, harmless = topic_losses(logits, wanted, torch.tensor([True, True, False])).tolist()
    assert other == pytest.approx(-0.5 * np.log(0.2) - np.log(0.8))
    assert harmless == pytest.approx(-0.5 * np.log(0.2) - np.log(0.4))


def test_what_a_teacher_said_is_kept_in_the_order_of_the_topics(tmp_path: Path):
    path = tmp_path / "taught.npz"
    write_teacher_shares(
        path,
        TeacherShares(("he died", "hi"), np.array([[0.75, 0.25], [0.0, 1.0]], np.float32)),
        ("death", "harmless"),
    )
    found = read_teacher_shares(path, ("harmless", "death"))
    assert found.texts == ("he died", "hi")
    assert found.shares.tolist() == [[0.25, 0.75], [1.0, 0.0]]
    with pytest.raises(InputError, match="a run with the topics death, harmless"):
        read_teacher_shares(path, ("death", "illness", "harmless"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="cannot be read as what a teacher said"):
        read_teacher_shares(path, ("death", "harmless"))


def test_a_teacher_learns_topics_and_is_asked_once(encoder: Path, tmp_path: Path):
    written = [WrittenMessage("death", "he died", ("a", 0))] * 30 + [
        WrittenMessage("harmless", "hello you", ("a", 1))
    ] * 30
    topics, state = ("death", "harmless"), tmp_path / "run"
    arguments = (written, topics, ["hello"] * 9, ["he died", "hello you"])
    taught = ask_teacher(encoder, *arguments, FitRun(save=state / "teacher.pt"))
    assert taught.shares.shape == (len(taught.texts), 2)
    assert taught.shares.sum(axis=1) == pytest.approx(np.ones(len(taught.texts)), abs=1e-5)
    again = ask_teacher(tmp_path / "none", *arguments, FitRun(save=state / "teacher.pt"))
    assert again.texts == taught.texts
    with pytest.raises(InputError, match="cannot be read as a sentence encoder"):
        TeacherNetwork(tmp_path / "none", 2)
