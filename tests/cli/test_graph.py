"""``handheld graph``: graphs from files drawn, checked and run."""

import json
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from handheld.cli._graph_files import pairs_of, side_value
from handheld.cli.app import app
from handheld.errors import GraphTextError, HandheldError, InputError

RUNNER = CliRunner()

SUM = """
input_stream: "A:a"
input_stream: "B:b"
input_side_packet: "ALLOW:allow"
output_stream: "OUT:out"
node { calculator: "MergeCalculator" input_stream: "a" input_stream: "b" output_stream: "first" }
node { calculator: "GateCalculator" input_stream: "first" output_stream: "out"
       input_side_packet: "ALLOW:allow"
       options { [mediapipe.GateCalculatorOptions.ext] { allow: true } } }
"""
UNKNOWN = """
input_stream: "a"
output_stream: "c"
node { calculator: "Mine" input_stream: "a" output_stream: "b" }
node { calculator: "Mine" input_stream: "b" output_stream: "c" }
"""


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "sum.pbtxt"
    path.write_text(SUM)
    return str(path)


@pytest.fixture
def unknown(tmp_path):
    path = tmp_path / "unknown.pbtxt"
    path.write_text(UNKNOWN)
    return str(path)


def called(*words):
    return RUNNER.invoke(app, ["graph", *map(str, words)])


def lines(path, packets):
    rows = [json.dumps({"timestamp": at, "payload": payload}) for at, payload in packets.items()]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_file_is_drawn_in_one_form(graph, unknown, tmp_path):
    done = called("draw", unknown)
    assert done.stdout.startswith("flowchart TD\n")
    assert done.stdout.count("Mine") == 2
    assert called("draw", unknown, "--mermaid").stdout == done.stdout
    assert called("draw", graph, "--format", "svg").stdout.startswith("<svg")
    assert called("draw", graph, "--svg", tmp_path / "a.svg").stdout == ""
    ElementTree.parse(tmp_path / "a.svg")
    called("draw", graph, "--out", tmp_path / "a.mmd")
    assert (tmp_path / "a.mmd").read_text().startswith("flowchart")


def test_a_file_that_cannot_be_drawn_is_told(tmp_path, graph):
    (tmp_path / "bad.pbtxt").write_text("node {")
    assert isinstance(called("draw", tmp_path / "bad.pbtxt").exception, GraphTextError)
    done = called("draw", graph, "--svg", tmp_path / "a.svg", "--mermaid")
    assert isinstance(done.exception, InputError)
    done = called("draw", tmp_path / "none.pbtxt")
    assert "none.pbtxt: cannot be read" in str(done.exception)


def test_a_check_lists_what_is_not_registered(unknown, graph):
    done = called("check", unknown, graph)
    assert done.exit_code == 0
    assert f"{unknown}: 2 nodes, 0 registered" in done.stdout
    assert "not registered: Mine (line 4, 5)" in done.stdout
    assert f"{graph}: 2 nodes, 2 registered" in done.stdout
    assert called("check", unknown, "--strict").exit_code == 1


def test_a_check_tells_all_errors_and_fails(tmp_path):
    path = tmp_path / "bad.pbtxt"
    path.write_text("nod {}\nnode { calculator: 'GateCalculator' input_stream: 'x' }")
    done = called("check", path, "--json", "-")
    assert done.exit_code == 1
    (table,) = json.loads(done.stdout)
    assert table["ok"] is False
    assert [finding["line"] for finding in table["findings"]] == [1, 2, 2]
    assert table["nodes"] == [
        {"calculator": "GateCalculator", "registered": "GateCalculator", "line": 2, "column": 6}
    ]


def test_files_with_a_type_are_subgraphs_of_each_other(tmp_path):
    inner = tmp_path / "inner.pbtxt"
    inner.write_text("type: 'Inner' " + SUM)
    outer = tmp_path / "outer.json"
    node = {"calculator": "Inner", "input_stream": ["A:x", "B:x"], "output_stream": ["OUT:y"]}
    outer.write_text(json.dumps({"input_stream": "x", "output_stream": "y", "node": node}))
    done = called("check", outer, inner, "--strict")
    assert done.exit_code == 0, done.stdout
    assert "not registered: Inner (line 0)" in called("check", outer).stdout


