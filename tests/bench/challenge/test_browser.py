"""A contestant's way through the pages, in a real browser."""

import pytest

from browsers import chromium, shoot
from handheld.bench.challenge.client import ChallengeClient
from handheld.bench.challenge.hosting import opened_store

WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
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
        shoot(page, f"challenge-{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 800})


def register(page, name):
    page.get_by_role("link", name="Register", exact=True).click()
    page.get_by_label("Name of the team").fill(name)
    fits(page, "register")
    page.get_by_role("button", name="Register").click()
    return page.locator("#token").inner_text()


def submit(page, token, name, path):
    page.get_by_role("link", name="Submit", exact=True).click()
    page.get_by_label("Token").fill(token)
    page.get_by_label("Name of the model").fill(name)
    page.get_by_label("Model", exact=True).set_input_files(path)
    page.get_by_role("button", name="Submit").click()


def compete(address, challenge):
    """Let another team submit a sample, and wait for it."""
    token = ChallengeClient(address).register("Guessers")["token"]
    client = ChallengeClient(address, token)
    answer = client.submit(challenge.root / "samples" / "blind.tflite", "guess")
    *_, last = client.follow(answer["url"])
    assert last["state"] == "done"


def test_register_submit_follow_and_read_the_board(start, challenge, page, tmp_path):
    address, _ = start(challenge)
    page.goto(address)
    fits(page, "empty")
    token = register(page, "Über <b>Team</b>")
    fits(page, "registered")
    submit(page, token, "stripes", challenge.root / "samples" / "linear.tflite")
    page.wait_for_selector("h2:has-text('On the public part')")
    assert page.locator("#state").inner_text() == "done"
    fits(page, "submission")
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"no model")
    submit(page, token, "nonsense", bad)
    page.wait_for_selector("#problem:has-text('format: the model')")
    assert page.locator("#state").inner_text() == "failed"
    fits(page, "failed")
    page.get_by_role("link", name="Über <b>Team</b>").click()
    assert page.locator("tbody tr").count() == 2
    fits(page, "team")
    compete(address, challenge)
    page.get_by_role("link", name="Leaderboard").click()
    # VALID runs come first, and which are depends on what else the machine does.
    names = page.locator(".board .who a").all_inner_texts()
    assert sorted(names) == ["Guessers", "Über <b>Team</b>"]
    assert page.locator("svg.picture").first.is_visible()
    fits(page, "board")
    with opened_store(challenge) as store:
        store.close()
    page.goto(f"{address}/submit")
    page.wait_for_selector("text=no more models are taken")
    for _ in range(60):
        page.goto(address)
        if page.get_by_text("Final results").count():
            break
        page.wait_for_timeout(500)
    page.wait_for_selector("text=Final results")
    fits(page, "final")
    assert page.problems == []


def test_a_wrong_token_is_told_on_the_page(start, challenge, page):
    address, _ = start(challenge, devices=[])
    page.goto(address)
    submit(page, "a wrong token", "net", challenge.root / "samples" / "linear.tflite")
    page.wait_for_selector("#problem:has-text('expected the token')")


def test_pages_work_without_javascript(browser, start, challenge):
    address, _ = start(challenge, devices=[])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    token = register(page, "Plain")
    submit(page, token, "net", challenge.root / "samples" / "linear.tflite")
    page.wait_for_selector("h1:has-text('net')")
    context.close()
