"""What a motion recogniser reports."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from handheld.hands.motion.moments import Moment

MOTIONS = (
    "swipe left",
    "swipe right",
    "swipe up",
    "swipe down",
    "wave",
    "pinch",
    "circle clockwise",
    "circle counterclockwise",
)
"""Names of the motions; directions are those of the picture."""


@dataclass(frozen=True)
class MotionEvent:
    """One motion of one hand.

    Attributes:
        name: one of :data:`MOTIONS`.
        hand_id: of the hand, as in ``HandResult``.
        begin_us: when it began, microseconds.
        end_us: when it ended.
    """

    name: str
    hand_id: int
    begin_us: int
    end_us: int

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers and texts."""
        return {
            "name": self.name,
            "hand_id": int(self.hand_id),
            "begin_us": self.begin_us,
            "end_us": self.end_us,
        }


@dataclass(frozen=True)
class MotionSpan:
    """What a detector finds: a motion and its moments.

    Attributes:
        name: one of :data:`MOTIONS`.
        begin: its first moment.
        end: its last one.
    """

    name: str
    begin: Moment
    end: Moment


class MotionDetector(ABC):
    """Looks for motions of one hand, whose moments it is told in their order."""

    @abstractmethod
    def update(self, moment: Moment) -> MotionSpan | None:
        """Return the motion that is now known to be over, if there is one."""

    def finish(self) -> MotionSpan | None:
        """Return the motion that was under way when the hand was lost, or ``None``."""
        return None
