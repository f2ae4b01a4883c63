"""The regression, its priors, and what a small file keeps of it."""

import numpy as np
import pytest
from scipy.optimize import minimize

from handheld.projection.ngrams import NGrams
from handheld.projection.training.picking import Pick, RowForm, levels, rounded, whole_head
from handheld.projection.training.regression import (
    Lessons,
    TextMatrix,
    fitted,
    inverse_document_frequency,
    log_count_ratio,
    mean_of,
)
from handheld.projection.training.tuning import (
    Held,
    Trial,
    chosen,
    cross_entropy,
    held_out,
    temperature_of,
    tune,
)

TEXTS = ("good film", "very good", "bad film", "bad bad end", "good end", "so bad")
LABELS = np.array([0, 0, 1, 1, 0, 1])
NGRAMS = NGrams(words=1, letters=(), bits=16)


def lessons(texts=TEXTS, labels=LABELS, classes: int = 2) -> Lessons:
    matrix = TextMatrix.of(texts, NGRAMS)
    targets = np.eye(classes, dtype=np.float32)[labels]
    ones = np.ones(len(texts), np.float32)
    return Lessons(matrix, matrix.weighted(np.ones(matrix.width, np.float32)), targets, ones)


def dense(of: Lessons) -> np.ndarray:
    rows = np.zeros((len(of.texts), of.texts.width))
    for text in range(len(of.texts)):
        span = slice(of.texts.starts[text], of.texts.starts[text + 1])
        rows[text, of.texts.columns[span]] = of.values[span]
    return rows


def test_texts_are_counted_and_divided_by_the_root_of_their_number_of_ngrams():
    given = lessons(("bad bad end",), np.array([1]))
    # two n-grams, one of them twice: three in all
    assert sorted(given.values.tolist()) == pytest.approx([1 / np.sqrt(3), 2 / np.sqrt(3)])


def test_a_prior_of_zero_holds_a_coefficient_at_zero():
    given = lessons()
    prior = np.ones((given.texts.width, 2), np.float32)
    prior[0] = 0
    model = fitted(given, 0.1, prior=prior)
    assert np.isfinite(model.coefficients).all()
    assert not model.coefficients[0].any()
    assert model.coefficients[1:].any()


@pytest.mark.parametrize("with_prior", [False, True])
def test_the_regression_has_the_least_penalised_loss(with_prior: bool):
    given = lessons()
    prior = log_count_ratio(given.texts, given.targets) if with_prior else None
    alpha = 0.05
    model = fitted(given, alpha, prior=prior)
    rows = dense(given)
    scale = np.ones((given.texts.width, 2)) if prior is None else prior.astype(float)

    def loss(flat: np.ndarray) -> float:
        unscaled = flat[:-2].reshape(-1, 2)
        scores = rows @ (unscaled * scale) + flat[-2:]
        losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(LABELS)), LABELS]
        return losses.mean() + alpha / 2 * np.square(unscaled).sum()

    best = minimize(loss, np.zeros(2 * given.texts.width + 2)).fun
    flat = np.concatenate([(model.coefficients / scale).ravel(), model.bias])
    assert loss(flat) == pytest.approx(best, abs=1e-4)


def test_the_log_count_ratio_is_that_of_naive_bayes():
    given = lessons()
    ratio = log_count_ratio(given.texts, given.targets)
    column = int(np.searchsorted(given.texts.buckets, int(NGRAMS.of(["good"]).hashes[0])))
    # "good" is in 3 of 3 texts of the first label and in none of the 3 others: log((3 + 1) / (3 +
    # 2) / ((0 + 1) / (3 + 2)))
    raw = np.log(4 / 5) - np.log(1 / 5)
    other = int(np.searchsorted(given.texts.buckets, int(NGRAMS.of(["very"]).hashes[0])))
    weak = np.log(2 / 5) - np.log(1 / 5)
    assert ratio[column, 0] / ratio[other, 0] == pytest.approx(raw / weak, rel=1e-5)
    assert np.square(ratio).mean() == pytest.approx(1, rel=1e-5)


def test_rare_ngrams_weigh_more():
    given = lessons()
    idf = inverse_document_frequency(given.texts)
    frequency = given.texts.document_frequency()
    assert idf[frequency == 1].min() > idf[frequency == 3].max()


