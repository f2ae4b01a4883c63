"""One share of a whole job from the shares of its stages."""

from collections.abc import Callable, Mapping

# Parts of a usual run's time, of which training has the most. What comes before compress() is not among them.
_WEIGHTS: Mapping[str, float] = {
    "teacher's file": 0.04,
    "candidates": 0.10,
    "joint training": 0.48,
    "teacher's answers": 0.03,
    "members": 0.25,
    "files": 0.06,
    "measuring": 0.04,
}
BEFORE, _AFTER = 0.04, 0.98


class Overall:
    """Turns a run's progress (stage, share of it, text) into a server's (share of all, message); it never goes back.

    Args:
        report: called with the share of the job and a message.
        rounds: stage -> how often its share goes from 0 to 1, as the stage ``members`` does for each member; once if left out.
    """

    def __init__(self, report: Callable[[float, str], None], rounds: Mapping[str, int]):
        self._report, self._rounds = report, rounds
        self._stage, self._round, self._last, self._reached = "", 0, 0.0, 0.0

    def __call__(self, stage: str, done: float, text: str) -> None:
        """Take in what a run says."""
        if stage != self._stage:
            self._stage, self._round = stage, 0
        elif done < self._last:
            self._round += 1
        self._last = done
        inside = min(1.0, (self._round + done) / self._rounds.get(stage, 1))
        names = list(_WEIGHTS)
        before = sum(_WEIGHTS[name] for name in names[: names.index(stage)]) if stage in _WEIGHTS else 0.0
        whole = BEFORE + (_AFTER - BEFORE) * (before + inside * _WEIGHTS.get(stage, 0.0))
        self._reached = max(self._reached, whole)
        self._report(self._reached, f"{stage}: {text}" if text else stage)
