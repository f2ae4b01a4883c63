import os

import numpy as np
import pytest

from handheld.bench import BenchProtocol, ClassificationTask
from handheld.bench.classification import read_labels
from handheld.data import Dataset
from handheld.engine import Model, embed
from handheld.errors import InputError, ModelError

PROTOCOL = BenchProtocol()


def colours(count=12):
    """Pictures that are red, green or blue in their first pixel; the label says which."""
    labels = np.arange(count) % 3
    pictures = np.zeros((count, 2, 2, 3), np.uint8)
    pictures[np.arange(count), 0, 0, labels] = 255
    return Dataset(pictures, labels.astype(np.int64), ("red", "green", "blue"))


def answers_of(task, path):
    with Model.open(path) as model:
        session = task.begin(model, PROTOCOL)
        return [session.answer(model.run(*session.feed(number))) for number in range(len(task))]


def test_a_model_that_knows_is_right(model_file):
    task = ClassificationTask.of(colours())
    estimate = task.judge(answers_of(task, model_file))
    assert (estimate.value, estimate.count) == (1.0, 12)


def test_what_is_not_answered_is_wrong(model_file):
    task = ClassificationTask.of(colours())
    answers = answers_of(task, model_file)
    assert task.judge([*answers[:9], None, None, None]).value == 9 / 12
    assert task.judge(answers[:4]).count == 4


def test_labels_of_a_card_are_matched_by_name(model_file):
    card = {"labels": ["blue", "red", "green"], "image": {}}
    model_file.write_bytes(embed(model_file.read_bytes(), card))
    # its first output is called blue, and is the largest for what is red
    task = ClassificationTask.of(colours())
    assert task.judge(answers_of(task, model_file)).value == 0.0


def test_labels_of_a_file_are_too(model_file, tmp_path):
    (tmp_path / "labels.txt").write_text("red\ngreen\n\nblue\n")
    task = ClassificationTask.of(colours(), labels=read_labels(tmp_path / "labels.txt"))
    assert task.judge(answers_of(task, model_file)).value == 1.0


def test_an_output_more_is_the_background(tmp_path, make_classifier):
    path = tmp_path / "m.tflite"
    path.write_bytes(make_classifier(classes=4))
    # outputs 0 to 3 stand for background, red, green, blue: all are one off
    task = ClassificationTask.of(colours())
    assert set(answers_of(task, path)) == {-1, 0, 1}


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        (6, (), "6 scores come out, for 3 classes"),
        (3, ("red", "green"), "has 2 labels, but 3 scores come out"),
        (3, ("red", "green", "sky"), "has no label 'blue'"),
    ],
)
def test_models_of_other_classes_are_refused(tmp_path, make_classifier, classes, labels, message):
    path = tmp_path / "m.tflite"
    path.write_bytes(make_classifier(classes=classes))
    task = ClassificationTask.of(colours(), labels=labels)
    with Model.open(path) as model, pytest.raises(ModelError, match=message):
        task.begin(model, PROTOCOL)


def test_the_order_is_shuffled_by_a_seed():
    truths = [ClassificationTask.of(colours(60), seed=seed)._truth.tolist() for seed in (0, 0, 1)]
    assert truths[0] == truths[1] != truths[2]
    assert truths[0] != sorted(truths[0])


def test_pictures_of_a_folder_may_be_of_any_size(tmp_path, model_file):
    image = pytest.importorskip("PIL.Image")
    for name, colour in (("red", (255, 0, 0)), ("green", (0, 255, 0)), ("blue", (0, 0, 255))):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for side in (5, 16):
            image.new("RGB", (side, side + 1), colour).save(folder / f"{side}.png")
    task = ClassificationTask.of_folder(tmp_path / "data", labels=("red", "green", "blue"))
    assert task.classes == ("blue", "green", "red")
    assert task.judge(answers_of(task, model_file)).value == 1.0
    assert len(task.digest) == 64


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(InputError, match="expected folders of pictures by class"):
        ClassificationTask.of_folder(tmp_path)


def test_rows_of_numbers(tmp_path, fixtures_folder):
    rows = Dataset(np.eye(4, dtype=np.float32)[:, :3], np.arange(4), tuple("abcd"))
    task = ClassificationTask.of(rows)
    with (
        Model.open(fixtures_folder / "tiny_add.tflite") as model,
        pytest.raises(ModelError, match="takes"),
    ):
        task.begin(model, PROTOCOL)


def test_texts_are_not_for_it():
    with pytest.raises(InputError, match="got texts"):
        ClassificationTask.of(Dataset(("a", "b"), np.arange(2), ("x", "y")))


def test_scores_that_are_no_numbers_are_no_answer(tmp_path, make_graph):
    # NaN for red, the first class, whatever the picture is
    graph = make_graph("classifier")
    picture = graph.tensor("picture", (1, 2, 2, 3))
    flat = graph.reshape("flat", picture, [1, 12])
    bias = np.array([np.nan, 0, 0], np.float32)
    scores = graph.dense("scores", flat, np.eye(3, 12, dtype=np.float32), bias)
    path = tmp_path / "nan.tflite"
    path.write_bytes(graph.finish([picture], [scores]))
    task = ClassificationTask.of(colours())
    assert task.judge(answers_of(task, path)).value == 0.0


def test_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "cat").mkdir()
    pipe = tmp_path / "cat" / "1.jpg"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"1\.jpg: cannot be read \(it is a pipe"):
        read_labels(pipe)
    with pytest.raises(InputError, match=r"1\.jpg: cannot be read \(it is a pipe"):
        ClassificationTask.of_folder(tmp_path)
