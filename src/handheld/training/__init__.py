"""What every room that trains shares: one loop that can be stopped anywhere and goes on, its state on disk, distillation.

Needs the extra ``train``.
"""

from handheld.training.distil import Distillation, student_loss
from handheld.training.hardware import autocast, device, device_of
from handheld.training.loop import Report, Schedule, fit
from handheld.training.state import load_state, save_state

__all__ = [
    "Distillation",
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
