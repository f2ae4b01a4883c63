import pytest

from handheld.training.runs import StageClock


class Seconds:
    now = 0.0

    def __call__(self):
        return self.now


def stopped(clock, seconds):
    with clock.of("learning"):
        seconds.now += 3
        raise KeyboardInterrupt


def test_seconds_of_all_starts_are_added_up(tmp_path):
    told, seconds, kept = [], Seconds(), tmp_path / "seconds.json"
    clock = StageClock(lambda *words: told.append(words), seconds, kept=kept)
    with clock.of("learning"):
        seconds.now += 5
    with pytest.raises(KeyboardInterrupt):
        stopped(clock, seconds)
    again = StageClock(lambda *words: None, seconds, kept=kept)
    seconds.now += 100  # nobody works between two starts
    with again.of("learning"):
        seconds.now += 2
    assert again.seconds == {"learning": 10}
    assert told[0] == ("learning", 0.0, "")


def test_a_process_that_is_killed_loses_a_minute_at_most(tmp_path):
    seconds, kept = Seconds(), tmp_path / "seconds.json"
    clock = StageClock(lambda *words: None, seconds, kept=kept)
    with clock.of("learning"):
        for step in range(10):
            seconds.now += 20
            clock.steps(step, 10, 1.0)
        assert StageClock(lambda *words: None, kept=kept).seconds["learning"] >= 140
    assert clock.seconds == {"learning": 200}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        "{",
        '{"learning": null}',
        '{"learning": 1e999}',
        '{"learning": -1}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_counts_as_none(tmp_path, content):
    kept = tmp_path / "seconds.json"
    kept.write_text(content)
    assert StageClock(lambda *words: None, kept=kept).seconds == {}


def test_parts_of_a_stage_are_one_share():
    """A log said that the members were done when the first of them was."""
    told = []
    clock = StageClock(lambda *words: told.append(words))
    with clock.of("members"):
        for number, name in enumerate(("one", "two")):
            with clock.part(number, 2, name):
                clock.steps(5, 10, 1.5)
                clock.steps(10, 10, 0.5)
        clock.steps(1, 4, 2.0)
    assert told == [
        ("members", 0.0, ""),
        ("members", 0.25, "one loss 1.5000"),
        ("members", 0.5, "one loss 0.5000"),
        ("members", 0.75, "two loss 1.5000"),
        ("members", 1.0, "two loss 0.5000"),
        ("members", 0.25, "loss 2.0000"),
        ("members", 1.0, ""),
    ]
