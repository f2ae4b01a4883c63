"""What configurations of all rooms share: tables that become values, and what these name."""

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from handheld.errors import InputError


def factory(name: str, folder: Path) -> Callable[..., Any]:
    """Import a function by ``package.module:function``.

    Modules are also looked for in a folder, after all others. The folder stays on the module search
    path, for the processes that a run starts. Raises :class:`InputError`.
    """
    module, _, attribute = name.partition(":")
    resolved = str(folder.resolve())
    # Last, so that a file called json.py there is not taken for Python's own.
    if resolved not in sys.path:
        sys.path.append(resolved)
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"no factory {name!r} ({error}): expected package.module:function"
        ) from error
    except Exception as error:  # whatever a user's module raises, or how it is not written
        raise InputError(
            f"no factory {name!r} ({type(error).__name__}: {error}): mend the module {module}"
        ) from error
    if not callable(function):
        raise InputError(f"{name} is a {type(function).__name__}, expected a function")
    return function


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


def from_table(target: type[Any], table: Any, location: str, **fixed: Any) -> Any:
    """Build a dataclass from a table of a configuration.

    Args:
        target: the dataclass; what its fields hold may be dataclasses, tuples, texts and numbers.
        table: as TOML or JSON have it.
        location: of messages: the entry that the table is.
        fixed: values of fields that the table may not say.

    Raises:
        InputError: entries that it does not have, of other types, or a missing one.
    """
    if not isinstance(table, dict):
        raise InputError(f"{location}: expected a table, got {table!r}")
    hints = get_type_hints(target)
    known = {field.name for field in fields(target)} - fixed.keys()
    values = dict(fixed)
    for key, value in table.items():
        if key not in known:
            raise InputError(f"{location}: no entry {key!r}; expected {', '.join(sorted(known))}")
        values[key] = _typed(hints[key], value, f"{location}.{key}".lstrip("."))
    for field in fields(target):
        is_needed = field.default is MISSING and field.default_factory is MISSING
        if is_needed and field.name not in values:
            raise InputError(f"{location}: entry {field.name!r} is missing")
    return target(**values)


def _typed(hint: Any, value: Any, location: str) -> Any:
    """Return a value as a field's type hint says. Raises :class:`InputError`."""
    if hasattr(hint, "__dataclass_fields__"):
        return from_table(hint, value, location)
    if get_origin(hint) is tuple:
        return _typed_tuple(get_args(hint)[0], value, location)
    options = get_args(hint) or (hint,)
    if isinstance(value, list):
        for option in options:
            if get_origin(option) is tuple:
                return _typed(option, value, location)
    if float in options:
        value = _number(float, value)
    # Not isinstance: True is an int, and nobody means it as one.
    if type(value) not in options:
        expected = " or ".join(option.__name__ for option in options)
        raise InputError(f"{location}: expected {expected}, got {value!r}")
    return value


def _typed_tuple(inner: Any, value: Any, location: str) -> tuple[Any, ...]:
    entries = [_number(inner, entry) for entry in value] if isinstance(value, list) else [None]
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, inner):
            name = getattr(inner, "__name__", inner)
            raise InputError(f"{location}: expected a list of {name}, got {value!r}")
    return tuple(entries)


def _number(hint: Any, value: Any) -> Any:
    """Return a whole number as a float where one is expected: TOML tells 1 from 1.0."""
    return float(value) if hint is float and type(value) is int else value
