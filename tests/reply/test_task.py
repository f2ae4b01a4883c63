"""Suggesting replies as a task of the bench."""

import json

import pytest
from typer.testing import CliRunner

from handheld.bench import BenchProtocol, SystemTask, bench
from handheld.cli.app import app
from handheld.errors import InputError, ModelError
from handheld.reply import Conversation, read_conversations
from handheld.reply.evaluation import draw_exchanges, exchanges_of
from handheld.reply.task import (
    ENGLISH,
    SUGGESTION_BUDGET,
    ReplyAnswer,
    ReplyTask,
    ReplyTaskWarning,
)

SHORT = BenchProtocol(min_queries=1, min_seconds=0, budgets=(SUGGESTION_BUDGET,))


@pytest.fixture
def conversations(written, tmp_path):
    return read_conversations(written(tmp_path)).conversations


def test_a_bundle_is_measured_on_messages(conversations, shipped):
    task = ReplyTask(conversations, candidates=10, exchanges=20)
    assert isinstance(task, SystemTask)
    result = bench(ENGLISH, task, protocol=SHORT)
    # the measure once more, in plain words
    right = reciprocals = among_ten = spoken = 0
    for exchange, wrong in draw_exchanges(conversations, candidates=10, count=20, seed=0):
        true, *others = shipped.rank(exchange.messages, [exchange.answer, *wrong]).tolist()
        rank = 1 + len([other for other in others if other >= true])
        right += rank == 1
        reciprocals += 1 / rank
        among_ten += rank <= 10
        spoken += bool(shipped.suggest(exchange.messages).replies)
    assert result.accuracy.value == right / 20
    assert result.accuracy.low < result.accuracy.value < result.accuracy.high
    assert result.details == {
        "R@10": among_ten / 20,
        "mean reciprocal rank": pytest.approx(reciprocals / 20),
        "share of messages to which something is suggested": spoken / 20,
    }
    assert (result.unit, result.examples) == ("suggestion", 20)
    assert result.model.bytes > 100_000
    assert result.model.macs == 0


def test_what_was_not_reached_is_wrong(conversations):
    task = ReplyTask(conversations, candidates=2, exchanges=4)
    answers = [ReplyAnswer(1, False), ReplyAnswer(2, True), ReplyAnswer(1, True), None]
    assert task.judge(answers).value == 0.5
    assert task.judge(answers[:1]).value == 1.0


def test_the_command_takes_the_bundle_that_ships_or_a_file(written, tmp_path, bundle_file):
    data = written(tmp_path)
    words = ["--task", "reply", "--data", str(data), "--queries", "1", "--seconds", "0"]
    done = CliRunner().invoke(app, ["bench", ENGLISH, str(bundle_file), *words, "--json", "-"])
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert [value["model"]["name"] for value in values] == ["english", "tiny"]
    # every answer of the file
    count = len(list(exchanges_of(read_conversations(data).conversations)))
    assert [value["examples"] for value in values] == [min(count, 1000)] * 2
    assert values[0]["protocol"]["budgets"] == [SUGGESTION_BUDGET]
    assert values[0]["data_digest"] == values[1]["data_digest"]


def test_conversations_that_are_too_few():
    with pytest.raises(InputError, match="one answer or more"):
        ReplyTask([])
    talk = [Conversation("1", (("ann", "hello"), ("bob", "hi")))]
    with pytest.raises(InputError, match="100 candidates"):
        ReplyTask(talk)


def test_a_bundle_that_is_none(conversations, tmp_path):
    task = ReplyTask(conversations, candidates=2, exchanges=4)
    (tmp_path / "broken.replies").write_bytes(b"nothing")
    for name in ("broken.replies", "missing.replies"):
        with pytest.raises(ModelError, match="cannot be read as a bundle"):
            bench(tmp_path / name, task, protocol=SHORT)


def test_a_file_that_is_cut_is_told(tmp_path):
    """It was judged on what was left, without a word."""
    lines = []
    for number in range(120):
        turns = [["ann", f"question {number}"], ["bob", f"answer {number}"]]
        lines.append(json.dumps({"id": str(number), "turns": turns}))
    cut = tmp_path / "cut.jsonl"
    cut.write_text("\n".join(lines) + '\n{"id": "120", "turns": [["ann"', "utf-8")
    with pytest.warns(
        ReplyTaskWarning, match=r"1 parts were left out; the first: .*cut\.jsonl:121"
    ):
        assert len(ReplyTask.of(cut)) == 120
