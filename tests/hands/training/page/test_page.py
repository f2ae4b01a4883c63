import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from browsers import chromium, shoot
from handheld.errors import InputError
from handheld.hands.training.examples.corrections import corrections_file, read_records
from handheld.hands.training.examples.labelling import read_labels

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

from handheld.hands.training.page import create_app, serve  # noqa: E402  (needs the extra server)
from handheld.hands.training.page.desk import LabelDesk  # noqa: E402

HAND = {"keypoints": [[1, 2]] * 21, "visible": [True] * 21, "handedness": None, "dropped": False}


@pytest.fixture
def start(photos):
    """Serve a file of labels in a thread; gives the page's address."""
    servers = []

    def started(labels):
        app = create_app(LabelDesk(labels), photos)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        # What listens already takes connections, which wait until the server has started.
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        servers.append((server, thread, listening))
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"

    yield started
    for server, thread, listening in servers:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def address(start, labels):
    return start(labels)


def ask(url, content=None, **headers):
    data = (
        content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
    )
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.loads(answer.read())


def refusal(url, content=None, **headers):
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(url, content, **headers)
    with refused.value as answer:
        body = answer.read()
        is_json = answer.headers["Content-Type"].startswith("application/json")
        return answer.code, json.loads(body)["error"] if is_json else body.decode()


def sendable(shown, **changes):
    hands = [{name: hand[name] for name in HAND} for hand in shown["hands"]]
    return {"version": shown["version"], "reviewed": False, "hands": hands} | changes


def test_a_photo_comes_with_its_labels_and_changes_are_kept(address, labels):
    listed = ask(f"{address}photos")
    assert listed["names"] == ["set/b.png", "set/c.png", "set/a.png"]
    shown = ask(f"{address}photos/0")
    assert (shown["height"], shown["width"], shown["problem"]) == (240, 320, "")
    assert shown["hands"][0]["handedness"] == "Right"
    with urllib.request.urlopen(f"{address}photos/0/picture") as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert cv2.imdecode(np.frombuffer(answer.read(), np.uint8), 1).shape == (240, 320, 3)
    answer = ask(f"{address}photos/0", sendable(shown, reviewed=True))
    assert answer == {"version": 1, "state": "reviewed"}
    assert read_labels(labels)["set/b.png"][0].source == "true"


def test_only_labels_of_another_size_are_warned_of(start, labels, make_line):
    sizes = {"set/a.png": [240, 320], "set/b.png": [120, 160], "set/c.png": None}
    lines = [make_line(name, 0.1) | {"size": size} for name, size in sizes.items()]
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    address = start(labels)
    warnings = {}
    for index, name in enumerate(ask(f"{address}photos")["names"]):
        warnings[name] = ask(f"{address}photos/{index}").get("warning")
    assert warnings == {
        "set/a.png": None,
        "set/b.png": "the photo has 320 x 240 pixels, its labels are for 160 x 120",
        "set/c.png": None,
    }


def test_a_second_tab_does_not_write_over_the_first(address):
    shown = ask(f"{address}photos/0")
    first = sendable(shown)
    first["hands"][0]["keypoints"][8] = [5, 6]
    ask(f"{address}photos/0", first)
    code, message = refusal(f"{address}photos/0", sendable(shown, reviewed=True))
    assert code == 409
    assert "set/b.png was changed elsewhere" in message
    assert ask(f"{address}photos/0")["hands"][0]["keypoints"][8] == [5, 6]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no json", "expected JSON"),
        ([], "expected a table"),
        ({"version": 0, "hands": []}, "reviewed"),
        ({"version": 0, "reviewed": False, "hands": []}, "hands: expected 1, got 0"),
        ({"version": 0, "reviewed": 1, "hands": []}, "reviewed: expected true or false"),
        (
            {"version": 0, "reviewed": False, "hands": [HAND | {"keypoints": [[1, 2]] * 20}]},
            "keypoints: length",
        ),
        (
            {"version": 0, "reviewed": False, "hands": [HAND | {"keypoints": [["a", 2]] * 21}]},
            "expected a number",
        ),
        (
            {"version": 0, "reviewed": False, "hands": [HAND | {"keypoints": [[1e9, 2]] * 21}]},
            "keypoints",
        ),
        (b"[NaN]", "expected a table"),
        ({"version": 0, "reviewed": False, "hands": [HAND | {"handedness": "Both"}]}, "handedness"),
        (b"x" * 200_000, "expected 131072 bytes or fewer"),
    ],
)
def test_bad_requests_are_refused_and_keep_nothing(address, labels, content, message):
    code, said = refusal(f"{address}photos/0", content)
    assert code == 400
    assert message in said
    assert not corrections_file(labels).exists()


