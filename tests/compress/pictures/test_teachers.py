"""Where the large network comes from, what is refused, and files that are only read."""

import json
import pickle
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from handheld.compile import to_tflite
from handheld.compress import Target, compress
from handheld.compress.family import Family
from handheld.compress.pictures.candidates import Candidate
from handheld.compress.pictures.large_network import build, check
from handheld.compress.pictures.preparation import Preparation, pixels
from handheld.compress.pictures.teacher_file import TeacherFile, file_notes
from handheld.compress.pictures.training.answers import ask
from handheld.compress.pictures.training.batches import Augmentation
from handheld.compress.pictures.training.student import accuracy
from handheld.compress.report import markdown
from handheld.compress.settings import FamilySettings
from handheld.compress.teacher import TeacherSource, TeacherWarning, load_weights
from handheld.data import Splits
from handheld.engine.onnx import open_onnx
from handheld.errors import InputError, MissingDependencyError, ModelError
from handheld.networks.zoo.pictures import PictureShape, make
from handheld.training import Schedule

SHAPE = PictureShape(1, 12, 12)
CLASSES = 3
NAMES = ("bar", "cross", "disc")


def network(classes: int = CLASSES, *, seed: int = 1) -> nn.Module:
    return make("plain", SHAPE, classes, 4, seed=seed)


def named(**teacher: object) -> TeacherSource:
    return TeacherSource(network="plain", width=4, **teacher)  # type: ignore[arg-type]


def from_file(teacher: TeacherSource, folder: Path, classes: int = CLASSES) -> nn.Module:
    return build(teacher, SHAPE, classes, seed=0, folder=folder)


def same(one: nn.Module, other: nn.Module) -> None:
    for (name, tensor), theirs in zip(
        one.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, theirs), name


# Factories


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's own."""
    (tmp_path / "mine_nets.py").write_text(
        "from torch import nn\n"
        "def flat(channels, height, width, num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, "
        "num_classes))\n"
        "def fixed(): return nn.Sequential(nn.Flatten(), nn.Linear(144, 7))\n"
        "def broken(classes): return nn.Linear(5, classes)\n"
        "def nothing(classes): return 'a network'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_nets", raising=False)


