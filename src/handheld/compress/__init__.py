"""One big model in, a family of small ones out: Learn2Compress.

``compress`` trains members of many sizes jointly with their teacher, lets each learn from its
answers, prunes, quantises, compiles, measures, and returns a ``Family`` from which ``pick``
chooses. Needs the extra ``train``, but for reading a family.
"""

from typing import TYPE_CHECKING, Any

from handheld._extras import lazily
from handheld.compress.family import Family, Member
from handheld.compress.targets import Target

if TYPE_CHECKING:
    from handheld.compress.pictures.training.batches import Augmentation
    from handheld.compress.run import compress
    from handheld.compress.settings import FamilySettings
    from handheld.compress.teacher import TeacherSource, TeacherWarning
    from handheld.training import Distillation, Schedule

__all__ = [
    "Augmentation",
    "Distillation",
    "Family",
    "FamilySettings",
    "Member",
    "Schedule",
    "Target",
    "TeacherSource",
    "TeacherWarning",
    "compress",
]

_LAZY = {  # where each is, so that a family can be read without torch
    "Augmentation": "handheld.compress.pictures.training.batches",
    "Distillation": "handheld.training",
    "Schedule": "handheld.training",
    "FamilySettings": "handheld.compress.settings",
    "TeacherSource": "handheld.compress.teacher",
    "TeacherWarning": "handheld.compress.teacher",
    "compress": "handheld.compress.run",
}


def __getattr__(name: str) -> Any:
    return lazily(__name__, _LAZY, name)
