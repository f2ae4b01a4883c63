"""Own classes that raise: the run ends with their name, and keeps what it has."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from handheld.errors import InputError, TrainingError
from handheld.federated.config import read
from handheld.federated.simulator import simulate
from handheld.federated.simulator.jobs import ClientJob
from handheld.federated.user_code import naming_own_code

OWN = """
from dataclasses import dataclass
import numpy as np
import torch
from handheld.data.users.partitions import evenly
from handheld.federated.algorithms import FedAvg, Median
from handheld.federated.learning import Examples, Users
from handheld.federated.learning.subspaces import RandomMask
from handheld.federated.stages import PlainStage
from handheld.federated.updates import Whole

@dataclass(frozen=True)
class Apply(FedAvg):
    def apply(self, state, total):
        return {}[state.round] if state.round == 2 else super().apply(state, total)

@dataclass(frozen=True)
class Init(FedAvg):
    def init(self, weights):
        return weights.no_such

@dataclass(frozen=True)
class Adjust(FedAvg):
    def adjust(self, gradient, here, state, own):
        return 1 / 0

@dataclass(frozen=True)
class After(PlainStage):
    def after(self, facts, memory):
        return 1 / 0

@dataclass(frozen=True)
class OnUpdate(PlainStage):
    def after(self, facts, memory):
        return facts
    def on_update(self, update, facts, memory, seeds):
        return np.zeros(3) + np.zeros(4)

@dataclass(frozen=True)
class OnSum(OnUpdate):
    def on_update(self, update, facts, memory, seeds):
        return update
    def on_sum(self, total, facts, memory, seeds):
        return [][0]

@dataclass(frozen=True)
class Encoder(Whole):
    def encode(self, x, seed):
        raise RuntimeError("no bytes")

@dataclass(frozen=True)
class Mean(Median):
    def mean(self, changes):
        return 1 / 0

@dataclass(frozen=True)
class Mask(RandomMask):
    def subspace(self, shapes, seed):
        return 1 / 0

@dataclass(frozen=True)
class Made(FedAvg):
    def __post_init__(self):
        raise RuntimeError("cannot be made")

@dataclass
class Learner:
    at_once: int = 1
    shapes = ((3,),)
    @property
    def examples(self):
        return np.full(4, 2)
    def start(self):
        return np.zeros(3, np.float32)
    def learn(self, task, users, own):
        return 1 / 0
    def evaluate(self, state):
        return {}

def data():
    examples = Examples(np.eye(8, dtype=np.float32), np.arange(8) % 2)
    return Users(examples, evenly(8, 4, seed=0)), examples

def nothing(*given):
    raise RuntimeError("nothing here")

class Net(torch.nn.Linear):
    def forward(self, x):
        if not self.training and not (self.weight == self.first).all():
            raise RuntimeError("learned too much")
        return super().forward(x)

def network(shape, classes):
    net = Net(8, 2)
    net.first = net.weight.detach().clone()
    return net