def test_a_graph_runs_on_lines(graph, tmp_path):
    a = lines(tmp_path / "a.jsonl", {0: "a0", 20: {"x": [1, 2.5]}})
    b = lines(tmp_path / "b.jsonl", {0: "b0", 10: "b10"})
    out = tmp_path / "out.jsonl"
    done = called(
        "run", graph, "--input", f"A={a}", "--input", f"b={b}", "--side", "allow=true",
        "--output", f"OUT={out}", "--json", tmp_path / "result.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    assert done.stdout == "out: 3 packets\n"
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"timestamp": 0, "payload": "a0"},
        {"timestamp": 10, "payload": "b10"},
        {"timestamp": 20, "payload": {"x": [1, 2.5]}},
    ]
    assert json.loads((tmp_path / "result.json").read_text()) == {"outputs": {"out": 3}}


def test_what_stays_open_is_said(graph, tmp_path):
    a = lines(tmp_path / "a.jsonl", {0: 1})
    done = called("run", graph, "--input", f"a={a}")
    assert "open, for want of --input: b\n" in done.stderr
    assert "open, for want of --side: allow\n" in done.stderr


def test_a_stream_is_fed_where_a_side_packet_of_its_name_stays_open(tmp_path):
    path = tmp_path / "same.pbtxt"
    path.write_text(
        """
        input_stream: "x" input_side_packet: "x" output_stream: "y"
        node { calculator: "PacketThinnerCalculator" input_stream: "x" output_stream: "y"
               input_side_packet: "PERIOD:x" }
        """
    )
    fed = lines(tmp_path / "x.jsonl", {0: "a", 4: "b"})
    words = ["run", path, "--input", f"x={fed}", "--output", "y=-"]
    assert called(*words).stdout.count("payload") == 2
    assert called(*words, "--side", "x=5").stdout.count("payload") == 1


def test_a_side_packet_that_is_not_given_stays_open(graph, tmp_path):
    a = lines(tmp_path / "a.jsonl", {0: 1})
    words = ["run", graph, "--input", f"a={a}", "--input", f"b={a}", "--output", "out=-"]
    assert called(*words).stdout == '{"timestamp": 0, "payload": 1}\n'
    assert called(*words, "--side", "ALLOW=false").stdout == ""


def test_any_stream_may_be_written(graph, tmp_path):
    a = lines(tmp_path / "a.jsonl", {0: 1})
    done = called("run", graph, "--input", f"a={a}", "--input", f"b={a}", "--output", "first=-")
    assert done.stdout == '{"timestamp": 0, "payload": 1}\n'


def test_an_input_far_ahead_of_another_does_not_fill_its_queue(graph, tmp_path):
    a = lines(tmp_path / "a.jsonl", dict.fromkeys(range(1000), "a"))
    b = lines(tmp_path / "b.jsonl", {999: "b"})
    words = ["run", graph, "--input", f"a={a}", "--input", f"b={b}", "--output", "out=-"]
    # A warning, as of a queue that grows, is an error here.
    assert called(*words).stdout.count("\n") == 1000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"timestamp": 0}', "a.jsonl:1: expected {"),
        ('{"timestamp": 0, "payload": 1, "more": 2}', "a.jsonl:1: expected {"),
        ('{"timestamp": true, "payload": 1}', "a.jsonl:1: expected {"),
        ('\n{"timestamp": 1.5, "payload": 1}', "a.jsonl:2: expected {"),
        ("[]", "a.jsonl:1: expected {"),
        ("{", "a.jsonl:1: no JSON"),
        ('{"timestamp": 5, "payload": 1}\n' * 2, "a.jsonl:2: expected a timestamp after 5, got 5"),
    ],
)
def test_lines_that_are_no_packets_are_told(graph, tmp_path, content, reason):
    (tmp_path / "a.jsonl").write_text(content)
    path = tmp_path / "a.jsonl"
    out = tmp_path / "out.jsonl"
    words = ["--input", f"a={path}", "--input", f"b={path}", "--output", f"out={out}"]
    done = called("run", graph, *words)
    assert isinstance(done.exception, InputError)
    assert reason in str(done.exception)
    assert not out.exists()


