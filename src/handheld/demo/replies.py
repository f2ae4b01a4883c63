"""Suggested replies to a few messages, before and after one of them was answered in the user's own
words.
"""

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
_OWN = ([Message("what would you like to eat tonight?")], "pancakes, what else")
_HEAD = ("message", "suggested", "means", "chance that one is sent")


def suggest(console: Console) -> Markup:
    """Suggest replies with the English bundle that is shipped, and return the page's section."""
    replier = Replier.open()
    rows = [_row(said, replier.suggest(said)) for said in _CONVERSATIONS]
    said, own = _OWN
    rows.append(_row(said, replier.suggest(said)))
    replier.learn(said, own)
    again = [Message("so what would you like to eat?")]
    rows.append(
        _row(
            again,
            replier.suggest(again),
            note=f"after the user answered the message above with “{own}”",
        )
    )
    started = time.perf_counter()
    for conversation in _CONVERSATIONS * 20:
        replier.suggest(conversation)
    each = (time.perf_counter() - started) / (20 * len(_CONVERSATIONS))
    console.print(
        f"replies: {len(rows)} messages answered, {each * 1e3:.2f} ms each", highlight=False
    )
    bundle = replier.bundle
    about = (
        f"{len(bundle.replies)} replies of {len(bundle.intents)} intents, {each * 1e3:.2f} ms a message on one thread; nothing "
        "leaves the machine."
    )
    return html_section("Suggested replies", about, html_table(_HEAD, rows, numbers={3}))


def _row(
    said: list[Message], found: Suggestions, note: str = ""
) -> tuple[Markup, Markup, Markup, str]:
    lines = [
        Markup("{}{}").format("me: " if message.mine else "", message.text) for message in said
    ]
    if note:
        lines.append(Markup("<small>{}</small>").format(note))
    replies = (
        Markup("<br>").join(found.texts)
        if found.replies
        else Markup("<em>{}</em>").format(_silence(found.reason))
    )
    intents = Markup("<br>").join(reply.intent.replace("_", " ") for reply in found.replies)
    sure = f"{found.confidence:.0%}" if found.replies else "none"
    return Markup("<br>").join(lines), replies, intents, sure


def _silence(reason: str) -> str:
    """Return in words why nothing is suggested."""
    kind, _, topic = reason.partition(": ")
    if kind == "sensitive":
        return f"nothing: a machine should not answer for you here ({topic.replace('_', ' ')})"
    return f"nothing: {reason}"
