"""Files of picked n-grams, from texts to the answers of the file."""

import numpy as np
import pytest

from handheld.data import Dataset
from handheld.engine import Model
from handheld.errors import InputError
from handheld.projection import TextClassifier
from handheld.projection.inputs import Picked
from handheld.projection.judging import TextData
from handheld.projection.training import making
from handheld.projection.training.making import make_text_model
from handheld.projection.training.picked import class_weights, steady_temperature
from handheld.projection.training.plan import FitFigures, TextModelPlan
from handheld.projection.training.recipe import ProjectionRecipe

WORDS = tuple(f"word{number}" for number in range(40))


def noisy(count: int, seed: int, classes: int = 3, noise: float = 0.0) -> TextData:
    """Texts of random words, in which one word says the label; some labels are wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    texts = tuple(f"tell{label} {' '.join(rng.choice(WORDS, 8))}" for label in labels)
    wrong = rng.random(count) < noise
    labels[wrong] = rng.integers(classes, size=int(wrong.sum()))
    return TextData(
        Dataset(texts, labels.astype(np.int64), tuple(f"c{number}" for number in range(classes)))
    )


def made(train: TextData, valid: TextData, size: int = 20_000, **options: object):
    return make_text_model(
        train, valid, TextModelPlan(size, recipe=ProjectionRecipe(reads="picked"), **options)
    )  # type: ignore[arg-type]


def test_wrong_labels_are_not_learned_by_heart():
    model = made(noisy(400, 0, noise=0.4), noisy(200, 1))
    assert isinstance(model.reader, Picked)
    assert len(model.content) <= 20_000
    assert model.fit.valid_accuracy > 0.97
    with TextClassifier(Model.load(model.content)) as classifier:
        clean = noisy(200, 2)
        right = classifier.probabilities(clean.texts).argmax(axis=1) == clean.known.labels
    assert right.mean() > 0.97


def test_what_the_file_says_of_itself_is_what_it_answers():
    valid = noisy(200, 1, noise=0.3)
    model = made(noisy(400, 0, noise=0.3), valid)
    with TextClassifier(Model.load(model.content)) as classifier:
        shares = classifier.probabilities(valid.texts)
    accuracy = (shares.argmax(axis=1) == valid.known.labels).mean()
    assert model.card["accuracy"]["valid"] == pytest.approx(accuracy, abs=1e-4)
    assert model.fit.valid_accuracy == pytest.approx(accuracy)
    # 30 % of the labels are drawn anew: what is most probable has a probability of 0.8
    assert shares.max(axis=1).mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("classes", [2, 5, 20])
def test_the_size_is_kept(classes: int):
    model = made(noisy(600, 0, classes), noisy(300, 1, classes), 12_000)
    assert len(model.content) <= 12_000
    assert model.fit.valid_accuracy > 0.9


def test_many_labels_are_told_apart_by_a_hidden_layer():
    model = made(noisy(1200, 0, 40), noisy(200, 1, 40), 60_000)
    assert "hidden layer" in model.fit.choice
    assert set(model.curves) == {"teacher 1", "teacher 2", "model"}
    assert len(model.content) <= 60_000
    assert model.fit.valid_accuracy > 0.9


def test_a_size_without_room_is_refused_before_anything_is_learned():
    stages: list[str] = []
    with pytest.raises(
        InputError, match="2000 bytes are too few for 3 labels and their names: expected"
    ):
        make_text_model(
            noisy(60, 0),
            noisy(30, 1),
            TextModelPlan(2_000, recipe=ProjectionRecipe(reads="picked")),
            progress=lambda stage, done, text: stages.append(stage),
        )
    assert not stages


def test_rare_labels_count_alike_if_asked():
    # The second label has one text in ten: weights of 10 / (2 * 9) and 10 / (2 * 1).
    labels = np.array([0] * 9 + [1])
    assert class_weights("balanced", labels, 2, 11).tolist() == pytest.approx(
        [10 / 18] * 9 + [5.0, 1.0]
    )
    assert class_weights("none", labels, 2, 11).tolist() == [1.0] * 11
    with pytest.raises(InputError, match=r"class_weight: expected .*, got 'even'"):
        TextModelPlan(1000, class_weight="even")


def test_few_texts_hardly_move_the_temperature():
    logits = np.array([[4.0, 0.0], [4.0, 0.0]], np.float32)
    labels = np.array([0, 1])
    weights = np.ones(2, np.float32)
    assert 1.0 < steady_temperature(logits, labels, weights) < 1.1


@pytest.mark.parametrize(
    ("train", "valid", "majority", "words"),
    [
        (0.99, 0.60, 0.33, "it knows its own texts better than others (99.0% against 60.0%)"),
        (0.60, 0.505, 0.50, "no better than always answering the commonest label (50.0%"),
    ],
)
def test_what_a_person_should_know_is_said(train: float, valid: float, majority: float, words: str):
    figures = FitFigures(train, 0.1, valid, 0.9, majority, valid, "")
    assert words in " ".join(figures.warnings)


def test_a_good_fit_needs_no_words():
    assert FitFigures(0.95, 0.1, 0.93, 0.2, 0.3, 0.93, "").warnings == ()


def test_the_slow_recipe_learns_from_the_same_teachers(monkeypatch: pytest.MonkeyPatch):
    learned: list[tuple[str, np.ndarray]] = []

    def slow(maker):
        learned.append((maker.plan.recipe.reads, maker.answers))
        raise InterruptedError

    monkeypatch.setattr(making._Maker, "network", slow)
    train = noisy(200, 0, classes=34)
    with pytest.raises(InterruptedError):
        made(train, noisy(80, 1, classes=34), 60_000, high_effort=True)
    [(reads, answers)] = learned
    assert reads == "rows"
    assert answers.shape == (200, 34)
    assert np.exp(answers).sum(axis=1).max() <= 1.001  # a mean of logarithms of shares