def test_a_factory_is_called_with_what_it_takes(mine: None, tmp_path: Path) -> None:
    made = from_file(TeacherSource("mine_nets:flat"), tmp_path)
    assert made(torch.zeros(2, *SHAPE)).shape == (2, CLASSES)
    same(made, from_file(TeacherSource("mine_nets:flat"), tmp_path))  # by the seed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine_nets:absent", "no factory 'mine_nets:absent'"),
        ("no_such_module:f", "no factory 'no_such_module:f' .*expected package.module:function"),
        ("mine_nets:nothing", "gives a str, expected a torch module"),
        (
            "mine_nets:fixed",
            r"gives \[2, 7\] for 2 pictures; the data has 3 classes: expected \[2, 3\]",
        ),
        ("mine_nets:broken", r"fails on pictures \[1, 12, 12\]"),
        ("unknown", "no network 'unknown': expected residual, mobile, plain"),
    ],
)
def test_a_factory_that_does_not_fit_is_named(
    mine: None, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        from_file(TeacherSource(name), tmp_path)


# Checkpoints


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_checkpoint_is_where_the_network_begins(tmp_path: Path, name: str) -> None:
    before = network()
    (save_file if name.endswith("safetensors") else torch.save)(
        before.state_dict(), tmp_path / name
    )
    same(from_file(named(checkpoint=name), tmp_path), before)
    same(from_file(named(checkpoint=name, trained=True), tmp_path), before)


def test_a_head_for_other_classes_is_replaced(tmp_path: Path) -> None:
    before = network(classes=7)
    torch.save(before.state_dict(), tmp_path / "w.pt")
    made, fresh = from_file(named(checkpoint="w.pt"), tmp_path), network(seed=0)
    head = next(
        name for name in reversed(list(made.state_dict())) if name.endswith(".weight")
    ).rpartition(".")[0]
    assert made.state_dict()[f"{head}.weight"].shape[0] == CLASSES
    for key, value in made.state_dict().items():
        assert torch.equal(
            value, (fresh if key.startswith(f"{head}.") else before).state_dict()[key]
        ), key
    with pytest.raises(
        InputError, match=rf"{head}.weight is \[7, 16\] in the file, \[3, 16\] in the network"
    ):
        from_file(named(checkpoint="w.pt", trained=True), tmp_path)


class Evil:
    """Unpickling one makes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize(
    "how",
    [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))],
    ids=["torch", "pickle"],
)
def test_a_checkpoint_with_code_is_refused_and_does_not_run(tmp_path: Path, how) -> None:
    how({**network().state_dict(), "evil": Evil(tmp_path / "ran")}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"w\.pt cannot be read"):
        from_file(named(checkpoint="w.pt"), tmp_path)
    assert not (tmp_path / "ran").exists()


def state(**changes: object) -> dict[str, object]:
    found = {**network().state_dict(), **changes}
    return {key: value for key, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            state(**{"0.0.weight": torch.full((4, 1, 3, 3), float("nan"))}),
            r"0\.0\.weight of the network .* not finite",
        ),
        (
            state(**{"0.0.weight": torch.zeros(5, 1, 3, 3)}),
            r"0\.0\.weight is \[5, 1, 3, 3\] in the file, \[4, 1, 3, 3\] in",
        ),
        (state(**{"0.0.weight": None}), r"0\.0\.weight is none in the file"),
        (state(extra=torch.zeros(1)), r"extra is \[1\] in the file, none in the network"),
        (state(epoch=3), "expected a state dictionary of tensors by name"),
        ([torch.zeros(1)], "holds a list, expected a dictionary"),
    ],
    ids=["nan", "shape", "missing", "too much", "a number", "a list"],
)
def test_a_checkpoint_that_does_not_fit_is_named(
    tmp_path: Path, content: object, message: str
) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match=message):
        from_file(named(checkpoint="w.pt"), tmp_path)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_checkpoint_that_is_none_is_named(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=f"no checkpoint .*{name}"):
        from_file(named(checkpoint=name), tmp_path)
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(InputError, match=name):
        load_weights(network(), tmp_path / name)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(MissingDependencyError if name == "w.safetensors" else InputError):
        load_weights(network(), tmp_path / name)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"trained": True}, "needs a checkpoint"),
        ({"file": "t.onnx", "mean": (0.5,)}, "expected both mean and std"),
        (
            {"file": "t.onnx", "mean": (0.5,), "std": (0.0,)},
            r"std\[0\]: expected a number in \(0, inf\), got 0",
        ),
        ({"mean": (0.5,), "std": (1.0,)}, "no file is given"),
        ({"classes": (1, 2, 3)}, "no file is given"),
        ({"width": 0}, "width: expected a whole number of 1 or more, got 0"),
        ({"width": 1.5}, "width: expected"),
        ({"network": None}, "network: expected a name, got None"),
        ({"file": "t.onnx", "mean": (float("nan"),), "std": (1.0,)}, r"mean\[0\]: expected"),
        ({"file": "t.onnx", "mean": (0.5,), "std": (float("inf"),)}, r"std\[0\]: expected"),
    ],
)
def test_settings_that_contradict(teacher: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TeacherSource(**teacher)  # type: ignore[arg-type]


# Files that are only read


@pytest.fixture(scope="module")
def preparation(splits: Splits) -> Preparation:
    return Preparation.of(splits.train)


class Sure(nn.Module):
    """Tells bars from discs and crosses by the brightness of the picture; takes
    pictures of 0 to 1.
    """

    def __init__(self, *, probabilities: bool = False):
        super().__init__()
        self.pool, self.flat, self.probabilities = (
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            probabilities,
        )
        self.head = nn.Linear(1, CLASSES)
        self.head.weight.data, self.head.bias.data = (
            torch.tensor([[0.0], [80.0], [0.0]]),
            torch.tensor([0.0, -28.0, -3.0]),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.flat(self.pool(x)))
        return torch.softmax(logits, 1) if self.probabilities else logits


def to_onnx(module: nn.Module, path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that needs no further package
        torch.onnx.export(module.eval(), (torch.zeros(1, *SHAPE),), str(path), dynamo=False)
    return path


def to_file(module: nn.Module, path: Path, **card: object) -> Path:
    path.write_bytes(to_tflite(module.eval(), torch.zeros(1, *SHAPE), metadata=card).content)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same model in both formats; the ``.tflite`` file says what it takes."""
    folder, image = tmp_path_factory.mktemp("teachers"), {"mean": [0.0], "std": [1.0], "grey": True}
    return {
        "onnx": to_onnx(Sure(), folder / "t.onnx"),
        "probabilities": to_onnx(Sure(probabilities=True), folder / "p.onnx"),
        "without labels": to_file(Sure(), folder / "n.tflite", image=image),
        "tflite": to_file(
            Sure(),
            folder / "t.tflite",
            image=image,
            labels=["bar", "cross", "disc"],
            output="logits",
        ),
    }


def expected(splits: Splits, count: int = 20) -> torch.Tensor:
    with torch.inference_mode():
        return Sure()(torch.from_numpy(pixels(splits.train)[:count]).permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("onnx", ((0.0,), (1.0,))),
        ("probabilities", ((0.0,), (1.0,))),
        ("tflite", ()),
        ("without labels", ()),
    ],
)
def test_a_file_is_asked_with_pictures_as_it_takes_them(
    files: dict[str, Path],
    splits: Splits,
    preparation: Preparation,
    name: str,
    said: tuple[tuple[float, ...], ...],
) -> None:
    teacher = TeacherFile(files[name], NAMES, preparation, *said)
    inputs = preparation.inputs(pixels(splits.train)[:20])
    for one in (teacher, pickle.loads(pickle.dumps(teacher))):
        given = one(inputs)
        if name == "probabilities":
            given, wanted = torch.softmax(given, 1), torch.softmax(expected(splits), 1)
            np.testing.assert_allclose(
                given, wanted, atol=5e-4
            )  # 1e-4 is the least that is told apart
        else:
            np.testing.assert_allclose(given, expected(splits), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("isolated", "variable", "here"),
    [(False, None, [None, False]), (True, None, [True, True]), (False, "1", [None, True])],
)
def test_a_strangers_file_runs_apart_where_it_is_timed_too(
    files: dict[str, Path],
    preparation: Preparation,
    monkeypatch: pytest.MonkeyPatch,
    isolated: bool,
    variable: str | None,
    here: list[bool | None],
) -> None:
    asked = []

    def remembered(path: Path, *, threads: int, isolated: bool | None) -> Any:
        asked.append(isolated)
        return open_onnx(path, threads=threads, isolated=isolated)

    monkeypatch.setattr("handheld.engine.onnx.open_onnx", remembered)
    monkeypatch.delenv("HANDHELD_ISOLATED", raising=False)
    if variable:
        monkeypatch.setenv("HANDHELD_ISOLATED", variable)
    teacher = TeacherSource(file=files["onnx"].name, isolated=isolated)
    TeacherFile.of(teacher, files["onnx"].parent, NAMES, preparation).one_call()()
    assert asked == here
    assert teacher.record == TeacherSource(file=files["onnx"].name).record, (
        "a run goes on in either way"
    )


