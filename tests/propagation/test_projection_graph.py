from dataclasses import replace

import numpy as np
import pytest

from handheld.errors import InputError, ModelError
from handheld.projection import Features, Signs
from handheld.propagation import Labels
from handheld.propagation.projection_graph import ProjectionGraph

TEXTS = (
    "how are you",
    "how are you doing",
    "see you later",
    "see you soon",
    "what time is it",
    "what is the time",
)
LABELS = Labels(np.array([[0], [0], [1], [1], [2], [2]], np.int32), np.ones((6, 1), np.float32), 3)
FEATURES, SIGNS = Features(words=2, skips=1), Signs(20, 6)


def table(**kw: int) -> ProjectionGraph:
    return ProjectionGraph.build(TEXTS, LABELS, features=FEATURES, signs=SIGNS, **kw)


def test_a_text_that_is_known_gets_its_label_and_a_near_one_too():
    votes = table().votes_of([*TEXTS, "how are you today", "see you"])
    assert votes.argmax(1).tolist() == [0, 0, 1, 1, 2, 2, 0, 1]
    assert (votes.sum(axis=1) <= 1).all()


def test_votes_by_hand():
    graph = ProjectionGraph.build(
        ["a", "a", "a"],
        Labels(np.array([[1, 0], [1, -1], [0, -1]]), np.array([[0.75, 0.25], [1, 0], [1, 0]]), 2),
        features=Features(words=1, skips=0),
        signs=Signs(3, 8),
    )
    assert len(graph.keys) == 3
    assert graph.labels.tolist() == [[1, 0, -1, -1, -1]] * 3
    assert graph.votes_of(["a"])[0].tolist() == pytest.approx([1.25 / 4, 1.75 / 4])
    assert graph.votes_of(["b"])[0].max() < 0.5


def test_rare_signatures_are_left_out():
    assert len(table(min_count=2).keys) < len(table().keys)


def test_one_example_is_learned_at_once_and_its_weight_is_bounded():
    before = table()
    after = before.learned("good grief", 2)
    assert (
        before.votes_of(["good grief"])[0].argmax() != 2
        or before.votes_of(["good grief"])[0].max() < 0.2
    )
    assert after.votes_of(["good grief"])[0].tolist()[2] >= 0.5
    for _ in range(200):
        after = after.learned("good grief", 2)
    assert after.votes.max() <= 1.0
    assert after.votes_of(["how are you"])[0].argmax() == 0
    assert after.learned("how are you", 1, rate=1.0).votes_of(["how are you"])[0].argmax() == 1
    assert len(before.keys) == len(table().keys)


def test_it_is_written_and_read_back():
    graph = table()
    again = ProjectionGraph.of_bytes(graph.to_bytes())
    assert np.array_equal(again.keys, graph.keys)
    assert np.allclose(again.votes_of(TEXTS), graph.votes_of(TEXTS), atol=1 / 255)
    assert (again.features, again.signs, again.classes) == (FEATURES, SIGNS, 3)


def test_nothing_is_known_without_texts():
    empty = table(min_count=1000)
    assert not empty.votes_of(["how are you"]).any()
    assert empty.learned("hello", 1).votes_of(["hello"])[0].argmax() == 1
    assert table().votes_of([]).shape == (0, 3)


def test_what_is_damaged_is_refused():
    content = table().to_bytes()
    for damaged in (
        b"",
        b"PK",
        content[: len(content) // 2],
        content[:200] + bytes(50) + content[250:],
    ):
        with pytest.raises(ModelError):
            ProjectionGraph.of_bytes(damaged)


@pytest.mark.parametrize("part", ["keys", "labels", "classes"])
def test_a_table_that_does_not_fit_together_is_refused(part: str):
    graph = table()
    changed = {"keys": graph.keys[::-1].copy(), "labels": graph.labels + 9, "classes": 1 << 40}[
        part
    ]
    with pytest.raises(ModelError, match="do not fit together"):
        ProjectionGraph.of_bytes(replace(graph, **{part: changed}).to_bytes())


@pytest.mark.parametrize("wrong", [{"max_labels": 0}, {"min_count": 0}])
def test_numbers_below_one(wrong: dict[str, int]):
    with pytest.raises(InputError):
        table(**wrong)


def test_labels_that_do_not_fit():
    with pytest.raises(InputError, match="got 6 for 1"):
        ProjectionGraph.build(["one"], LABELS, features=FEATURES, signs=SIGNS)
    with pytest.raises(InputError, match="do not fit 64 bits"):
        ProjectionGraph.build(TEXTS, LABELS, features=FEATURES, signs=Signs(5, 64))
    with pytest.raises(InputError, match=r"^label: expected a whole number in \[0, 2\], got "):
        table().learned("x", 3)
