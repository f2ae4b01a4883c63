"""What a bundle is worth, as one page that needs no other file and no network."""

from pathlib import Path

from markupsafe import Markup

from handheld import __version__
from handheld.drawing import amounts
from handheld.drawing.axes import Axis, Scale, grid, svg
from handheld.drawing.page import write_page
from handheld.reply.bundle import ReplyBundle
from handheld.reply.judging import Judgement

_WIDTH, _HEIGHT = 528, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 22, 24, 42


def write_report(path: Path, bundle: ReplyBundle, judged: Judgement) -> None:
    """Write the page. Raises :class:`FileError` if it cannot be written."""
    values = {
        "title": f"Replies: {bundle.card['name']}",
        "judged": judged,
        "picture": curve(judged),
        "threshold": bundle.trigger.threshold,
        "version": __version__,
        "replies": len(bundle.replies),
        "intents": len(bundle.intents),
    }
    write_page(path, "handheld.reply", "judgement.html", values)


def curve(judged: Judgement) -> Markup:
    """Draw how often the true intent is among three suggestions, against how often anything is suggested."""
    x = Axis(0, 1, _LEFT, _WIDTH - _RIGHT)
    y = Axis.around([0, *(right for _, right in judged.curve)], _HEIGHT - _BOTTOM, _TOP, room=0.05)
    parts = [grid(Scale(x, amounts.percent, "suggested for", 6), Scale(y, amounts.percent, "of these right", 6))]
    points = "M" + "L".join(f"{x.at(share):.1f} {y.at(right):.1f}" for share, right in judged.curve)
    parts.append(Markup('<path class="curve c0 d0" d="{}"/>').format(points))
    now = '<path class="curve c1 d1" d="M{0:.1f} {1:.1f}V{2:.1f}"><title>where the threshold is</title></path>'
    parts.append(Markup(now).format(x.at(judged.triggered), y.start, y.end))
    said = "; ".join(f"{share:.0%}: {right:.1%}" for share, right in judged.curve[::4])
    return svg("Right suggestions against the share of messages", said, _WIDTH, _HEIGHT, parts)
