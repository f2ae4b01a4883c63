"""The application without a network; its worker runs, as in a real server."""

import io
import json
import zipfile

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from handheld.errors import InputError, ServiceError
from handheld.service import FormField, JobKind, create_app, serve
from handheld.service.jobs._cleanup import clean
from handheld.service.jobs._strays import adopts

PAGE = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def open_client(tmp_path, kinds, fast_limits):
    clients = []

    def make(*names, kinds_=None, limits=None, **given):
        chosen = kinds_ or [kinds[name] for name in names or kinds]
        app = create_app(
            chosen, folder=tmp_path / "jobs", limits=fast_limits(**(limits or {})), **given
        )
        client = TestClient(app, base_url="http://127.0.0.1:8080", follow_redirects=False)
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
def stored(tmp_path):
    """Say which folders of jobs there are."""
    return lambda: list((tmp_path / "jobs" / "jobs").iterdir())


def shout(client, content=b"hello", name="a.txt", data=None, **given):
    return client.post("/jobs?kind=shout", data=data, files={"text": (name, content)}, **given)


def wait_for_ever(client):
    return client.post(
        "/jobs?kind=wait",
        content=b"--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )


def finished(client, until, url):
    return until(
        lambda: (job := client.get(url).json())["state"] in ("done", "failed", "cancelled") and job
    )


def test_a_job_from_upload_to_download(client, until):
    answer = shout(client, data={"times": "2"})
    assert (answer.status_code, answer.headers["location"]) == (201, answer.json()["url"])
    url = answer.json()["url"]
    job = finished(client, until, url)
    assert (job["state"], job["fraction"], job["error"]) == ("done", 1.0, None)
    assert [(file["name"], file["bytes"]) for file in job["files"]][1] == ("shout.txt", 10)
    file = client.get(job["files"][1]["url"])
    assert file.content == b"HELLOHELLO"
    assert file.headers["content-disposition"] == 'attachment; filename="shout.txt"'
    whole = client.get(f"{url}/result.zip")
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["page/report.html", "shout.txt"]
        assert archive.read("shout.txt") == b"HELLOHELLO"
    events = client.get(f"{url}/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert json.loads(events.text.removeprefix("data: "))["state"] == "done"


ODD_NAMES = (
    "ü.html",
    " lead",
    "trail ",
    "a?b#c.txt",
    "<img src=x>.txt",
    "a;b.txt",
    "a:b",
)


def test_addresses_of_results_lead_to_them_whatever_their_names(client, until, stored):
    url = shout(client).json()["url"]
    finished(client, until, url)
    result = stored()[0] / "result"
    for name in (*ODD_NAMES, "a\\b.txt", "a\nb.txt"):
        (result / name).write_text(name)
    files = {file["name"]: file["url"] for file in client.get(url).json()["files"]}
    # What no address can name is left out, and keeps nobody from all others.
    assert files.keys() == {*ODD_NAMES, "shout.txt", "page/report.html"}
    page = client.get(url, headers=PAGE).text
    for name in ODD_NAMES:
        assert files[name].isascii()
        assert client.get(files[name]).content.decode() == name
        assert f'href="{files[name]}"' in page
    with zipfile.ZipFile(io.BytesIO(client.get(f"{url}/result.zip").content)) as archive:
        assert set(archive.namelist()) == files.keys()


def test_pages_for_people(client, until):
    start = client.get("/", headers=PAGE).text
    assert 'href="/new/shout"' in start
    assert "Makes a text louder." in start
    form = client.get("/new/shout", headers=PAGE).text
    assert 'accept=".txt,.md"' in form
    assert 'min="1"' in form
    answer = shout(client, headers=PAGE)
    assert answer.status_code == 303
    url = answer.headers["location"]
    finished(client, until, url)
    page = client.get(url, headers=PAGE).text
    assert f'href="{url}/files/shout.txt"' in page
    assert f'href="{url}/files/page/report.html?view"' in page
    assert f'action="{url}/remove"' in page
    assert "Removed" in client.post(f"{url}/remove", headers=PAGE).text
    assert client.get(url, headers=PAGE).status_code == 404
    assert "There are none" not in page


def test_what_is_shown_cannot_become_markup(open_client, until):
    kind = JobKind(
        name="fail",
        title="<b>Fail</b>",
        entry="job_functions:fail",
        fields=(FormField(name="how", label="<i>"),),
    )
    client = open_client(kinds_=[kind], title="<script>")
    assert "<script>" not in client.get("/", headers=PAGE).text.replace(
        '<script src="/static/submit.js" defer></script>', ""
    )
    assert "<b>" not in client.get("/", headers=PAGE).text


def test_headers_of_safety(client, until):
    url = shout(client).json()["url"]
    finished(client, until, url)
    for path in ("/", url, f"{url}/files/shout.txt", "/static/job.js", "/nowhere", "/healthz"):
        headers = client.get(path, headers=PAGE).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    assert client.get(url).headers["cache-control"] == "no-store"
    view = client.get(f"{url}/files/page/report.html?view").headers
    assert view["content-security-policy"].startswith(
        "sandbox allow-scripts allow-downloads; default-src 'none'"
    )
    assert "content-disposition" not in view
    assert (
        "attachment" in client.get(f"{url}/files/page/report.html").headers["content-disposition"]
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9090"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8080"},
    ],
)
def test_other_sites_change_nothing(client, until, stored, headers):
    assert shout(client, headers=headers).status_code == 403
    assert stored() == []
    url = shout(client).json()["url"]
    for method, path in (("POST", "/cancel"), ("POST", "/remove"), ("DELETE", "")):
        assert client.request(method, url + path, headers=headers).status_code == 403
    assert finished(client, until, url)["state"] == "done"


