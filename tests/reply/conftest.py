"""A tiny bundle, trained on the spot from small talk that is made up here."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handheld.reply import Replier

TALK = (
    ("hello there", "hi"),
    ("hey you", "hello"),
    ("good morning", "hi"),
    ("hello my friend", "hey"),
    ("thank you so much", "you're welcome"),
    ("thanks a lot", "no problem"),
    ("thank you for the flowers", "no problem"),
    ("i am ill today", "sorry to hear that"),
    ("my head hurts", "oh no"),
    ("i feel so ill", "sorry to hear that"),
    ("lunch at noon", "sounds good"),
    ("dinner tomorrow", "sounds good"),
    ("shall we have lunch", "sure"),
    ("where are you", "at home"),
    ("where are you now", "on my way"),
    ("are you at home", "on my way"),
    (
        "the long story of the blue bicycle",
        "i once rode a blue bicycle through the whole long winter",
    ),
    (
        "tell me about the tall tree",
        "the tall tree in the garden was planted by two gardeners long ago",
    ),
)
INTENTS = """\
[hello]
Hi
Hello
Hey
[you're welcome]
You're welcome
No problem
[sorry to hear that]
Sorry to hear that
Oh no
[sounds good]
Sounds good
Sure
[at home]
At home
[on my way]
On my way
"""
SITUATIONS = """\
[hello]
(hello|hi|hey) (there|you|again|)
[you're welcome]
(thanks|thank you) (a lot|so much|again|)
[sorry to hear that]
(i am|i feel) (ill|sick|so ill)
[sounds good]
(lunch|dinner|coffee) (today|tomorrow|)
[on my way; at home]
where are you (now|today|)
"""
SLOTS = """\
[pet]
my dog
my cat
grandpa
"""
SAFETY = """\
[death]
{pet} (died|passed away|is dead) (today|)
[violence]
(he|she) (hit|attacked) me (again|)
[bad news]
(i am|i feel) so (sad|low) (today|)
[harmless]
(hello|hi|hey) (there|you|again|)
(thanks|thank you) (a lot|so much|)
(lunch|dinner|coffee) (today|tomorrow|)
where are you (now|today|)
{pet} (is here|is asleep|ate my shoe)
(he|she) (called|thanked|helped) me (again|)
something else
"""
TONES = """\
[gentle]
sorry to hear that
[kind]
at home
on my way
"""


def write_talk(folder: Path, conversations: int = 120) -> Path:
    """Write a file of conversations and return its path."""
    rng = np.random.default_rng(3)
    path = folder / "talk.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(conversations):
            turns = [
                turn
                for pair in rng.permutation(len(TALK))[:4]
                for turn in zip(("ann", "bob"), TALK[pair], strict=True)
            ]
            file.write(json.dumps({"id": str(number), "turns": turns}) + "\n")
    return path


def configured(folder: Path) -> Path:
    """Write a configuration of a tiny run, with all that it reads, and return its path."""
    write_talk(folder)
    (folder / "safety").mkdir()
    texts = {
        "intents": INTENTS,
        "situations": SITUATIONS,
        "tones": TONES,
        "safety/slots": SLOTS,
        "safety/messages": SAFETY,
    }
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    path = folder / "tiny.toml"
    path.write_text(
        f"""
out = "{folder}/tiny.replies"
name = "tiny"
intents = "intents.txt"
situations = "situations.txt"
tones = "tones.txt"
safety = "safety"
card = {{ licence = "CC0" }}
conversations = [{{ path = "talk.jsonl" }}]
[settings]
rows = 512
width = 16
hidden = 32
out = 16
trigger = 0.5
silent = 0.5
careful = 0.4
doubtful = 0.3
wary = 0.2
vocabulary_size = 200
composed = 100
vector_size = 8
split = {{ valid = 0.2, test = 0.1, held_out = 0.0 }}
[settings.shape]
rows = 512
width = 8
filters = 16
hidden = 16
[settings.detector]
epochs = 150
rate = 0.01
optimiser = "adam"
[settings.first]
epochs = 12
batch = 16
rate = 0.01
optimiser = "adam"
[settings.second]
epochs = 12
batch = 16
rate = 0.01
optimiser = "adam"
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def bundle_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was trained from the small talk."""
    pytest.importorskip("torch")
    from handheld.reply.training.config import read
    from handheld.reply.training.run import train

    config = read(configured(tmp_path_factory.mktemp("tiny")))
    train(config)
    return config.out


@pytest.fixture(scope="session")
def shipped() -> Replier:
    """A replier of the bundle that ships, which learns nothing."""
    return Replier.open()


@pytest.fixture
def replier(bundle_file: Path) -> Replier:
    """A replier that knows nothing of its user."""
    return Replier.open(bundle_file)


@pytest.fixture
def written() -> Callable[..., Path]:
    """What writes a file of conversations into a folder."""
    return write_talk


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A configuration of a tiny run, with all that it reads."""
    return configured(tmp_path)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """The folder of a sentence encoder of a few words that nobody has trained."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path / "encoder"
    told = "he she died hello you thanks lunch dinner dog cat where are is here"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *told.split()]
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    transformers.BertModel(config).save_pretrained(folder)
    numbers = {word: number for number, word in enumerate(words)}
    transformers.BertTokenizerFast(vocab=numbers).save_pretrained(folder)
    return folder
