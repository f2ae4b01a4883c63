"""A challenge of detection: its data, its samples, and the way from a submission to the board."""

import json
import shutil
import stat

import numpy as np
import pytest
from starlette.testclient import TestClient

from handheld.bench import DetectionTask
from handheld.bench.challenge import ChallengeFolder, ChallengeRules, write_challenge
from handheld.bench.challenge.app import create_challenge_app
from handheld.bench.challenge.boxes import BoxedPictures, read_boxes, write_boxes
from handheld.bench.challenge.squares import squares
from handheld.errors import InputError
from handheld.media import write_image

pytest.importorskip("faster_coco_eval")

BASE = "http://127.0.0.1:8080"


@pytest.fixture(scope="session")
def written_squares(tmp_path_factory):
    return write_challenge(tmp_path_factory.mktemp("squares") / "ours", task="detection")


@pytest.fixture
def squares_challenge(written_squares, tmp_path):
    """A challenge of the test's own, with short runs."""
    folder = tmp_path / "ours"
    shutil.copytree(written_squares.root, folder)
    path = folder / "challenge.toml"
    text = path.read_text("utf-8")
    for old, new in (("min_queries = 100", "min_queries = 1"), ("attempts = 3", "attempts = 1")):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text.replace("min_seconds = 0.5", "min_seconds = 0.0"), "utf-8")
    return ChallengeFolder.read(folder)


@pytest.fixture
def open_client():
    clients = []

    def make(challenge, **options):
        client = TestClient(create_challenge_app(challenge, **options), base_url=BASE)
        clients.append(client)
        return client.__enter__()

    yield make
    for client in clients:
        client.__exit__(None, None, None)
        client.close()


def submit(client, token, content):
    return client.post(
        "/submissions",
        data={"name": "net"},
        files={"model": ("m.tflite", content)},
        headers={"Authorization": f"Bearer {token}"},
    )


