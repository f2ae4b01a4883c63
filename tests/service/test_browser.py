"""A person's way through the pages, in a real browser."""

import zipfile
from pathlib import Path

import pytest

from browsers import chromium, shoot


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser):
    context = browser.new_context(accept_downloads=True, viewport={"width": 900, "height": 760})
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "console", lambda message: message.type == "error" and page.problems.append(message.text)
    )
    yield page
    context.close()


def test_submit_follow_and_download(start_server, page, tmp_path):
    server = start_server("shout")
    text = tmp_path / "poem.txt"
    text.write_text("the rain in spain\n" * 1000)
    page.goto(server.url)
    shoot(page, "form")
    page.get_by_label("Text").set_input_files(text)
    page.get_by_label("How often").fill("2")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("text=Results")
    shoot(page, "done")
    assert page.locator("#state").inner_text() == "done"
    with page.expect_download() as download:
        page.get_by_role("link", name="download").nth(1).click()
    assert Path(download.value.path()).read_text() == "THE RAIN IN SPAIN\n" * 2000
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["page/report.html", "shout.txt"]
    with page.expect_popup() as popup:
        page.get_by_role("link", name="view").first.click()
    popup.value.wait_for_function("document.title === 'ran'")
    assert popup.value.evaluate("window.origin") == "null", "a result has no access to this site"
    page.get_by_role("button", name="Remove this job now").click()
    page.wait_for_selector("h1:has-text('Removed')")
    assert page.problems == []


def test_progress_changes_live_and_survives_a_restart(start_server, page, tmp_path, until):
    folder, go = tmp_path / "server", tmp_path / "go"
    server = start_server("count", folder=folder)
    port = int(server.url.rstrip("/").rpartition(":")[2])
    page.goto(server.url)
    page.get_by_label("Go").fill(str(go))
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("#message:has-text('counted to 31')")
    assert page.locator("#percent").inner_text() == "31 %"
    assert page.evaluate("document.title") == "31 % · Count"
    shoot(page, "running")
    server.end("kill")
    page.wait_for_selector("#message:has-text('does not answer')")
    start_server("count", folder=folder, port=port)
    page.wait_for_selector("#message:has-text('counted to 32')")
    go.touch()
    page.wait_for_selector("text=Results")
    assert page.locator("#percent").inner_text() == "100 %"


def test_cancel(start_server, page):
    server = start_server("wait")
    page.goto(server.url)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("#message:has-text('waiting')")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#state:has-text('cancelled')")
    page.wait_for_selector("text=There are none.")
    assert page.problems == []


def test_what_goes_wrong_is_said(start_server, page, tmp_path):
    server = start_server("fail", "shout", limits={"upload_bytes": 1000}, token="the right word")
    page.goto(server.url)
    shoot(page, "index")
    page.get_by_role("link", name="Shout").click()
    (tmp_path / "large.txt").write_bytes(bytes(5000))
    (tmp_path / "small.txt").write_text("x")
    page.get_by_label("Token").fill("a wrong word")
    page.get_by_label("Text").set_input_files(tmp_path / "large.txt")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("#problem:has-text('larger than this server takes')")
    page.get_by_label("Text").set_input_files(tmp_path / "small.txt")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("#problem:has-text('expected the token')")
    shoot(page, "refused")
    page.goto(server.url + "new/fail")
    page.get_by_label("Token").fill("the right word")
    page.get_by_label("How").fill("input")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("#problem:has-text('labels.csv: expected 10 labels, got 9')")
    page.wait_for_selector("text=did not come to its end")
    shoot(page, "failed")


def test_pages_work_without_javascript(browser, start_server, tmp_path, until):
    server = start_server("shout", token="the right word")
    (tmp_path / "a.txt").write_text("abc")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    page.get_by_label("Token").fill("the right word")
    page.get_by_label("Text").set_input_files(tmp_path / "a.txt")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("text=Results")
    assert page.locator("#state").inner_text() == "done"
    context.close()
