"""Members that learn on a Ray cluster: the same as here, kept, and what goes wrong there told as it
would be here.
"""

import json
import os
import sys
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_lessons import Dying, Failing

from handheld.cluster import connected, ray_module
from handheld.compress.pictures import cluster
from handheld.compress.pictures.candidates import Builder, Candidate
from handheld.compress.pictures.lesson import Finished, MemberLesson
from handheld.compress.pictures.members import finish_members
from handheld.compress.pictures.preparation import Preparation
from handheld.compress.pictures.run import PictureRun
from handheld.compress.pictures.training.answers import TeacherAnswers
from handheld.compress.pictures.training.batches import Augmentation, PictureBatches
from handheld.compress.run import compress
from handheld.compress.settings import FamilySettings
from handheld.compress.targets import Target
from handheld.compress.teacher import TeacherSource
from handheld.data import Splits
from handheld.errors import InputError, MissingDependencyError, TrainingError
from handheld.networks.quantisation import fold
from handheld.networks.structure import macs, trace
from handheld.networks.zoo.pictures import PictureShape, make
from handheld.training import Distillation, Schedule
from handheld.training.runs import RunFolder, StageClock

pytest.importorskip("ray", reason="the extra cluster is not installed")

SHAPE = PictureShape(1, 12, 12)
HALF = Candidate("nested_1", "nested", 12, None, 12, Target(smaller=4.0))
OTHER = Candidate("plain_2", "plain", 3, None, 8, Target(smaller=8.0, kind="plain"))
CUT = Candidate("pruned_3", "pruned", 14, None, 12, Target(smaller=3.0, kind="pruned"))
SETTINGS = FamilySettings(
    finish=Schedule(0.5, batch=60, rate=0.05),
    quantise=0.4,
    augmentation=Augmentation(cutout=3),
    distillation=Distillation(features=0.5),
)


@pytest.fixture(scope="module")
def large():
    return trace(make("residual", SHAPE, 3, 4, seed=0), torch.zeros(2, *SHAPE))


@pytest.fixture
def lesson(splits: Splits, large) -> MemberLesson:
    preparation = Preparation.of(splits.train)
    batches = PictureBatches(splits.train, preparation, 60, SETTINGS.augmentation, views=2, seed=0)
    return MemberLesson(
        batches, TeacherAnswers(large, batches, 3), splits.valid, preparation, SETTINGS, large
    )


@pytest.fixture
def started(large):
    builder = Builder(large, SHAPE, 3, 0)
    return {
        one: large if one.kind == "pruned" else builder.build(one).network
        for one in (HALF, OTHER, CUT)
    }


@pytest.fixture
def run(tmp_path: Path):
    """All of a run that a backend asks for."""
    told = []
    (tmp_path / "family" / "run").mkdir(parents=True)
    space = RunFolder(tmp_path / "family")
    return run_in(space, StageClock(lambda stage, done, text: told.append(done)), told=told)


def run_in(space: RunFolder, clock: StageClock, **more) -> SimpleNamespace:
    """All of a run that a backend asks for."""
    files = partial(PictureRun.member_file, SimpleNamespace(space=space))
    return SimpleNamespace(space=space, clock=clock, member_file=files, **more)


@pytest.fixture(scope="module")
def ray():
    """A cluster on this machine that all tests use; backends use a connection that is there."""
    home, variables = (
        set(Path.home().iterdir()),
        {name for name in os.environ if name.startswith(("RAY_AUTH", "PYTHONPATH"))},
    )
    with connected(None) as module:
        yield module
    assert set(Path.home().iterdir()) == home
    assert {name for name in os.environ if name.startswith(("RAY_AUTH", "PYTHONPATH"))} == variables
    assert not module.is_initialized()


def same(one: Finished, other: Finished) -> None:
    for ours, theirs in (
        (one.network, other.network),
        (one.aware, other.aware),
        (fold(one.network), fold(other.network)),
    ):
        assert [
            (str(n.target), n.meta.get("shape")) for n in ours.graph.nodes if n.op == "call_module"
        ] == [
            (str(n.target), n.meta.get("shape"))
            for n in theirs.graph.nodes
            if n.op == "call_module"
        ]
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        for name, tensor in ours.state_dict().items():
            np.testing.assert_array_equal(tensor, theirs.state_dict()[name], err_msg=name)
    assert (one.steps, one.curve) == (other.steps, other.curve)
    assert macs(one.network) == macs(other.network)
    inputs = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(
            one.network.eval()(inputs), other.network.eval()(inputs), rtol=0, atol=1e-6
        )


