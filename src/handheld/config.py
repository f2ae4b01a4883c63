"""What configurations of all rooms share: tables that become values, files and functions that they name."""

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

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
        raise InputError(
            f"no factory {name!r} ({error}): expected package.module:function"
        ) from error
    except Exception as error:  # whatever a user's module raises, or how it is not written
        raise InputError(
            f"no factory {name!r} ({type(error).__name__}: {error}): mend the module {module}"
        ) from error
    if not callable(found):
        raise InputError(f"{name} is a {type(found).__name__}, expected a function")
    return found


def find(path: str, folder: Path) -> Path:
    """Return where a path of a configuration leads: from its folder, from ``HANDHELD_DATA``, or from the working folder."""
    data = os.environ.get("HANDHELD_DATA", "")
    folders = [folder, Path(data), Path()] if data else [folder, Path()]
    for start in folders:
        if (start / path).exists():
            return start / path
    raise InputError(
        f"no {path} in {folder}, nor in HANDHELD_DATA ({data or 'which is not set'}), "
        f"nor in the working folder ({Path.cwd()}): name where it is"
    )


def from_table(kind: type[Any], table: Any, where: str, **fixed: Any) -> Any:
    """Build a dataclass from a table of a configuration. Raises :class:`InputError` for entries that it does not have."""
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table, got {table!r}")
    hints, known = get_type_hints(kind), {f.name for f in fields(kind)} - fixed.keys()
    values = dict(fixed)
    for key, value in table.items():
        if key not in known:
            raise InputError(f"{where}: no entry {key!r}; expected {', '.join(sorted(known))}")
        values[key] = _typed(hints[key], value, f"{where}.{key}".lstrip("."))
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in values]:
        raise InputError(f"{where}: entry {missing[0]!r} is missing")
    return kind(**values)


def _typed(wanted: Any, value: Any, where: str) -> Any:
    if hasattr(wanted, "__dataclass_fields__"):
        return from_table(wanted, value, where)
    if get_origin(wanted) is tuple:
        inner = get_args(wanted)[0]
        parts = [_number(inner, part) for part in value] if isinstance(value, list) else [None]
        if not all(isinstance(part, inner) and not isinstance(part, bool) for part in parts):
            raise InputError(
                f"{where}: expected a list of {getattr(inner, '__name__', inner)}, got {value!r}"
            )
        return tuple(parts)
    options = get_args(wanted) or (wanted,)
    if isinstance(value, list):
        for option in options:
            if get_origin(option) is tuple:
                return _typed(option, value, where)
    if float in options:
        value = _number(float, value)
    if not any(type(value) is option for option in options):
        raise InputError(
            f"{where}: expected {' or '.join(option.__name__ for option in options)}, got {value!r}"
        )
    return value


def _number(wanted: Any, value: Any) -> Any:
    """Return a whole number as a float where one is wanted: TOML tells 1 from 1.0."""
    return float(value) if wanted is float and type(value) is int else value
