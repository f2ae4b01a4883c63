"""A job's progress as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator

from handheld.errors import MissingDependencyError
from handheld.service._context import Context, status

try:
    from starlette.concurrency import run_in_threadpool
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_PAUSE = 0.4
_PAUSES_PER_COMMENT = 40


async def events(context: Context, job_id: str) -> AsyncIterator[str]:
    """Give an event for each change of a job, until it has ended.

    Everything is in the database, so any server can.
    """
    told, quiet = "", 0
    while not context.stopping.is_set():
        job = await run_in_threadpool(context.find, job_id)
        if job is None:
            break
        text = json.dumps(status(job))
        quiet = 0 if text != told else quiet + 1
        if text != told:
            yield f"data: {text}\n\n"
        elif quiet % _PAUSES_PER_COMMENT == 0:
            yield ": still here\n\n"  # else a proxy between would take the silence for the end
        if job.ended:
            break
        told = text
        try:
            await asyncio.wait_for(context.stopping.wait(), _PAUSE)
        except TimeoutError:
            continue
