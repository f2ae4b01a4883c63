import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handheld.compress.config import named, read, targets
from handheld.compress.pictures.training.batches import Augmentation
from handheld.compress.settings import FamilySettings, TextEpochs
from handheld.compress.targets import Target
from handheld.config import find
from handheld.data import Splits
from handheld.errors import InputError

EXAMPLES = Path(__file__).parents[2] / "examples" / "compress"


def config(folder: Path, text: str) -> Path:
    path = folder / "c.toml"
    path.write_text(text)
    return path


def test_a_whole_configuration(tmp_path: Path):
    (tmp_path / "d.npz").write_bytes(b"")
    path = config(
        tmp_path,
        """
out = "there"
targets = ["70KB", "5ms on phone", "94x smaller, 27x faster, plain"]
[data]
path = "d.npz"
size = [32, 32]
[teacher]
network = "mobile"
width = 16
[settings]
budget = 0.1
seed = 7
[settings.training]
epochs = 3
[devices]
phone = 4
""",
    )
    found = read(path)
    assert found.out == Path("there")
    assert found.targets == (
        Target(size=70_000),
        Target(latency=0.005, slowdown=4.0),
        Target(smaller=94.0, faster=27.0, kind="plain"),
    )
    assert (found.settings.training.epochs, found.settings.training.batch, found.settings.seed) == (
        3.0,
        256,
        7,
    )
    assert found.data.size == (32, 32)
    assert found.teacher.network == "mobile"


def test_numbers_and_names_in_lists(tmp_path: Path):
    found = read(
        config(
            tmp_path,
            """
[data]
path = "x"
[teacher]
file = "big.tflite"
mean = [0]
std = [0.5]
classes = [281, "dog"]
[settings]
class_weights = [1, 2.5]
threads = 2
[settings.texts]
members = 3
""",
        )
    )
    assert (found.teacher.mean, found.teacher.std, found.teacher.classes) == (
        (0.0,),
        (0.5,),
        (281, "dog"),
    )
    assert (found.settings.class_weights, found.settings.threads) == ((1.0, 2.5), 2)
    assert found.settings.texts == TextEpochs(12.0, 3.0)
    balanced = read(
        config(tmp_path, '[data]\npath = "x"\n[settings]\nclass_weights = "balanced"\n')
    )
    assert balanced.settings.class_weights == "balanced"


def test_class_weights_by_hand():
    """Six, two and no examples: 8 / (2 * 6) and 8 / (2 * 2), so that both classes count four."""
    settings = FamilySettings(class_weights="balanced").weighted([6, 2, 0])
    assert settings.distillation.class_weights == pytest.approx((2 / 3, 2, 1))
    assert FamilySettings().weighted([6, 2]) == FamilySettings()
    assert FamilySettings(class_weights=(1.0, 3.0)).weighted([6, 2]).distillation.class_weights == (
        1.0,
        3.0,
    )
    with pytest.raises(InputError, match="2 numbers for 3 classes"):
        FamilySettings(class_weights=(1.0, 3.0)).weighted([1, 1, 1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quantise", math.inf),
        ("quantise", "2"),
        ("quantise_rate", math.inf),
        ("budget", math.inf),
        ("views", 1.5),
        ("views", True),
        ("max_loss", math.nan),
        ("sparsity", 1),
        ("frozen", 1),
        ("threads", 1.5),
        ("processes", 1.5),
        ("class_weights", (1.0, -1.0)),
        ("class_weights", (1.0, math.nan)),
        ("class_weights", ("a",)),
        ("class_weights", 5),
        ("variants", "no"),
        ("texts", 5),
        ("training", None),
        ("augmentation", {}),
    ],
)
def test_settings_that_cannot_be_are_named_at_once(name: str, value: object):
    with pytest.raises(InputError, match=rf"^{name}(\[\d\])?( is|:) .*expected"):
        FamilySettings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"), [("shift", 1.5), ("cutout", -1), ("zoom", 0), ("colour", 1), ("flip", "yes")]
)
def test_variations_that_cannot_be_are_named(name: str, value: object):
    with pytest.raises(InputError, match=f"^{name}: expected"):
        Augmentation(**{name: value})  # type: ignore[arg-type]


