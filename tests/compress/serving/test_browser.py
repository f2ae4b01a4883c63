"""A person's way from an archive of pictures to a model file, in a real browser and through the
real command.
"""

import json
import zipfile

import numpy as np
import pytest
from uploads import SHAPES, VALUES, picture, shapes, zip_of

from browsers import chromium, shoot
from handheld.engine import Model, classify
from handheld.media import read_image

TOKEN = "the right word"
SLOW = 120_000


@pytest.fixture
def page():
    with chromium() as browser:
        context = browser.new_context(accept_downloads=True, viewport={"width": 900, "height": 760})
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        # A form that is refused is an error of its request, which a browser writes down too.
        page.on(
            "console",
            lambda said: (
                said.type == "error" and "422" not in said.text and page.problems.append(said.text)
            ),
        )
        yield page


def fill(page, archive):
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Data").set_input_files(archive)
    page.get_by_label("Large network").select_option(VALUES["network"])
    for label, name in (
        ("Width", "width"),
        ("Epochs", "epochs"),
        ("Techniques", "techniques"),
        ("Targets", "targets"),
    ):
        page.get_by_label(label).fill(VALUES[name])
    page.get_by_label("Quick").check()


RECORD = """addEventListener("DOMContentLoaded", () => {
    const message = document.getElementById("message");
    if (!message) return;
    const note = () => {
        const said = JSON.parse(sessionStorage.said || "[]");
        said.push([message.textContent, document.getElementById("progress").value]);
        sessionStorage.said = JSON.stringify(said);
    };
    const all = {childList: true, characterData: true, subtree: true};
    new MutationObserver(note).observe(message, all);
});"""
"""Keeps what the page of a running job says: each message may stand there for less time than it
takes to ask for it.
"""


def test_from_pictures_to_a_model_file(start_server, page, tmp_path):
    server = start_server.command(
        "--port", "0", "--folder", str(tmp_path / "server"), "--token", TOKEN, "--hours", "0.5"
    )
    archive = tmp_path / "shapes.zip"
    archive.write_bytes(
        zip_of(shapes() | {"shapes/circle/damaged.png": b"\x89PNG\r\n\x1a\nno more"})
    )
    page.goto(server.url)
    shoot(page, "form")
    fill(page, archive)
    page.get_by_label("Targets").fill("4x smaller, planar")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("#problem:has-text('planar')")
    shoot(page, "refused")
    page.get_by_label("Targets").fill(VALUES["targets"])
    page.add_init_script(RECORD)
    page.get_by_role("button", name="Start").click()

    page.wait_for_selector("#job")
    shoot(page, "running")
    page.wait_for_selector("text=Results", timeout=SLOW)
    shoot(page, "done")
    assert page.locator("#state").inner_text() == "done"
    said = json.loads(page.evaluate("sessionStorage.said"))
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert len({share for share in shares if 0 < share < 1}) > 2, said
    assert (
        "1 left out, see skipped.txt: circle/damaged.png" in page.locator("#message").inner_text()
    )

    with page.expect_popup() as popup:
        page.locator("tr", has_text="report.html").get_by_role("link", name="view").click()
    report = popup.value
    report.wait_for_selector("h1")
    shoot(report, "report")
    assert report.locator("text=plain_1").count()
    assert report.locator("text=circle/damaged.png").count(), "the report names what was left out"
    with page.expect_download() as download:
        page.locator("tr", has_text="plain_1.tflite").get_by_role("link", name="download").click()
    kept = tmp_path / "plain_1.tflite"
    download.value.save_as(kept)
    (tmp_path / "one.png").write_bytes(picture("circle", np.random.default_rng(1)))
    with Model.open(kept) as model:
        answers = classify(model, read_image(tmp_path / "one.png"), top=3)
    assert {answer.label for answer in answers} == set(SHAPES)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as everything:
        names = everything.namelist()
        assert everything.read("plain_1.tflite") == kept.read_bytes()
        assert b"circle/damaged.png: " in everything.read("skipped.txt")
    assert names == [
        "family.json",
        "plain_1.tflite",
        "report.html",
        "skipped.txt",
        "teacher.safetensors",
        "teacher.tflite",
        "teacher_int8.tflite",
    ]
    assert page.problems == []
