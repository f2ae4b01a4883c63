"""One small family, made once, and what a person may rely on."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handheld.compress import Family, Target, TeacherWarning, compress
from handheld.compress.latency import latencies
from handheld.compress.pictures.training.batches import Augmentation
from handheld.compress.settings import FamilySettings, TextEpochs
from handheld.compress.teacher import TeacherSource
from handheld.data import Dataset, Splits
from handheld.engine import Model, classify
from handheld.errors import CompileError, InputError, MissingDependencyError, TrainingError
from handheld.training import Distillation, Schedule
from handheld.training.runs import Progress

SETTINGS = FamilySettings(
    training=Schedule(6, batch=60, rate=0.1),
    finish=Schedule(3, batch=60, rate=0.05),
    quantise=1.0,
    distillation=Distillation(temperature=2.0),
    augmentation=Augmentation(shift=1),
    variants=False,
    views=2,
)
TEACHER = TeacherSource(width=12)
TARGETS = ("10x smaller", "8x smaller, pruned", "5000x smaller, plain", "20x smaller, sparse")


@pytest.fixture(scope="module")
def family(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """A teacher and four members; the target of the plain one cannot be met."""
    torch.set_num_threads(1)
    said: list[tuple[str, float]] = []
    out = tmp_path_factory.mktemp("family")
    made = compress(
        TEACHER,
        splits,
        out=out,
        targets=TARGETS,
        settings=SETTINGS,
        progress=lambda *what: said.append(what[:2]),
    )
    assert {stage for stage, _ in said} == set(made.record["seconds"])
    assert all(0 <= done <= 1 for _, done in said)
    return made


def named(family: Family, start: str) -> object:
    return next(member for member in family.members if member.name.startswith(start))


def test_everything_is_there(family: Family):
    names = {path.name for path in family.folder.iterdir()}
    assert names == {
        "family.json",
        "report.html",
        "run",
        "teacher.tflite",
        "teacher_int8.tflite",
        "teacher.safetensors",
    } | {member.file for member in family.members}
    assert len(family.members) == 4
    assert Family.open(family.folder).members == family.members
    assert Family.open(family.folder).quantised == family.quantised


def test_figures_are_those_of_the_files(family: Family, splits: Splits):
    assert family.quantised is not None
    assert family.quantised.size < family.teacher.size / 2
    for member in (*family.references, *family.members):
        assert member.size == (family.folder / member.file).stat().st_size
        assert np.sum(member.confusion) == len(splits.test)
        assert np.trace(member.confusion) / len(splits.test) == pytest.approx(member.accuracy)
        assert member.latency.median > 0
        assert sum(layer.macs for layer in member.layers) == member.macs


def test_layers_add_up_to_the_file(family: Family):
    """What is left are the file's structure, the scales of int8 weights (12 bytes a channel), and
    the card.
    """
    assert family.quantised is not None
    for member in (*family.references, *family.members):
        if member.file.endswith(".tflite"):
            weights = sum(layer.size for layer in member.layers)
            assert weights < member.size
            assert member.size - weights < 16_000
    whole, eighth = (sum(layer.size for layer in one.layers) for one in family.references)
    assert whole / 4 < eighth < whole / 3.5  # a bias keeps its four bytes


def test_layers_that_stayed_in_float32_have_four_bytes_a_weight():
    from handheld.compress.pictures.figures import layers_of
    from handheld.networks.structure import trace
    from handheld.networks.zoo.pictures import PictureShape, make

    network = trace(
        make("plain", PictureShape(1, 12, 12), 3, 2, seed=0), torch.zeros(2, 1, 12, 12)
    ).eval()
    eight, mixed = (
        {layer.name: layer.size for layer in layers_of(network, *how)}
        for how in (("int8",), ("mixed", ("0_0", "7")))
    )
    assert eight["0_0"] == 2 * 9 + 4 * 2  # two filters of 3 x 3, and their biases
    assert mixed["0_0"] == 4 * (2 * 9 + 2)
    assert mixed["7"] == 4 * (8 * 3 + 3)
    assert {name for name in eight if eight[name] != mixed[name]} == {"0_0", "7"}


def test_it_learned_something(family: Family):
    assert family.teacher.accuracy > 0.8
    assert named(family, "nested").accuracy > 0.6
    assert named(family, "pruned").accuracy > 0.6


def test_a_file_classifies_a_plain_photo_with_nothing_else(family: Family, splits: Splits):
    with Model.open(family.folder / named(family, "nested").file) as model:
        assert model.card["accuracy"]["examples"] == len(splits.test)
        right = 0
        for picture, label in zip(splits.test.inputs[:30], splits.test.labels[:30], strict=True):
            photo = np.repeat(picture, 3, axis=2)
            right += classify(model, photo)[0].label == splits.classes[label]
    assert right / 30 >= named(family, "nested").accuracy - 0.2


def test_after_pruning_the_file_is_smaller_and_faster(family: Family):
    """NNCF 1038, 959; TensorFlow model-optimization 173, 611, 722, 760."""
    pruned = named(family, "pruned")
    assert pruned.size_float < 0.5 * family.teacher.size
    assert pruned.macs < family.teacher.macs
    assert pruned.parameters < 0.5 * family.teacher.parameters
    steps = {step.technique: step for step in pruned.steps}
    assert steps["pruning"].size < 0.5 * steps["teacher"].size


def test_zeros_make_the_stored_file_smaller(family: Family):
    """TensorFlow model-optimization 173 and others: what is pruned is no smaller on disk."""
    sparse = named(family, "sparse")
    with Model.open(family.folder / sparse.file) as model:
        assert sparse.file.endswith(".tflite.xz")
        assert sparse.size < 0.6 * model.size
        assert model.card["labels"] == list(family.classes)
    assert sparse.accuracy > 0.6


def test_removing_channels_saves_time_not_only_multiplications():
    """The same complaint, measured: a network with a quarter of the channels, in turns with the
    whole one.
    """
    from handheld.compile import to_tflite
    from handheld.networks.pruning import prune
    from handheld.networks.zoo.pictures import PictureShape, make

    example = torch.zeros(2, 1, 24, 24)
    network = make("residual", PictureShape(1, 24, 24), 3, 24, seed=0).eval()
    small = prune(network, example, keep=0.1).network.eval()
    files = {
        name: to_tflite(net, example[:1], metadata={}).content
        for name, net in (("whole", network), ("pruned", small))
    }
    timed = latencies(files)
    assert len(files["pruned"]) < 0.5 * len(files["whole"])
    assert timed["pruned"].median < timed["whole"].median


def test_a_goal_that_is_not_met_leaves_files_and_says_so(family: Family):
    """neural-compressor 2261."""
    member = named(family, "plain")
    assert not member.met
    assert "bytes" in member.reason
    assert (family.folder / member.file).exists()
    assert all(other.met for other in family.members if other is not member)


def test_eight_bits_that_are_slower_are_not_taken_where_speed_is_the_goal(
    monkeypatch: pytest.MonkeyPatch, splits: Splits
):
    """onnxruntime 20052."""
    from handheld.compress.family import Latency
    from handheld.compress.pictures import exporter as exporting
    from handheld.compress.pictures.preparation import Preparation
    from handheld.networks.structure import trace
    from handheld.networks.zoo.pictures import PictureShape, make

    network = trace(
        make("plain", PictureShape(1, 12, 12), 3, 2, seed=0), torch.zeros(2, 1, 12, 12)
    ).eval()
    exporter = exporting.Exporter(
        splits.train, splits.valid, Preparation.of(splits.train), {"labels": []}, 1.0
    )
    slow = {"file": Latency(2e-3, 0, 0, 1), "other": Latency(1e-3, 0, 0, 1)}
    monkeypatch.setattr(exporting, "latencies", lambda files: slow)
    purpose = exporting.FilePurpose(fastest=True)
    assert exporter.export(network, None, 12, purpose, int8=True).precision == "float32"
    assert Target(latency=1e-3).is_about_speed_alone
    assert not Target(latency=1e-3, size=10).is_about_speed_alone


def test_picking(family: Family, tmp_path: Path):
    best = family.pick(Target(size=family.members[0].size))
    assert best.valid == max(member.valid for member in family.members)
    copied = family.copy(best, tmp_path / "mine.tflite")
    assert copied.stat().st_size == best.size
    with pytest.raises(InputError, match="no member fits"):
        family.pick(Target(size=10))


def test_the_run_left_no_state(family: Family):
    assert {path.name for path in (family.folder / "run").iterdir()} == {
        "lock",
        "plan.json",
        "candidates.json",
    }


KILLED = """
import os, sys
sys.path[:0] = {path!r}
import torch
torch.set_num_threads(1)
from conftest import pictures
from test_run import SETTINGS, TARGETS, TEACHER
from handheld.compress import compress
from handheld.data import Splits