def test_a_file_is_asked_as_the_data_is_prepared_where_nothing_is_said(
    files: dict[str, Path], splits: Splits, preparation: Preparation
) -> None:
    inputs = preparation.inputs(pixels(splits.train)[:5])
    with torch.inference_mode():
        np.testing.assert_allclose(
            TeacherFile(files["onnx"], NAMES, preparation)(inputs),
            Sure()(inputs),
            rtol=1e-3,
            atol=1e-3,
        )


def test_files_that_do_not_fit_are_named_at_once(
    files: dict[str, Path], preparation: Preparation, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError,
        match=r"gives 3 values, the data has 5 classes: .*classes = \[\.\.\.\] under \[teacher\]",
    ):
        TeacherFile(files["onnx"], "abcde", preparation)
    with pytest.raises(InputError, match="mean and std have 2 numbers, pictures 1"):
        TeacherFile(files["onnx"], NAMES, preparation, (0.5, 0.5), (1.0, 1.0))
    colour = Preparation(PictureShape(3, 12, 12), (0.5,) * 3, (0.2,) * 3)
    with pytest.raises(ModelError, match="expected a picture"):
        TeacherFile(files["onnx"], NAMES, colour)
    for name in ("no.onnx", "no.tflite"):
        with pytest.raises(ModelError, match=name):
            TeacherFile(tmp_path / name, NAMES, preparation)


