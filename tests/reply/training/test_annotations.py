from pathlib import Path

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.reply.sections import read_sections
from handheld.reply.tones import CHEERFUL, GENTLE, KIND, NEUTRAL, SORRY, read_tones
from handheld.reply.training import annotations
from handheld.reply.training.config import ASSETS

INTENTS = "[yes]\nYes\nYep\n[no]\nNo\nyes!\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "file.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_reply_belongs_to_the_first_intent_that_names_it(tmp_path: Path):
    names, seeds = annotations.read_intents(written(tmp_path, INTENTS))
    assert names == ("yes", "no")
    assert seeds == [("Yes", 0), ("Yep", 0), ("No", 1)]


def test_each_intent_of_a_situation_counts_half_as_much_as_the_one_before(tmp_path: Path):
    found = annotations.read_situations(
        written(tmp_path, "[no; yes]\n(are you|is he) there?\n[yes]\nok?\n"), ("yes", "no"), 10
    )
    assert found.texts == ("are you there?", "is he there?", "ok?")
    assert found.intents == pytest.approx(np.array([[1 / 3, 2 / 3], [1 / 3, 2 / 3], [1, 0]]))


def test_unknown_intents_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"\[no; maybe\] names the intent 'maybe'"):
        annotations.read_situations(written(tmp_path, "[no; maybe]\nwhat?\n"), ("yes", "no"), 10)
    with pytest.raises(InputError, match="names 1 intents"):
        annotations.read_intents(written(tmp_path, "[yes]\nYes\n"))


def test_the_files_that_are_shipped_fit_together():
    names, seeds = annotations.read_intents(ASSETS / "intents.txt")
    assert len(names) > 100
    assert {intent for _, intent in seeds} == set(range(len(names)))
    situations = annotations.read_situations(ASSETS / "situations.txt", names, 60)
    assert len(situations.texts) > 5000
    tones = read_tones(ASSETS / "tones.txt", names)
    assert set(tones) == {SORRY, GENTLE, KIND, NEUTRAL, CHEERFUL}
    named = {line.text for line in read_sections(ASSETS / "tones.txt")}
    assert named <= set(names)
    for cheerful in (
        "thanks",
        "funny",
        "nice",
        "sure",
        "sounds good",
        "I agree",
        "congratulations",
        "doing well",
    ):
        assert tones[names.index(cheerful)] == CHEERFUL


def test_judged_messages_are_read(tmp_path: Path):
    found = annotations.read_judged(
        written(tmp_path, "# why\nlunch? || Me: where || here\tyes; no\nhm\t\n"), ("yes", "no")
    )
    assert [message.mine for message in found[0].messages] == [False, True, False]
    assert [each.intents for each in found] == [{0, 1}, set()]
    with pytest.raises(InputError, match="names the intent 'perhaps'"):
        annotations.read_judged(written(tmp_path, "lunch?\tperhaps\n"), ("yes", "no"))
