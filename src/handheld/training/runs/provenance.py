"""Where a result comes from, for the records of those who read it later."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import handheld


def made_by(command: str) -> str:
    """Return what a file says that made it, such as ``handheld 0.1.0 compress``."""
    return f"handheld {handheld.__version__} {command}"


def provenance(*distributions: str) -> dict[str, Any]:
    """Return when and where a run ends.

    Args:
        distributions: whose versions are told beside ours.

    Returns:
        ``created`` (UTC), ``machine`` and ``versions``.
    """
    # Of what computes the result: another version may give another one.
    versions = {"handheld": handheld.__version__}
    for name in distributions:
        versions[name] = version(name)
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            # some systems do not say which processor it is
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.system(),
        },
        "versions": versions,
    }
