"""A job's progress as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator

from handheld.errors import MissingDependencyError
from handheld.service._context import ServiceContext, status

try:
    from starlette.concurrency import run_in_threadpool
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_PAUSE = 0.4  # seconds between two looks, which nobody notices
_PAUSES_PER_COMMENT = 40  # 16 seconds: proxies end what is silent for a minute


async def events(context: ServiceContext, job_id: str) -> AsyncIterator[str]:
    """Give an event for each change of a job, until it has ended.

    Everything is in the database, so any server can.
    """
    last = ""
    quiet = 0
    while not context.stopping.is_set():
        job = await run_in_threadpool(context.find, job_id)
        if job is None:
            break
        text = json.dumps(status(job))
        if text != last:
            quiet = 0
            yield f"data: {text}\n\n"
        else:
            quiet += 1
            if quiet % _PAUSES_PER_COMMENT == 0:
                # Else a proxy between would take the silence for the end.
                yield ": still here\n\n"
        if job.ended:
            break
        last = text
        try:
            await asyncio.wait_for(context.stopping.wait(), _PAUSE)
        except TimeoutError:
            continue
