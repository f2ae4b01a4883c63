import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from handheld.bench import append_records, read_records, record
from handheld.bench.record import describe_machine
from handheld.errors import FileError, InputError
from handheld.files import locked_file


def test_lines_are_added(tmp_path):
    path = tmp_path / "r.jsonl"
    append_records(path, [{"a": 1}, {"b": math.nan, "c": (1, 2)}])
    append_records(path, [{"d": "ä"}])
    assert read_records(path) == [{"a": 1}, {"b": None, "c": [1, 2]}, {"d": "ä"}]


def test_a_last_line_that_was_cut_swallows_none(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"a": 1}')
    append_records(path, [{"b": 2}])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, {"b": 2}]


def test_all_that_write_at_once_are_kept(tmp_path):
    path = tmp_path / "r.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append_records(path, [{"n": number}]), range(40)))
    assert sorted(record["n"] for record in read_records(path)) == list(range(40))


@pytest.mark.parametrize(
    ("text", "message"), [("{}\nnothing\n", "line 2: no JSON"), ("[1]\n", "expected an object")]
)
def test_lines_that_are_no_results(tmp_path, text, message):
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(InputError, match=message):
        read_records(tmp_path / "r.jsonl")


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_records(tmp_path / "r.jsonl")


def test_the_machine_is_told():
    assert {"cpu", "cores", "system", "handheld", "ai-edge-litert"} <= describe_machine().keys()


def test_a_file_that_another_process_writes_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "_PATIENCE", 0.0)
    path = tmp_path / "r.jsonl"
    with locked_file(path), pytest.raises(InputError, match="another process writes it"):
        append_records(path, [{"a": 1}])
    assert not path.exists()


def test_a_device_is_written_into_and_never_read():
    with pytest.raises(FileError, match="No space left on device"):
        append_records("/dev/full", [{"a": 1}])
    assert not Path("/dev/.full.lock").exists()
