"""One share of a whole job from the shares of its stages."""

from collections.abc import Callable, Mapping, Sequence

# What comes before compress() is not among them.
PICTURES: Mapping[str, float] = {
    "teacher's file": 0.04,
    "candidates": 0.10,
    "joint training": 0.48,
    "teacher's answers": 0.03,
    "members": 0.25,
    "files": 0.06,
    "measuring": 0.04,
}
"""Parts of a usual run's time, of which training has the most."""

# Shares of a job at which its run begins and ends.
BEFORE = 0.04
_AFTER = 0.98


def texts(members: Sequence[str]) -> Mapping[str, float]:
    """Return the parts of a run on texts, whose members learn one after another."""
    return {"teacher": 0.4, **{name: 0.55 / len(members) for name in members}, "measuring": 0.05}


class Overall:
    """Turns a run's progress (stage, share of it, text) into a server's (share of all, message); it
    never goes back.

    Args:
        report: called with the share of the job and a message.
        shares: stage -> its share of the time, in their order; a stage that is not among them moves
            nothing.
    """

    def __init__(self, report: Callable[[float, str], None], shares: Mapping[str, float]):
        self._report = report
        self._shares = shares
        self._reached = 0.0

    def __call__(self, stage: str, done: float, text: str) -> None:
        """Take in what a run says."""
        done_before = 0.0
        if stage in self._shares:
            names = list(self._shares)
            done_before = sum(self._shares[name] for name in names[: names.index(stage)])
        share = done_before + min(1.0, done) * self._shares.get(stage, 0.0)
        # never back: a stage that is not among the shares would begin at 0
        self._reached = max(self._reached, BEFORE + (_AFTER - BEFORE) * share)
        message = stage
        if text:
            message = f"{stage}: {text}"
        self._report(self._reached, message)