def test_our_own_pages_may(client):
    headers = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    assert shout(client, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("", 421),
        ("a:b:c", 421),
        ("localhost:9", 200),
        ("[::1]:80", 200),
        ("mine.example", 200),
    ],
)
def test_names_of_strangers_are_not_answered(open_client, host, status):
    assert (
        open_client(hosts=["Mine.example"]).get("/healthz", headers={"Host": host}).status_code
        == status
    )


def test_one_job_cannot_have_anothers_files(client, until):
    mine, other = (shout(client, content).json()["url"] for content in (b"mine", b"other"))
    for url in (mine, other):
        finished(client, until, url)
    key = other.rpartition("/")[2]
    for name in (
        f"../../{key}/result/shout.txt",
        "%2e%2e/upload/text.txt",
        "..%2fupload%2ftext.txt",
        "/etc/passwd",
        "%00",
    ):
        assert client.get(f"{mine}/files/{name}").status_code == 404
    for url in (
        mine[:-1],
        mine[:-1] + ("A" if mine[-1] != "A" else "B"),
        mine.swapcase(),
        "/jobs/%2e%2e",
    ):
        assert client.get(url).status_code == 404
    assert client.get("/jobs").status_code == 405
    assert client.get(f"{mine}/files/shout.txt").content == b"MINE"


def test_cancel_and_remove(client, until, stored):
    url = wait_for_ever(client).json()["url"]
    until(lambda: client.get(url).json()["message"] == "waiting")
    assert client.get(f"{url}/files/x").status_code == 409
    assert client.post(f"{url}/cancel").json()["state"] == "cancelling"
    assert finished(client, until, url)["state"] == "cancelled"
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == client.delete(url).status_code == 404
    clean(client.app.state.context.queue, client.app.state.context.folders)
    assert stored() == []


REFUSED = {
    "too large": (413, {"text": ("a.txt", bytes(200_000))}, {}, "at most 100000 bytes"),
    "wrong ending": (422, {"text": ("a.exe", b"x")}, {}, "called *.txt, *.md, got 'a.exe'"),
    "no file": (422, {"text": ("", b"")}, {}, "Text: expected a file, got none"),
    "unknown field": (
        422,
        {"text": ("a.txt", b"x")},
        {"other": "1"},
        "expected the fields text, times, got 'other'",
    ),
    "wrong value": (
        422,
        {"text": ("a.txt", b"x")},
        {"times": "99"},
        "How often: expected a number in [1, 9], got 99",
    ),
    "file for a value": (422, {"times": ("a.txt", b"x")}, {}, "expected a number, got a file"),
    "long value": (413, {"text": ("a.txt", b"x")}, {"times": "9" * 50_000}, "at most 40000 bytes"),
    "name of a path": (422, {"../../x": ("a.txt", b"x")}, {}, "expected the fields"),
}


@pytest.mark.parametrize(("status", "files", "data", "message"), REFUSED.values(), ids=REFUSED)
def test_forms_that_are_refused_leave_nothing(open_client, stored, status, files, data, message):
    client = open_client(limits={"upload_bytes": 100_000})
    answer = client.post("/jobs?kind=shout", files=files, data=data)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert stored() == []
    page = client.post("/jobs?kind=shout", files=files, data=data, headers=PAGE)
    assert page.status_code == status
    assert "That did not work" in page.text


def test_bodies_that_are_no_form(client, stored, multipart):
    body, kind = multipart({"times": "1", "times2": "2"}, {})
    assert client.post("/jobs?kind=shout", json={}).status_code == 415
    assert client.post(
        "/jobs?kind=shout", content=body[:-20], headers={"Content-Type": kind}
    ).status_code in (400, 422)
    assert (
        client.post(
            "/jobs?kind=shout", content=b"garbage", headers={"Content-Type": kind}
        ).status_code
        == 400
    )
    assert client.post("/jobs?kind=nothing", files={"a": b""}).status_code == 422
    twice = body.replace(b"times2", b"times")
    assert (
        "expected it once"
        in client.post("/jobs?kind=shout", content=twice, headers={"Content-Type": kind}).text
    )
    assert stored() == []


