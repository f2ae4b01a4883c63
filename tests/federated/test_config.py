from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from handheld.errors import InputError
from handheld.federated import algorithms, stages, updates
from handheld.federated.algorithms import ServerState
from handheld.federated.config import read
from handheld.federated.simulator import simulate
from handheld.networks.zoo.federated import NETWORKS, make

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
dropout_rate = 0.1
"""


def config(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=200)
    arrays = {
        "x_train": rng.integers(256, size=(160, 6, 6, 1), dtype=np.uint8),
        "y_train": labels[:160],
    }
    np.savez(tmp_path / "pictures.npz", **arrays, x_test=arrays["x_train"][:40], y_test=labels[:40])
    return tmp_path


def test_a_whole_configuration(pictures: Path):
    found = read(config(pictures, WHOLE))
    assert (found.out, found.plan.rounds, found.plan.cohort, found.plan.seed) == (
        Path("here"),
        3,
        4,
        5,
    )
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
    learner = read(
        config(pictures, f'[data]\npath = "pictures.npz"\nusers = 5\nsplit = "{split}"')
    ).learner()
    assert len(learner.examples) == 5
    assert sorted(learner.users.partition.indices) == list(range(160))
    assert learner.users.examples.inputs.shape == (160, 1, 6, 6)


def test_each_file_is_a_user(tmp_path: Path):
    (tmp_path / "texts").mkdir()
    for name in ("ann", "bob"):
        (tmp_path / "texts" / f"{name}.txt").write_text("one line\nand another line\nand a third\n")
    text = '[data]\npath = "texts"\nsplit = "files"\nlength = 6\n[model]\nnetwork = "few_letters"'
    learner = read(config(tmp_path, text)).learner()
    assert learner.users.partition.names == ("ann", "bob")
    assert learner.evaluate(ServerState(learner.start()))["accuracy"] < 0.5


def test_data_and_networks_may_come_from_functions(pictures: Path):
    (pictures / "made_here.py").write_text(
        "import numpy as np, torch\n"
        "from handheld.data.users.partitions import evenly\n"
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
    # Labels of devices do not show in the size of a network whose classes are named.
    named = '[data]\nfactory = "made_here:data"\nclasses = {}\n[model]\nnetwork = "linear"'
    assert len(read(config(pictures, named.format(5))).learner().start()) == 20
    with pytest.raises(
        InputError, match="has the label 1, but the module's outputs are of 1 class"
    ):
        read(config(pictures, named.format(1))).learner().check()
    with pytest.raises(
        InputError, match=r"data\.classes: expected a whole number in \[0, 16777216\], got -1"
    ):
        read(config(pictures, named.format(-1)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rounds = [", "cannot be read"),
        ("pace = 3", "no entry 'pace'"),
        ('[data]\npath = "x"\nfactory = "y:z"', "either a path or a factory"),
        (
            '[data]\npath = "x"\n[algorithm]\nname = "magic"',
            "algorithm: expected a table with a name of fedavg",
        ),
        ('stages = 3\n[data]\npath = "x"', "stages: expected a list, got 3"),
        ('[data]\npath = "x"\n[[stages]]\nname = "clip"', "'length' is missing"),
        (
            '[data]\npath = "x"\n[[stages]]\nname = "compressed"\nencoder = { name = "zip" }',
            r"stages\[0\]\.encoder: expected",
        ),
        ('sampling = "all"\n[data]\npath = "x"', "sampling: expected fixed or poisson, got 'all'"),
        ('delta = 1.0\n[data]\npath = "x"', r"delta: expected a number in \(0, 1\)"),
        (
            'target_epsilon = "low"\n[data]\npath = "x"',
            "target_epsilon: expected a number, got 'low'",
        ),
        ('rounds = "ten"\n[data]\npath = "x"', "^rounds: expected a whole number, got 'ten'"),
        ('out = 3\n[data]\npath = "x"', "out: expected a text, got 3"),
        ('out = ""\n[data]\npath = "x"', "out: expected the name of a folder, got ''"),
        ('rounds = 0\n[data]\npath = "x"', "1 or more"),
        (
            '[data]\npath = "x"\n[work]\nepochs = "many"',
            r"work\.epochs: expected a number, got \'many\'",
        ),
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


def picture_folder(folder: Path, *, many: int) -> None:
    from PIL import Image

    for label in ("a", "b"):
        (folder / "pictures" / label).mkdir(parents=True)
        for number in range(many):
            Image.new("RGB", (6, 6), (number, 0, 0)).save(
                folder / "pictures" / label / f"{number:03}.png"
            )
    Image.new("RGB", (9, 5)).save(folder / "pictures" / "a" / "000.png")


def test_pictures_of_several_sizes_are_brought_to_one(tmp_path: Path):
    picture_folder(tmp_path, many=20)
    text = '[data]\npath = "pictures"\nusers = 4\n{}[model]\nnetwork = "linear"'
    with pytest.raises(
        InputError, match=r"000\.png is 5 x 9.* size = \[height, width\] under \[data\]"
    ):
        read(config(tmp_path, text.format(""))).learner()
    learner = read(config(tmp_path, text.format("size = [4, 6]\n"))).learner()
    assert learner.users.examples.inputs.shape[1:] == (3, 4, 6)


def test_pictures_can_be_read_as_grey(tmp_path: Path):
    picture_folder(tmp_path, many=20)
    text = (
        '[data]\npath = "pictures"\nusers = 4\ngrey = true\nsize = [6, 6]\n[model]\nnetwork = '
        '"linear"'
    )
    assert read(config(tmp_path, text)).learner().users.examples.inputs.shape[1:] == (1, 6, 6)


def test_what_is_odd_about_the_data_is_told(pictures: Path, caplog):
    read(
        config(pictures, '[data]\npath = "pictures.npz"\nusers = 4\n[model]\nnetwork = "linear"')
    ).learner()
    assert "pictures.npz: " in caplog.text
    assert "of the 40 test examples also in the training split" in caplog.text


def test_one_odd_picture_of_many_is_named(tmp_path: Path, caplog):
    picture_folder(tmp_path, many=120)
    learner = read(
        config(tmp_path, '[data]\npath = "pictures"\nusers = 4\n[model]\nnetwork = "linear"')
    ).learner()
    assert len(learner.users.examples) + len(learner.test) == 239
    assert "000.png left out: is 5 x 9" in caplog.text


OWN = """
import numpy as np
from dataclasses import dataclass
from handheld.federated.algorithms import FedAvg
from handheld.federated.stages import PlainStage
from handheld.federated.updates import Whole

