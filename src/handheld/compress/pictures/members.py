"""Members learn for themselves: their lesson, and the backend of one process."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import fx

from handheld.compress.pictures.candidates import Candidate
from handheld.compress.pictures.lesson import Finished, MemberLesson, finish
from handheld.compress.pictures.run import PictureRun
from handheld.compress.pictures.training.answers import TeacherAnswers
from handheld.networks.state import read_packed
from handheld.training import device, save_state

Backend = Callable[
    [PictureRun, MemberLesson, Mapping[Candidate, fx.GraphModule]], dict[Candidate, Finished]
]
"""Lets each member learn for itself, wherever that is; the members are independent."""


def teach(run: PictureRun) -> MemberLesson:
    """Ask the teacher about every training picture, and keep what it says.

    Without distillation each epoch varies the pictures anew.
    """
    valid = run.data.valid
    if not run.settings.uses("distillation"):
        return MemberLesson(run.batches(), None, valid, run.preparation, run.settings)
    # a few views, so that the teacher is asked about each once, and not in each epoch
    batches = run.batches(views=run.settings.views)
    large = run.large.to(device()).eval()
    answers = TeacherAnswers(
        run.answerer or large,
        batches,
        len(run.data.classes),
        save=run.space.state,
        report=run.clock.share,
    )
    return MemberLesson(batches, answers, valid, run.preparation, run.settings, large)


def finish_members(
    run: PictureRun, lesson: MemberLesson, started: Mapping[Candidate, fx.GraphModule]
) -> dict[Candidate, Finished]:
    """Let each member learn for itself, one after another: the backend of one process."""
    finished = {}
    for number, (candidate, network) in enumerate(started.items()):
        kept = run.member_file(candidate)
        with run.clock.part(number, len(started), candidate.name):
            if not kept.exists():
                learned = finish(
                    candidate, network, lesson, save=run.space.state, report=run.clock.steps
                )
                save_state(kept, learned.packed(network))
            # From the file in any case: a run that goes on must end as one that was not stopped.
            finished[candidate] = read_packed(kept, partial(Finished.unpacked, network))
    return finished
