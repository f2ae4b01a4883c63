import numpy as np
import pytest

torch = pytest.importorskip("torch")

from handheld.projection import Features  # noqa: E402
from handheld.projection.inputs import Rows  # noqa: E402
from handheld.reply.ranker import CONTEXT, Ranker, softmax  # noqa: E402
from handheld.reply.training.examples import PairBatches, TextRows  # noqa: E402
from handheld.reply.training.pairs import NOTHING  # noqa: E402
from handheld.reply.training.ranker_network import RankerNetwork, exported  # noqa: E402

READER = Rows(Features(words=2, skips=0, letters=(3,)), 128, 40)
TEXTS = ("hello there", "how are you?", "the third text", "")


@pytest.fixture
def network() -> RankerNetwork:
    torch.manual_seed(0)
    return RankerNetwork(READER.rows, 12, 16, 10, 5).eval()


def test_the_device_computes_what_was_trained(network: RankerNetwork):
    texts = TextRows.of(READER, TEXTS, np.arange(3))
    ranker = exported(network, READER, texts.idf)
    with torch.no_grad():
        asked = network.contexts([texts.flat(np.array([number])) for number in (0, 1, NOTHING)])
        vectors, answers = network.vectors(asked), network.answers(texts.flat(np.array([2, 3, 0])))
    found, candidates = (
        ranker.encode_context(TEXTS[:2]),
        ranker.encode_replies([TEXTS[2], "", TEXTS[0]]),
    )
    assert found.vector == pytest.approx(vectors[0].numpy(), abs=1e-5)
    assert found.intents == pytest.approx(network.intent(asked)[0].detach().numpy(), abs=1e-5)
    assert candidates.vectors == pytest.approx(answers.numpy(), abs=1e-5)
    shared = texts.shared(np.array([0])).toarray()[0]
    earlier = texts.shared(np.array([1])).toarray()[0]
    assert found.shared == pytest.approx(ranker.mix[1] * shared + ranker.mix[2] * earlier, abs=1e-6)
    by_hand = (
        ranker.mix[0] * (answers @ vectors[0]).numpy()
        + texts.shared(np.array([2, 3, 0])) @ found.shared
    )
    assert ranker.scores(found, candidates) == pytest.approx(by_hand, abs=1e-4)


def test_eight_bits_keep_the_order(network: RankerNetwork):
    ranker = exported(network, READER, np.ones(READER.rows, np.float32))
    again = Ranker.of_arrays(READER, ranker.arrays())
    assert (again.learned.table == ranker.learned.table).all()
    assert again.encode_context(["hello"]).vector == pytest.approx(
        ranker.encode_context(["hello"]).vector, abs=0.02
    )


@pytest.mark.parametrize("count", [0, CONTEXT + 1])
def test_only_so_many_texts_are_read(network: RankerNetwork, count: int):
    with pytest.raises(ValueError, match="expected 1 to 3 texts"):
        exported(network, READER, np.ones(READER.rows, np.float32)).encode_context(["a"] * count)


def test_probabilities_add_up():
    assert softmax(np.array([[1000.0, 1000.0], [0.0, -1000.0]], np.float32)).tolist() == [
        [0.5, 0.5],
        [1.0, 0.0],
    ]


def test_batches_go_through_each_group_so_often():
    batches = PairBatches([(np.arange(10), 1), (np.arange(100, 105), 3)], 5, seed=0)
    assert batches.per_epoch == 5
    seen = [batches(step) for step in range(5)]
    assert all(len(set(chosen // 100)) == 1 for chosen in seen)  # one group in a step
    counts = np.bincount(np.concatenate(seen))
    assert set(counts[:10]) == {1}
    assert set(counts[100:]) == {3}
    again = PairBatches([(np.arange(10), 1), (np.arange(100, 105), 3)], 5, seed=0)
    assert all((again(step) == chosen).all() for step, chosen in reversed(list(enumerate(seen))))
