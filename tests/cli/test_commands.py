"""The command line, run as a person would, with the tiny models of tests/fixtures as the pack."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handheld.graph import Graph, GraphConfig, Node, PassThrough
from handheld.media import VideoWriter, open_video, write_image

FIXTURES = Path(__file__).parent.parent / "fixtures"


def picture(x):
    image = np.full((240, 320, 3), 30, np.uint8)
    image[90:150, x - 30 : x + 30] = 255
    return image


@pytest.fixture
def pack(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.toml").write_text(
        f'palm = "{FIXTURES / "tiny_palm.tflite"}"\nlandmark = '
        f'"{FIXTURES / "tiny_landmark.tflite"}"\n'
    )
    return str(tmp_path / "pack")


@pytest.fixture
def clip(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", fps=25) as writer:
        for index in range(6):
            writer.write(picture(100 + index), index * 40_000)
    return str(tmp_path / "clip.mp4")


def handheld(*words, **env):
    return subprocess.run(
        command_of(*words), capture_output=True, text=True, check=False, env=environment() | env
    )


def command_of(*words):
    return [sys.executable, "-m", "handheld.cli", *map(str, words)]


def environment():
    """Little of a person's own, but where this very source is, should it not be the
    installed one.
    """
    source = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return {"PATH": "/usr/bin", "COLUMNS": "200"} | source


def test_help_lists_the_commands():
    done = handheld("--help")
    assert done.returncode == 0
    for command in ("hands", "graph", "models", "doctor"):
        assert command in done.stdout
    assert handheld("--version").stdout.strip().count(".") == 2


def test_doctor_says_what_runs_and_what_to_fetch(tmp_path):
    done = handheld("doctor", HANDHELD_CACHE=str(tmp_path))
    assert done.returncode == 0
    assert "graph" in done.stdout
    assert "handheld models fetch mediapipe-hands" in done.stdout


def test_track_writes_video_and_json_lines(clip, pack, tmp_path):
    done = handheld(
        "hands",
        "track",
        clip,
        "--pack",
        pack,
        "--out",
        tmp_path / "o.mp4",
        "--json",
        tmp_path / "o.jsonl",
        "--every-node",
    )
    assert done.returncode == 0, done.stderr
    assert "frames/s" in done.stderr
    # One hand of two is in view: the other is looked for in each view once, and then where anything
    # but that one moves.
    assert "detector ran 6 times" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [line["t_us"] for line in lines] == [index * 40_000 for index in range(6)]
    assert all(len(line["hands"]) == 1 and "regions" in line["nodes"] for line in lines)
    assert len(list(open_video(tmp_path / "o.mp4"))) == 6


def test_track_takes_a_folder_and_counts(pack, tmp_path):
    for index in range(3):
        write_image(tmp_path / "pictures" / f"{index}.png", picture(100))
    words = (
        "hands",
        "track",
        tmp_path / "pictures",
        "--pack",
        pack,
        "--json",
        tmp_path / "o.jsonl",
        "--gestures",
        "chinese",
    )
    assert handheld(*words, "--palms-only").returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert lines[0]["hands"][0]["landmarks"] is None


def test_detect_prints_a_line_a_picture_and_names_those_it_cannot_read(pack, tmp_path):
    write_image(tmp_path / "a.png", picture(100))
    (tmp_path / "b.png").write_text("text")
    done = handheld(
        "hands",
        "detect",
        tmp_path / "b.png",
        tmp_path / "a.png",
        "--pack",
        pack,
        "--out",
        tmp_path / "drawn",
    )
    assert done.returncode == 1
    assert "b.png" in done.stderr
    line = json.loads(done.stdout)
    assert len(line["hands"]) == 1
    assert (tmp_path / "drawn" / "a.hands.png").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty file"), (b"text " * 50, "cannot be read as a video"), (None, "No such file")],
)
def test_a_video_that_is_none_is_one_line_and_status_one(pack, tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    done = handheld("hands", "track", tmp_path / "a.mp4", "--pack", pack)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_other_mistakes_are_explained(clip, pack, tmp_path):
    for words, message in [
        (("hands", "track", clip, "--pack", "nosuch"), "no model pack"),
        (("hands", "track", clip, "--pack", pack, "--every-node"), "--json"),
        (("hands", "track", clip, "--pack", pack, "--out", tmp_path / "o.txt"), "no video format"),
        (("models", "fetch", "nosuch"), "mediapipe-hands"),
        (("graph", "draw", "nosuch"), "hands, palms"),
        (("graph", "draw", "--out", tmp_path / "o.png"), ".svg or .mmd"),
    ]:
        done = handheld(*words)
        assert done.returncode == 1, words
        assert message in done.stderr


def test_graph_draw(tmp_path):
    # Two forms in one stream are for nobody, unless they are asked for.
    mermaid = handheld("graph", "draw").stdout
    assert mermaid.startswith("flowchart")
    assert "svg" not in mermaid
    both = handheld("graph", "draw", "--format", "both").stdout
    assert both.startswith(mermaid)
    assert "</svg>" in both
    assert (
        handheld("graph", "draw", "palms", "--format", "mermaid").stdout.count("palm_detector") == 1
    )
    assert handheld("graph", "draw", "--out", tmp_path / "g.svg").returncode == 0
    assert (tmp_path / "g.svg").read_text().startswith("<svg")


def test_graph_view(tmp_path):
    trace = tmp_path / "run.json"
    nodes = [Node(PassThrough(), inputs="in", outputs="out", name="passes_on")]
    with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=trace) as graph:
        graph.add("in", 1, 0)
    done = handheld("graph", "view", trace)
    assert done.returncode == 0, done.stderr
    assert "run.html" in done.stdout
    assert "passes_on" in (tmp_path / "run.html").read_text("utf-8")
    assert handheld("graph", "view", trace, "--out", tmp_path / "page.html").returncode == 0
    assert (tmp_path / "page.html").exists()
    for words, message in [
        ((tmp_path / "nosuch.json",), "cannot be read"),
        ((trace, "--out", trace), "would be written over what is read"),
    ]:
        done = handheld("graph", "view", *words)
        assert done.returncode == 1
        assert message in done.stderr


def test_models_list(tmp_path):
    done = handheld("models", "list", HANDHELD_CACHE=str(tmp_path))
    assert "mediapipe-hands" in done.stdout
    assert "no" in done.stdout


def test_json_lines_of_a_clip_go_to_a_pipe(clip, pack):
    done = handheld("hands", "track", clip, "--pack", pack, "--json", "-")
    assert done.returncode == 0
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()] == list(range(6))
    assert "wrote" not in done.stderr


def test_a_clip_on_standard_input(clip, pack, tmp_path):
    with open(clip, "rb") as file:
        done = subprocess.run(
            command_of("hands", "track", "-", "--pack", pack, "--json", "-"),
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
    assert len(done.stdout.splitlines()) == 6, done.stderr


def test_names_with_brackets_are_told_whole(clip, pack, tmp_path):
    out = tmp_path / "a [final].mp4"
    done = handheld("hands", "track", clip, "--pack", pack, "--out", out)
    assert f"wrote {out}\n" in done.stderr
    assert out.exists()


def test_results_do_not_go_over_what_is_read(clip, pack):
    before = Path(clip).read_bytes()
    for option in ("--out", "--json"):
        done = handheld("hands", "track", clip, "--pack", pack, option, clip)
        assert done.returncode == 1
        assert "would be written over what is read" in done.stderr
    assert Path(clip).read_bytes() == before


def test_pictures_of_one_name_are_all_drawn(pack, tmp_path):
    for name in ("s1/x.jpg", "s1/x.png", "s2/x.jpg"):
        write_image(tmp_path / name, picture(100))
    paths = sorted(tmp_path.glob("s?/x.*"))
    done = handheld("hands", "detect", *paths, "--pack", pack, "--out", tmp_path / "drawn")
    assert done.returncode == 0
    assert len(list((tmp_path / "drawn").iterdir())) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_end_keeps_what_was_done_and_leaves_nothing_else(clip, pack, tmp_path, number):
    """SIGTERM, as ``timeout`` and ``docker stop`` send it, or a terminal that is closed, while the
    source has no more to give yet.
    """
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    out = tmp_path / "out"
    running = subprocess.Popen(
        command_of("hands", "track", pipe, "--pack", pack, "--json", "-", "--out", out / "a.mkv"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with VideoWriter(tmp_path / "long.ts") as writer:
        for index in range(200):
            writer.write(picture(100), index * 40_000)
    with running, pipe.open("wb") as feed:
        feed.write((tmp_path / "long.ts").read_bytes())
        feed.flush()
        assert running.stdout.readline()  # at work, and waiting for more: the pipe stays open
        running.send_signal(number)
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert [path.name for path in out.iterdir()] == ["a.mkv"]
    assert len(list(open_video(out / "a.mkv"))) >= 1


def test_what_is_quiet_leaves_standard_error_empty(clip, pack, tmp_path):
    done = handheld(
        "hands",
        "track",
        clip,
        "--pack",
        pack,
        "--json",
        "-",
        "--out",
        tmp_path / "o.mp4",
        "--quiet",
    )
    assert len(done.stdout.splitlines()) == 6
    assert "frames/s" not in done.stderr
    assert "wrote" not in done.stderr


def test_detect_writes_its_lines_to_a_file(pack, tmp_path):
    write_image(tmp_path / "a.png", picture(100))
    done = handheld(
        "hands", "detect", tmp_path / "a.png", "--pack", pack, "--json", tmp_path / "a.jsonl"
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert len(json.loads((tmp_path / "a.jsonl").read_text())["hands"]) == 1


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_no_files_of_others(closed, tmp_path):
    """A file that is opened next would get their number, and what a library prints be written into
    it.
    """
    numbers = ", ".join(f"os.close({number})" for number in closed)
    code = f"import os, sys; {numbers}; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [
        sys.executable,
        "-c",
        code,
        *command_of("models", "list", "--json", tmp_path / "m.json")[1:],
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "m.json").read_text())[0]["bundle"] == "mediapipe-hands"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize(
    "words", [["models", "list"], ["models", "list", "--json", "-"], ["--help"]]
)
def test_a_full_disk_behind_standard_output_is_one_line(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command_of(*words),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment(),
        )
    assert (done.returncode, done.stderr) == (
        1,
        "error: what the command says: No space left on device\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
def test_a_working_folder_that_is_gone_is_named(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        "import os, sys; os.rmdir(os.getcwd());"
        " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    words = command_of("models", "list", "--json", "here.json")[1:]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        cwd=gone,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the working folder: ")


def test_completion_is_of_one_name_however_it_is_asked_for():
    done = subprocess.run(
        [sys.executable, "-m", "handheld", "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
        env=environment() | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert "-F _handheld_completion handheld" in done.stdout
    words = {"COMP_WORDS": "handheld mod", "COMP_CWORD": "1", "_HANDHELD_COMPLETE": "complete_bash"}
    assert handheld(**words).stdout.split() == ["models"]
