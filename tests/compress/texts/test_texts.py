"""Families for texts: small ones, from a trainer that learns, and from a file that is only read."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handheld.compress import Family, FamilySettings, Target, TeacherSource, compress
from handheld.compress.settings import TextEpochs
from handheld.compress.teacher import TeacherWarning
from handheld.data import Dataset, Splits
from handheld.errors import InputError, TrainingError
from handheld.projection import TextClassifier

LABELS = ("colour", "greeting", "number")
WORDS = (("red", "green", "blue"), ("hello", "hi", "hey"), ("one", "two", "three"))
TARGETS = ["20KB", "24KB, projected, 100%"]


def texts(count: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return Dataset(
        tuple(f"{rng.choice(WORDS[label])} and {rng.choice(WORDS[label])}" for label in labels),
        labels,
        LABELS,
    )


class Words(nn.Module):
    """The mean of words, and a linear layer."""

    def __init__(self, classes: int = 3):
        super().__init__()
        self.words, self.last = nn.Embedding(20_001, 32, padding_idx=0), nn.Linear(32, classes)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.words(numbers).sum(1))
        return found


class Softened(Words):
    """Gives probabilities."""

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return torch.softmax(super().forward(numbers), dim=1)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Splits(texts(90, 0), texts(30, 1), texts(30, 2))


@pytest.fixture(scope="module")
def family(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Family:
    torch.manual_seed(0)
    return compress(Words(), splits, out=tmp_path_factory.mktemp("texts"), targets=TARGETS)


def test_the_family_is_whole(family: Family):
    assert Family.open(family.folder) == family
    assert (family.folder / "report.html").stat().st_size > 10_000
    assert sorted(member.name for member in family.members) == ["rows_1", "signs_2"]
    assert {path.name for path in (family.folder / "run").iterdir()} == {"lock", "plan.json"}


def test_members_are_text_models_that_learned(family: Family):
    for member in (family.teacher, *family.members):
        path = family.folder / member.file
        assert path.stat().st_size == member.size
        with TextClassifier.open(path) as model:
            assert model.classify("hi and hello")[0].label == "greeting"
            assert model.model.card["accuracy"] == {
                "test": round(member.accuracy, 4),
                "examples": 30,
            }
        assert member.accuracy > (0.75 if member is family.teacher else 0.9)
        assert member.latency.median > 0
        assert sum(map(sum, member.confusion)) == 30


def test_limits_are_kept_or_named(family: Family):
    for member in family.members:
        target = Target.of(member.target)
        assert (member.met, member.reason) == (
            not target.misses(member, family.teacher),
            "; ".join(target.misses(member, family.teacher)),
        )
        assert member.size <= target.size
    assert family.pick(Target.of("20KB")).size <= 20_000


def test_epochs_are_those_that_were_set(splits: Splits, tmp_path: Path):
    settings = FamilySettings(texts=TextEpochs(teacher=2, members=1), threads=1, seed=1)
    short = compress(Words(), splits, out=tmp_path, targets=["24KB, projected"], settings=settings)
    assert short.teacher.curve[-1][0] + 1 == 2 * (90 // 4)  # of so few texts a batch has four
    assert short.record["settings"]["texts"] == {"teacher": 2, "members": 1}
    assert short.record["teacher"]["network"] == "Words"
    with pytest.raises(InputError, match="other settings"):
        compress(
            Words(),
            splits,
            out=tmp_path,
            targets=["24KB, projected"],
            settings=FamilySettings(seed=1),
        )


def test_a_file_that_guesses_is_told(family: Family, splits: Splits, tmp_path: Path):
    turned = replace(splits, valid=replace(splits.valid, labels=np.roll(splits.valid.labels, 1)))
    source = TeacherSource(file=str(family.folder / "rows_1.tflite"))
    settings = FamilySettings(texts=TextEpochs(members=1))
    with pytest.warns(
        TeacherWarning, match=r"rows_1.tflite answers 0.0 % of 30 .* hardly more than a guess"
    ):
        made = compress(source, turned, out=tmp_path, targets=["16KB"], settings=settings)
    assert "hardly more" in made.record["notes"][0]


def test_a_file_that_is_only_read_teaches(family: Family, splits: Splits, tmp_path: Path):
    source = TeacherSource(file=str(family.folder / "rows_1.tflite"))
    second = compress(source, splits, out=tmp_path / "second", targets=["16KB"])
    assert "rows_1.tflite, only read" in second.teacher.how
    assert second.members[0].size <= 16_000
    assert second.members[0].accuracy > 0.9


@pytest.mark.parametrize(
    ("teacher", "options", "message"),
    [
        (TeacherSource(), {}, "no network 'residual' for texts: expected lstm"),
        (Words(classes=2), {}, r"gives \[2, 2\] for 2 texts of 3 labels"),
        (Words(), {"targets": ["20KB, pruned"]}, "members for texts are nested or projected"),
        (Words(), {"targets": 0}, r"targets: expected a whole number in \[1, 16\], got 0"),
        (
            Words(),
            {"settings": FamilySettings(quantise=1.0)},
            r"these are texts.*\[settings.texts\]",
        ),
        (
            TeacherSource(file="gone.tflite"),
            {},
            "the teacher's file .*gone.tflite cannot be read: No such file",
        ),
        (Words(), {"targets": "24KB"}, "targets: expected a list such as .*, got '24KB'"),
        (Words(), {"targets": [24]}, "target 24: expected a text such as"),
        (
            Words(),
            {"techniques": "pruning"},
            "techniques: expected a list of some of .*, got 'pruning'",
        ),
        (
            TeacherSource(file="x.tflite", classes=(1, 0, 2)),
            {},
            "mean, std and classes .* these are texts",
        ),
        (Softened(), {}, "leave out its last softmax"),
        (Words(), {"targets": 17}, r"targets: expected a whole number in \[1, 16\], got 17"),
        (Words().requires_grad_(False), {}, "no parameter of the network requires grad"),
    ],
)
def test_what_cannot_work_is_refused(
    splits: Splits, tmp_path: Path, teacher: object, options: dict[str, object], message: str
):
    with pytest.raises((InputError, TrainingError), match=message):
        compress(teacher, splits, out=tmp_path, **{"targets": 1, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("target", ["2KB", "2KB, projected"])
def test_a_size_that_none_can_have_gets_the_smallest_member_marked(
    splits: Splits, tmp_path: Path, target: str
):
    settings = FamilySettings(texts=TextEpochs(teacher=1, members=1))
    made = compress(Words(), splits, out=tmp_path, targets=[target], settings=settings)
    (member,) = made.members
    assert not member.met
    assert re.fullmatch(r"\d+ bytes, at most 2000 asked", member.reason)
    assert 2000 < member.size < 25_000
    assert (tmp_path / member.file).stat().st_size == member.size
