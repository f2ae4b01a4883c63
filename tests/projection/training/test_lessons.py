import numpy as np
import pytest

from handheld.data import Dataset
from handheld.errors import InputError
from handheld.projection import Features, Signs
from handheld.projection.inputs import Bits, Rows
from handheld.projection.training.lessons import TextLesson, inputs_of, order

LABELS = ("yes", "no")
TEXTS = ("yes please", "no", "", "not now")


def test_texts_out_of_scope_have_even_labels():
    data = Dataset(tuple(f"text {n}" for n in range(80)), np.arange(80) % 2, LABELS)
    lesson = TextLesson.of(data, ("what", "why"))
    assert lesson.classes == 2
    assert lesson.labels[:2].tolist() == [[1, 0], [0, 1]]
    assert lesson.texts[80:] == ("what", "why") * 2  # 80 texts over 20 times 2
    assert np.all(lesson.labels[80:] == 0.5)
    assert len(TextLesson.of(data)) == 80


@pytest.mark.parametrize(
    "data",
    [Dataset((), np.zeros(0, int), LABELS), Dataset(np.zeros((2, 3)), np.zeros(2, int), LABELS)],
)
def test_what_is_no_text_is_refused(data: Dataset):
    with pytest.raises(InputError, match="expected texts"):
        TextLesson.of(data)


def test_each_epoch_goes_through_all_examples():
    places = order(10, 3, seed=1)
    epochs = [np.concatenate([places(3 * epoch + n) for n in range(3)]) for epoch in range(2)]
    assert all(len(set(epoch.tolist())) == 9 for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()


def test_chosen_texts_are_read_as_if_alone():
    features, chosen = Features(words=1, skips=0), np.array([3, 1])
    bits = Bits(features, Signs(2, 8))
    assert inputs_of(bits, TEXTS)(chosen)[0].numpy().tolist() == bits.of(["not now", "no"]).tolist()
    rows = Rows(features, 50)
    numbers, offsets = inputs_of(rows, TEXTS)(chosen)
    assert offsets.tolist() == [0, 2, 3]
    assert numbers.tolist() == [*rows.of(["not now"])[0][:2].tolist(), rows.of(["no"])[0][0]]