def test_mistakes_are_told(graph, unknown, tmp_path):
    a = lines(tmp_path / "a.jsonl", {0: 1})
    for words, reason in [
        ([graph, "--input", "a"], "--input: expected name=value, got 'a'"),
        ([graph, "--input", f"a={a}", "--input", f"a={a}"], "--input: a stands twice"),
        ([graph, "--input", f"c={a}"], "--input: 'c' is none of the graph; there are: a, b"),
        ([graph, "--input", f"a={a}.txt", "--input", f"b={a}"], "expected a file that ends in"),
        ([graph, "--input", f"a={tmp_path}/no.jsonl", "--input", f"b={a}"], "no.jsonl cannot be"),
        ([graph, "--input", f"a={a}", "--side", "none=1"], "no side packet 'none'"),
        ([unknown], "1 not registered: 'Mine' (line 4, line 5)"),
        ([graph, "--input", f"a={a}", "--output", f"out={a}"], "a.jsonl"),
        ([graph, "--registry", "handheld.graph:Gate"], "expected a function that returns"),
        ([graph, "--registry", "os:system"], "os:system: calling it gave TypeError"),
        ([graph, "--registry", "builtins:dict"], "expected a function that returns a Registry"),
    ]:
        done = called("run", *words)
        assert done.exit_code == 1, words
        assert reason in str(done.exception), words


def test_a_registry_of_ones_own_is_named(unknown, tmp_path, monkeypatch):
    module = "from handheld.graph import PassThrough\nfrom handheld.graph.text import Registry\n"
    module += "def registry():\n    return Registry().add('Mine', PassThrough)\n"
    (tmp_path / "graph_of_mine.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    a = lines(tmp_path / "a.jsonl", {0: "x"})
    mine = ["--registry", "graph_of_mine:registry"]
    done = called("run", unknown, "--input", f"a={a}", "--output", "c=-", *mine)
    assert done.stdout == '{"timestamp": 0, "payload": "x"}\n'
    assert called("check", unknown, "--strict", *mine).exit_code == 0


def test_a_subgraph_is_named_by_its_file(tmp_path):
    inner = tmp_path / "inner.pbtxt"
    inner.write_text("type: 'Mine'" + SUM)
    outer = tmp_path / "outer.pbtxt"
    outer.write_text(
        "input_stream: 'x' node { calculator: 'Mine' input_stream: 'A:x' output_stream: 'OUT:y' "
        "input_stream: 'B:x' }"
    )
    a = lines(tmp_path / "a.jsonl", {0: 7})
    words = ["--input", f"x={a}", "--output", "y=-", "--subgraph", inner]
    assert called("run", outer, *words).stdout == '{"timestamp": 0, "payload": 7}\n'


INNER = "input_stream: 'A:a' output_stream: 'OUT:b' node {{ calculator: '{}' input_stream: 'a' "
INNER += "output_stream: 'b' }}"
PASSING = INNER.format("PassThroughCalculator")


def test_a_folder_has_the_subgraphs_that_a_graph_names(tmp_path):
    folder = tmp_path / "graphs"
    (folder / "deep").mkdir(parents=True)
    # Of two files with one type that which is named after it is meant.
    (folder / "a.pbtxt").write_text("type: 'InnerOne' " + INNER.format("NobodysCalculator"))
    (folder / "inner_one.pbtxt").write_text("type: 'InnerOne' " + PASSING)
    (folder / "template.pbtxt").write_text("template: % this is no graph %")
    graph = tmp_path / "g.pbtxt"
    text = "input_stream: 'x' node { calculator: 'OuterOne' input_stream: 'A:x' output_stream: "
    graph.write_text(text + "'OUT:y' }")
    inner = "node { calculator: 'InnerOne' input_stream: 'A:a' output_stream: 'OUT:b' }"
    ports = "type: 'OuterOne' input_stream: 'A:a' output_stream: 'OUT:b' "
    (folder / "deep" / "outer_one.pbtxt").write_text(ports + inner)
    a = lines(tmp_path / "a.jsonl", {0: 7})
    words = [graph, "--include", folder]
    done = called("run", *words, "--input", f"x={a}", "--output", "y=-")
    assert done.stdout == '{"timestamp": 0, "payload": 7}\n'
    assert called("check", *words, "--strict").exit_code == 0
    assert called("check", graph, "--strict").exit_code == 1
    (folder / "inner_one.pbtxt").rename(folder / "b.pbtxt")
    done = called("run", *words, "--input", f"x={a}")
    assert "several files are of type 'InnerOne'" in str(done.exception)
    done = called("run", graph, "--include", a, "--input", f"x={a}")
    assert "is no folder" in str(done.exception)


SIZES = """
input_stream: "IMAGE:image"
output_stream: "SIZE:size"
node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGE:image"
       output_stream: "SIZE:size" }
"""


def test_a_film_is_an_input_and_its_frames_are_counted(tmp_path):
    from importlib import resources

    film = str(resources.files("handheld.hands").joinpath("assets", "demo.mp4"))
    graph = tmp_path / "sizes.pbtxt"
    graph.write_text(SIZES)
    out = tmp_path / "out.jsonl"
    done = called("run", graph, "--input", f"image={film}", "--output", f"SIZE={out}")
    assert done.exit_code == 0, done.exception
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert f"image 100%  {len(rows)} packets" in done.stderr
    assert len({tuple(row["payload"]) for row in rows}) == 1
    assert rows[0]["timestamp"] == 0
    assert rows[1]["timestamp"] > 0
    quiet = called("run", graph, "--input", f"IMAGE={film}", "--quiet")
    assert quiet.stderr == ""


LABELS = """
input_stream: "t"
output_stream: "c"
node { calculator: "TensorsToClassificationCalculator" input_stream: "TENSORS:t"
  output_stream: "CLASSIFICATIONS:c"
  options { [mediapipe.TensorsToClassificationCalculatorOptions.ext] {
    label_map_path: "deep/labels.txt" } } }
"""


def test_files_that_a_graph_names_come_from_a_folder(tmp_path):
    graph = tmp_path / "labels.pbtxt"
    graph.write_text(LABELS)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "labels.txt").write_text("cat\n")
    a = lines(tmp_path / "a.jsonl", {})
    done = called("run", graph, "--input", f"t={a}")
    assert "no file 'deep/labels.txt' among those that graphs may name" in str(done.exception)
    words = ["--input", f"t={a}", "--resources", tmp_path / "models"]
    assert called("run", graph, *words).exit_code == 0
    done = called("run", graph, "--input", f"t={a}", "--resources", a)
    assert "expected a folder with the files" in str(done.exception)


