"""A classifier of what is said to a lamp, a clock and a radio, trained from thirty sentences."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from markupsafe import Markup
from rich.console import Console

from handheld.data import Dataset
from handheld.reports import html_section, html_table

_LIMIT = 20_000  # bytes
_HEAD = ("said", "about", "how sure")
_SAID = {
    "light": """
        turn on the light
        switch the lamp off
        make it brighter in the kitchen
        dim the lights please
        it is too dark here
        lights out
        put the bedroom lamp on
        can you make the room less bright
        turn the lights to blue
        kill the light
    """,
    "alarm": """
        wake me at seven
        set an alarm for six thirty
        remind me in ten minutes
        start a timer for the eggs
        cancel my alarm
        when does my alarm ring
        snooze for five minutes
        how long is left on the timer
        stop the timer
        alarm every weekday at eight
    """,
    "music": """
        play some jazz
        next song please
        pause the music
        who sings this song
        turn the volume up
        play the radio
        skip this track
        stop playing
        put on my party playlist
        play something quiet
    """,
}
"""Sentences, one a line, by what they are about."""

_ASKED = (
    "turn off the lamp in the hall",
    "wake me up at nine",
    "play the next track",
    "set a timer for ten minutes",
    "too bright",
)


def classify(console: Console) -> Markup:
    """Train the classifier, ask it, and return the page's section. Needs the extra ``train``."""
    from handheld.projection import TextClassifier
    from handheld.projection.judging import TextData
    from handheld.projection.training.making import make_text_model
    from handheld.projection.training.plan import TextModelPlan
    from handheld.projection.training.recipe import recipe_for

    # The seed of which sentences are held out; any other would do.
    train, valid = _sentences().split(0.2, seed=0)
    started = time.perf_counter()
    plan = TextModelPlan(_LIMIT, recipe=recipe_for("picked", _LIMIT, len(_SAID)))
    content = make_text_model(TextData.of(train), TextData.of(valid), plan).content
    seconds = time.perf_counter() - started
    rows = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "said.tflite"
        path.write_bytes(content)
        with TextClassifier.open(path) as classifier:
            for text in _ASKED:
                label, sure = classifier.classify(text, top=1)[0]
                rows.append((text, label, f"{sure:.0%}"))
    console.print(f"texts: {len(content):,} bytes, trained in {seconds:.1f} s", highlight=False)
    about = (
        f"Trained from {len(train)} sentences in {seconds:.1f} s into a file of {len(content):,} "
        "bytes, then asked what it had not seen."
    )
    return html_section("Texts that are sorted", about, html_table(_HEAD, rows, numbers={2}))


def _sentences() -> Dataset:
    texts = []
    labels = []
    for label, said in enumerate(_SAID.values()):
        sentences = [line.strip() for line in said.strip().splitlines()]
        texts += sentences
        labels += [label] * len(sentences)
    return Dataset(tuple(texts), np.array(labels), tuple(_SAID))