def test_a_photo_that_is_not_listed_is_refused(address):
    assert refusal(f"{address}photos/3") == (400, "expected a photo from 0 to 2, got 3")


def test_other_sites_are_refused(address):
    code, _ = refusal(f"{address}photos/0", {}, Origin="https://elsewhere.example")
    assert code == 403
    code, _ = refusal(f"{address}photos", Host="elsewhere.example")
    assert code == 421


def test_only_its_own_files_are_given(address):
    for name in ("__init__.py", "desk.py", "..%2fdesk.py", "nothing.html"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address + name)
        with refused.value as answer:
            assert answer.code == 404


def test_names_that_lead_elsewhere_show_nothing(start, photos, labels, make_line):
    cv2.imwrite(str(photos.parent / "secret.png"), np.zeros((9, 9, 3), np.uint8))
    lines = [make_line("../secret.png", 0.1), make_line(str(photos.parent / "secret.png"), 0.1)]
    labels.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    address = start(labels)
    for index in range(2):
        assert "not a path in the folder of photos" in ask(f"{address}photos/{index}")["problem"]
        assert refusal(f"{address}photos/{index}/picture")[0] == 400


def test_a_name_that_is_too_long_is_a_photo_that_is_not_there(labels, tmp_path, make_line):
    labels.write_text(json.dumps(make_line("x" * 5_000, 0.1)) + "\n")
    with pytest.raises(InputError, match="holds none of the 1 photos"):
        serve(labels, tmp_path)


def test_a_folder_without_the_photos_is_refused(labels, tmp_path):
    with pytest.raises(InputError, match="holds none of the 3 photos"):
        serve(labels, tmp_path, port=0)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser):
    """Open an address in a window; what its console complains of is in ``problems``."""
    contexts = []

    def opened(address, width=1200, height=800, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda text: text.type == "error" and page.problems.append(text.text))
        page.pictures = []
        page.on(
            "request",
            lambda asked: asked.url.endswith("/picture") and page.pictures.append(asked.url),
        )
        page.goto(address)
        page.locator("#queue [aria-current], #status.bad").first.wait_for()
        assert page.problems == []
        return page

    yield opened
    for context in contexts:
        context.close()


def until(page, condition):
    """Wait for something in the page, whose policy lets no text be run by `wait_for_function`."""
    page.evaluate(
        "new Promise((resolve) => { const look = () => "
        f"({condition}) ? resolve() : setTimeout(look, 20); look(); }})"
    )


def kept(page):
    until(page, "dirty.size === 0 && saving === null")


def now(labels, name):
    (hand,) = next(record for record in read_records(labels) if record["photo"] == name)["hands"]
    return hand


def test_a_person_corrects_by_keys(address, labels, open_page):
    page = open_page(address)
    assert page.locator("#name").inner_text() == "set/b.png"
    shoot(page, "label-1200")
    start = now(labels, "set/b.png")["keypoints"][8]
    page.keyboard.press("8")
    assert page.locator("#selected").inner_text().startswith("8 index tip · seen")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    kept(page)
    kept(page)
    hand = now(labels, "set/b.png")
    assert hand["keypoints"][8][:2] == pytest.approx([start[0] + 1, start[1] - 10])
    page.keyboard.press("Tab")
    assert page.locator("#selected").inner_text().startswith("9 middle mcp")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("1")
    page.keyboard.press("2")
    assert page.locator("#selected").inner_text().startswith("12 middle tip")
    page.keyboard.press("v")
    page.keyboard.press("h")
    kept(page)
    hand = now(labels, "set/b.png")
    assert hand["visible"][12] == 0
    assert hand["right"] == 0.0
    page.keyboard.press("u")
    until(page, "photo.hands[0].handedness === 'Right' && saving === null")
    assert now(labels, "set/b.png")["right"] == 0.7
    page.keyboard.press("a")
    page.locator("#name:has-text('set/c.png')").wait_for()
    page.keyboard.press("x")
    page.locator("#hands:has-text('dropped')").wait_for()
    page.keyboard.press("n")
    page.locator("#name:has-text('set/a.png')").wait_for()
    assert now(labels, "set/c.png")["dropped"] is True
    page.keyboard.press("p")
    page.locator("#name:has-text('set/c.png')").wait_for()
    page.keyboard.press("?")
    assert page.get_by_text("the person's left or right hand").is_visible()
    shoot(page, "label-keys")
    page.keyboard.press("Escape")
    assert page.problems == []
    assert "1 accepted" in page.locator("#where").inner_text()
    page.goto("about:blank")
    page.goto(address)
    # On where one stopped: the first photo that nobody has accepted.
    page.locator("#name:has-text('set/c.png')").wait_for()


