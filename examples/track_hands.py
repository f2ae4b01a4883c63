"""Track hands in the clip that ships, and say when a gesture changes.

Run it with ``python examples/track_hands.py``; the models ship with the package.
"""

from importlib import resources

from handheld.hands import HandTracker
from handheld.media import open_video

clip = resources.files("handheld.hands").joinpath("assets", "demo.mp4")
last: dict[int, str | None] = {}
with HandTracker(max_hands=2) as tracker:
    for frame in open_video(str(clip)):
        for hand in tracker.track(frame):
            if hand.gesture and last.get(hand.id) != hand.gesture:
                print(
                    f"{frame.t_us / 1e6:5.2f} s  hand {hand.id} ({hand.handedness}): {hand.gesture}"
                )
                last[hand.id] = hand.gesture