@dataclass(frozen=True)
class Algorithm(FedAvg):
    factor: float = 1.0

class Bare(FedAvg):
    def __init__(self, factor):
        super().__init__(factor)
    def config(self):
        return self.rate

@dataclass(frozen=True)
class Stage(PlainStage):
    by: int = 1
    def after(self, facts, memory):
        return facts

@dataclass(frozen=True)
class Encoder(Whole):
    then: object = None

class Nothing:
    pass

def loss(outputs, targets):
    return (outputs - targets[:, None]).square().mean(dim=1)

def far(outputs, targets):
    return outputs.abs().sum(dim=1)
"""


def test_own_classes_are_named_by_module_and_class(pictures: Path):
    (pictures / "made_own.py").write_text(OWN)
    text = (
        'rounds = 2\ndownload = {{ name = "made_own:Encoder" }}\n[algorithm]\nname = '
        '"made_own:{}"\nfactor = 3\n'
        '[data]\npath = "pictures.npz"\nusers = 4\n[model]\nnetwork = "linear"\nloss = '
        '"made_own:loss"\n'
        'metrics = ["made_own:far"]\n'
        '[[stages]]\nname = "made_own:Stage"\nby = 2\n'
        '[[stages]]\nname = "compressed"\nencoder = {{ name = "made_own:Encoder", then = {{ '
        'name = "eden", bits = 2 }} }}\n'
    )
    found = read(config(pictures, text.format("Algorithm")))
    assert found.plan.algorithm.factor == 3.0
    assert found.plan.stages[0].by == 2
    assert found.plan.stages[1].encoder.then == updates.Eden(2)
    assert read(config(pictures, text.format("Bare"))).plan.algorithm.rate == 3
    rows = simulate(found.plan, found.learner()).rows
    assert rows[-1]["test_far"] > 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '[algorithm]\nname = "made_own:Nothing"',
            "algorithm: made_own:Nothing has no 'corrects'; expected corrects, init",
        ),
        ('[algorithm]\nname = "made_own:Missing"', "no factory 'made_own:Missing'"),
        (
            '[algorithm]\nname = "made_own:Bare"\nfactr = 3',
            r"algorithm: made_own:Bare: missing a required argument: 'factor'",
        ),
        ('[algorithm]\nname = "made_own:Algorithm"\nfactr = 3', "algorithm: no entry 'factr'"),
        ('[[stages]]\nname = "made_own:Nothing"', r"stages\[0\]: made_own:Nothing has no 'start'"),
        (
            '[learner]\nname = "made_own:Nothing"',
            r"learner: has its own data and model|has no 'examples'",
        ),
        (
            '[learner]\nname = "eden"',
            "learner: has its own data|learner: expected a table with a name of package",
        ),
    ],
)
def test_own_classes_that_do_not_fit_are_named(pictures: Path, text: str, why: str):
    (pictures / "made_own.py").write_text(OWN)
    with pytest.raises(InputError, match=why):
        read(config(pictures, f'{text}\n[data]\npath = "pictures.npz"'))
    if text.startswith("[learner]"):
        with pytest.raises(
            InputError, match=r"has no 'examples'|expected a table with a name of package"
        ):
            read(config(pictures, text))


def test_a_label_that_is_a_large_number_is_named(pictures: Path):
    (pictures / "made_large.py").write_text(
        "import numpy as np\n"
        "from handheld.data.users.partitions import evenly\n"
        "from handheld.federated.learning import Examples, Users\n"
        "def data():\n"
        "    examples = Examples(np.ones((6, 3)), np.array([0, 1, 0, 1, 0, 2_000_000_000]))\n"
        "    return Users(examples, evenly(6, 2, seed=0)), None\n"
    )
    with pytest.raises(
        InputError,
        match="made_large:data gives the label 2,000,000,000, for which a network would need",
    ):
        read(config(pictures, '[data]\nfactory = "made_large:data"')).learner()


@pytest.mark.parametrize(
    "entry", ["shards_per_user = 0", "users = 0", "length = 0", "size = [3]", "size = [0, 3]"]
)
def test_data_entries_out_of_range_are_named(pictures: Path, entry: str):
    with pytest.raises(
        InputError, match=r"data\.\w+.*: expected (a whole number of 1 or more|height and width)"
    ):
        read(config(pictures, f'[data]\npath = "pictures.npz"\nsplit = "shards"\n{entry}'))


def test_numbers_as_targets_have_as_many_outputs(pictures: Path):
    (pictures / "made_numbers.py").write_text(
        "import numpy as np, torch\n"
        "from handheld.data.users.partitions import evenly\n"
        "from handheld.federated.learning import Examples, Users\n"
        "def data():\n"
        "    examples = Examples(np.ones((6, 3)), np.ones((6, 2)))\n"
        "    return Users(examples, evenly(6, 2, seed=0)), None\n"
        "def wrong():\n"
        "    return 3\n"
        "def loss(outputs, targets):\n"
        "    return ((outputs - targets) ** 2).mean(dim=1)\n"
    )
    text = (
        'rounds = 2\n[data]\nfactory = "made_numbers:{}"\n[model]\nnetwork = "linear"\nloss = '
        '"made_numbers:loss"'
    )
    found = read(config(pictures, text.format("data")))
    assert simulate(found.plan, found.learner()).rows[-1]["loss"] > 0
    with pytest.raises(
        InputError,
        match=r"data\.factory: made_numbers:wrong gives int, expected Users and Examples",
    ):
        read(config(pictures, text.format("wrong"))).learner()
    with pytest.raises(InputError, match=r"data\.classes: targets that are numbers"):
        read(
            config(pictures, text.format("data").replace("[model]", "classes = 3\n[model]"))
        ).learner()


def test_networks_have_as_many_weights_as_in_the_paper():
    counts = {
        name: sum(p.numel() for p in make(name, (1, 28, 28), 10, seed=0).parameters())
        for name in NETWORKS
    }
    assert (counts["two_layers"], counts["convolutional"], counts["linear"]) == (
        199_210,
        1_663_370,
        7_850,
    )
    assert sum(p.numel() for p in make("letters", (80,), 90, seed=0).parameters()) in range(
        800_000, 900_000
    )