def test_undo_leads_back_to_the_photo_that_was_accepted(address, labels, open_page):
    page = open_page(address)
    page.keyboard.press("a")
    page.locator("#name:has-text('set/c.png')").wait_for()
    page.keyboard.press("u")
    page.locator("#name:has-text('set/b.png')").wait_for()
    kept(page)
    page.locator("#where:has-text('0 accepted')").wait_for()
    assert "source" not in now(labels, "set/b.png")


def place_of(page, keypoint):
    box = page.locator(f".hand [data-point='{keypoint}']").last.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_keypoint_is_dragged(address, labels, open_page):
    page = open_page(address)
    x, y = place_of(page, 4)
    page.mouse.move(x + 2, y + 1)
    page.mouse.down()
    page.mouse.move(x + 30, y + 20)
    page.mouse.move(x + 62, y + 41)
    page.mouse.up()
    until(page, "dirty.size === 0 && saving === null && undone.length === 1")
    scale = page.evaluate("drawing.scale")
    before = json.loads(labels.read_text().splitlines()[1])["hands"][0]["keypoints"][4]
    after = now(labels, "set/b.png")["keypoints"][4]
    # By as much as the pointer, wherever near the keypoint it was taken.
    assert after[0] - before[0] == pytest.approx(60 * scale, abs=0.1)
    assert after[1] - before[1] == pytest.approx(40 * scale, abs=0.1)


def test_a_finger_drags_on_a_phone(address, labels, open_page):
    page = open_page(address, 390, 844, has_touch=True, is_mobile=True)
    shoot(page, "label-390")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    x, y = place_of(page, 8)
    touch = page.context.new_cdp_session(page)
    for name, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x + 20, "y": y + 10}]),
        ("touchMove", [{"x": x + 30, "y": y + 15}]),
        ("touchEnd", []),
    ):
        touch.send("Input.dispatchTouchEvent", {"type": name, "touchPoints": points})
    until(page, "dirty.size === 0 && saving === null && undone.length === 1")
    scale = page.evaluate("drawing.scale")
    before = json.loads(labels.read_text().splitlines()[1])["hands"][0]["keypoints"][8]
    assert now(labels, "set/b.png")["keypoints"][8][0] - before[0] == pytest.approx(
        30 * scale, abs=0.2
    )
    page.get_by_role("button", name="Accept").tap()
    page.locator("#name:has-text('set/c.png')").wait_for()
    assert page.problems == []


def test_two_tabs_do_not_lose_each_others_work(address, labels, open_page):
    first = open_page(address)
    second = open_page(address)
    first.keyboard.press("8")
    first.keyboard.press("ArrowRight")
    kept(first)
    second.keyboard.press("h")
    second.locator("#status.bad:has-text('changed elsewhere')").wait_for()
    hand = now(labels, "set/b.png")
    assert hand["right"] == 0.7
    assert second.evaluate("photo.hands[0].keypoints[8][0]") == hand["keypoints"][8][0]
    # With what the first did before it, the second one's change is taken now.
    second.keyboard.press("h")
    kept(second)
    hand = now(labels, "set/b.png")
    assert hand["right"] == 0.0
    assert hand["keypoints"][8][2] is None


def test_photos_that_cannot_be_shown_say_why(start, photos, labels, make_line, open_page):
    names = ["set/gone.png", "set/broken.png", "set/größer 'die' \"Hände\" <b>手.png"]
    (photos / names[1]).write_bytes(b"\x89PNG no picture")
    (photos / names[2]).write_bytes((photos / "set" / "a.png").read_bytes())
    labels.write_text("".join(json.dumps(make_line(name, 0.1)) + "\n" for name in names))
    page = open_page(start(labels))
    page.locator("#problem:has-text('No such file')").wait_for()
    shoot(page, "label-gone")
    page.keyboard.press("a")
    page.locator("#status:has-text('cannot be accepted')").wait_for()
    page.keyboard.press("n")
    page.locator("#problem:has-text('broken.png')").wait_for()
    page.keyboard.press("n")
    page.locator("#problem").wait_for(state="hidden")
    assert page.locator("#name").inner_text() == names[2]
    page.keyboard.press("a")
    until(page, "list.states[2] === 'reviewed'")
    assert page.problems == []
    assert now(labels, names[2])["source"] == "corrected"


