"""Suggested replies to a few messages, before and after the user answers one in their own way."""

import time

from markupsafe import Markup
from rich.console import Console

from handheld.reply import Message, Replier, Suggestions
from handheld.reports import html_section, html_table

_CONVERSATIONS = (
    [Message("are you coming tonight?")],
    [Message("thanks for the lift home!")],
    [Message("how did the interview go")],
    [
        Message("shall we meet on friday?"),
        Message("sure, where?", mine=True),
        Message("at the new place by the river, 7 pm"),
    ],
    [Message("grandpa passed away this morning")],
)
_REPEATS = 20  # of the messages, for their time

_LEARNED = ([Message("what would you like to eat tonight?")], "pancakes, what else")
_HEAD = ("message", "suggested", "means", "chance that one is sent")


def suggest(console: Console) -> Markup:
    """Suggest replies with the English bundle that is shipped, and return the page's section."""
    # Without a file: what it learns here is gone at the end.
    replier = Replier.open()
    rows = [_row(said, replier.suggest(said)) for said in _CONVERSATIONS]
    said, answer = _LEARNED
    rows.append(_row(said, replier.suggest(said)))
    replier.learn(said, answer)
    again = [Message("so what would you like to eat?")]
    note = f"after the user answered the message above with “{answer}”"
    rows.append(_row(again, replier.suggest(again), note=note))
    milliseconds = 1e3 * _seconds_a_message(replier)
    console.print(
        f"replies: {len(rows)} messages answered, {milliseconds:.2f} ms each", highlight=False
    )
    bundle = replier.bundle
    about = (
        f"{len(bundle.replies)} replies of {len(bundle.intents)} intents, {milliseconds:.2f} ms a "
        "message on one thread; nothing leaves the machine."
    )
    return html_section("Suggested replies", about, html_table(_HEAD, rows, numbers={3}))


def _seconds_a_message(replier: Replier) -> float:
    started = time.perf_counter()
    for conversation in _CONVERSATIONS * _REPEATS:
        replier.suggest(conversation)
    return (time.perf_counter() - started) / (_REPEATS * len(_CONVERSATIONS))


def _row(
    said: list[Message], suggestions: Suggestions, note: str = ""
) -> tuple[Markup, Markup, Markup, str]:
    lines = []
    for message in said:
        speaker = "me: " if message.mine else ""
        lines.append(Markup("{}{}").format(speaker, message.text))
    if note:
        lines.append(Markup("<small>{}</small>").format(note))
    messages = Markup("<br>").join(lines)
    if not suggestions.replies:
        silence = Markup("<em>{}</em>").format(_silence(suggestions.reason))
        return messages, silence, Markup(""), "none"
    replies = Markup("<br>").join(suggestions.texts)
    intents = [reply.intent.replace("_", " ") for reply in suggestions.replies]
    return messages, replies, Markup("<br>").join(intents), f"{suggestions.confidence:.0%}"


def _silence(reason: str) -> str:
    """Return in words why nothing is suggested."""
    cause, _, topic = reason.partition(": ")
    if cause == "sensitive":
        return f"nothing: a machine should not answer for you here ({topic.replace('_', ' ')})"
    return f"nothing: {reason}"
