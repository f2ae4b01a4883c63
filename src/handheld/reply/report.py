"""What a bundle is worth, as one page that needs no other file and no network."""

from functools import partial
from pathlib import Path

from markupsafe import Markup

from handheld.reply.bundle import ReplyBundle
from handheld.reply.evaluation import ReplyEvaluation
from handheld.reports import AxisWords, Figure, draw_curves, in_two_widths, percent, write_page

# CSS pixels of the chart: the width of a page's column
_WIDTH = 528
_HEIGHT = 300
_CAPTION = (
    "The share of suggestions that hold the true intent, against the share of messages for which"
    " anything is suggested, as the threshold falls; most answers in conversations have no intent"
    " at all. The dashed line is where the threshold is, {:.3f}."
)


def _whole_percent(share: float) -> str:
    return percent(share, 0)


_SUGGESTED = AxisWords("suggested for", _whole_percent)
_RIGHT = AxisWords("of these right", _whole_percent)


def write_report(path: Path, bundle: ReplyBundle, evaluation: ReplyEvaluation) -> None:
    """Write the page.

    Raises:
        FileError: it cannot be written.
    """
    caption = _CAPTION.format(bundle.trigger.threshold)
    values = {
        "title": f"Replies: {bundle.card.get('name', 'a bundle')}",
        "evaluation": evaluation,
        "figure": Figure(caption, in_two_widths(partial(curve, evaluation), _WIDTH)),
        "replies": len(bundle.replies),
        "intents": len(bundle.intents),
    }
    write_page(path, "handheld.reply", "evaluation.html", values)


def curve(evaluation: ReplyEvaluation, width: int = _WIDTH) -> Markup:
    """Draw how often the true intent is among three suggestions, against how often any is made."""
    return draw_curves(
        {"suggestions": evaluation.curve},
        "Right suggestions against the share of messages",
        width=width,
        height=_HEIGHT,
        across=_SUGGESTED,
        up=_RIGHT,
        marks={"where the threshold is": evaluation.trigger_rate},
    )