def test_ten_thousand_photos_are_a_list_of_a_few_rows(start, labels, make_line, open_page):
    with labels.open("w") as lines:
        for number in range(10_000):
            name = "set/a.png" if number == 9_999 else f"set/{number}.png"
            lines.write(json.dumps(make_line(name, 0.5 - number * 1e-5)) + "\n")
    page = open_page(start(labels))
    assert "1 of 10000" in page.locator("#where").inner_text()
    assert page.locator("#queue li").count() == 13
    page.get_by_label("Find").fill("a.png")
    page.keyboard.press("Enter")
    page.locator("#where:has-text('10000 of 10000')").wait_for()
    # Of the one photo that is there, and none of the others.
    assert page.pictures == [f"{page.url.partition('#')[0]}photos/9999/picture"]
    page.keyboard.press("a")
    page.locator("#where:has-text('1 of 10000')").wait_for()
    assert now(labels, "set/a.png")["source"] == "corrected"


def test_an_unknown_keypoint_is_put_by_a_click(start, labels, make_line, open_page):
    entry = make_line("set/a.png", 0.1)
    entry["hands"][0]["keypoints"][8] = [None, None, None]
    labels.write_text(json.dumps(entry) + "\n")
    page = open_page(start(labels))
    page.keyboard.press("8")
    assert page.locator("#selected").inner_text() == "8 index tip · unknown"
    box = page.locator("#stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    kept(page)
    # The middle of 320 x 240 pixels, of which the first one's middle is 0.
    x, y, z = now(labels, "set/a.png")["keypoints"][8]
    assert (x, y) == pytest.approx((159.5, 119.5), abs=1)
    assert z is None
    page.keyboard.press("Delete")
    page.locator("#selected:has-text('unknown')").wait_for()


def test_a_server_that_is_gone_is_told_and_the_change_is_kept_later(labels, run_command, open_page):
    """A killed process has kept all but the last key; the page sends that when there is another."""
    port = free_port()
    server = run_command(port)
    page = open_page(f"http://127.0.0.1:{port}/")
    page.keyboard.press("8")
    page.keyboard.press("ArrowRight")
    kept(page)
    before = now(labels, "set/b.png")["keypoints"][8]
    server.kill()
    server.wait()
    page.keyboard.press("ArrowRight")
    page.locator("#status:has-text('trying again')").wait_for()
    assert now(labels, "set/b.png")["keypoints"][8] == before
    run_command(port)
    kept(page)
    assert now(labels, "set/b.png")["keypoints"][8][0] == pytest.approx(before[0] + 1)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture
def run_command(labels, photos):
    """Start the command in a process of its own, as on a machine without a language."""
    servers = []

    def started(port=0, *options):
        command = [sys.executable, "-m", "handheld", "hands", "label", str(labels)]
        command += ["--photos", str(photos), "--port", str(port), *options]
        environment = os.environ | {"LANG": "C", "LC_ALL": "C"}
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        servers.append(server)
        server.address = server.stdout.readline().strip()
        assert server.address.startswith("http://127.0.0.1:")
        return server

    yield started
    for server in servers:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_writes_in_place_when_it_is_ended(labels, run_command, number):
    server = run_command(0, "--in-place")
    shown = ask(f"{server.address}photos/0")
    ask(f"{server.address}photos/0", sendable(shown, reviewed=True))
    assert corrections_file(labels).exists()
    server.send_signal(number)
    server.wait(timeout=30)
    assert not corrections_file(labels).exists()
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert lines[1]["hands"][0]["source"] == "corrected"


def test_without_it_the_labels_stay_as_they_are(labels, run_command):
    before = labels.read_bytes()
    server = run_command()
    shown = ask(f"{server.address}photos/0")
    ask(f"{server.address}photos/0", sendable(shown, reviewed=True))
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=30)
    assert labels.read_bytes() == before
    assert len(corrections_file(labels).read_text().splitlines()) == 1
