"""The whole way, with greetings, numbers and colours; and what is out of their scope."""

import json
from pathlib import Path

import numpy as np
import pytest

from handheld.data import Dataset
from handheld.engine import Model
from handheld.errors import InputError
from handheld.projection import Features, TextClassifier
from handheld.projection.judging import TextData
from handheld.projection.training.making import make_text_model
from handheld.projection.training.plan import TextModel, TextModelPlan
from handheld.projection.training.recipe import ProjectionRecipe

LABELS = ("colour", "greeting", "number")
WORDS = (("red", "green", "blue"), ("hello", "hi", "hey"), ("one", "two", "three"))
STRANGE = ("who won the cup", "what does rain cost", "my dog sleeps", "open the window")
RECIPE = ProjectionRecipe(width=8, features=Features(1, 0, (3,)), more=(Features(1, 0),), length=32)


def texts(count: int, seed: int, labels: tuple[str, ...] = LABELS) -> TextData:
    rng = np.random.default_rng(seed)
    chosen = np.arange(count) % 3
    known = Dataset(
        tuple(f"{rng.choice(WORDS[n])} and {rng.choice(WORDS[n])}" for n in chosen), chosen, labels
    )
    return TextData(known, STRANGE[:2] if seed else STRANGE[2:])


@pytest.fixture(scope="module")
def made() -> TextModel:
    return make_text_model(
        texts(60, 0),
        texts(30, 1),
        TextModelPlan(20_000, recipe=RECIPE, trainers=("ngrams",), licence="CC0-1.0"),
    )


def test_the_file_is_the_model(made: TextModel):
    assert len(made.content) <= 20_000
    with TextClassifier(Model.load(made.content)) as model:
        assert model.classify("hey and hi")[0].label == "greeting"
        assert model.model.card == json.loads(json.dumps(made.card))
        assert model.threshold == made.valid.threshold
    assert made.valid.accuracy == 1
    assert made.card["license"] == "CC0-1.0"
    assert made.card["training"]["trainers"] == ["ngrams"]
    assert set(made.curves) == {"ngrams 1", "model", "model 2"}


def test_texts_out_of_scope_are_less_sure(made: TextModel):
    assert made.valid.scope is not None
    assert made.valid.scope.auroc > 0.9
    assert 0 < made.valid.threshold < 1


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(made: TextModel, tmp_path: Path):
    def stop(stage: str, done: float, text: str) -> None:
        if stage == "model" and done > 0.5:
            raise KeyboardInterrupt

    plan, stages = TextModelPlan(20_000, recipe=RECIPE, trainers=("ngrams",), licence="CC0-1.0"), []
    with pytest.raises(KeyboardInterrupt):
        make_text_model(texts(60, 0), texts(30, 1), plan, state=tmp_path, progress=stop)
    again = make_text_model(
        texts(60, 0),
        texts(30, 1),
        plan,
        state=tmp_path,
        progress=lambda stage, done, text: stages.append(stage),
    )
    assert again.content == made.content
    assert "ngrams 1" not in stages  # that had ended before


def test_a_file_that_is_too_large_is_made_again(monkeypatch: pytest.MonkeyPatch):
    recipe = ProjectionRecipe(width=8, features=Features(1, 0, (3,)), length=32)
    monkeypatch.setattr(
        ProjectionRecipe,
        "largest",
        lambda self, size, card, seed, texts: self.reader(3000, seed, texts),
    )
    found = make_text_model(texts(30, 0), texts(30, 1), TextModelPlan(12_000, recipe=recipe))
    assert 11_000 < len(found.content) <= 12_000


def test_a_trainer_learns_along():
    recipe = ProjectionRecipe(width=8, features=Features(1, 0, (3,)), length=32)
    found = make_text_model(
        texts(60, 0),
        texts(30, 1),
        TextModelPlan(12_000, recipe=recipe, trainers=("convolutional",), joint=True),
    )
    assert found.valid.accuracy > 0.9
    assert found.card["training"]["joint"]


@pytest.mark.parametrize(
    ("train", "valid", "plan", "message"),
    [
        (texts(30, 0), texts(30, 1, ("a", "b", "c")), {}, "expected two labels or more, the same"),
        (TextData(texts(30, 0).known.subset([0, 3, 6])), texts(30, 1), {}, "got 1 label"),
        (texts(30, 0), texts(30, 1), {"max_size": 3000}, "3000 bytes are too few for 3 labels"),
    ],
)
def test_what_cannot_be_made_is_refused(
    train: TextData, valid: TextData, plan: dict[str, int], message: str
):
    with pytest.raises(InputError, match=message):
        make_text_model(train, valid, TextModelPlan(**{"max_size": 20_000, **plan}))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trainers": ("large",)}, "no trainer 'large'"),
        (
            {"trainers": ("lstm", "lstm"), "joint": True},
            "one trainer network learns along, got lstm, lstm",
        ),
        ({"trainers": ("ngrams",), "joint": True}, "one trainer network learns along"),
        ({"trainers": ("lstm",), "joint": True, "recipe": RECIPE}, "along with one table"),
    ],
)
def test_impossible_plans_are_refused(wrong: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        TextModelPlan(20_000, **wrong)  # type: ignore[arg-type]