def die(stage, done, text):
    if stage == {stage!r} and done >= {done}:
        os._exit(9)

data = Splits(pictures(360, 0), pictures(120, 1), pictures(120, 2))
compress(TEACHER, data, out={out!r}, targets=TARGETS, settings=SETTINGS, progress=die)
"""


def test_a_run_killed_again_and_again_ends_the_same(family: Family, tmp_path: Path):
    here = [str(Path(__file__).parent)]
    for stage, done in (("candidates", 0.5), ("joint training", 0.4), ("members", 0.7)):
        code = KILLED.format(path=here, stage=stage, done=done, out=str(tmp_path))
        ended = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True
        )
        assert ended.returncode == 9, ended.stderr
    code = KILLED.format(path=here, stage="never", done=2, out=str(tmp_path))
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    again = Family.open(tmp_path)
    assert [member.name for member in again.members] == [member.name for member in family.members]
    for name in ("teacher.safetensors", *(member.file for member in family.members)):
        assert (tmp_path / name).read_bytes() == (family.folder / name).read_bytes()


def test_what_is_planned_learns_on_a_machine_without_converter(
    family: Family, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def run(die: Progress = lambda *what: None) -> Family:
        return compress(
            TEACHER, splits, out=tmp_path, targets=TARGETS, settings=SETTINGS, progress=die
        )

    def stop(stage: str, done: float, text: str) -> None:
        if stage == "joint training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stop)
    with monkeypatch.context() as machine:
        for package in ("litert_torch", "ai_edge_quantizer"):
            machine.setitem(sys.modules, package, None)
        with pytest.raises(MissingDependencyError, match="compile"):
            run()
    learned = {path.name for path in (tmp_path / "run").glob("member_*.pt")}
    assert len(learned) == len(TARGETS)
    with monkeypatch.context() as back:
        back.setattr("handheld.compress.pictures.lesson.follow", None)  # nothing learns again
        again = run()
    for member in family.members:
        assert (tmp_path / member.file).read_bytes() == (family.folder / member.file).read_bytes()
    assert [member.name for member in again.members] == [member.name for member in family.members]


def test_channels_that_are_gone_stay_gone_when_a_run_goes_on(
    splits: Splits, short: FamilySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another kind of machine might choose other channels, which the member's state
    would not fit.
    """

    def run(progress: Progress = lambda *what: None) -> Family:
        return compress(
            TEACHER,
            splits,
            out=tmp_path,
            targets=["3x smaller, pruned"],
            settings=short,
            progress=progress,
        )

    def stop(stage: str, done: float, text: str) -> None:
        if stage == "members" and done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stop)
    monkeypatch.setattr("handheld.compress.pictures.lesson.prune", None)  # it is not asked again
    assert [member.name for member in run().members] == ["pruned_1"]


