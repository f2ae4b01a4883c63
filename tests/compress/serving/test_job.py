"""What a job does with an upload, up to the run itself and after it."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from uploads import arrays, shapes, zip_of

from handheld.compress.family import Family, Latency, Member
from handheld.compress.serving import job
from handheld.errors import CompileError, InputError
from handheld.projection import TextClassifier

ONNX = b"\x08\x07\x3a\x02\x12\x00"
WEIGHTS = save({"a": np.zeros(2, np.float32)})


@pytest.fixture
def runs(monkeypatch):
    """Stand where ``compress`` does: keep what it is called with, and write a family of one."""
    called = []

    def compress(teacher, data, **given):
        called.append((teacher, data, given))
        given["progress"]("joint training", 0.5, "loss 1.0")
        given["out"].mkdir(parents=True, exist_ok=True)
        small, teacher = member("small", "teacher.safetensors"), member("teacher", "report.html")
        for one in (small, teacher):
            (given["out"] / one.file).write_bytes(b"x")
        record = {"data": {"skipped": [list(one) for one in data.skipped]}}
        Family(given["out"], data.classes, teacher, (small,), record=record).save()
        (given["out"] / ".half.tmp").write_bytes(b"left by a run that was killed")

    monkeypatch.setattr("handheld.compress.run.compress", compress)
    return called


def member(name, file):
    took = Latency(1e-3, 1e-3, 0.0, 9)
    return Member(name, file, "", "int8", 9, 9, 9, took, 0.5, 0.5, 0.5, 9, took)


def told(folder, spec):
    said = []
    job.run(folder, spec, lambda share, text: said.append((share, text)))
    return said


def test_a_run_gets_what_the_form_says(prepare, runs):
    folder, spec = prepare(
        zip_of(shapes(10)), targets="70KB; 5ms", side="12", seed="7", quick="", epochs="4"
    )
    told(folder, spec)
    ((teacher, data, given),) = runs
    assert (teacher.network, teacher.width, teacher.checkpoint, teacher.file) == (
        "residual",
        4,
        None,
        None,
    )
    assert data.train.inputs.shape[1:] == (12, 12, 3)
    assert data.classes == ("circle", "cross", "square")
    settings = given["settings"]
    assert (settings.training.epochs, settings.finish.epochs, settings.quantise, settings.seed) == (
        4,
        2,
        0.8,
        7,
    )
    assert (settings.variants, settings.augmentation.flip) == (True, False)
    assert [target.size for target in given["targets"]] == [70_000, None]


def test_pictures_are_mirrored_where_that_was_asked(prepare):
    spec = prepare(zip_of(shapes(1)), mirror="on")[1]
    assert job.settings_of(spec, 100).augmentation.flip
    old = {name: value for name, value in spec.items() if name != "mirror"}
    assert not job.settings_of(old, 100).augmentation.flip


@pytest.mark.parametrize(
    ("examples", "batch"), [(24, 16), (1023, 16), (1024, 32), (8192, 256), (60_000, 256)]
)
def test_few_examples_make_small_batches(prepare, examples, batch):
    settings = job.settings_of(prepare(zip_of(shapes(1)))[1], examples)
    assert settings.training.batch == settings.finish.batch == batch
    assert settings.training.rate == pytest.approx(0.2 * batch / 256)


THINGS = (
    "door",
    "window",
    "gate",
    "lid",
    "box",
    "shop",
    "tap",
    "book",
    "file",
    "app",
    "drawer",
    "car",
)
LINES = "".join(f"open\topen up the {thing}\nclose\tplease shut the {thing}\n" for thing in THINGS)


def test_texts_become_a_family_too(prepare):
    folder, spec = prepare(
        zip_of({"texts.tsv": LINES}),
        targets="20KB; 40KB, projected",
        network="convolutional",
        seed="3",
    )
    said = told(folder, spec)
    assert [share for share, _ in said] == sorted(share for share, _ in said)
    assert said[-1] == (1.0, "2 models, none short of its target")
    names = {path.name for path in (folder / "result").iterdir()}
    assert names == {
        "report.html",
        "family.json",
        "teacher.tflite",
        "rows_1.tflite",
        "signs_2.tflite",
    }
    with TextClassifier.open(folder / "result" / "rows_1.tflite") as classifier:
        assert classifier.classify("open up the oven", top=1)[0][0] == "open"


@pytest.mark.parametrize(
    ("content", "network", "why"),
    [
        (
            {"texts.tsv": LINES},
            "residual",
            "residual does not read texts, which the data are: choose lstm or transformer or",
        ),
        (
            shapes(10),
            "lstm",
            "lstm does not read pictures, which the data are: choose residual or mobile",
        ),
    ],
)
def test_a_network_that_does_not_read_the_data(prepare, content, network, why):
    folder, spec = prepare(zip_of(content), network=network)
    with pytest.raises(InputError, match=why):
        told(folder, spec)


ODD = "n,kind of it,words\n" + "".join(f"{n},{'ab'[n % 2]},text {n}\n" for n in range(20))


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({}, "nothing says which are label and text"),
        ({"label_column": "kind of it"}, "columns 'n', 'words' could be them"),
        (
            {"label_column": "kind of it", "text_columns": "words; n"},
            "residual does not read texts",
        ),  # so they were read
    ],
)
def test_columns_can_be_named(prepare, columns, why):
    folder, spec = prepare(zip_of({"texts.csv": ODD}), network="residual", **columns)
    with pytest.raises(InputError, match=why):
        told(folder, spec)


def test_an_onnx_model_is_only_read(prepare, runs):
    folder, spec = prepare(zip_of(shapes(10)), model=("model.onnx", ONNX))
    told(folder, spec)
    teacher = runs[0][0]
    assert (teacher.file, teacher.checkpoint, teacher.trained) == (
        str(folder / "upload" / "model.onnx"),
        None,
        False,
    )
    assert teacher.isolated, "it is a stranger's"


@pytest.mark.parametrize("trained", [True, False])
def test_weights_are_where_training_begins(prepare, runs, trained):
    folder, spec = prepare(
        zip_of(shapes(10)), model=("model.safetensors", WEIGHTS), trained="on" if trained else ""
    )
    told(folder, spec)
    teacher = runs[0][0]
    assert (teacher.file, teacher.checkpoint) == (
        None,
        str(folder / "upload" / "model.safetensors"),
    )
    assert teacher.trained is trained


def test_weights_of_another_network_are_told_without_paths(prepare):
    folder, spec = prepare(zip_of(shapes(10)), model=("model.safetensors", WEIGHTS))
    with pytest.raises(InputError, match=r"^upload/model.safetensors does not fit the network: "):
        told(folder, spec)


def test_a_damaged_picture_is_named_skipped_and_counted(prepare, runs):
    folder, spec = prepare(
        zip_of(
            shapes(10) | {"shapes/circle/damaged.png": b"x", "shapes/cross/half.png": b"\x89PNG"}
        )
    )
    said = told(folder, spec)
    left_out = "2 left out, see skipped.txt: circle/damaged.png, cross/half.png"
    assert said[-1] == (1.0, f"1 model, none short of its target; {left_out}")
    lines = (folder / "result" / "skipped.txt").read_text().splitlines()
    assert lines[0] == "2 left out"
    assert [line.split(": ")[0] for line in lines[1:]] == ["circle/damaged.png", "cross/half.png"]
    assert len(runs[0][1].train) == 24


def test_only_the_family_is_handed_over_and_the_data_goes(prepare, runs):
    folder, spec = prepare(zip_of(shapes(10)))
    said = told(folder, spec)
    assert [share for share, _ in said] == sorted(share for share, _ in said)
    assert [path.name for path in sorted((folder / "result").iterdir())] == [
        "family.json",
        "report.html",
        "teacher.safetensors",
    ]
    assert [path.name for path in (folder / "work").iterdir()] == ["residual-4"]


def test_a_job_killed_after_its_run_hands_over(prepare, runs):
    folder, spec = prepare(zip_of(shapes(10)))
    told(folder, spec)
    (folder / "result" / "report.html").unlink()
    told(folder, spec)
    assert len(runs) == 1
    assert (folder / "result" / "report.html").exists()


def test_a_job_killed_while_it_unpacked_begins_that_again(prepare, runs):
    folder, spec = prepare(zip_of(shapes(10)))
    (folder / "work" / ".data.abc" / "shapes").mkdir(parents=True)
    told(folder, spec)
    assert not (folder / "work" / ".data.abc").exists()


@pytest.mark.parametrize(
    ("said", "kind", "shown"),
    [
        ("layer a.b cannot be", CompileError, "layer a.b cannot be"),
        ("{}/work/data/x: no", InputError, "data/x: no"),
    ],
)
def test_errors_keep_their_kind_unless_they_name_the_servers_folders(
    prepare, monkeypatch, said, kind, shown
):
    folder, spec = prepare(zip_of(shapes(10)))

    def compress(*_args, **_given):
        raise CompileError(said.format(folder))

    monkeypatch.setattr("handheld.compress.run.compress", compress)
    with pytest.raises(kind) as caught:
        told(folder, spec)
    assert str(caught.value) == shown


X, Y = np.zeros((30, 16, 16, 3), np.uint8), np.arange(30) % 3


@pytest.mark.parametrize(
    ("files", "limits", "message"),
    [
        ({"a.npz": arrays(x=X, y=Y[:-1])}, {}, "^data/a.npz: 30 examples, but 29 labels"),
        ({"a.npz": arrays(x=X, y=Y * 0)}, {}, "examples of two classes or more"),
        (
            {"a.npz": arrays(x=X)},
            {},
            r"expected arrays x_train and y_train, or x and y, got \['x'\]",
        ),
        (shapes(10), {"classes": 2}, "Data, classes: this server takes at most 2, got 3"),
        (
            {f"{name}/x.png": b"x" for name in "ab"},
            {},
            "nothing could be read; the first of 2, data/a/x.png",
        ),
    ],
)
def test_data_that_cannot_be_learned_from(prepare, files, limits, message):
    folder, spec = prepare(zip_of(files), limits=limits)
    with pytest.raises(InputError, match=message) as caught:
        told(folder, spec)
    assert str(folder) not in str(caught.value)
    assert not list(Path(folder / "result").iterdir())


def test_arrays_go_all_the_way(prepare, runs):
    folder, spec = prepare(zip_of({"a.npz": arrays(x=X, y=Y, classes=np.array(["p", "q", "r"]))}))
    told(folder, spec)
    assert runs[0][1].classes == ("p", "q", "r")
