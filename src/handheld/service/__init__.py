"""What our servers share: an ASGI application for jobs that people submit, its queue in SQL, and
the care that uploads need.

``JobKind`` is the seam: a form, a check, and a function that runs in a process of its own.
``serve`` answers for some kinds; ``create_app`` gives the application alone; ``run_app`` runs any;
``unpack`` opens archives that strangers send. ``jobs`` holds what a job is and runs in,
``archives`` what opens and makes archives; ``database`` is for servers with other state, ``guard``
stands before every answer. All but ``JobKind``, ``Limits`` and ``unpack`` need the extra
``server``.
"""

from handheld.service.archives import unpack
from handheld.service.jobs.kinds import FormField, JobKind
from handheld.service.jobs.limits import Limits
from handheld.service.server import create_app, run_app, serve

__all__ = ["FormField", "JobKind", "Limits", "create_app", "run_app", "serve", "unpack"]
