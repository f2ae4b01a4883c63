"""What every room that trains shares: a loop that can be stopped and goes on, and distillation.

It needs the extra ``train``, but for ``runs``: folders, clocks and records of runs, which need no
torch.
"""

from typing import TYPE_CHECKING, Any

from handheld._extras import lazily

if TYPE_CHECKING:
    from handheld.training.distillation import Distillation, student_loss
    from handheld.training.hardware import autocast, device, device_of
    from handheld.training.loop import FitRun, Report, Schedule, fit
    from handheld.training.state import load_state, save_state

_MODULES = {
    "distillation": ("Distillation", "student_loss"),
    "hardware": ("autocast", "device", "device_of"),
    "loop": ("FitRun", "Report", "Schedule", "fit"),
    "state": ("load_state", "save_state"),
}
_HOME: dict[str, str] = {}
for _module, _names in _MODULES.items():
    _HOME |= dict.fromkeys(_names, f"{__name__}.{_module}")

__all__ = [
    "Distillation",
    "FitRun",
    "Report",
    "Schedule",
    "autocast",
    "device",
    "device_of",
    "fit",
    "load_state",
    "save_state",
    "student_loss",
]


def __getattr__(name: str) -> Any:
    return lazily(__name__, _HOME, name)