def test_what_is_left_out_has_defaults(tmp_path: Path):
    found = read(config(tmp_path, '[data]\npath = "x"\n'))
    assert found.targets == 6
    assert found.settings == FamilySettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("out = ", "cannot be read as a configuration"),
        ("[dta]\n", "no entry 'dta'"),
        ("[data]\n", "data: expected either a path or a factory"),
        ("[data]\npath = 3\n", "data.path: expected a text, got 3"),
        (
            '[data]\npath = "x"\n[settings]\nspeed = 1\n',
            "settings: no entry 'speed'; expected .*budget",
        ),
        (
            '[data]\npath = "x"\n[settings]\nclass_weights = "even"\n',
            "class_weights: expected balanced or .*, got 'even'",
        ),
        (
            '[data]\npath = "x"\n[settings]\nclass_weights = [true]\n',
            r"class_weights\[0\]: expected a number, got True",
        ),
        (
            '[data]\npath = "x"\n[settings]\nthreads = -1\n',
            "settings.threads: expected a whole number of 0 or more, got -1",
        ),
        (
            '[data]\npath = "x"\n[settings.texts]\nteacher = -1\n',
            r"texts.teacher: expected a number in \[0, inf\), got -1",
        ),
        (
            '[data]\npath = "x"\n[teacher]\nfile = "x"\nclasses = [1.5]\n',
            r"classes\[0\]: expected a whole number or a text",
        ),
        (
            '[data]\npath = "x"\n[settings.training]\nepochs = "3"\n',
            "settings.training.epochs: expected a number, got '3'",
        ),
        (
            '[data]\npath = "x"\n[settings.training]\nepochs = -3\n',
            r"settings\.training\.epochs: expected a number in",
        ),
        (
            '[data]\npath = "x"\n[settings]\ntechniques = ["magic"]\n',
            "techniques: expected some of .*, got 'magic'",
        ),
        ('targets = ["5ms on mars"]\n[data]\npath = "x"\n', "no device 'mars'"),
        ('targets = ["5 apples"]\n[data]\npath = "x"\n', "apples"),
        (
            'targets = true\n[data]\npath = "x"\n',
            "targets: expected a whole number or a list, got True",
        ),
        ('[data]\npath = "x"\n[teacher]\ntrained = true\n', "needs a checkpoint"),
        ("data = 3\n", "data: expected a table"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str):
    with pytest.raises(InputError, match=message):
        read(config(tmp_path, text))


def test_no_such_configuration(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.toml")


def test_a_checkpoint_that_is_not_there_is_named(tmp_path: Path):
    found = read(
        config(tmp_path, '[data]\npath = "x"\n[teacher]\ncheckpoint = "none.safetensors"\n')
    )
    with pytest.raises(InputError, match=r"no none\.safetensors"):
        _ = found.found_teacher
    (tmp_path / "none.safetensors").write_bytes(b"")
    assert found.found_teacher.checkpoint == str(tmp_path / "none.safetensors")


def test_a_checkpoint_may_be_named_from_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "examples").mkdir()
    (tmp_path / "teacher.safetensors").write_bytes(b"")
    found = read(
        config(
            tmp_path / "examples",
            '[data]\npath = "x"\n[teacher]\ncheckpoint = "teacher.safetensors"\n',
        )
    )
    monkeypatch.chdir(tmp_path)
    assert found.found_teacher.checkpoint == str(tmp_path / "teacher.safetensors")


def test_classes_get_names(splits: Splits):
    assert named(splits, ("a", "b", "c")).classes == ("a", "b", "c")
    with pytest.raises(InputError, match="2 names for 3 classes"):
        named(splits, ("a", "b"))


