"""Jobs that people submit: their kinds and limits, their queue in SQL, their folders, and the
processes that run them.

``JobKind`` is the seam: a form, a check, and a function that runs in a process of its own.
``queue`` and ``worker`` need the extra ``server``; kinds, limits and what runs in a job's process
do not.
"""

from handheld.service.jobs.kinds import FormField, JobKind
from handheld.service.jobs.limits import Limits

__all__ = ["FormField", "JobKind", "Limits"]
