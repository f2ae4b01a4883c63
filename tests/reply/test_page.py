import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from browsers import chromium
from handheld.reply import PersonalState, Replier

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

from handheld.reply.page import create_app  # noqa: E402  (needs the extra server)


@pytest.fixture
def address(replier: Replier, tmp_path: Path) -> Iterator[str]:
    """Where the page is served."""
    app = create_app(replier, personal=tmp_path / "me.json")
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    # What listens already takes connections, which wait until the server has started.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


def post(url: str, content: object, **headers: str) -> dict[str, object]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, data, headers, method="POST")
    ) as answer:
        return json.loads(answer.read())


def test_replies_are_suggested_learned_and_forgotten(
    address: str, replier: Replier, tmp_path: Path
):
    messages = [{"text": "where are you now", "mine": False}]
    found = post(f"{address}suggest", {"messages": messages})
    assert [reply["text"] for reply in found["replies"]] == list(
        replier.suggest("where are you now", fallback=True).texts
    )
    assert post(f"{address}learn", {"messages": messages, "reply": "up in the tree"}) == {
        "choices": 1
    }
    assert PersonalState.read(tmp_path / "me.json").choices[0].reply == "up in the tree"
    assert (
        post(f"{address}suggest", {"messages": messages})["replies"][0]["text"] == "up in the tree"
    )
    assert post(f"{address}forget", {}) == {"choices": 0}
    assert PersonalState.read(tmp_path / "me.json").choices == ()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"no json", "expected JSON"),
        ([], "expected a JSON object"),
        ({}, "expected messages, 1 to 50"),
        ({"messages": []}, "expected messages, 1 to 50"),
        ({"messages": [3]}, "expected messages, 1 to 50"),
        ({"messages": [{"text": 3}]}, "expected text, a text"),
        ({"messages": [{"text": "a"}] * 51}, "expected messages, 1 to 50"),
        (b"x" * 100_000, "expected 65536 bytes or fewer"),
    ],
)
def test_bad_requests_are_refused(address: str, content: object, expected: str):
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{address}suggest", content)
    with refused.value as answer:
        assert answer.code == 400
        assert json.loads(answer.read())["error"].startswith(expected)


def test_other_sites_are_refused(address: str):
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{address}forget", {}, Origin="https://elsewhere.example")
    with refused.value as answer:
        assert answer.code == 403


def test_only_its_own_files_are_given(address: str):
    with urllib.request.urlopen(address) as page:
        assert b"Replies on the device" in page.read()
    for name in ("__init__.py", "..%2fbundle.py", "nothing.html"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address + name)
        with refused.value as answer:
            assert answer.code == 404


def test_a_person_chats_in_a_browser(address: str, replier: Replier):
    with chromium() as browser:
        page = browser.new_page()
        problems: list[str] = []
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
        page.goto(address)
        page.get_by_label("Message").fill("thanks a lot <3 & more")
        page.get_by_role("button", name="Send").click()
        reply = page.locator("#replies button").first
        reply.wait_for()
        assert page.locator("#said li").first.inner_text() == "thanks a lot <3 & more"
        text = replier.suggest("thanks a lot <3 & more", fallback=True).texts[0]
        assert reply.inner_text().startswith(text)
        reply.click()
        page.locator("#said li.me").wait_for()
        assert page.locator("#said li.me").inner_text() == text
        assert page.locator("#replies button").count() == 0
        page.get_by_role("button", name="Forget").click()
        page.get_by_text("forgotten").wait_for()
    assert problems == []
    assert replier.personal.choices == ()


def test_half_a_letter_and_brackets_without_end_are_refused_and_learning_goes_on(
    address: str, tmp_path: Path
):
    messages = [{"text": "where are you now", "mine": False}]
    for content in (
        {"messages": messages, "reply": "\ud83d"},
        {"messages": [{"text": "cut \ud83d", "mine": False}], "reply": "up in the tree"},
        b'{"messages": ' + b"[" * 30_000,
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            post(f"{address}learn", content)
        with caught.value as answer:
            assert answer.code == 400
    assert post(f"{address}learn", {"messages": messages, "reply": "up in the tree"}) == {
        "choices": 1
    }
    assert PersonalState.read(tmp_path / "me.json").choices[0].reply == "up in the tree"