SETTINGS = FamilySettings(
    techniques=("joint", "students", "distillation"),
    training=Schedule(4, batch=60, rate=0.1),
    finish=Schedule(1, batch=60, rate=0.05),
    augmentation=Augmentation(flip=False, shift=0),
    budget=0.5,
    views=1,
)
MEMBER = Candidate("plain_1", "plain", 6, None, 12, Target(smaller=2.0, kind="plain"))


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_all_learn_from_a_file_that_is_only_read(
    files: dict[str, Path], splits: Splits, preparation: Preparation, tmp_path: Path, name: str
) -> None:
    """The labels say nothing here, since they are all wrong: what is learned comes from
    the file.
    """
    wrong = replace(splits, train=replace(splits.train, labels=(splits.train.labels + 1) % CLASSES))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "candidates.json").write_text(
        json.dumps([asdict(MEMBER)])
    )  # found before: nothing is measured
    said = {} if name == "tflite" else {"mean": (0.0,), "std": (1.0,)}
    teacher = TeacherSource("plain", width=8, file=str(files[name]), **said)  # type: ignore[arg-type]
    settings = replace(SETTINGS, distillation=replace(SETTINGS.distillation, weight=1.0))
    content = files[name].read_bytes()
    family = compress(teacher, wrong, out=tmp_path, targets=[MEMBER.target], settings=settings)
    assert files[name].read_bytes() == content
    answered = ask(
        TeacherFile(files[name], NAMES, preparation, *said.values()),
        preparation.inputs(pixels(splits.test)),
    )
    follows = replace(splits.test, labels=answered.argmax(1).astype(np.int64))
    guess = max(np.bincount(follows.labels)) / len(follows)
    for member in (family.teacher, *family.members):
        assert agreement(family.folder / member.file, follows, preparation) > guess + 0.05, (
            member.name
        )


def agreement(path: Path, dataset: object, preparation: Preparation) -> float:
    return accuracy(TeacherFile(path, NAMES, preparation), dataset, preparation)  # type: ignore[arg-type]


# What is known of a file before anything learns from it


def bright(splits: Splits) -> Splits:
    """Labels that the file :class:`Sure` answers all right."""
    parts = {}
    for name in ("train", "valid", "test"):
        part = getattr(splits, name)
        with torch.inference_mode():
            answered = Sure()(torch.from_numpy(pixels(part)).permute(0, 3, 1, 2) / 255).argmax(1)
        parts[name] = replace(part, labels=answered.numpy())
    return replace(splits, **parts)


def test_a_file_with_another_mean_and_std_is_told_before_training(
    files: dict[str, Path], splits: Splits, preparation: Preparation
) -> None:
    """MLPerf Tiny's ResNet takes 0 to 255: given the data's mean and std it answered 11.5 %, and
    all members learned that.
    """
    data = bright(splits)
    assert (
        file_notes(TeacherFile(files["onnx"], NAMES, preparation, (0.0,), (1.0,)), data.valid) == []
    )
    (note,) = [
        one
        for one in file_notes(TeacherFile(files["onnx"], NAMES, preparation), data.valid)
        if "100.0 %" in one
    ]
    assert "mean = [0.0], std = [1.0] (pictures of 0 to 1)" in note
    assert "the teacher t.onnx answers" in note