def test_data_that_is_not_there_is_looked_for_in_both_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HANDHELD_DATA", str(tmp_path / "data"))
    with pytest.raises(InputError, match="HANDHELD_DATA"):
        read(config(tmp_path, '[data]\npath = "none.npz"\n')).load()


def test_without_handheld_data_no_folder_of_ours_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "shared" / "data" / "there.npz").touch()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")  # from where ../shared/data was the default once
    monkeypatch.delenv("HANDHELD_DATA", raising=False)
    with pytest.raises(InputError, match="HANDHELD_DATA \\(which is not set\\)"):
        find("there.npz", tmp_path / "work")


def test_columns_are_those_that_are_named(tmp_path: Path):
    rows = "".join(f"{number},kind {number % 2},body {number}\n" for number in range(20))
    (tmp_path / "t.csv").write_text("n,kind of it,words\n" + rows)
    with pytest.raises(
        InputError,
        match="nothing says which are label and text: name them: label_column and text_columns",
    ):
        read(config(tmp_path, '[data]\npath = "t.csv"\n')).load()
    data = read(
        config(
            tmp_path,
            '[data]\npath = "t.csv"\nlabel_column = "kind of it"\ntext_columns = ["words", "n"]\n',
        )
    ).load()
    assert data.classes == ("kind 0", "kind 1")
    assert all(str(text).startswith("body ") for text in data.train.inputs)


def test_how_arrays_and_pictures_are_read_can_be_said(tmp_path: Path):
    np.savez(tmp_path / "d.npz", x=np.full((20, 3, 6, 3), 16.0), y=np.arange(20) % 2)
    for text, message in (
        ("white = 16", r"first or last: .*`channels` under \[data\]"),
        ('channels = "first"', r"16 to 16; .*`white` under \[data\]"),
        ('channels = "last"\nwhite = 8', "expected 0 to 8"),
    ):
        with pytest.raises(InputError, match=message):
            read(config(tmp_path, f'[data]\npath = "d.npz"\n{text}\n')).load()
    data = read(config(tmp_path, '[data]\npath = "d.npz"\nchannels = "first"\nwhite = 16\n')).load()
    assert data.train.inputs.shape[1:] == (6, 3, 3)
    assert np.unique(np.asarray(data.train.inputs)).tolist() == [255]


def test_pictures_can_be_read_as_grey(tmp_path: Path):
    for number in range(12):
        path = tmp_path / "pets" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (200, 100, number)).save(path)
    data = read(config(tmp_path, '[data]\npath = "pets"\ngrey = true\nsize = [6, 5]\n')).load()
    assert data.train.inputs.shape[1:] == (6, 5, 1)


def test_a_number_of_members():
    assert targets(4, {}) == 4


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_right(path: Path):
    assert read(path).targets


def test_data_from_a_function_of_the_users(tmp_path: Path):
    (tmp_path / "my_pictures.py").write_text(
        "import numpy as np\nfrom handheld.data import from_pairs\n"
        "def splits(): return from_pairs([(np.full((4, 4), 9 * n, np.uint8), n % 2) for n in "
        "range(20)])\n"
        "def nothing(): return None\n"
    )
    assert (
        len(read(config(tmp_path, '[data]\nfactory = "my_pictures:splits"\n')).load().train) == 16
    )
    for text, message in (
        ('factory = "my_pictures:nothing"', "gives a NoneType, expected Splits"),
        ('factory = "my_pictures:absent"', "no factory 'my_pictures:absent'"),
        ('factory = "my_pictures:splits"\npath = "d.npz"', "either a path or a factory"),
        (
            'factory = "my_pictures:splits"\nlabel_column = "a"',
            "data.label_column: says how a path is read",
        ),
        ("valid = 0.1", "either a path or a factory"),
    ):
        with pytest.raises(InputError, match=message):
            read(config(tmp_path, f"[data]\n{text}\n")).load()