class Unreadable(nn.Module):
    """Its way depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(144, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1)) if x.sum() > -1e9 else self.head(-x.flatten(1))


class Exotic(nn.Module):
    """Uses an operator that the device format lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(144, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.special.i0(x.flatten(1)))


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (Unreadable(), CompileError, "cannot be traced"),
        (Exotic(), CompileError, "i0.*device format lacks"),
        (nn.Sequential(nn.Flatten(), nn.Linear(144, 5)), InputError, r"gives \[2, 5\].*3 classes"),
        (nn.Sequential(nn.Flatten(), nn.Linear(99, 3)), InputError, "fails on pictures"),
    ],
)
def test_modules_that_cannot_work(
    splits: Splits, tmp_path: Path, module: nn.Module, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        compress(module, splits, out=tmp_path, targets=["5x smaller"], settings=SETTINGS)


def test_weights_that_are_no_numbers_are_named(splits: Splits, tmp_path: Path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    with torch.no_grad():
        module[1].weight[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"1\.weight .*not finite"):
        compress(module, splits, out=tmp_path, targets=1, settings=SETTINGS)


def test_a_rate_that_breaks_the_run_is_named(splits: Splits, tmp_path: Path):
    wild = replace(SETTINGS, training=Schedule(2, batch=60, rate=1e30, warmup=0.0))
    with pytest.raises(TrainingError, match="lower the rate"):
        compress(
            TeacherSource(width=4), splits, out=tmp_path, targets=["2x smaller"], settings=wild
        )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (8, 8, 1),
            "the test examples are 8 x 8 x 1, the train examples 12 x 12 x 1: .* under "
            ".data. of a configuration size and grey",
        ),
        (
            (12, 12, 3),
            "the test examples are 12 x 12 x 3, the train examples 12 x 12 x 1: .*grey=True",
        ),
    ],
)
def test_pictures_of_another_shape_are_refused(
    splits: Splits, tmp_path: Path, shape: tuple[int, ...], message: str
):
    odd = Dataset(np.zeros((3, *shape), np.uint8), np.arange(3), splits.classes)
    with pytest.raises(InputError, match=message):
        compress(
            TeacherSource(width=4),
            Splits(splits.train, splits.valid, odd),
            out=tmp_path,
            targets=1,
            settings=SETTINGS,
        )


