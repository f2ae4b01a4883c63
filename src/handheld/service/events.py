"""Progress as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from handheld.errors import MissingDependencyError
from handheld.service.jobs._table import ENDED

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import StreamingResponse
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_PAUSE = 0.4  # seconds between two looks, which nobody notices
_PAUSES_PER_COMMENT = 40  # 16 seconds: proxies end what is silent for a minute


def event_stream(
    look: Callable[[], Mapping[str, Any] | None], stopping: asyncio.Event
) -> StreamingResponse:
    """Answer with an event for each change of what ``look`` returns.

    Args:
        look: reads a ``state``, and what else there is to say, from the database, so that any
            server can; None: there is nothing any more. Called in a thread.
        stopping: lets go of all who follow.
    """
    # Proxies would else keep events back until they have enough of them.
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(
        _events(look, stopping), media_type="text/event-stream", headers=headers
    )


async def _events(
    look: Callable[[], Mapping[str, Any] | None], stopping: asyncio.Event
) -> AsyncIterator[str]:
    """Give an event for each change, until the state is one that ends."""
    last = ""
    quiet = 0
    while not stopping.is_set():
        seen = await run_in_threadpool(look)
        if seen is None:
            break
        text = json.dumps(seen)
        if text != last:
            quiet = 0
            yield f"data: {text}\n\n"
        else:
            quiet += 1
            if quiet % _PAUSES_PER_COMMENT == 0:
                # Else a proxy between would take the silence for the end.
                yield ": still here\n\n"
        if seen["state"] in ENDED:
            break
        last = text
        try:
            await asyncio.wait_for(stopping.wait(), _PAUSE)
        except TimeoutError:
            continue
