import numpy as np
import pytest

from handheld.errors import InputError
from handheld.propagation import Labels
from handheld.reply import Conversation
from handheld.reply.training.config import ReplySettings
from handheld.reply.training.intents import ShortReplies
from handheld.reply.training.selection import (
    _written,
    fallback_of,
    mixing_of,
    response_set,
    trigger_of,
    weighed,
)
from handheld.reply.trigger import ReplyTrigger, evidence
from handheld.reply.understanding import mixed


def test_what_people_say_often_joins_the_seeds_of_its_intent():
    texts = (
        "Yes",
        "No",
        "yup.",
        "nope",
        "rarely said",
        "i'm quite sure that it is so, my dear old friend",
    )
    keys = (
        "yes",
        "no",
        "yup",
        "nope",
        "rarely said",
        "i am quite sure that it is so my dear old friend",
    )
    replies = ShortReplies(
        keys,
        texts,
        np.array([10, 0, 30, 20, 2, 50]),
        {key: place for place, key in enumerate(keys)},
    )
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
    ("text", "expected"),
    [
        ("i  know.", "I know"),
        ("i'm in", "I'm in"),
        ("Ok", "Ok"),
        ("is it?", "Is it?"),
        ("😂", "😂"),
    ],
)
def test_replies_are_written_with_care(text, expected):
    assert _written(text) == expected


def test_two_judges_are_mixed_as_far_as_the_ranker_expects_any_intent():
    ranker, network = np.array([0.6, 0.2, 0.2], np.float32), np.array([0.0, 1.0, 0.0], np.float32)
    share = 0.5 * 0.8**4  # as far as the ranker expects any intent
    assert mixed(ranker, network, 0.5) == pytest.approx((1 - share) * ranker + share * network)
    assert mixed(np.array([0.2, 0.8, 0.0], np.float32), network, 0.5) == pytest.approx(
        [0.1, 0.9, 0.0]
    )
    assert mixed(ranker, network, 0.0) == pytest.approx(ranker)


def test_the_judge_that_knows_better_is_counted():
    right = np.array([0.0, 0.0, 0.0, 1.0, 0.0], np.float32)
    wrong = np.array([0.4, 0.3, 0.2, 0.1, 0.0], np.float32)
    truth = [frozenset({3})] * 20
    assert mixing_of([(wrong, right)] * 20, truth).network > 0
    assert mixing_of([(right, wrong)] * 20, truth).network == 0


def test_the_trigger_knows_how_often_it_is_right():
    rng = np.random.default_rng(0)
    seen = [
        evidence(np.array([share, 0, 0, 1 - share], np.float32), 4, question=False)
        for share in rng.uniform(size=2000)
    ]
    chance = [
        1 / (1 + np.exp(-row[2])) for row in seen
    ]  # of the likeliest intent, as it says itself
    right = [bool(rng.uniform() < each) for each in chance]
    trigger = trigger_of(seen, right, 0.5)
    probable = np.array([trigger.probability(row) for row in seen])
    for low in (0.0, 0.25, 0.5, 0.75):
        among = (probable >= low) & (probable < low + 0.25)
        assert np.array(right)[among].mean() == pytest.approx(probable[among].mean(), abs=0.06)
    assert trigger.threshold == 0.5


def test_evidence_is_finite_and_bad_triggers_are_refused():
    for intents in ([1.0, 0, 0, 0], [0.0, 0, 0, 1]):
        assert np.isfinite(evidence(np.array(intents, np.float32), 0, question=True)).all()
    for weights, threshold in (((1.0,), 0.5), ((1.0,) * 7, 2.0), ((float("nan"),) * 7, 0.5)):
        with pytest.raises(Exception, match=r"^(weights|threshold)"):
            ReplyTrigger(weights, threshold)


@pytest.mark.parametrize("caution", [0.0, 1.0, 5.0])
def test_reference_of_odds_against_odds(caution: float):
    trigger = ReplyTrigger((0.0,) * 7, 0.0, caution)
    rng = np.random.default_rng(0)
    for probability, risk in rng.uniform(0.01, 0.99, (200, 2)).tolist():
        odds_right = probability / (1 - probability)
        odds_grave = risk / (1 - risk)
        expected = odds_right / odds_grave >= caution
        assert trigger.is_confident(probability, risk) is expected


def test_without_caution_the_threshold_alone_decides():
    trigger = ReplyTrigger((0.0,) * 7, 0.5)
    for risk in (0.0, 0.5, 1.0):
        assert trigger.is_confident(0.5, risk)
        assert not trigger.is_confident(0.49, risk)


def test_a_message_that_is_surely_grave_is_never_answered_with_caution():
    trigger = ReplyTrigger((0.0,) * 7, 0.0, 5.0)
    assert not trigger.is_confident(0.999, 1.0)
    assert trigger.is_confident(1.0, 0.5)
    assert trigger.is_confident(0.0, 0.0)


def test_shared_words_count_more_where_they_find_the_answer():
    torch = pytest.importorskip("torch")
    from handheld.projection import Features
    from handheld.projection.inputs import Rows
    from handheld.reply.training.pairs import SplitRule, pairs_of
    from handheld.reply.training.ranker_network import RankerNetwork, exported

    # each answer says the word of its message again, and the network knows nothing
    words = ["apple", "garden", "river", "window", "candle", "forest", "bottle", "mirror"]
    talk = [
        Conversation(f"{word}{n}", (("a", f"{word} now"), ("b", f"so {word} it is {n}")))
        for word in words
        for n in range(8)
    ]
    pairs = pairs_of({"file": talk}, SplitRule(valid=0.5, test=0.0, held_out=0.0))
    reader = Rows(Features(words=1, skips=0), 256, 40)
    torch.manual_seed(0)
    network = RankerNetwork(reader.rows, 8, 16, 8, 2).eval()
    ranker = exported(network, reader, np.ones(reader.rows, np.float32))
    assert weighed(ranker, pairs, 0).mix[1] > ranker.mix[1]


@pytest.mark.parametrize("coarseness", [0.5, 7.1, float("inf"), float("nan")])
def test_a_grid_that_leaves_nothing_of_the_table_is_refused(coarseness: float):
    with pytest.raises(InputError, match=r"coarseness: expected a number in \[1, 7\]"):
        ReplySettings(coarseness=coarseness)