"""
DATA = '[data]\nfactory = "made_raising:data"\n[model]\nnetwork = "linear"\n'
PLAIN = f"rounds = 4\ncohort = 3\n{DATA}"


def configured(folder: Path, text: str) -> Path:
    (folder / "made_raising.py").write_text(OWN)
    path = folder / "run.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[algorithm]\nname = "made_raising:Apply"', "made_raising:Apply.apply raises KeyError: 2"),
        ('[algorithm]\nname = "made_raising:Init"', "made_raising:Init.init raises AttributeError"),
        (
            '[[stages]]\nname = "made_raising:After"',
            "made_raising:After.after raises ZeroDivisionError",
        ),
        (
            '[[stages]]\nname = "made_raising:OnUpdate"',
            "made_raising:OnUpdate.on_update raises ValueError: operands",
        ),
        ('[[stages]]\nname = "made_raising:OnSum"', "made_raising:OnSum.on_sum raises IndexError"),
        (
            '[[stages]]\nname = "compressed"\nencoder = { name = "made_raising:Encoder" }',
            "made_raising:Encoder.encode raises RuntimeError: no bytes",
        ),
        (
            '[[stages]]\nname = "structured"\nstructure = { name = "made_raising:Mask", '
            "share = 0.5 }",
            "made_raising:Mask.subspace raises ZeroDivisionError",
        ),
        ('[robust]\nname = "made_raising:Mean"', "made_raising:Mean.mean raises ZeroDivisionError"),
    ],
)
def test_the_class_that_raises_is_named(tmp_path: Path, text: str, why: str):
    config = read(configured(tmp_path, f"{PLAIN}{text}"))
    with pytest.raises(TrainingError, match=why) as told:
        simulate(config.plan, config.learner())
    assert told.value.__cause__ is not None


def test_an_encoder_of_downloads_and_a_learner_too(tmp_path: Path):
    config = read(configured(tmp_path, f'download = {{ name = "made_raising:Encoder" }}\n{PLAIN}'))
    with pytest.raises(
        TrainingError, match=r"made_raising:Encoder\.encode raises RuntimeError: no bytes"
    ):
        simulate(config.plan, config.learner())
    config = read(configured(tmp_path, '[learner]\nname = "made_raising:Learner"'))
    for workers in (1, 2):
        with pytest.raises(
            TrainingError, match=r"made_raising:Learner\.learn raises ZeroDivisionError"
        ):
            simulate(config.plan, config.learner(), workers=workers)


def test_what_raises_on_devices_is_named_when_no_update_is_left(tmp_path: Path):
    config = read(configured(tmp_path, f'{PLAIN}[algorithm]\nname = "made_raising:Adjust"'))
    with pytest.raises(
        TrainingError,
        match=r"9 raised an error \(made_raising:Adjust.adjust raises ZeroDivisionError",
    ):
        simulate(config.plan, config.learner())


def test_a_module_that_raises_when_it_is_evaluated(tmp_path: Path):
    config = read(configured(tmp_path, PLAIN.replace('"linear"', '"made_raising:network"')))
    with pytest.raises(
        TrainingError, match=r"test.s examples: made_raising:Net\.forward raises RuntimeError: l"
    ):
        simulate(config.plan, config.learner())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            f'[algorithm]\nname = "made_raising:Made"\n{DATA}',
            "algorithm: made_raising:Made raises RuntimeError: cannot be",
        ),
        (
            DATA.replace(":data", ":nothing"),
            "data.factory: made_raising:nothing raises RuntimeError: nothing here",
        ),
        (
            DATA.replace('"linear"', '"made_raising:nothing"'),
            "model.network: made_raising:nothing raises RuntimeError",
        ),
        (
            DATA.replace('"linear"', '"torch.nn:Linear"'),
            "model.network: torch.nn:Linear raises TypeError",
        ),
        (DATA.replace("made_raising", "made_wrong"), "no factory 'made_wrong:data' .SyntaxError"),
    ],
)
def test_what_cannot_be_made_is_named(tmp_path: Path, text: str, why: str):
    (tmp_path / "made_wrong.py").write_text("def data(:\n")
    with pytest.raises(InputError, match=why):
        read(configured(tmp_path, text)).learner()


def test_errors_of_ours_and_of_libraries_pass_as_they_are():
    def twice(error):
        with naming_own_code():
            raise error

    with pytest.raises(TrainingError, match=r"test_user_code:.*twice raises KeyError: 3"):
        twice(KeyError(3))
    for error in (InputError("as it is"), MemoryError("as it is"), KeyboardInterrupt("as it is")):
        with pytest.raises(type(error), match="as it is"):
            twice(error)
    with pytest.raises(AttributeError):
        ClientJob(None, (), [0], {}).run(None, None)  # a mistake of ours keeps its trace


def test_the_command_ends_with_one_line_and_keeps_its_rounds(tmp_path: Path):
    out = tmp_path / "run"
    path = configured(tmp_path, f'out = "{out}"\n{PLAIN}[algorithm]\nname = "made_raising:Apply"')
    command = [sys.executable, "-m", "handheld.cli", "federated", "simulate", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: made_raising:Apply.apply raises KeyError: 2" in done.stderr
    assert "Traceback" not in done.stderr
    with np.load(out / "state.npz") as state:
        assert '"round": 2' in state["about"].tobytes().decode()