def test_weights_count_texts_twice():
    twice = lessons((*TEXTS, TEXTS[0]), np.append(LABELS, 0))
    weighted = lessons()
    weighted.weights[0] = 2
    weighted.weights[:] /= weighted.weights.mean()
    model, other = fitted(twice, 0.05), fitted(weighted, 0.05)
    assert np.allclose(model.coefficients, other.coefficients, atol=1e-2)


def test_the_choice_is_by_texts_that_were_held_out():
    rng = np.random.default_rng(0)
    texts = tuple(
        f"{'good' if label else 'bad'} {' '.join(f'n{rng.integers(60)}' for _ in range(8))}"
        for label in range(2)
        for _ in range(60)
    )
    labels = np.repeat([0, 1], 60)
    given = lessons(texts, labels)
    held = Held(given, given.texts, given.values, labels, given.weights)
    sets = held_out(given, labels, held)
    assert [len(one.labels) for one in sets] == [120, 40, 40, 40]
    trials = tune(sets, ("uniform", "bayes"), lambda done, text: None)
    assert trials[0].loss == min(trial.loss for trial in trials)
    assert trials[0].prior == "bayes"
    assert trials[0].accuracy > 0.95


@pytest.mark.parametrize(
    ("other", "together"), [([[0, 1], [0, 3]], True), ([[0, 3], [3, 0]], False)]
)
def test_two_priors_are_used_together_where_their_mean_is_better(other, together):
    given = lessons(TEXTS[:2], np.array([0, 1]))
    sets = [Held(given, given.texts, given.values, np.array([0, 1]), np.ones(2, np.float32))]
    first = np.array([[3, 0], [1, 0]], np.float32)  # the second text is wrong
    trials = [
        Trial(prior, 1.0, cross_entropy(scores, np.array([0, 1])), 0.5, scores)
        for prior, scores in (("uniform", first), ("bayes", np.array(other, np.float32)))
    ]
    trials.sort(key=lambda trial: trial.loss)
    assert {trial.prior for trial in chosen(trials, sets)} == (
        {"uniform", "bayes"} if together else {"uniform"}
    )


def test_the_mean_of_regressions_answers_with_the_mean_of_their_logits():
    given = lessons()
    models = [fitted(given, alpha) for alpha in (0.01, 1.0)]
    logits = [model.scores(given.texts, given.values) for model in models]
    assert mean_of(models).scores(given.texts, given.values) == pytest.approx(
        (logits[0] + logits[1]) / 2, abs=1e-5
    )


def test_numbers_are_rounded_with_the_least_error():
    column = np.array([1.0, -2.0, 3.0, 0.4])
    whole, step = levels(column, 8)
    assert whole.tolist() == [42, -85, 127, 17]
    assert step == pytest.approx(3 / 127)
    whole, step = levels(np.append(np.full(999, 1.0), 9.0), 4)
    # the one far out is cut: a step that reached it, 9 / 7, would be wrong by 0.29 for all others
    assert whole.max() == 7
    assert step < 1
    assert abs(whole[0] * step - 1) < 0.25


def test_a_rounded_regression_answers_nearly_the_same():
    given = lessons()
    model = fitted(given, 0.01)
    columns = np.arange(given.texts.width)
    pick = Pick(columns, given, np.ones(given.texts.width, np.float32), model)
    small = rounded(pick, RowForm(1, 8))
    rows = []
    for text in range(len(given.texts)):
        span = slice(given.texts.starts[text], given.texts.starts[text + 1])
        counts = given.texts.counts[span].astype(int)
        rows.append(small.table[:-1][given.texts.columns[span]].repeat(counts, axis=0).sum(axis=0))
    sums = np.stack(rows)
    logits = small.logits(sums.astype(np.float32), given.texts.totals().astype(np.intp))
    exact = model.scores(given.texts, given.values)
    assert np.allclose(
        logits - logits.mean(axis=1, keepdims=True),
        exact - exact.mean(axis=1, keepdims=True),
        atol=0.03,
    )


def test_a_head_of_zeros_stays_one():
    model = whole_head(np.zeros((3, 2), np.int8), np.zeros((2, 2)), np.zeros(2, np.float32), 8)
    assert not model.head.any()
    assert np.isfinite(model.scale).all()


def test_the_temperature_that_made_the_logits_is_found_again():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)).astype(np.float32) * 2
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in shares])
    assert temperature_of(logits * 3, labels) == pytest.approx(3, rel=0.06)
    assert cross_entropy(logits, labels) < cross_entropy(logits * 3, labels)