def small(**changes):
    values = {
        "pictures": np.zeros((2, 4, 4, 3), np.uint8),
        "boxes": np.array([[0.0, 0.0, 0.5, 0.5], [0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]),
        "owners": np.array([0, 0, 1]),
        "categories": np.array([1, 2, 2]),
        "classes": ("light", "dark"),
    }
    return BoxedPictures(**(values | changes))


def test_a_new_challenge_has_two_halves_and_samples(written_squares):
    rules = written_squares.rules
    assert (rules.task, rules.metric, rules.budget) == ("detection", "mAP", 0.1)
    public, hidden = written_squares.data("public"), written_squares.data("hidden")
    assert (len(public), len(hidden)) == (200, 200)
    assert public.digest != hidden.digest
    pictures = {picture.tobytes() for picture in public.pictures}
    assert not any(picture.tobytes() in pictures for picture in hidden.pictures)
    assert [path.stem for path in written_squares.samples()] == ["blind", "cells", "slow"]
    assert stat.S_IMODE((written_squares.root / "data" / "hidden.npz").stat().st_mode) == 0o600


def test_a_budget_that_nobody_names_is_the_task_s():
    assert ChallengeRules(title="t").budget == 0.033
    assert ChallengeRules(title="t", task="detection").budget == 0.1
    assert ChallengeRules(title="t", task="detection", budget_ms=5).budget == 0.005


def test_a_part_keeps_its_boxes():
    part = small().take(np.array([1]))
    assert part.boxes.tolist() == [[0.0, 0.0, 1.0, 1.0]]
    assert (part.owners.tolist(), part.categories.tolist()) == ([0], [2])
    data = squares(40, seed=3)
    public, hidden = data.split(0.25, seed=0)
    assert (len(public), len(hidden)) == (30, 10)
    assert len(public.boxes) + len(hidden.boxes) == len(data.boxes)


def test_what_is_written_is_read(tmp_path):
    data = squares(5, seed=1)
    write_boxes(tmp_path / "d.npz", data)
    again = read_boxes(tmp_path / "d.npz")
    assert again.digest == data.digest
    assert again.classes == ("light", "dark")


def test_boxes_of_the_truth_are_all_right():
    data = squares(6, seed=2)
    task = data.task()
    answers = [task.truth(number) for number in range(len(task))]
    assert task.judge(answers).value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": np.zeros((2, 4, 4), np.uint8)}, "expected x"),
        ({"pictures": np.zeros((2, 4, 4, 3), np.float32)}, "expected x"),
        ({"owners": np.array([0, 0, 2])}, r"picture: expected numbers in \[0, 2\)"),
        ({"owners": np.array([0, 0, -1])}, "picture: expected"),
        ({"categories": np.array([0, 1, 1])}, r"category: expected numbers in \[1, 2\]"),
        ({"categories": np.array([1, 1])}, "expected 3 boxes"),
        ({"boxes": np.zeros((3, 3))}, "expected 3 boxes"),
        ({"boxes": np.zeros((3, 4))}, "top < bottom"),
        ({"boxes": np.array([[0, 0, 1, 2.0]] * 3)}, "shares"),
        ({"boxes": np.array([[0, 0, 1, np.nan]] * 3)}, "shares"),
    ],
)
def test_examples_that_are_none(changes, message):
    with pytest.raises(InputError, match=message):
        small(**changes)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=np.zeros((1, 4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"d\.npz: no array 'boxes'"):
        read_boxes(path)
    write_boxes(path, small())
    with np.load(path) as arrays:
        kept = dict(arrays)
    np.savez(path, **kept | {"category": np.array([1.0, 1.0, 1.0])})
    with pytest.raises(InputError, match=r"category is of float64"):
        read_boxes(path)
    with pytest.raises(InputError, match=r"no\.npz: cannot be read"):
        read_boxes(tmp_path / "no.npz")


def test_a_challenge_on_pictures_of_one_s_own(tmp_path):
    source = tmp_path / "coco"
    source.mkdir()
    images = []
    annotations = []
    for number in range(4):
        write_image(source / f"{number}.png", np.full((20, 40, 3), 60 * number, np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "height": 20, "width": 40})
        box = {"image_id": number, "category_id": 7 + number % 2, "bbox": [30, 5, 20, 10]}
        annotations.append(box)
    table = {"images": images, "annotations": annotations}
    (source / "annotations.json").write_text(json.dumps(table), "utf-8")
    challenge = write_challenge(tmp_path / "mine", data=source, task="detection")
    public = challenge.data("public")
    assert public.pictures.shape == (2, 320, 320, 3)
    # half of the box is beside the picture
    assert public.boxes.tolist() == [[0.25, 0.75, 0.75, 1.0]] * 2
    assert public.classes == ("category 7", "category 8")
    assert challenge.samples() == []
    assert isinstance(public.task(), DetectionTask)


def test_from_a_submission_to_the_final_results(
    squares_challenge, database_url, open_client, until, written_squares
):
    client = open_client(squares_challenge, database=database_url)
    token = client.post("/teams", json={"name": "Alpha"}).json()["token"]
    urls = {}
    for name in ("cells", "blind"):
        content = (written_squares.root / "samples" / f"{name}.tflite").read_bytes()
        answer = submit(client, token, content)
        assert answer.status_code == 201, answer.text
        urls[name] = answer.json()["url"]

    def done(url):
        return lambda: (seen := client.get(url).json())["state"] in ("done", "failed") and seen

    cells, blind = (until(done(urls[name])) for name in ("cells", "blind"))
    assert (cells["state"], cells["metric"]) == ("done", "mAP"), cells["error"]
    (measured,) = cells["measurements"]
    assert measured["accuracy"] > 0.4
    assert measured["accuracy_low"] <= measured["accuracy"] <= measured["accuracy_high"]
    assert blind["measurements"][0]["accuracy"] < measured["accuracy"]
    board = until(lambda: (b := client.get("/board.json").json())["entries"] and b)
    assert (board["metric"], board["budget_ms"]) == ("mAP", pytest.approx(100))
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "mAP" in page
    assert "Accuracy" not in page
    client.app.state.context.store.close()

    board = until(lambda: (b := client.get("/board.json").json())["data"] == "hidden" and b)
    assert board["metric"] == "mAP"
    # Of the submission and not of the board: on a busy machine its run may be INVALID, and then
    # the blind one comes first.
    _, measured = client.get(urls["cells"]).json()["measurements"]
    assert measured["data"] == "hidden"
    assert measured["accuracy"] > 0.4
    # nothing of the hidden part is in what contestants are given
    hidden = squares_challenge.path_of("hidden").read_bytes()
    assert (
        client.get("/data/public.npz").content == squares_challenge.path_of("public").read_bytes()
    )
    for path in ("/data/hidden.npz", "/data/../data/hidden.npz"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert hidden not in answer.content


def test_a_classifier_is_no_detector(squares_challenge, open_client, until, sample):
    client = open_client(squares_challenge)
    token = client.post("/teams", json={"name": "Alpha"}).json()["token"]
    url = submit(client, token, sample("linear")).json()["url"]
    seen = until(lambda: (now := client.get(url).json())["state"] in ("done", "failed") and now)
    assert seen["state"] == "failed"
    assert "output: 1 tensors, expected 4" in seen["error"]