def test_a_stream_is_named_once_by_tag_or_name(graph, tmp_path):
    a = lines(tmp_path / "a.jsonl", {0: 1})
    words = ["--input", f"a={a}", "--input", f"b={a}", "--output", "OUT=-"]
    done = called("run", graph, *words, "--output", f"out={tmp_path}/o.jsonl")
    assert "--output: out stands twice, by its tag and by its name" in str(done.exception)


def test_a_payload_without_a_form_in_json_is_told(tmp_path, monkeypatch):
    module = "from handheld.graph import calculator\nfrom handheld.graph.text import Registry\n"
    module += "@calculator\ndef made(x: object) -> object:\n    return object()\n"
    module += "def registry():\n    return Registry().add('Mine', made)\n"
    (tmp_path / "graph_of_odd.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "g.pbtxt"
    path.write_text(
        "input_stream: 'a' node { calculator: 'Mine' input_stream: 'a' output_stream: 'b' }"
    )
    a = lines(tmp_path / "a.jsonl", {0: 1})
    words = ["--input", f"a={a}", "--output", f"b={tmp_path}/b.jsonl"]
    done = called("run", path, *words, "--registry", "graph_of_odd:registry")
    assert isinstance(done.exception, HandheldError)
    assert "a payload of type object at 0 has no form in JSON" in str(done.exception)
    assert not (tmp_path / "b.jsonl").exists()


def test_words_of_the_command_line_become_values():
    assert pairs_of("--side", ["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    texts = ["2", "true", "[1]", "hello", '"2"', "[" * 10**6]
    assert [side_value(text) for text in texts[:5]] == [2, True, [1], "hello", "2"]
    assert side_value(texts[5]) == texts[5]


def test_a_recording_is_told(tmp_path):
    from handheld.graph import Graph, GraphConfig, Node, PassThrough

    path = tmp_path / "run.rec"
    config = GraphConfig(inputs={"x": int}, nodes=[Node(PassThrough(), inputs="x", outputs="y")])
    with Graph(config) as graph:
        graph.record(path, ["x", "y"])
        graph.add("x", 1, 20)
        graph.add("x", 2, 40)
    done = RUNNER.invoke(app, ["graph", "recording", str(path)])
    assert done.exit_code == 0, done.output
    assert "x: 2 packets, 20 to 40" in done.output
    assert "damaged" not in done.output
    path.write_bytes(path.read_bytes()[:-3])
    done = RUNNER.invoke(app, ["graph", "recording", str(path), "--json", "-"])
    document = json.loads(done.stdout)
    assert document["streams"][0] == {
        "stream": "x",
        "packets": 2,
        "first": 20,
        "last": 40,
        "size": 12,
    }
    assert "middle of a block" in document["damage"]
