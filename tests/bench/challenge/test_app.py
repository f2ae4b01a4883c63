"""The server without a network: its referee and its worker run, as in a real one."""

import csv
import hashlib
import io
import json

import numpy as np
import pytest
from starlette.testclient import TestClient

from handheld.bench.challenge.app import _cell, create_challenge_app
from handheld.errors import FileError, InputError

PAGE = {"Accept": "text/html,*/*;q=0.8"}
BASE = "http://127.0.0.1:8080"


@pytest.fixture
def open_client(challenge):
    clients = []

    def make(challenge=challenge, **options):
        app = create_challenge_app(challenge, **options)
        client = TestClient(app, base_url=BASE, follow_redirects=False)
        clients.append(client)
        return client.__enter__()

    yield make
    for client in clients:
        client.__exit__(None, None, None)
        client.close()


@pytest.fixture
def client(open_client):
    return open_client()


@pytest.fixture
def idle(open_client):
    """A server that measures nothing."""
    return open_client(devices=())


def register(client, name="Alpha"):
    answer = client.post("/teams", json={"name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


def submit(client, token, content, name="net", **options):
    headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
    return client.post(
        "/submissions",
        data={"name": name} | options.pop("data", {}),
        files={"model": (options.pop("file", "m.tflite"), content)},
        headers=headers,
    )


def ended(client, until, answer):
    assert answer.status_code == 201, answer.text
    url = answer.json()["url"]
    return until(lambda: (seen := client.get(url).json())["state"] in ("done", "failed") and seen)


def stored(challenge):
    return list((challenge.state / "jobs").iterdir())


def test_from_registration_to_the_final_results(client, until, sample, challenge):
    token = register(client)
    seen = ended(client, until, submit(client, token, sample("linear")))
    assert (seen["state"], seen["team"], seen["number"]) == ("done", "Alpha", 1)
    (measured,) = seen["measurements"]
    assert (measured["data"], measured["device"]) == ("public", "reference")
    # a ranking is kept for a second
    board = until(lambda: (b := client.get("/board.json").json())["entries"] and b)
    assert (board["data"], board["closed"]) == ("public", False)
    assert board["entries"][0]["score"] == measured["score"]
    client.app.state.context.store.close()
    board = until(lambda: (b := client.get("/board.json").json())["data"] == "hidden" and b)
    assert board["closed"]
    assert len(board["entries"]) == 1
    assert submit(client, token, sample("slow")).status_code == 429
    seen = client.get(f"/submissions/{seen['id']}").json()
    assert [row["data"] for row in seen["measurements"]] == ["public", "hidden"]


def test_a_bad_model_says_why(client, until, sample):
    token = register(client)
    seen = ended(client, until, submit(client, token, b"no model at all"))
    assert seen["state"] == "failed"
    assert "format: the model" in seen["error"]
    assert client.get("/board.json").json()["entries"] == []


def test_progress_comes_as_events(client, until, sample):
    answer = submit(client, register(client), sample("blind"))
    events = client.get(f"{answer.json()['url']}/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    states = [json.loads(line[6:])["state"] for line in events.text.split("\n\n") if line]
    assert states[-1] == "done"


def test_pages_for_people(idle, sample):
    answer = idle.post("/teams", data={"name": "Alpha"}, headers=PAGE)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    token = idle.post("/teams", json={"name": "Beta"}).json()["token"]
    sent = submit(idle, token, sample("linear"), headers=PAGE)
    assert sent.status_code == 303
    for path in ("/", "/register", "/submit", "/teams/2", sent.headers["location"]):
        page = idle.get(path, headers=PAGE)
        assert page.status_code == 200
        assert "bubblewrap" in page.text or "limits" in page.text, "it says what holds models"
        assert token not in page.text


def test_names_are_text_and_nothing_else(idle, sample):
    token = register(idle, "<img src=x onerror=alert(1)>")
    answer = submit(idle, token, sample("linear"), name="=cmd|' /C calc'!A0")
    for path in ("/teams/1", answer.json()["url"]):
        page = idle.get(path, headers=PAGE).text
        assert "<img src=x" not in page
        assert "&lt;img src=x" in page


def test_a_spreadsheet_computes_nothing(client, until, sample):
    token = register(client, "=1+1")
    ended(client, until, submit(client, token, sample("linear"), name="@SUM(1)"))
    # a ranking is kept for a second
    text = until(lambda: (t := client.get("/board.csv").text).count("\n") > 1 and t)
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["team"], row["model"]) == ("'=1+1", "'@SUM(1)")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_cells_that_a_spreadsheet_would_compute(sign):
    assert _cell(f"{sign}1") == f"'{sign}1"
    assert _cell(-1.5) == -1.5


BAD_NAMES = {
    "sql": ("'; DROP TABLE teams; --", 201),
    "nul": ("a\0b", 422),
    "bidi": ("a\u202eb", 422),
    "empty": ("", 422),
    "long": ("a" * 3000, 422),
}


@pytest.mark.parametrize(("name", "status"), BAD_NAMES.values(), ids=BAD_NAMES)
def test_names_of_teams(idle, name, status):
    assert idle.post("/teams", json={"name": name}).status_code == status
    assert idle.post("/teams", json={"name": "Honest"}).status_code == 201


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"name": "\\ud83d"}', "application/json", 400),
        (b'{"name": 5}', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 4000, "application/json", 400),
        (b'{"name": "' + b"a" * 5000, "application/json", 413),
        (b"name=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 100, "application/x-www-form-urlencoded", 400),
        (b"name=%00", "application/x-www-form-urlencoded", 422),
        (b"\xff\xfe", "text/plain", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"", "", 422),
    ],
)
def test_bodies_of_registrations(idle, body, content_type, status):
    answer = idle.post("/teams", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text


def test_an_invitation_is_asked_for(open_client):
    client = open_client(invitation="come in and play", devices=())
    assert client.post("/teams", json={"name": "Alpha"}).status_code == 401
    sent = {"name": "Alpha", "invitation": "come in and plaz"}
    assert client.post("/teams", json=sent).status_code == 401
    sent["invitation"] = "come in and play"
    assert client.post("/teams", json=sent).status_code == 201


def test_a_short_invitation_is_refused(challenge):
    with pytest.raises(InputError, match="8 characters or more"):
        create_challenge_app(challenge, invitation="hello")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic d3Jvbmc="},
        {"Authorization": "Bearer \xff\xfe"},
    ],
    ids=["none", "empty", "wrong", "basic", "no text"],
)
def test_without_a_token_nothing_is_taken(idle, sample, challenge, headers):
    register(idle)
    answer = idle.post(
        "/submissions",
        data={"name": "net"},
        files={"model": ("m.tflite", sample("linear"))},
        headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert stored(challenge) == []


def test_a_form_brings_its_token_before_its_file(idle, sample):
    token = register(idle)
    answer = idle.post(
        "/submissions",
        data={"token": token, "name": "net"},
        files={"model": ("m.tflite", sample("linear"))},
    )
    assert answer.status_code == 201


def test_a_token_that_was_renewed_is_worth_nothing(idle, sample):
    token = register(idle)
    renewed = idle.app.state.context.store.renew_token("Alpha")
    assert submit(idle, token, sample("linear")).status_code == 401
    assert submit(idle, renewed, sample("linear")).status_code == 201


def test_an_upload_that_is_played_again_changes_nothing(idle, sample, challenge):
    token = register(idle)
    assert submit(idle, token, sample("linear")).status_code == 201
    again = submit(idle, token, sample("linear"), name="another")
    assert (again.status_code, "submission 1 already" in again.text) == (422, True)
    assert len(idle.app.state.context.store.all_submissions()) == 1
    assert len(list((challenge.state / "models").rglob("*.tflite"))) == 1


FILES = {
    "no ending": ("model", 422),
    "another ending": ("model.exe", 422),
    "two endings": ("a.tflite.exe", 422),
    "path": ("../../../../etc/cron.d/x.tflite", 201),
    "drive": ("C:\\x.tflite", 201),
    "nul": ("a\0b.tflite", 201),
    "long": ("a" * 3000 + ".tflite", 201),
}


@pytest.mark.parametrize(("name", "status"), FILES.values(), ids=FILES)
def test_names_of_files_lead_nowhere(idle, sample, challenge, name, status):
    token = register(idle)
    answer = submit(idle, token, sample("linear"), file=name)
    assert answer.status_code == status, answer.text
    digest = hashlib.sha256(sample("linear")).hexdigest()
    kept = [path.name for path in challenge.state.rglob("*.tflite")]
    assert kept == ([f"{digest}.tflite"] if status == 201 else [])


def test_fields_that_nobody_asked_for(idle, sample):
    token = register(idle)
    answer = submit(idle, token, sample("linear"), data={"score": "1.0"})
    assert (answer.status_code, "expected the fields name, model" in answer.text) == (422, True)


def test_an_empty_file_is_told_at_once(idle, challenge):
    answer = submit(idle, register(idle), b"")
    assert (answer.status_code, "something in it" in answer.text) == (422, True)
    assert stored(challenge) == []


def test_a_full_disk_is_told_without_its_path(idle, challenge, sample, monkeypatch):
    def full(_path, _digest):
        raise FileError(f"{challenge.state}/models: cannot be written: No space left on device")

    token = register(idle)
    monkeypatch.setattr(idle.app.state.context.files, "put", full)
    answer = submit(idle, token, sample("linear"))
    assert (answer.status_code, "disk is full" in answer.text) == (507, True)
    assert str(challenge.state) not in answer.text
    assert stored(challenge) == []
    monkeypatch.undo()
    assert submit(idle, token, sample("linear")).status_code == 201


def test_an_upload_that_is_too_large_is_told_before_it_comes(open_client, challenge, with_rules):
    client = open_client(with_rules(challenge, model_bytes=1000), devices=())
    answer = submit(client, register(client), bytes(200_000))
    assert answer.status_code == 413
    assert stored(challenge) == []


def test_models_take_room_when_their_jobs_have_gone(
    open_client, challenge, with_rules, sample, until
):
    size = len(sample("linear"))
    client = open_client(with_rules(challenge, total_bytes=size + 5000), devices=())
    host = client.app.state.context
    assert submit(client, register(client), sample("linear")).status_code == 201
    key = host.store.measurements()[0].key.job
    until(lambda: host.queue.get(key))
    host.queue.cancel(key)
    until(lambda: host.store.measurements("failed"))
    host.queue.forget([key])
    assert host.room() == 5000


def test_what_was_taken_in_finds_room_to_be_measured(idle, sample, monkeypatch):
    content = sample("linear")
    token = register(idle)
    host = idle.app.state.context
    monkeypatch.setattr(host.folders, "free_bytes", lambda: 3 * 20_000)
    assert host.room() == 20_000
    assert submit(idle, token, content).status_code == 201
    # the first one's copy, and three of another
    monkeypatch.setattr(host.folders, "free_bytes", lambda: len(content) + 3 * 500)
    assert host.room() == 500
    monkeypatch.setattr(host.folders, "free_bytes", lambda: len(content))
    answer = submit(idle, token, sample("blind"))
    assert (answer.status_code, "room on the disk" in answer.text) == (503, True)


def test_limits_of_a_team(open_client, challenge, with_rules, sample):
    client = open_client(with_rules(challenge, waiting=1), devices=())
    token = register(client)
    assert submit(client, token, sample("linear")).status_code == 201
    answer = submit(client, token, sample("slow"))
    assert (answer.status_code, "waiting" in answer.text) == (429, True)
    assert submit(client, register(client, "Beta"), sample("slow")).status_code == 201


def test_before_it_opens(open_client, challenge, with_rules, sample):
    later = with_rules(challenge, "opens = 2999-01-01T00:00:00Z")
    client = open_client(later, devices=())
    answer = submit(client, register(client), sample("linear"))
    assert (answer.status_code, "not opened yet" in answer.text) == (429, True)


def test_the_hidden_part_has_no_address(idle, challenge):
    hidden = challenge.root / "data" / "hidden.npz"
    for path in (
        "/data/hidden.npz",
        "/data/..%2fdata%2fhidden.npz",
        "/data/../data/hidden.npz",
        "/samples/..%2f..%2fdata%2fhidden.npz",
        "/static/..%2f..%2fhidden.npz",
        "/samples/hidden.npz",
    ):
        assert idle.get(path).status_code == 404, path
    public = idle.get("/data/public.npz")
    assert public.content == (challenge.root / "data" / "public.npz").read_bytes()
    assert public.content != hidden.read_bytes()


def test_a_host_may_keep_the_public_part(open_client, challenge, with_rules):
    client = open_client(with_rules(challenge, "shares_public = false"), devices=())
    assert client.get("/data/public.npz").status_code == 404
    assert "/data/public.npz" not in client.get("/", headers=PAGE).text


def test_samples_can_be_fetched(idle, sample):
    assert idle.get("/samples/linear.tflite").content == sample("linear")


@pytest.mark.parametrize("job_id", ["x", "a" * 32, "a" * 64, "%00", "'%20or%201=1"])
def test_ids_that_are_none(idle, job_id):
    assert idle.get(f"/submissions/{job_id}").status_code == 404


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "2", "-1", "x", "9" * 1900])
def test_teams_that_are_none(idle, number):
    assert idle.get(f"/teams/{number}").status_code == 404


