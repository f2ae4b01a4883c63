from html.parser import HTMLParser

from made import frame

from handheld.hands import HandTracker
from handheld.hands.recording import record
from handheld.hands.report import report_section


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_section_shows_clip_bars_hands_and_graph(tiny_pack):
    with HandTracker(pack=tiny_pack, redetect_every=10) as tracker:
        recording = record([frame(index, (70, 120)) for index in range(12)], tracker)
        html = report_section(
            recording,
            clip="<b>&.mp4",
            picture="hands.webp",
            pack="tiny",
            graph=tracker.config,
            links={"lines": "hands.jsonl"},
        )
    page = Tags()
    page.feed(html)
    tags = page.tags
    assert ("img", "hands.webp") in [(tag, attrs.get("src")) for tag, attrs in tags]
    bars = [attrs["class"] for tag, attrs in tags if tag == "rect" and "class" in attrs]
    assert len(bars) == 2 * 12  # for wide pages and for phones
    assert bars.count("amount marked") == 2 * len(recording.detector_frames) == 2 * 2
    assert "palm_detector" in html
    assert "&lt;b&gt;&amp;.mp4" in html
    assert "<b>&" not in html


def test_a_stream_without_frames_or_hands(tiny_pack):
    with HandTracker(pack=tiny_pack) as tracker:
        recording = record([], tracker)
        assert "0 frames" in report_section(
            recording, clip="x", picture="y", pack="z", graph=tracker.config, links={}
        )
