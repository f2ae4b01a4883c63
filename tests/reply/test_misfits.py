import pytest

from handheld.reply import Replier
from handheld.reply.conversation import turns_of
from handheld.reply.misfits import misfits


def barred(text: str) -> frozenset[str]:
    return misfits(turns_of([text], 1)[0])


@pytest.mark.parametrize(
    ("message", "intents"),
    [
        # what answers no question
        ("where did you park?", {"thanks", "ok", "yes", "no", "sounds good", "you too"}),
        ("hey so what time is the film", {"thanks", "sure", "nice"}),
        ("is the shop still open", {"thanks", "you too", "goodbye", "congratulations"}),
        ("red or white?", {"yes", "no", "ok"}),
        # a favour is not refused in one word, nor thanked for
        ("could you feed the cat tonight", {"no", "no thanks", "thanks"}),
        ("send me the link when you can", {"no", "good luck"}),
        ("pls remind gran about friday", {"no thanks", "goodbye"}),
        ("can i borrow your drill", {"no thanks"}),
        # mishaps are no reason for cheer, and good news none for pity or a shrug
        ("dropped my phone in the sink", {"nice", "sounds good", "have fun", "thanks"}),
        ("we got thrashed 6-1", {"nice", "congratulations", "well done"}),
        ("got a headache from the sun", {"sure", "nice", "funny"}),
        ("i passed!!", {"sorry to hear that", "oh no", "why", "interesting", "ok"}),
        ("she got accepted 🎉", {"oh no", "never mind", "another time"}),
        # who is praised does not agree
        ("so proud of you", {"yes", "I know", "I agree", "sure"}),
        ("that speech was amazing, well done", {"I agree", "yes"}),
        ("how did the interview go", {"soon", "yes"}),
        ("how old is your brother now", {"not so well", "doing well"}),
        ("the early or the late train?", {"food", "let's eat", "yes"}),
        ("don't worry, i forgot it too", {"what happened"}),
        ("you smashed that interview", {"I know", "no"}),
        # between people
        ("r u still angry", {"yes", "sure", "I know", "busy"}),
        ("are we ok?", {"no", "I guess"}),
        ("please just pick up", {"I'll let you know", "working on it", "later"}),
        ("you around at six", {"goodbye"}),
        ("i'll be at the front desk", {"no", "you too"}),
    ],
)
def test_what_is_out_of_place(message, intents):
    assert intents <= barred(message)


@pytest.mark.parametrize(
    ("message", "intents"),
    [
        ("what about seven instead?", {"sounds good", "sure", "ok", "nice"}),
        ("what do you think of the blue one", {"I love it", "yes", "no"}),
        ("how are you?", {"doing well", "not so well"}),
        ("want me to pick you up?", {"thanks", "no thanks", "yes, please"}),
        ("do you need anything from town", {"no thanks", "thanks"}),
        ("shall i bring pudding", {"no thanks", "yes, please"}),
        ("are you coming or not?", {"yes", "no"}),
        ("can you make it on friday", {"no", "can't", "yes"}),
        ("we broke the record", {"nice", "congratulations", "well done"}),
        ("that film was brilliant", {"I agree", "I know", "yes"}),
        ("how is your brother feeling", {"not so well", "feeling better"}),
        ("how long will you be", {"soon", "almost there"}),
        ("are you hungry?", {"food", "let's eat", "yes"}),
        ("i dropped my phone in the sea", {"what happened", "oh no"}),
        ("this show is sick", {"I know", "I agree"}),
        ("good night then", {"goodbye", "you too", "good night"}),
        ("have a lovely weekend", {"you too", "thanks"}),
        ("you won't believe who i just saw", {"who", "what happened"}),
        ("dinner's at eight", {"ok", "sounds good", "thanks"}),
        ("leaving work now", {"goodbye", "ok"}),
    ],
)
def test_what_is_in_place(message, intents):
    assert not intents & barred(message)


def test_all_names_are_intents_of_the_shipped_bundle(shipped: Replier):
    everything = (
        barred("hey what time is it, or is it late?")
        | barred("pls pick up")
        | barred("i got a headache")
        | barred("i passed!!")
        | barred("proud of you")
        | barred("are we ok? are you mad?")
    )
    assert everything <= set(shipped.bundle.intents)


def test_no_misfit_is_suggested_even_when_asked_for_more(shipped: Replier):
    for text in ("where did you park?", "could you feed the cat tonight", "so proud of you"):
        shown = shipped.suggest(text, n=5, always=True)
        assert not {reply.intent for reply in shown.replies} & barred(text)
