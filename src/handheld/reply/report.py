"""What a bundle is worth, as one page that needs no other file and no network."""

from functools import partial
from pathlib import Path

from markupsafe import Markup

from handheld.reply.bundle import ReplyBundle
from handheld.reply.evaluation import ReplyEvaluation
from handheld.reports import AxisWords, Figure, draw_curves, in_two_widths, percent, write_page

_WIDTH = 528
_HEIGHT = 300
_SUGGESTED = AxisWords("suggested for", lambda share: percent(share, 0))
_CAPTION = (
    "The share of suggestions that hold the true intent, against the share of messages for which anything is suggested, as the "
    "threshold falls; most answers in conversations have no intent at all. The dashed line is where the threshold is, {:.3f}."
)
_RIGHT = AxisWords("of these right", lambda share: percent(share, 0))


def write_report(path: Path, bundle: ReplyBundle, judged: ReplyEvaluation) -> None:
    """Write the page. Raises :class:`FileError` if it cannot be written."""
    values = {
        "title": f"Replies: {bundle.card['name']}",
        "judged": judged,
        "figure": Figure(
            _CAPTION.format(bundle.trigger.threshold), in_two_widths(partial(curve, judged), _WIDTH)
        ),
        "replies": len(bundle.replies),
        "intents": len(bundle.intents),
    }
    write_page(path, "handheld.reply", "evaluation.html", values)


def curve(judged: ReplyEvaluation, width: int = _WIDTH) -> Markup:
    """Draw how often the true intent is among three suggestions, against how often anything is suggested."""
    title = "Right suggestions against the share of messages"
    marks = {"where the threshold is": judged.triggered}
    curves = {"suggestions": judged.curve}
    return draw_curves(
        curves, title, width=width, height=_HEIGHT, across=_SUGGESTED, up=_RIGHT, marks=marks
    )
