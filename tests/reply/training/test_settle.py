import numpy as np
import pytest

from handheld.propagation import Labels
from handheld.reply.replier import mixed
from handheld.reply.training.intents import Replies
from handheld.reply.training.settle import Heard, _written, fallback_of, mixing_of, response_set, trigger_of
from handheld.reply.trigger import Trigger, evidence


def test_what_people_say_often_joins_the_seeds_of_its_intent():
    texts = ("Yes", "No", "yup.", "nope", "rarely said", "i'm quite sure that it is so, my dear old friend")
    keys = ("yes", "no", "yup", "nope", "rarely said", "i am quite sure that it is so my dear old friend")
    replies = Replies(keys, texts, np.array([10, 0, 30, 20, 2, 50]), {key: place for place, key in enumerate(keys)})
    names = np.array([[0], [1], [0], [1], [0], [0]], np.int32)
    labels = Labels(names, np.array([[1], [1], [0.9], [0.1], [0.9], [0.9]], np.float32), 2)
    found = response_set(replies, labels, [("Yes", 0), ("No", 1)])
    assert [(reply.text, reply.intent) for reply in found] == [
        ("Yes", 0),
        ("Yup", 0),
        ("No", 1),
    ]  # the others: unsure, rare, long
    assert [reply.share for reply in found] == pytest.approx([12 / 44, 32 / 44, 1])
    many = Labels(np.array([[1], [1], [0]], np.int32), np.ones((3, 1), np.float32), 2)
    assert [found[number].text for number in fallback_of(found, many)] == ["No", "Yup"]


@pytest.mark.parametrize(
    ("text", "expected"), [("i  know.", "I know"), ("i'm in", "I'm in"), ("Ok", "Ok"), ("is it?", "Is it?"), ("😂", "😂")]
)
def test_replies_are_written_with_care(text, expected):
    assert _written(text) == expected


def test_signatures_have_their_say_and_change_nothing_where_there_are_none():
    intents = np.array([[0.6, 0.2, 0.2], [0.6, 0.2, 0.2]], np.float32)
    votes = np.array([[0.0, 0.5], [0.0, 0.0]], np.float32)
    found = mixed(intents, votes, 0.5)
    assert found[0] == pytest.approx([0.3, 0.5, 0.2])
    assert found[1] == pytest.approx(intents[1])
    assert found.sum(axis=1) == pytest.approx([1, 1])


def heard(count: int = 400) -> Heard:
    """Messages of which half are answered by what the ranker says, the others by no intent."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 0.1, (count, 6)).astype(np.float32)
    truth = np.full(count, -1)
    for place in range(0, count, 2):
        truth[place] = place % 5
        logits[place, place % 5] += 4
        logits[place + 1, 5] += 4
    votes = np.zeros((count, 5), np.float32)
    return Heard(logits, votes, truth)


def test_the_trigger_speaks_for_the_share_that_was_asked_for_and_knows_how_sure_it_is():
    found = heard()
    nobody = Heard(found.logits[:0], found.votes[:0], found.truth[:0])
    trigger = trigger_of(found, nobody, 0.0, 0.3)
    probable = np.array([trigger.probability(row, 0.0) for row in found.probabilities(0.0)])
    assert (probable >= trigger.threshold).mean() == pytest.approx(0.3, abs=0.02)
    assert probable[::2].mean() > 0.9
    assert probable[1::2].mean() < 0.1


def test_votes_that_know_better_are_counted():
    asked = heard()
    votes = np.zeros((400, 5), np.float32)
    votes[np.arange(0, 400, 2), np.arange(0, 400, 2) % 5] = 1
    blind = Heard(np.zeros((400, 6), np.float32), votes, asked.truth)
    assert mixing_of(blind).signatures > 0
    assert mixing_of(asked).signatures == 0


def test_evidence_is_finite_and_bad_triggers_are_refused():
    assert np.isfinite(evidence(np.array([1.0, 0, 0, 0], np.float32), 0.0)).all()
    assert np.isfinite(evidence(np.array([0.0, 0, 0, 1], np.float32), 1.0)).all()
    for weights, threshold in (((1.0,), 0.5), ((1.0,) * 5, 2.0), ((float("nan"),) * 5, 0.5)):
        with pytest.raises(Exception, match="weights of the trigger"):
            Trigger(weights, threshold)
