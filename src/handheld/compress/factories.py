"""What a configuration names by import path: ``package.module:factory``."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handheld.errors import InputError


def factory(name: str, folder: Path) -> Callable[..., Any]:
    """Import a function by ``package.module:function``; modules are also looked for in a folder, after all others.

    The folder stays on the module search path, for the processes that a run starts. Raises :class:`InputError`.
    """
    module, _, attribute = name.partition(":")
    if (place := str(folder.resolve())) not in sys.path:
        sys.path.append(place)
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"no factory {name!r} ({error}): expected package.module:function") from error
    if not callable(found):
        raise InputError(f"{name} is a {type(found).__name__}, expected a function")
    return found
