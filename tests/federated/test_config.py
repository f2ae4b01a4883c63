from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from handheld.errors import InputError
from handheld.federated import algorithms, stages, updates
from handheld.federated.config import read
from handheld.federated.networks import NETWORKS, make
from handheld.federated.simulator import simulate

WHOLE = """
out = "here"
rounds = 3
cohort = 4
uniform = true
seed = 5
download = { name = "stochastic", levels = 256 }
[data]
path = "pictures.npz"
users = 8
split = "shards"
[model]
network = "linear"
[algorithm]
name = "fedavgm"
momentum = 0.5
[work]
epochs = 2
batch = 4
[[stages]]
name = "compressed"
encoder = { name = "subsample", share = 0.5, then = { name = "eden", bits = 4 } }
[[stages]]
name = "clip"
length = 2
[devices]
gone = 0.1
"""


def config(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=200)
    arrays = {"x_train": rng.integers(256, size=(160, 6, 6, 1), dtype=np.uint8), "y_train": labels[:160]}
    np.savez(tmp_path / "pictures.npz", **arrays, x_test=arrays["x_train"][:40], y_test=labels[:40])
    return tmp_path


def test_a_whole_configuration(pictures: Path):
    found = read(config(pictures, WHOLE))
    assert (found.out, found.plan.rounds, found.plan.cohort, found.plan.seed) == (Path("here"), 3, 4, 5)
    assert found.plan.algorithm == algorithms.FedAvgM(momentum=0.5)
    inner = updates.Subsample(0.5, then=updates.Eden(4))
    assert found.plan.stages == (stages.Compressed(inner), stages.Clip(2.0))
    assert found.plan.download == updates.Stochastic(256)
    learner = found.learner()
    assert len(learner.users) == 8
    assert learner.examples.sum() == 160
    assert len(learner.test) == 40
    assert len(simulate(found.plan, learner).rows) == 3


@pytest.mark.parametrize("split", ["evenly", "shards", "dirichlet", "dirichlet_shares", "quantity"])
def test_pictures_are_dealt_out(pictures: Path, split: str):
    learner = read(config(pictures, f'[data]\npath = "pictures.npz"\nusers = 5\nsplit = "{split}"')).learner()
    assert len(learner.examples) == 5
    assert sorted(learner.users.partition.places) == list(range(160))
    assert learner.users.examples.inputs.shape == (160, 1, 6, 6)


def test_each_file_is_a_user(tmp_path: Path):
    (tmp_path / "texts").mkdir()
    for name in ("ann", "bob"):
        (tmp_path / "texts" / f"{name}.txt").write_text("one line\nand another line\nand a third\n")
    text = '[data]\npath = "texts"\nsplit = "files"\nlength = 6\n[model]\nnetwork = "few_letters"'
    learner = read(config(tmp_path, text)).learner()
    assert learner.users.partition.names == ("ann", "bob")
    assert learner.judge(learner.start())["accuracy"] < 0.5


def test_data_and_networks_may_come_from_functions(pictures: Path):
    (pictures / "made_here.py").write_text(
        "import numpy as np, torch\n"
        "from handheld.data.partitions import evenly\n"
        "from handheld.federated.learning import Examples, Users\n"
        "def data():\n"
        "    examples = Examples(np.zeros((6, 3), np.float32), np.arange(6) % 2)\n"
        "    return Users(examples, evenly(6, 2, seed=0)), examples\n"
        "def network(shape, classes):\n"
        "    return torch.nn.Linear(shape[0], classes)\n"
        "def nothing(shape, classes):\n"
        "    return 3\n"
    )
    text = '[data]\nfactory = "made_here:data"\n[model]\nnetwork = "made_here:{}"'
    learner = read(config(pictures, text.format("network"))).learner()
    assert (len(learner.users), len(learner.start())) == (2, 8)
    with pytest.raises(InputError, match="expected a torch module"):
        read(config(pictures, text.format("nothing"))).learner()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rounds = [", "cannot be read"),
        ("pace = 3", "no entry 'pace'"),
        ('[data]\npath = "x"\nfactory = "y:z"', "either a path or a factory"),
        ('[data]\npath = "x"\n[algorithm]\nname = "magic"', "algorithm: expected a table with a name of fedavg"),
        ('stages = 3\n[data]\npath = "x"', "stages: expected tables"),
        ('[data]\npath = "x"\n[[stages]]\nname = "clip"', "'length' is missing"),
        ('[data]\npath = "x"\n[[stages]]\nname = "compressed"\nencoder = { name = "zip" }', r"stages\.encoder: expected"),
        ('sampling = "all"\n[data]\npath = "x"', "sampling: expected fixed or poisson, got 'all'"),
        ('delta = 1.0\n[data]\npath = "x"', "delta: expected a number above 0, below 1"),
        ('target_epsilon = "low"\n[data]\npath = "x"', "target_epsilon: expected a number above 0"),
        ('rounds = 0\n[data]\npath = "x"', "1 or more"),
        ('[data]\npath = "x"\n[work]\nepochs = "many"', r"work\.epochs: expected float"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, why: str):
    with pytest.raises(InputError, match=why):
        read(config(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[data]\npath = "none.npz"', r"no none\.npz"),
        ('[data]\npath = "pictures.npz"\nsplit = "fairly"', "data.split: expected evenly"),
        ('[data]\npath = "pictures.npz"\nusers = 1000', "160 examples for 1000"),
        ('[data]\npath = "pictures.npz"\n[model]\nnetwork = "huge"', "no network 'huge'"),
    ],
)
def test_data_and_networks_that_are_not_there_are_named(pictures: Path, text: str, why: str):
    with pytest.raises(InputError, match=why):
        read(config(pictures, text)).learner()


def test_networks_have_as_many_weights_as_in_the_paper():
    counts = {name: sum(p.numel() for p in make(name, (1, 28, 28), 10, seed=0).parameters()) for name in NETWORKS}
    assert (counts["two_layers"], counts["convolutional"], counts["linear"]) == (199_210, 1_663_370, 7_850)
    assert sum(p.numel() for p in make("letters", (80,), 90, seed=0).parameters()) in range(800_000, 900_000)
