import pytest

from handheld.errors import InputError
from handheld.reply import Conversation, Message, Replier, read_conversations
from handheld.reply.evaluation import commonest_intents, evaluate, exchanges_of
from handheld.reply.metrics import RankingMetrics


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([1, 2, 20], RankingMetrics(1 / 3, 2 / 3, (1 + 0.5 + 0.05) / 3, 3)),
        ([], RankingMetrics(0, 0, 0, 0)),
        ([1], RankingMetrics(1, 1, 1, 1)),
    ],
)
def test_figures_of_places(places, expected):
    assert RankingMetrics.of(places) == pytest.approx(expected)


def test_each_answer_is_an_exchange(written, tmp_path):
    conversation = read_conversations(written(tmp_path, 1)).conversations[0]
    found = list(exchanges_of([conversation]))
    assert len(found) == len(conversation.turns) - 1
    assert found[1].messages == (
        Message(conversation.turns[0][1], True),
        Message(conversation.turns[1][1], False),
    )
    assert found[1].answer == conversation.turns[2][1]


def test_a_bundle_is_evaluated(replier: Replier, written, tmp_path):
    conversations = read_conversations(written(tmp_path)).conversations
    found = evaluate(replier, conversations, candidates=10, max_exchanges=80)
    assert (found.candidates, found.exchanges, found.ranking.messages) == (10, 80, 80)
    assert found.ranking.recall_at_1 > 0.3  # 0.1 by chance
    assert found.recall_at_3 > found.baseline_recall_at_3
    assert 0 < found.offered_recall_at_3 <= found.recall_at_3
    assert found.diversity > 0.8  # where the message is sad, gentle replies alone
    assert 0 < found.trigger_rate < 1
    rates = [rate for rate, _ in found.curve]
    assert rates == sorted(rates)
    assert found.curve[0][1] >= found.curve[-1][1]
    assert evaluate(replier, conversations, candidates=10, max_exchanges=80) == found


def test_the_baseline_is_of_the_conversations_that_are_named(replier: Replier):
    def talk(answer: str, count: int) -> list[Conversation]:
        return [
            Conversation(str(n), (("ann", "lunch at noon"), ("bob", answer))) for n in range(count)
        ]

    names = replier.bundle.intents
    conversations = [
        *talk("Sounds good", 5),
        *talk("At home", 3),
        *talk("Hi", 2),
        *talk("Oh no", 1),
        *talk("a zebra", 9),
    ]
    assert [names[number] for number in commonest_intents(replier, conversations)] == [
        "sounds good",
        "at home",
        "hello",
    ]
    elsewhere = evaluate(
        replier, conversations, candidates=4, max_exchanges=20, baseline_from=talk("Oh no", 4)
    )
    assert elsewhere.baseline_recall_at_3 == pytest.approx(
        1 / 11
    )  # one answer of eleven with an intent
    assert evaluate(
        replier, conversations, candidates=4, max_exchanges=20
    ).baseline_recall_at_3 == pytest.approx(10 / 11)


def test_too_few_conversations_for_so_many_candidates(replier: Replier, written, tmp_path):
    conversations = read_conversations(written(tmp_path, 2)).conversations
    with pytest.raises(InputError, match="expected 100 candidates from other conversations"):
        evaluate(replier, conversations)


def test_conversations_without_answers_are_refused(replier: Replier):
    with pytest.raises(InputError, match="expected conversations with one answer or more"):
        evaluate(replier, [Conversation("1", (("ann", "hello?"),))])