def test_a_file_that_guesses_is_told(
    files: dict[str, Path], splits: Splits, preparation: Preparation
) -> None:
    turned = replace(
        splits.valid, labels=np.random.default_rng(0).integers(0, 3, len(splits.valid))
    )
    notes = file_notes(TeacherFile(files["tflite"], NAMES, preparation), turned)
    assert "hardly more than a guess" in notes[0]
    assert "mean and std" in notes[1]


def test_values_are_those_of_the_classes_that_are_named(
    files: dict[str, Path], splits: Splits, preparation: Preparation
) -> None:
    inputs = preparation.inputs(pixels(splits.train)[:5])
    whole = TeacherFile(files["tflite"], NAMES, preparation)(inputs)
    for labels, classes in (
        (("x", "y"), (2, 0)),
        (("x", "y"), ("disc", "bar")),
        (("disc", "bar"), ()),
    ):
        some = TeacherFile(files["tflite"], labels, preparation, classes=classes)
        for one in (some, pickle.loads(pickle.dumps(some))):
            np.testing.assert_array_equal(one(inputs), whole[:, [2, 0]])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((0, 1), "2 of them, the data has 3"),
        ((0, 1, 1), "each once"),
        ((0, 1, 3), "gives 3 values, expected numbers of 0 to 2"),
        ((0, 1, "ring"), "no label 'ring' on the card of .* bar, cross, disc"),
    ],
)
def test_classes_that_the_file_does_not_have(
    files: dict[str, Path], preparation: Preparation, classes: tuple[int | str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        TeacherFile(files["tflite"], NAMES, preparation, classes=classes)


def test_pictures_of_another_shape_than_the_file_takes(
    files: dict[str, Path], preparation: Preparation
) -> None:
    wide = replace(preparation, shape=PictureShape(1, 12, 20))
    for name in ("tflite", "onnx"):
        with pytest.raises(InputError, match=r"size = \[12, 12\] under \[data\]"):
            TeacherFile(files[name], NAMES, wide)


def test_a_softmax_at_the_end_is_refused() -> None:
    with pytest.raises(InputError, match="leave out its last softmax"):
        check(Sure(probabilities=True), SHAPE, CLASSES)
    assert check(Sure(), SHAPE, CLASSES)


def test_the_report_is_about_the_file_that_was_brought(
    files: dict[str, Path], splits: Splits, tmp_path: Path
) -> None:
    """Its size and latency count, not those of the network that learns from it."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "candidates.json").write_text(json.dumps([asdict(MEMBER)]))
    teacher = TeacherSource("plain", width=8, file=str(files["onnx"]))
    with pytest.warns(TeacherWarning, match="the teacher t.onnx answers"):
        family = compress(
            teacher, bright(splits), out=tmp_path, targets=[MEMBER.target], settings=SETTINGS
        )
    one = family.teacher_file
    assert one is not None
    assert (one.name, one.file, one.size) == ("t.onnx", "t.onnx", files["onnx"].stat().st_size)
    assert one.latency.median > 0
    assert family.reference is one
    (member,) = family.members
    assert member.met == (member.size <= one.size / 2)
    assert family.record["teacher"] == {
        "network": "plain",
        "width": 8,
        "trained": False,
        "file": "t.onnx",
    }
    assert "mean = [0.0], std = [1.0]" in family.record["notes"][-1]
    assert Family.open(tmp_path).teacher_file == one
    page = (tmp_path / "report.html").read_text()
    assert "t.onnx, the file that was brought as the teacher" in page
    assert "mean = [0.0], std = [1.0]" in page
    first = markdown(family).splitlines()[2]
    assert first.split("|")[1].strip() == "t.onnx"
