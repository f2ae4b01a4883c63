from pathlib import Path

import numpy as np
import pytest

from handheld.data import Dataset
from handheld.errors import InputError
from handheld.projection import TextClassifier
from handheld.projection.judging import TextData, judge

LABELS = ("hello", "bye", "time")


def test_a_model_is_judged(model_file: Path, greetings: Dataset):
    turned = Dataset(greetings.inputs, np.where(np.arange(12) == 0, 1, greetings.labels), LABELS)
    with TextClassifier.open(model_file) as model:
        judged = judge(model, TextData(turned, ("\U0001f44d", "")))
    assert judged.accuracy == pytest.approx(11 / 12)
    assert judged.confusion == ((3, 0, 0), (1, 4, 0), (0, 0, 4))
    assert judged.outside.shape == (2,)
    assert judged.scope is not None
    assert judged.scope.recall == 0  # nothing is below a threshold of 0


def test_texts_of_a_label_are_out_of_scope(greetings: Dataset):
    data = TextData.of(greetings, "bye")
    assert data.known.classes == ("hello", "time")
    assert np.bincount(data.known.labels).tolist() == [4, 4]
    assert data.outside == greetings.inputs[4:8]
    assert TextData.of(greetings).outside == ()


def test_a_label_that_no_text_has_is_refused(greetings: Dataset):
    with pytest.raises(InputError, match="no text has the label 'oos'"):
        TextData.of(greetings, "oos")


def test_other_labels_are_refused(model_file: Path):
    other = Dataset(("a", "b"), np.array([0, 1]), ("hello", "cheers"))
    with (
        TextClassifier.open(model_file) as model,
        pytest.raises(InputError, match=r"3 labels, the texts 2.*bye, cheers"),
    ):
        judge(model, TextData(other))


@pytest.mark.parametrize(
    "data",
    [Dataset((), np.zeros(0, int), LABELS), Dataset(np.zeros((2, 3)), np.zeros(2, int), LABELS)],
)
def test_what_is_no_text_is_refused(data: Dataset):
    with pytest.raises(InputError, match="expected labelled texts"):
        TextData(data)