def test_an_address_that_is_too_long(idle):
    # Python reads no number of so many digits.
    answer = idle.get(f"/teams/{'9' * 5000}")
    assert (answer.status_code, "at most 2000 characters" in answer.text) == (414, True)


def test_a_device_that_is_none(idle):
    assert idle.get("/?device=%3Cb%3E", headers=PAGE).status_code == 422


def test_other_sites_may_not_submit(idle, sample):
    token = register(idle)
    headers = {"Origin": "https://elsewhere.example"}
    assert submit(idle, token, sample("linear"), headers=headers).status_code == 403
    answer = idle.post("/teams", json={"name": "Beta"}, headers=headers)
    assert answer.status_code == 403


def test_health_says_what_holds_models(client):
    answer = client.get("/healthz").json()
    assert answer["status"] == "ok"
    assert answer["isolation"]


def test_data_that_is_missing_is_told_at_the_start(challenge):
    (challenge.root / "data" / "hidden.npz").unlink()
    with pytest.raises(InputError, match=r"hidden\.npz: cannot be read"):
        create_challenge_app(challenge)


def test_rows_of_numbers_are_examples_too(open_client, challenge, until):
    from handheld.bench.challenge.rules import write_examples
    from handheld.data import Dataset
    from handheld.engine.graphs import GraphWriter

    rows = np.eye(3, dtype=np.float32)
    data = Dataset(rows, np.arange(3), ("a", "b", "c"))
    for part in ("public", "hidden"):
        write_examples(challenge.path_of(part), data)
    graph = GraphWriter()
    row = graph.input("row", (1, 3), "float32")
    one = graph.constant("one", np.ones(1, np.float32))
    model = graph.content(graph.operator("MUL", [row, one], (1, 3), options={"table": "Mul"}))
    client = open_client()
    seen = ended(client, until, submit(client, register(client), model))
    assert seen["error"] is None
    assert seen["measurements"][0]["accuracy"] == 1.0
