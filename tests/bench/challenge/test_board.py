"""Rankings."""

from dataclasses import replace

import pytest

from handheld.bench.challenge.board import (
    board_rows,
    draw_board,
    finalists,
    has_results,
    ranking,
)
from handheld.bench.challenge.store import Measurement, MeasurementKey, Outcome, Submission
from handheld.errors import InputError


def sent(key, team, state="done", created=0.0):
    return Submission(
        key=key,
        team=team,
        team_name=f"team {team}",
        number=1,
        name=key,
        sha256="0" * 64,
        bytes=1,
        state=state,
        error=None,
        created=created,
        finished=None,
    )


def measured(key, score, latency=0.001, *, data="public", valid=True, device="reference"):
    outcome = Outcome(score=score, accuracy=score, latency=latency, valid=valid)
    return Measurement(MeasurementKey(key, data, device), "done", outcome, 0.0, 0.0)


def names(board):
    return [entry.submission.key for entry in board.entries]


def rank(rules, submissions, rows, data="public", device="reference"):
    return ranking(rules, submissions, rows, data=data, device=device)


def test_each_team_has_its_best(rules):
    submissions = [sent("a", 1), sent("b", 1), sent("c", 2)]
    rows = [measured("a", 0.5), measured("b", 0.9), measured("c", 0.7)]
    board = rank(rules, submissions, rows)
    assert names(board) == ["b", "c"]
    assert [entry.rank for entry in board.entries] == [1, 2]


def test_a_run_that_can_be_trusted_comes_first(rules):
    rows = [measured("a", 0.9, valid=False), measured("b", 0.5)]
    assert names(rank(rules, [sent("a", 1), sent("b", 2)], rows)) == ["b", "a"]


def test_of_equal_scores_the_faster_and_then_the_earlier_one(rules):
    submissions = [sent("a", 1, created=2.0), sent("b", 2, created=1.0), sent("c", 3)]
    rows = [measured("a", 0.5), measured("b", 0.5), measured("c", 0.5, 0.0001)]
    assert names(rank(rules, submissions, rows)) == ["c", "b", "a"]


def test_what_failed_or_waits_is_not_ranked(rules):
    submissions = [sent("a", 1, "failed"), sent("b", 2, "queued"), sent("c", 3)]
    rows = [measured("a", 0.9), measured("b", 0.9), measured("c", 0.1)]
    assert names(rank(rules, submissions, rows)) == ["c"]


def test_parts_and_devices_are_ranked_apart(rules):
    rows = [measured("a", 0.9), measured("a", 0.1, data="hidden"), measured("b", 0.5)]
    board = rank(rules, [sent("a", 1), sent("b", 2)], rows, data="hidden")
    (entry,) = board.entries
    assert (entry.measurement.outcome.score, entry.public) == (0.1, 0.9)
    with pytest.raises(InputError, match="expected one of reference"):
        rank(rules, [], [], device="phone")


def test_the_best_of_each_team_go_to_the_finals(rules):
    rules = replace(rules, finals=2)
    submissions = [sent("a", 1), sent("b", 1), sent("c", 1), sent("d", 2)]
    rows = [measured("a", 0.1), measured("b", 0.3), measured("c", 0.2), measured("d", 0.0)]
    assert finalists(rules, submissions, rows) == ["b", "c", "d"]


def test_results_are_there_when_all_are():
    hidden = measured("a", 0.5, data="hidden")
    waiting = replace(measured("b", 0.5, data="hidden"), state="queued")
    assert not has_results([measured("a", 0.5)])
    assert not has_results([hidden, waiting])
    assert has_results([hidden])


def test_a_curve_needs_latencies_that_differ(rules):
    submissions = [sent("a", 1), sent("b", 2)]
    near = [measured("a", 0.2, 0.00100), measured("b", 0.9, 0.00101)]
    assert rank(rules, submissions, near).curve is None
    # From 1 ms to e ms accuracy rises by 0.5: k is 0.5, a0 is 0.25.
    far = [measured("a", 0.25, 0.001), measured("b", 0.75, 0.00271828)]
    board = rank(rules, submissions, far)
    assert board.curve.slope == pytest.approx(0.5, abs=1e-5)
    assert [entry.gain for entry in board.entries] == pytest.approx([0, 0], abs=1e-9)


def test_no_curve_rests_on_a_run_that_is_invalid(rules):
    submissions = [sent("a", 1), sent("b", 2), sent("c", 3)]
    rows = [measured("a", 0.25, 0.001), measured("b", 0.75, 0.00271828)]
    lucky = measured("c", 0.9, 0.0001, valid=False)
    board = rank(rules, submissions, [*rows, lucky])
    assert board.curve.slope == pytest.approx(0.5, abs=1e-5)
    gains = [entry.gain for entry in board.entries]
    # 0.25 - 0.5 log 10 is below 0: of the curve at 0.1 ms nothing is asked
    assert gains == pytest.approx([0, 0, 0.9], abs=1e-9)


def test_the_picture_escapes_names(rules):
    hostile = replace(sent("a", 1), team_name="<script>alert(1)</script>")
    rows = [measured("a", 0.5), measured("b", 0.6)]
    picture = draw_board(rank(rules, [hostile, sent("b", 2)], rows), 0.002)
    assert "<script>" not in picture
    assert "&lt;script&gt;" in picture


def test_one_entry_is_no_picture(rules):
    assert draw_board(rank(rules, [], []), 0.002) == ""
    assert draw_board(rank(rules, [sent("a", 1)], [measured("a", 0.5)]), 0.002) == ""


def test_rows_for_export(rules):
    (row,) = board_rows(rank(rules, [sent("a", 1)], [measured("a", 0.5, 0.002)]))
    assert (row["rank"], row["team"], row["score"], row["latency_ms"]) == (1, "team 1", 0.5, 2.0)
