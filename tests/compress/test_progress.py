import pytest

pytest.importorskip("torch")

from handheld.compress.progress import Clock


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
    clock = Clock(lambda *words: told.append(words), seconds, kept=kept)
    with clock.of("learning"):
        seconds.now += 5
    with pytest.raises(KeyboardInterrupt):
        stopped(clock, seconds)
    again = Clock(lambda *words: None, seconds, kept=kept)
    seconds.now += 100  # nobody works between two starts
    with again.of("learning"):
        seconds.now += 2
    assert again.seconds == {"learning": 10}
    assert told[0] == ("learning", 0.0, "")


def test_a_process_that_is_killed_loses_a_minute_at_most(tmp_path):
    seconds, kept = Seconds(), tmp_path / "seconds.json"
    clock = Clock(lambda *words: None, seconds, kept=kept)
    with clock.of("learning"):
        for step in range(10):
            seconds.now += 20
            clock.steps(step, 10, 1.0)
        assert Clock(lambda *words: None, kept=kept).seconds["learning"] >= 140
    assert clock.seconds == {"learning": 200}


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"learning": null}'])
def test_a_damaged_file_counts_as_none(tmp_path, content):
    kept = tmp_path / "seconds.json"
    kept.write_text(content)
    assert Clock(lambda *words: None, kept=kept).seconds == {}