def test_a_file_that_ends_in_the_middle_is_removed(client, stored, multipart):
    body, kind = multipart({}, {"text": ("a.txt", b"x" * 5000)})
    answer = client.post("/jobs?kind=shout", content=body[:3000], headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "the upload ends in the middle; send it again",
    )
    assert stored() == []


def test_the_check_of_a_kind_decides(open_client, stored, kinds):
    def check(upload, spec):
        if (upload / spec["text"]).read_text() != "good":
            raise InputError("expected a good text, got another")
        return {"text": spec["text"], "times": 3}

    given = {
        "name": "shout",
        "title": "S",
        "entry": "job_functions:shout",
        "fields": kinds["shout"].fields,
    }
    client = open_client(kinds_=[JobKind(check=check, **given)])
    assert shout(client, b"bad").json() == {"error": "expected a good text, got another"}
    assert stored() == []
    assert shout(client, b"good").status_code == 201


def test_a_token_is_needed_to_submit(open_client, stored, multipart):
    client = open_client(token="a secret word")
    assert 'type="password"' in client.get("/new/shout", headers=PAGE).text
    for given in ({}, {"headers": {"Authorization": "Bearer wrong"}}, {"data": {"token": "wrong"}}):
        answer = shout(client, **given)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert wait_for_ever(client).status_code == 401
    assert stored() == []
    assert shout(client, headers={"Authorization": "bearer a secret word"}).status_code == 201
    assert shout(client, data={"token": "a secret word"}).status_code == 201


def test_full_queue_and_disk(open_client, stored):
    client = open_client(limits={"queued": 1, "total_bytes": 5000})
    urls = []
    while (answer := wait_for_ever(client)).status_code == 201:
        urls.append(answer.json()["url"])
        assert len(urls) < 4
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert len(stored()) == len(urls)
    for url in urls:
        client.post(f"{url}/cancel")
    assert shout(client, bytes(6000)).status_code == 413


def test_uploads_at_once_are_limited(open_client):
    client = open_client(limits={"uploads": 1})
    client.app.state.context.uploads = 1
    assert shout(client).status_code == 503


def test_strangers_take_no_slot(open_client, stored):
    client = open_client(token="a secret word", limits={"uploads": 1})
    context = client.app.state.context
    context.uploads = 1  # all that there are
    for given in ({}, {"headers": {"Authorization": "Bearer wrong"}}, {"data": {"token": "wrong"}}):
        assert shout(client, **given).status_code == 401, "not told that there is no room"
    assert shout(client, data={"token": "a secret word"}).status_code == 503
    context.uploads = 0
    assert shout(client, data={"token": "a secret word"}).status_code == 201
    assert context.uploads == 0
    assert len(stored()) == 1


def test_a_token_behind_the_file_is_told_where_it_belongs(open_client, stored):
    client = open_client(token="a secret word")
    body = (
        b'--b\r\nContent-Disposition: form-data; name="text"; filename="a.txt"\r\n\r\nhi\r\n'
        b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\na secret word\r\n--b--\r\n'
    )
    answer = client.post(
        "/jobs?kind=shout",
        content=body,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 401
    assert "before its first file" in answer.json()["error"]
    assert stored() == []


def test_a_boundary_of_any_length_is_refused_with_the_headers_of_safety(client, stored):
    content_type = "multipart/form-data; boundary=" + "b" * 60_000
    answer = client.post("/jobs?kind=shout", content=b"--", headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert "Content-Security-Policy" in answer.headers
    assert stored() == []


def test_health(client, until):
    assert client.get("/healthz").json() == {"status": "ok"}
    client.app.state.context.worker.stop()
    assert client.get("/healthz").status_code == 503


def test_static_files(client):
    assert client.get("/static/style.css").headers["content-type"].startswith("text/css")
    assert (
        client.get("/static/nothing").status_code
        == client.get("/static/..%2fserver.py").status_code
        == 404
    )


def test_what_cannot_be_served(tmp_path, kinds):
    with pytest.raises(InputError, match="one kind of job or more"):
        create_app([], folder=tmp_path)
    with pytest.raises(InputError, match="8 characters"):
        create_app(kinds.values(), folder=tmp_path, token="short")
    with pytest.raises(ServiceError, match="cannot be listened on"):
        serve(kinds.values(), folder=tmp_path, host="192.0.2.1", port=1)
    assert not adopts()  # what this process starts from here on is no job's, and nobody ends it


def test_a_database_that_is_away_is_said(client, monkeypatch):
    def away(_key):
        raise OperationalError(
            "SELECT", {}, Exception("the server closed the connection; password hush")
        )

    monkeypatch.setattr(client.app.state.context.queue, "get", away)
    answer = client.get("/healthz")
    assert (answer.status_code, "hush" in answer.text) == (503, False)
    assert "does not answer" in answer.json()["error"]