def test_texts_among_pictures_are_refused(splits: Splits, tmp_path: Path):
    odd = Dataset(("a", "b", "c"), np.arange(3), splits.classes)
    with pytest.raises(
        InputError, match="the test examples are texts, the train examples 12 x 12 x 1"
    ):
        compress(
            TeacherSource(width=4),
            Splits(splits.train, splits.valid, odd),
            out=tmp_path,
            targets=1,
            settings=SETTINGS,
        )


def test_nothing_asked_is_refused(splits: Splits, tmp_path: Path):
    with pytest.raises(InputError, match="no targets"):
        compress(TeacherSource(width=4), splits, out=tmp_path, targets=[], settings=SETTINGS)


def test_class_weights_and_threads_reach_the_training(
    monkeypatch: pytest.MonkeyPatch, splits: Splits, short: FamilySettings, tmp_path: Path
):
    from handheld.compress.pictures import joint_run

    class Stopped(Exception):  # noqa: N818 - no error: what the test waits for
        pass

    def look(step: joint_run.JointStep, pairs: int) -> float:
        assert step.how.class_weights == pytest.approx(
            (4 / 9, 2, 4)
        )  # 360 / (3 * 270), / (3 * 60), / (3 * 30)
        assert torch.get_num_threads() == 2
        raise Stopped

    labels = np.repeat(np.arange(3), (270, 60, 30))
    data = replace(splits, train=replace(splits.train, labels=labels))
    monkeypatch.setattr(joint_run, "time_ratio", look)
    settings = replace(short, class_weights="balanced", threads=2, techniques=("joint",))
    with pytest.raises(Stopped):
        compress(
            TeacherSource("plain", width=4),
            data,
            out=tmp_path,
            targets=["2x smaller"],
            settings=settings,
        )
    assert torch.get_num_threads() == 1
    with pytest.raises(InputError, match="2 numbers for 3 classes"):
        compress(
            TeacherSource(),
            data,
            out=tmp_path / "2",
            targets=1,
            settings=replace(short, class_weights=(1.0, 2.0)),
        )
    with pytest.raises(InputError, match=r"these are pictures: \[settings.texts\]"):
        compress(
            TeacherSource(),
            data,
            out=tmp_path / "3",
            targets=1,
            settings=replace(short, texts=TextEpochs(1.0)),
        )


def test_the_plan_says_what_was_run(family: Family):
    plan = json.loads((family.folder / "run" / "plan.json").read_text())
    assert plan["targets"] == [str(Target.of(target)) for target in TARGETS]
    assert plan["settings"]["training"]["epochs"] == 6


class OfTokens(nn.Module):
    """A small transformer as libraries have it: answers among others, code that nobody can follow,
    positions of one size.
    """

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.patches, self.position = (
            nn.Conv2d(1, 48, 4, 4),
            nn.Parameter(torch.randn(1, 9, 48) * 0.1),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(48) for _ in range(2))
        self.qkv, self.back = nn.Linear(48, 144), nn.Linear(48, 48)
        self.mlp, self.head = (
            nn.Sequential(nn.Linear(48, 96), nn.GELU(), nn.Linear(96, 48)),
            nn.Linear(48, classes),
        )

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor | None]:
        if not isinstance(pixels, torch.Tensor):
            raise TypeError("expected a tensor")
        x = self.patches(pixels).flatten(2).transpose(1, 2) + self.position
        q, k, v = self.qkv(self.norms[0](x)).view(-1, 9, 3, 2, 24).permute(2, 0, 3, 1, 4).unbind(0)
        seen = (
            nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 9, 48)
        )
        x = x + self.back(seen)
        x = x + self.mlp(self.norms[1](x))
        return {"loss": None, "logits": self.head(x.mean(1)), "hidden": x}


def test_a_transformer_of_a_library_has_a_family(splits: Splits, tmp_path: Path):
    torch.manual_seed(0)
    made = compress(
        OfTokens(),
        splits,
        out=tmp_path,
        targets=["3x smaller, nested", "3x smaller, pruned"],
        settings=SETTINGS,
    )
    assert made.teacher.accuracy > 0.6
    for member in made.members:
        assert member.met, member.reason
        assert member.accuracy > 0.5
        assert member.macs < made.teacher.macs
    loaded = Family.open(tmp_path)
    assert {member.name for member in loaded.members} == {member.name for member in made.members}


