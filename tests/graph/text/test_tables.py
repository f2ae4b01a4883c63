"""Graphs as JSON and TOML."""

import json
import sys

import pytest
from graph_texts import GRAPHS, LOOP
from hypothesis import given, settings

from handheld.errors import GraphTextError, MissingDependencyError
from handheld.graph.text.message import MOST_LETTERS
from handheld.graph.text.read import parse_graph, read_graph
from handheld.graph.text.tables import (
    from_json,
    from_table,
    from_toml,
    to_json,
    to_table,
    to_toml,
)

pytest.importorskip("tomli_w")


@settings(deadline=None)
@given(GRAPHS)
def test_json_holds_the_same_graph(graph):
    assert from_json(to_json(graph)) == graph


@settings(deadline=None)
@given(GRAPHS)
def test_toml_holds_the_same_graph(graph):
    assert from_toml(to_toml(graph)) == graph


def test_each_graph_of_mediapipe_is_the_same_in_json_and_toml(mediapipe_graph):
    graph = read_graph(mediapipe_graph)
    assert from_json(to_json(graph)) == graph
    assert from_toml(to_toml(graph)) == graph


def test_a_table_says_what_the_text_says():
    table = to_table(parse_graph(LOOP))
    assert table["type"] == "DetectAndTrack"
    assert table["input_stream"] == ["IMAGE:image"]
    finder = table["node"][1]
    assert finder["max_in_flight"] == 2
    assert finder["options"] == {
        "[a.DetectorOptions.ext]": {
            "threshold": 0.5,
            "origin": {"$name": "TOP_LEFT"},
            "sizes": [16, 32],
        }
    }
    assert finder["node_options"] == [{"[type.googleapis.com/a.MoreOptions]": {"path": "ab"}}]
    assert table["node"][0]["input_stream_info"] == [{"tag_index": "LOOP", "back_edge": True}]


def test_what_json_has_no_form_for_is_a_table_with_one_key():
    fields = "a: '\\xff' b: 1e999 c: -1e999 d: inf e: true f: True g: 18446744073709551615"
    options = f"node {{ calculator: 'A' options {{ [a.b.ext] {{ {fields} }} }} }}"
    table = to_table(parse_graph(options))["node"][0]["options"]["[a.b.ext]"]
    assert table == {
        "a": {"$bytes": "/w=="},
        "b": {"$number": "inf"},
        "c": {"$number": "-inf"},
        "d": {"$name": "inf"},
        "e": True,
        "f": {"$name": "True"},
        "g": 2**64 - 1,
    }


def test_one_entry_may_stand_without_its_list():
    assert from_json('{"node": {"calculator": "A", "input_stream": "a"}}') == parse_graph(
        "node { calculator: 'A' input_stream: 'a' }"
    )


def test_a_number_that_is_none_is_a_name():
    graph = from_toml("[options.'[a.b.ext]']\nx = nan\ny = inf")
    assert graph == parse_graph("options { [a.b.ext] { x: nan y: 1e999 } }")


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "my.json: no JSON: "),
        ("[" * 10**6, "my.json: no JSON: "),
        ("[]", "my.json: $: expected a table, got []"),
        ('{"nod": 1}', "my.json: $.nod: no field 'nod' in 'graph'; did you mean 'node'?"),
        ('{"node": [{"calculator": "A"}, 5]}', "$.node[1]: 'node': expected a message {...}"),
        ('{"node": [{"calculator": 5}]}', "$.node[0].calculator: 'calculator': expected a text"),
        ('{"node": [{"name": "x"}]}', "$.node[0]: a node without a calculator"),
        ('{"input_stream": ["a", "b:c"]}', "$.input_stream[1]: expected name, TAG:name or TAG"),
        ('{"num_threads": 1.0}', "$.num_threads: 'num_threads': expected a whole number"),
        ('{"num_threads": null}', "$.num_threads: expected a text, a number or a table, got None"),
        ('{"num_threads": [[1]]}', "$.num_threads[0]: expected a text, a number or a table"),
        ('{"num_threads": 1' + "0" * 30 + "}", "$.num_threads: expected a number of at most 64"),
        ('{"type": "a", "type ": "b"}', "$: expected the name of a field, got 'type '"),
        ('{"type": {"$text": "a"}}', "$.type: expected $name and a name, $bytes and base 64"),
        ('{"type": {"$name": "a b"}}', "$.type: expected $name and a name"),
        ('{"type": {"$name": "a", "b": 1}}', "$.type: expected $name and a name"),
        ('{"type": {"$name": 1}}', "$.type: expected $name and a name"),
        ('{"type": {"$number": "1"}}', "$.type: expected $name and a name"),
        ('{"type": {"$bytes": "!"}}', "$.type: expected base 64"),
        ('{"options": {"[a]": ' + nested(101) + "}}", "expected at most 100 tables in each other"),
        ('{"options": {"[a]": ' + nested(10**5) + "}}", "no JSON: brackets in brackets"),
        ('{"input_stream": [' + '"a",' * 450_000 + '"a"]}', "expected at most 200,000 fields"),
        ('"' + "a" * MOST_LETTERS, "expected a text of at most 4,194,304 letters"),
    ],
    ids=range(23),
)
def test_what_is_no_graph_is_refused_with_its_path(text, reason):
    with pytest.raises(GraphTextError) as caught:
        from_json(text, "my.json")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = \nb = 1", "my.toml: no TOML: .*line 1"),
        ("a = ", "my.toml: no TOML: "),
        ("a = " + "[" * 10**5, "my.toml: no TOML: "),
        ("day = 1979-05-27", r"\$.day: expected a text, a number or a table"),
        ("a." * 101 + "b = 1", "a key of more than 100 names"),
        ("'a' . \"b\"." * 60 + "c = 1", "a key of more than 100 names"),
        ("[" + "a." * 10**6 + "b]", "a key of more than 100 names"),
        ("a = '" + "b" * 10**6, "no TOML"),
        ("a" * 10**6, "no TOML"),
        ("nod = 1", r"my.toml: \$.nod: no field 'nod'"),
    ],
)
def test_toml_that_is_no_graph_is_refused(text, reason):
    with pytest.raises(GraphTextError, match=reason):
        from_toml(text, "my.toml")


def test_without_tomli_w_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    with pytest.raises(MissingDependencyError, match="federated"):
        to_toml(parse_graph(""))


def test_json_is_one_that_any_program_reads():
    text = to_json(parse_graph("node { calculator: 'Ä' options { [a.b.ext] { x: 1e999 } } }"))

    def refuse(constant):
        raise AssertionError(constant)

    json.loads(text, parse_constant=refuse)
    assert "Ä" in text
    assert from_table(json.loads(text)) == from_json("\ufeff" + text)
