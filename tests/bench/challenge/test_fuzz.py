"""Damaged submissions, sent through the whole job: each ends in figures or in a clear refusal."""

from itertools import islice

import fuzz_submissions
import pytest


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    return fuzz_submissions.brief_challenge(tmp_path_factory.mktemp("fuzz") / "challenge")


@pytest.mark.parametrize(
    "path", sorted(fuzz_submissions.CORPUS.glob("*.tflite")), ids=lambda path: path.stem
)
def test_files_of_the_corpus_are_contained(brief, path):
    end = fuzz_submissions.send(brief, path.read_bytes())
    assert end.what in ("measured", "refused"), end
    assert "frozenset" not in end.kind


def test_fresh_cases_are_contained(brief):
    ends = [
        fuzz_submissions.send(brief, case) for case in islice(fuzz_submissions.cases(brief, 0), 60)
    ]
    assert {end.what for end in ends} == {"measured", "refused"}, ends


def test_an_untouched_sample_is_measured(brief):
    for path in brief.samples():
        if path.stem != "slow":
            assert fuzz_submissions.send(brief, path.read_bytes()).what == "measured"


def test_what_counts_as_a_finding(brief, monkeypatch):
    def broken(folder, spec, report):
        raise RuntimeError("it fell")

    monkeypatch.setattr(fuzz_submissions, "measure_submission", broken)
    end = fuzz_submissions.send(brief, b"")
    assert end == ("finding", "RuntimeError: it fell")