def test_a_whole_family(splits: Splits, tmp_path: Path) -> None:
    """The large network learns on two processes, the member on a cluster that comes and goes, after
    compiling has begun.
    """
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "candidates.json").write_text(
        json.dumps([asdict(OTHER)])
    )  # found before: nothing is measured
    settings = replace(
        SETTINGS,
        techniques=("students", "distillation"),
        training=Schedule(2, batch=60, rate=0.1),
        budget=0.5,
        processes=2,
    )
    family = compress(
        TeacherSource("plain", width=8),
        splits,
        out=tmp_path,
        targets=[OTHER.target],
        settings=settings,
        backend="ray",
    )
    assert [member.name for member in family.members] == ["plain_2"]
    assert (family.folder / family.members[0].file).exists()
    assert list((tmp_path / "run").glob("*.pt")) == []
    assert not ray_module().is_initialized()


def test_members_are_those_of_one_process_and_are_kept(ray, run, lesson, started) -> None:
    there = cluster.on_cluster()(run, lesson, started)
    assert list(there) == [HALF, OTHER, CUT]
    assert run.told == pytest.approx([1 / 3, 2 / 3, 1])
    kept = sorted(path.name for path in run.space.state.iterdir())
    assert kept == ["member_nested_1.pt", "member_plain_2.pt", "member_pruned_3.pt"]
    for path in run.space.state.iterdir():
        torch.load(path, weights_only=True)  # holds no code
    here = finish_members(elsewhere(run), lesson, started)
    for candidate in started:
        same(there[candidate], here[candidate])


def elsewhere(run) -> SimpleNamespace:
    """A run in another folder, where no member is kept."""
    space = RunFolder(run.space.folder / "elsewhere")
    space.state.mkdir(parents=True)
    return run_in(space, run.clock)


def test_what_came_back_is_not_asked_for_again(run, lesson, started, monkeypatch) -> None:
    """A driver that was killed after all members came back does not even connect."""
    local = {HALF: started[HALF]}
    here = finish_members(run, lesson, local)
    monkeypatch.setattr(cluster, "connected", None)
    same(cluster.on_cluster()(run, lesson, local)[HALF], here[HALF])


def with_batches(kind: type[PictureBatches], lesson: MemberLesson, **attributes) -> MemberLesson:
    batches = object.__new__(kind)
    batches.__dict__.update(lesson.batches.__dict__, **attributes)
    return replace(lesson, batches=batches, answers=None, teacher=None)


def test_a_worker_that_dies_is_replaced(ray, run, lesson, started, tmp_path: Path) -> None:
    dying = with_batches(Dying, lesson, marker=tmp_path / "died")
    there = cluster.on_cluster()(run, dying, {OTHER: started[OTHER]})
    assert (tmp_path / "died").exists()
    here = finish_members(
        elsewhere(run), with_batches(PictureBatches, lesson), {OTHER: started[OTHER]}
    )
    same(there[OTHER], here[OTHER])


def test_a_worker_that_always_dies_ends_the_run(
    ray, run, lesson, started, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(cluster, "_RETRIES", 0)
    dying = with_batches(Dying, lesson, marker=tmp_path / "died")
    with pytest.raises(
        TrainingError, match=r"member plain_2: the cluster gave up on it .*run again to go on"
    ):
        cluster.on_cluster()(run, dying, {OTHER: started[OTHER]})


def test_an_error_comes_back_as_it_was(ray, run, lesson, started) -> None:
    with pytest.raises(MissingDependencyError, match="counting needs 'abacus'"):
        cluster.on_cluster()(run, with_batches(Failing, lesson), {OTHER: started[OTHER]})
    assert list(run.space.state.iterdir()) == []


def test_a_module_that_a_machine_lacks_is_named(
    ray, run, lesson, started, tmp_path: Path, monkeypatch
) -> None:
    """As it is with a network of the user's own that was not installed on the cluster."""
    (tmp_path / "module_of_mine.py").write_text(
        "from handheld.compress.pictures.training.batches import PictureBatches\nclass "
        "Mine(PictureBatches): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = import_module("module_of_mine")
    with pytest.raises(TrainingError, match="No module named 'module_of_mine'"):
        cluster.on_cluster()(run, with_batches(mine.Mine, lesson), {OTHER: started[OTHER]})


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense"])
def test_no_cluster_at_an_address_is_told_at_once(address: str, monkeypatch) -> None:
    for name in ("is_initialized", "shutdown"):  # the other tests' cluster stays
        monkeypatch.setattr(ray_module(), name, lambda: False)
    with pytest.raises(InputError, match=f"no Ray cluster at {address}: "):
        cluster.on_cluster(address)


@pytest.mark.parametrize(
    ("backend", "address", "message"),
    [
        ("dask", None, "no backend 'dask': expected local or ray"),
        ("local", "10.0.0.1:6379", "needs the backend ray"),
    ],
)
def test_a_backend_that_is_none(
    splits: Splits, tmp_path: Path, backend: str, address: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compress(
            make("plain", SHAPE, 3, 4, seed=0),
            splits,
            out=tmp_path,
            backend=backend,
            address=address,
        )


def test_a_missing_package_is_told_at_once(splits: Splits, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[cluster\]"):
        compress(make("plain", SHAPE, 3, 4, seed=0), splits, out=tmp_path / "family", backend="ray")
    assert not (tmp_path / "family").exists()
