"""What configurations of all rooms share: tables that become values, and what these name."""

import importlib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Collection
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from handheld.errors import InputError
from handheld.untrusted import require_file

Config = TypeVar("Config")

# Larger than anybody writes, and no trouble for a parser.
_MAX_BYTES = 1 << 24
# Of a message: a field and perhaps an entry in it come first, such as "rate: " and "widths[2]: ".
_NAMES_FIELD = re.compile(r"[a-z_]\w*(\[\d+\]|\.\w+)*: ")
# What msgspec calls the types of a table's entries, in words.
_IN_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "a text",
}


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


def code_in(folder: Path) -> list[Path]:
    """Return the files of modules that were imported from a folder, see :func:`factory`."""
    above = folder.resolve()
    named = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    files = [Path(name) for name in named if name]
    return [file for file in files if file.resolve().parent == above]


def find(path: str, folder: Path) -> Path:
    """Return where a path of a configuration leads: from its folder, from ``HANDHELD_DATA``, or
    from the working folder.
    """
    data = os.environ.get("HANDHELD_DATA", "")
    folders = [folder, Path(data), Path()] if data else [folder, Path()]
    for start in folders:
        if (start / path).exists():
            return start / path
    raise InputError(
        f"no {path} in {folder}, nor in HANDHELD_DATA ({data or 'which is not set'}), "
        f"nor in the working folder ({Path.cwd()}): name where it is"
    )


def read_config(target: type[Config], path: str | os.PathLike[str]) -> Config:
    """Read a TOML file into a dataclass, see :func:`from_table`.

    Raises:
        InputError: names the file, and the entry in it that is wrong.
    """
    table = read_toml(path)
    try:
        return from_table(target, table, "")
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


def read_toml(path: str | os.PathLike[str], known: Collection[str] | None = None) -> dict[str, Any]:
    """Return the entries of a TOML file; it may begin with a byte order mark.

    Args:
        path: of a file of at most 16 MB.
        known: entries that the first level may have; None: any.

    Raises:
        InputError: it is missing, a folder, a pipe, too large, not UTF-8 or no TOML, or has an
            entry that is not known; names the file, and the line where there is one.
    """
    name = os.fspath(path)
    try:
        # A pipe or a device under that name would never end.
        require_file(path)
        table = _parsed(_text(Path(path)))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name} cannot be read as a configuration: {reason}") from error
    if known is not None:
        _require_known(table.keys(), known, name)
    return table


def from_table(target: type[Config], table: object, location: str, **fixed: Any) -> Config:
    """Build a dataclass from a table of a configuration.

    Args:
        target: the dataclass; its fields are of what msgspec knows: dataclasses, tuples, mappings,
            texts, numbers and their unions. A whole number may stand for a float; True is no
            number.
        table: as TOML or JSON have it.
        location: of messages: the entry that the table is; empty for a whole file.
        fixed: values of fields that the table may not say.

    Raises:
        InputError: an entry that no field has, that is of another type or outside its range, or
            that is missing; names it by its path, such as ``settings.training.epochs``.
    """
    if not isinstance(table, dict):
        raise InputError(f"{location}: expected a table, got {table!r}")
    _require_fields(target, table, location, fixed.keys())
    hints = get_type_hints(target)
    values = dict(fixed)
    for name, entry in table.items():
        # One by one: a field of a user's class may be of a type that no table can say.
        values[name] = _typed(hints[name], entry, _joined(location, name))
    for field in fields(target):  # type: ignore[arg-type]  # a dataclass, as said above
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        if field.init and not has_default and field.name not in values:
            raise InputError(_located(location, f"entry {field.name!r} is missing"))
    try:
        return target(**values)
    except InputError as error:
        raise InputError(_located(location, str(error))) from error


def _text(path: Path) -> str:
    """Return what a file says. Raises :class:`OSError` or :class:`ValueError`."""
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it has more than {_MAX_BYTES:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not in UTF-8; save it in that encoding") from error


def _parsed(text: str) -> dict[str, Any]:
    """Return what a text in TOML says. Raises :class:`ValueError`."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("brackets in brackets, too many to read") from error


def _typed(hint: Any, value: Any, location: str) -> Any:
    """Return a value as a field's type hint says. Raises :class:`InputError`."""
    # Here, not above: it takes longer to import than all of the package does at first.
    import msgspec

    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = path.removesuffix("`")
        # Of what came msgspec names the type; the value says more.
        message = re.sub(r"got `\w+`$", lambda _: f"got {_at(value, path)!r:.200}", message)
        message = re.sub(r"^Expected `(.*?)`", lambda types: _expected(types[1]), message)
        message = re.sub(r"^Object missing .*`(.*)`", r"entry '\1' is missing", message)
        raise InputError(_located(location + path, message)) from error


def _expected(types: str) -> str:
    """Return in words what msgspec expected, such as ``int | array``."""
    # No TOML file can say null.
    names = [name for name in types.split(" | ") if name != "null"]
    return f"expected {' or '.join(_IN_WORDS.get(name, name) for name in names)}"


def _at(value: Any, path: str) -> Any:
    """Return what stands in a value at a path such as ``.targets[0]``."""
    # Of a mapping's entry msgspec says "[...]": the mapping itself is shown then.
    for step in re.findall(r"\w+", path):
        value = value[int(step) if isinstance(value, list) else step]
    return value


def _require_fields(hint: Any, value: Any, location: str, fixed: Collection[str] = ()) -> None:
    """Refuse entries that no field has, however deep: msgspec leaves them out without a word."""
    if is_dataclass(hint) and isinstance(value, dict):
        known = {field.name for field in fields(hint) if field.init} - set(fixed)
        _require_known(value, known, location)
        hints = get_type_hints(hint)
        for name, entry in value.items():
            _require_fields(hints[name], entry, _joined(location, name))
        return
    for option in get_args(hint):
        if isinstance(value, list):
            for number, entry in enumerate(value):
                _require_fields(option, entry, f"{location}[{number}]")
        else:
            _require_fields(option, value, location)


def _require_known(names: Collection[str], known: Collection[str], location: str) -> None:
    for name in sorted(set(names) - set(known)):
        expected = ", ".join(sorted(known))
        raise InputError(_located(location, f"no entry {name!r}; expected {expected}"))


def _joined(location: str, name: str) -> str:
    return f"{location}.{name}" if location else name


def _located(location: str, message: str) -> str:
    """Return a message with the path of its entry in front, of which it may name the last steps."""
    if not location:
        return message
    # A class names its fields alone: it does not know under which entry it stands.
    return f"{location}{'.' if _NAMES_FIELD.match(message) else ': '}{message}"
