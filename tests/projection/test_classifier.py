import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handheld.engine import embed
from handheld.errors import InputError, ModelError
from handheld.projection import TextClassifier

HARD = [
    "",
    " ",
    "\x00\x07",
    "\U0001f44d\U0001f3fd\U0001f602",
    "\u6f22\u5b57 \u0645\u0631\u062d\u0628\u0627 hi",
    "time " * 20_000,
    "\ud800",
]


def test_a_message_is_labelled_by_the_file_alone(model_file: Path):
    with TextClassifier.open(model_file) as classifier:
        assert classifier.classify("Hey, how are you??")[0].label == "hello"
        assert classifier.classify("see you, bye!", top=1)[0].label == "bye"
        assert classifier.classify("what's the time")[0].label == "time"
        with pytest.raises(InputError, match=r"^top: expected a whole number"):
            classifier.classify("hello", top=-1)
        shares = classifier.probabilities(["hello", "bye"])
    assert shares.shape == (2, 3)
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-6)


def test_torch_is_not_needed(model_file: Path):
    code = f"""
import sys
from handheld.projection import TextClassifier
with TextClassifier.open({str(model_file)!r}) as classifier:
    print(classifier.classify("hello there")[0].label)
sys.exit(any(name in sys.modules for name in ("torch", "numba", "scipy")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[-1]) == (0, "hello"), done.stderr


def test_alone_or_among_others_a_text_gets_the_same_answer(model_file: Path):
    with TextClassifier.open(model_file) as classifier:
        together = classifier.probabilities([*HARD, "good night", *["hi"] * 40])
        assert np.isfinite(together).all()
        for text, shares in zip([*HARD, "good night"], together, strict=False):
            assert np.array_equal(classifier.probabilities([text])[0], shares)


def test_no_texts_have_no_answers(model_file: Path):
    with TextClassifier.open(model_file) as classifier:
        assert classifier.probabilities([]).shape == (0, 3)


@pytest.mark.parametrize("wrong", [None, 3, b"bytes", ["list"]])
def test_what_is_no_text_is_refused(model_file: Path, wrong: object):
    with (
        TextClassifier.open(model_file) as classifier,
        pytest.raises(InputError, match=r"expected texts, got .* as number 1"),
    ):
        classifier.probabilities(["fine", wrong])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "no list of labels"),
        ({"labels": ["a", "b"]}, r"expected one input \[1, 64\] and one output \[1, 2\]"),
        ({"text": None}, "its card has no entry text"),
        (
            {
                "text": {
                    "reads": "rows",
                    "words": 1,
                    "skips": 0,
                    "letters": [],
                    "rows": 512,
                    "length": 9,
                }
            },
            r"one input \[1, 9\]",
        ),
    ],
)
def test_a_card_that_does_not_fit_is_named(
    model_file: Path, tmp_path: Path, change: dict[str, object], message: str
):
    with TextClassifier.open(model_file) as classifier:
        card = classifier.model.card
    (tmp_path / "other.tflite").write_bytes(embed(model_file.read_bytes(), {**card, **change}))
    with pytest.raises(ModelError, match=message):
        TextClassifier.open(tmp_path / "other.tflite")
