"""Gestures that unfold in time: swipes, waves, pinches, circles.

``MotionRecogniser`` takes the hands of each frame with their time, and says which motions ended
there; ``moments`` says what it looks at, and each motion has a file of its own. Lengths are palm
lengths and speeds palm lengths a second, so that neither a picture's size nor its rate matters.
"""

from handheld.hands.motion.events import MOTIONS, MotionEvent
from handheld.hands.motion.recogniser import MotionRecogniser

__all__ = ["MOTIONS", "MotionEvent", "MotionRecogniser"]