def test_without_a_teachers_answers_pictures_vary_anew(splits: Splits, tmp_path: Path):
    """The variations whose answers are kept, one or three, have no part in it."""
    short = replace(
        SETTINGS,
        techniques=("students",),
        training=Schedule(1, batch=60),
        finish=Schedule(3, batch=60),
    )

    def made(views: int) -> Family:
        settings = replace(short, views=views)
        return compress(
            TEACHER,
            splits,
            out=tmp_path / str(views),
            targets=["10x smaller, plain"],
            settings=settings,
        )

    one, three = made(1), made(3)
    assert one.members[0].accuracy == three.members[0].accuracy
    assert one.members[0].confusion == three.members[0].confusion


@pytest.fixture(scope="module")
def short() -> FamilySettings:
    return replace(
        SETTINGS,
        training=Schedule(1, batch=60),
        finish=Schedule(0.5, batch=60),
        quantise=0.5,
        views=1,
    )


@pytest.mark.parametrize(
    "target", ["3x smaller, pruned", "4x smaller, plain", "8x smaller, sparse"]
)
def test_a_trained_teacher_stays_as_it_is(
    family: Family, splits: Splits, short: FamilySettings, tmp_path: Path, target: str
):
    """Members that share weights learn in a copy of them. With pruned members alone there is no
    joint training at all.
    """
    teacher = replace(TEACHER, checkpoint=str(family.folder / "teacher.safetensors"), trained=True)
    made = compress(teacher, splits, out=tmp_path, targets=[target], settings=short)
    assert made.teacher.accuracy == family.teacher.accuracy
    assert (tmp_path / "teacher.safetensors").read_bytes() == (
        family.folder / "teacher.safetensors"
    ).read_bytes()
    assert made.teacher.curve == ()
    assert len(made.members) == 1
    assert Family.open(tmp_path).members == made.members
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize("target", ["2x smaller", "2x smaller, pruned"])
def test_members_learn_from_a_teacher_that_is_frozen(
    splits: Splits, short: FamilySettings, tmp_path: Path, target: str
):
    """As finished teachers often are: in a copy of it, so that it stays as it is."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3))
    network.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.warns(TeacherWarning):  # it never learned
        made = compress(
            network, splits, out=tmp_path, targets=[target], settings=short, trained=True
        )
    assert len(made.members) == 1
    assert made.members[0].curve
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "plain"}, "model: expected a torch module or a TeacherSource, got 'plain'"),
        ({"model": nn.Linear}, "model: expected"),
        ({"data": "photos/"}, "data: expected Splits, as handheld.data.load gives them"),
        ({"settings": {}}, "settings: expected FamilySettings, got {}"),
        ({"targets": 60}, "targets: expected a whole number in [1, 16], got 60"),
        ({"targets": 0}, "targets: expected a whole number in [1, 16], got 0"),
    ],
)
def test_arguments_of_another_kind_are_named(
    splits: Splits, tmp_path: Path, options: dict[str, object], message: str
):
    arguments = {"model": TEACHER, "data": splits, "targets": 1, "out": tmp_path, **options}
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        compress(**arguments)  # type: ignore[arg-type]


def test_a_finished_network_that_guesses_is_told(
    splits: Splits, short: FamilySettings, tmp_path: Path
):
    network = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3))
    nn.init.zeros_(network[3].weight)
    with pytest.warns(TeacherWarning, match=r"Sequential answers 33.3 % of 120 .*with mean \["):
        made = compress(
            network,
            splits,
            out=tmp_path,
            targets=["2x smaller"],
            settings=short,
            trained=True,
            techniques=("joint",),
        )
    assert "hardly more than a guess" in made.record["notes"][0]


@pytest.mark.parametrize(
    ("techniques", "target"),
    [
        (("students",), "4x smaller, projected"),
        (("sparsity",), "4x smaller, sparse"),
        (("pruning",), "3x smaller, pruned"),
        (("joint", "distillation"), "2x smaller"),
        (("pruning", "quantisation"), "3x smaller, pruned"),
    ],
)
def test_some_techniques_are_enough(
    splits: Splits, short: FamilySettings, tmp_path: Path, techniques: tuple[str, ...], target: str
):
    made = compress(
        TeacherSource("plain", width=8),
        splits,
        out=tmp_path,
        targets=[target],
        settings=short,
        techniques=techniques,
    )
    (member,) = made.members
    assert (tmp_path / member.file).stat().st_size == member.size
    assert member.precision in (("int8", "mixed") if "quantisation" in techniques else ("float32",))
    assert (made.quantised is None) == ("quantisation" not in techniques)
    assert made.teacher.curve
    assert made.record["teacher"] == {"network": "plain", "width": 8, "trained": False}
