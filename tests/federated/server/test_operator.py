"""The operator's pages, in a real browser and for programs."""

import json

import pytest
from federations import OPERATOR

from browsers import chromium, shoot

WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser):
    # The authority of the test is none that a browser knows.
    context = browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "console", lambda message: message.type == "error" and page.problems.append(message.text)
    )
    yield page
    context.close()


def fits(page, name):
    """Look at a page on a desk and on a phone: nothing is wider than either."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        shoot(page, f"federation-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 800})


def log_in(page, server, token=OPERATOR):
    page.goto(server.url)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()


def ask(one, method, path, content=b"", token=OPERATOR):
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return one.connection.ask(method, path, content, headers=headers, most_bytes=1_000_000)


def test_watch_pause_roll_back_start(federation, start, device, together, book, page):
    server = start(federation())
    ours = book(server.folder)
    devices = [device(server, value=1) for _ in range(3)]
    for number in (1, 2, 3):
        together(*[one.take_part for one in devices])
        ours.until(lambda number=number: ours.head()[0] == number)
    log_in(page, server, "a wrong token")
    page.get_by_role("alert").get_by_text("not the operator's token").wait_for()
    page.problems.clear()  # the browser tells of the status
    log_in(page, server)
    page.get_by_role("heading", name="Devices").wait_for()
    assert page.locator("#task-sum .figures dd").first.inner_text() == "0.875"
    fits(page, "overview")
    page.get_by_role("link", name="sum").click()
    page.get_by_role("heading", name="Models").wait_for()
    fits(page, "task")
    assert page.locator("svg.picture:visible").count() == 4
    page.get_by_role("button", name="Pause").click()
    page.locator("#state", has_text="paused").wait_for()
    page.locator("tr", has_text="0.75").get_by_role("button", name="Roll back").click()
    page.locator("td", has_text="back to model 2").wait_for()
    assert ours.head() == (4, {"round": 2, "clients": 6, "total": [6] * 5})
    page.get_by_role("button", name="Start").click()
    page.locator("#state", has_text="running").wait_for()
    # The round that was under way goes on from a model that is the newest no more.
    ours.until(lambda: [row for row in ours.store.snapshot().rounds.values() if row.base != 4])
    outcomes = together(*[one.take_part for one in devices])
    ours.until(lambda: ours.store.last_rounds("sum")[1].reason)
    assert "rolled back" in ours.store.last_rounds("sum")[1].reason
    assert outcomes
    together(*[one.take_part for one in devices])
    ours.until(lambda: ours.head()[0] == 5)
    assert ours.head()[1] == {"round": 3, "clients": 9, "total": [9] * 5}
    assert page.problems == []
    page.goto(server.url)
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{server.url}/tasks/sum")
    page.get_by_label("Token").wait_for()


def test_a_page_renews_itself(federation, start, device, together, page):
    server = start(federation(tasks=[{"options": {"plain": True}, "goal": 1}]))
    log_in(page, server)
    page.get_by_text("Model 0.").wait_for()
    device(server).take_part()
    page.get_by_text("Model 1, of 1 devices.").wait_for()
    assert page.problems == []


def test_the_same_for_programs(federation, start, device):
    server = start(federation(tasks=[{"options": {"plain": True}, "goal": 1, "pause_seconds": 60}]))
    one = device(server)
    assert ask(one, "GET", "/", token="wrong").status == 401
    one.take_part()
    values = json.loads(ask(one, "GET", "/").content)
    assert values["tasks"][0]["name"] == "sum"
    assert values["devices"]["enrolled"] == 1
    assert ask(one, "POST", "/tasks/sum/pause").status == 200
    assert json.loads(ask(one, "GET", "/").content)["tasks"][0]["state"] == "paused"
    for number in ("9", "-1", "x", "9" * 50):
        answer = ask(one, "POST", "/tasks/sum/rollback", f"number={number}".encode())
        assert answer.status == 422
    assert ask(one, "POST", "/tasks/nothing/start").status == 404


def test_metrics_are_for_who_knows_the_token(federation, start, device, book):
    server = start(federation(tasks=[{"options": {"plain": True}, "goal": 1, "pause_seconds": 60}]))
    one = device(server)
    one.take_part()
    ours = book(server.folder)
    ours.until(lambda: ours.head()[0] == 1)
    assert ask(one, "GET", "/metrics", token="").status == 401
    lines = ask(one, "GET", "/metrics").content.decode().splitlines()
    assert 'handheld_federation_model_number{task="sum"} 1' in lines
    assert 'handheld_federation_figure{task="sum",figure="accuracy"} 0.5' in lines
    assert 'handheld_federation_selected_total{task="sum"} 1' in lines
    assert 'handheld_federation_messages_total{outcome="new",phase="0"} 1' in lines
    # Before the first round begins a device is told to come back.
    name = 'handheld_federation_request_seconds_count{request="check_in"} '
    counts = [line.removeprefix(name) for line in lines if line.startswith(name)]
    assert len(counts) == 1
    assert int(counts[0]) >= 1
