"""What a value is, by content: plain values, the same in any process, for runs that go on.

A ``repr`` will not do: it holds addresses, leaves out what a subclass adds, and shortens long
arrays.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

Plain = dict[str, Any] | list[Any] | str | int | float | bool | None
"""What JSON holds."""

ABOUT = "about"
"""Key of numbers that are compared up to rounding: other processors add up in another order."""

_CHUNK = 1 << 22  # bytes that are hashed at a time, so that no array is copied whole
_TOLERANCE = 1e-3  # of such numbers: far above rounding, far below what other data gives
_MAX_SHOWN = 60  # letters of a value in a message


def canonical(value: Any, location: str) -> Plain:
    """Return a value as plain ones that tell it from any other of its kind.

    A class of one's own is a dataclass, whose fields but those with ``compare=False`` count, or has
    a method ``fingerprint()`` or ``config()`` that returns plain values, arrays or such
    dataclasses.

    Args:
        value: of any of these, or a container of them.
        location: where it stands, for the message.

    Raises:
        InputError: a value that cannot be told from others; it says what to do.
    """
    is_plain, result = _plain(value)
    if is_plain:
        return result
    if isinstance(value, np.ndarray):
        return {"array": array_digest(value), "shape": list(value.shape), "dtype": value.dtype.str}
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _container(value, location)
    if isinstance(value, type | BuiltinFunctionType):
        return name_of(value)
    if isinstance(value, FunctionType | MethodType | partial):
        return _function(value, location)
    return _instance(value, location)


def _container(value: Any, location: str) -> Plain:
    if isinstance(value, Mapping):
        entries = {}
        for key, entry in value.items():
            entries[str(key)] = canonical(entry, f"{location}.{key}")
        return dict(sorted(entries.items()))
    if isinstance(value, list | tuple):
        return [canonical(entry, f"{location}[{index}]") for index, entry in enumerate(value)]
    # A set has no order of its own, so it gets one.
    return sorted((canonical(entry, location) for entry in value), key=repr)


def array_digest(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's numbers, read in chunks: of a memory map too."""
    if array.dtype.hasobject:
        raise InputError(f"expected an array of numbers, got {array.dtype}")
    hasher = hashlib.sha256()
    rows = np.atleast_1d(array)
    step = max(1, _CHUNK // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), step):
        chunk = np.ascontiguousarray(rows[start : start + step])
        if chunk.size:  # of none there are no bytes to look at
            hasher.update(chunk.view(np.uint8).reshape(-1).data)
    return hasher.hexdigest()


def values_digest(*values: object) -> str:
    """Return 16 hexadecimal digits that stand for values, by their ``repr``.

    Values are numbers, texts, and dataclasses of them.
    """
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def differences(before: Plain, now: Plain, location: str = "") -> Iterator[str]:
    """Yield where two values differ, such as ``plan.seed was 0, is 1 now``."""
    if isinstance(before, dict) and isinstance(now, dict):
        yield from _entry_differences(before, now, location)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from differences(old, new, f"{location}[{index}]")
    elif before != now:
        yield f"{location} was {_short(before)}, is {_short(now)} now"


def _entry_differences(before: dict[str, Any], now: dict[str, Any], location: str) -> Iterator[str]:
    for key in dict.fromkeys([*before, *now]):
        inner = f"{location}.{key}".lstrip(".")
        if key == ABOUT and _near(before.get(key), now.get(key)):
            continue
        if key not in before:
            yield f"{inner} is there now"
        elif key not in now:
            yield f"{inner} is there no more"
        else:
            yield from differences(before[key], now[key], inner)


def name_of(value: Any) -> str:
    """Return where a class or function is defined, ``package.module:Name``."""
    return f"{value.__module__}:{value.__qualname__}"


def _plain(value: Any) -> tuple[bool, Plain]:
    """Return whether a value is plain, and how it is written."""
    if isinstance(value, Enum):
        return True, f"{name_of(type(value))}.{value.name}"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return True, value
    if isinstance(value, float):
        return True, _number(value)
    if isinstance(value, PurePath):
        return True, str(value)
    if isinstance(value, bytes):
        return True, hashlib.sha256(value).hexdigest()
    return False, None


def _number(value: float) -> int | float | str:
    if not math.isfinite(value):
        return repr(value)  # JSON has no number for infinity
    if value.is_integer():
        # 1 and 1.0 are one rate, whichever of them a configuration says.
        return int(value)
    return value


def _instance(value: Any, location: str) -> Plain:
    class_name = name_of(type(value))
    for method in ("fingerprint", "config"):
        describe: Callable[[], Any] | None = getattr(value, method, None)
        if callable(describe):
            values = canonical(describe(), f"{location}.{method}()")
            return {"class": class_name, "values": values}
    if not is_dataclass(value):
        raise InputError(
            f"{location}: a kept run could not tell one {class_name} from another: make it a "
            "dataclass, or give it a method fingerprint() that returns its plain values"
        )
    if hidden := _hidden(value):
        raise InputError(
            f"{location}: {class_name} has {hidden[0]!r}, which is no field of its dataclass, so a "
            "kept run could not tell one from another: put @dataclass on the class, or give it a "
            "method fingerprint()"
        )
    compared = [field.name for field in fields(value) if field.compare]
    entries = {name: canonical(getattr(value, name), f"{location}.{name}") for name in compared}
    return {"class": class_name, "values": entries}


def _hidden(value: Any) -> list[str]:
    """Return what an instance holds besides its fields: a subclass left out ``@dataclass``."""
    if "__dataclass_fields__" in vars(type(value)):
        return []
    known = {field.name for field in fields(value)}
    return sorted(name for name in getattr(value, "__dict__", {}) if name not in known)


def _function(value: Any, location: str) -> Plain:
    if isinstance(value, partial):
        return {
            "partial": canonical(value.func, location),
            "args": canonical([*value.args], location),
            "keywords": canonical(value.keywords, location),
        }
    if isinstance(value, MethodType):
        return {"method": name_of(value), "of": canonical(value.__self__, location)}
    name = name_of(value)
    if "<" not in name:
        return name
    # Lambdas and functions within functions share their names: what they do tells them apart.
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return {
        "function": name,
        "code": hashlib.sha256(repr(_code(value.__code__)).encode()).hexdigest(),
        "closure": canonical(cells, location),
        "defaults": canonical([*(value.__defaults__ or ())], location),
    }


def _code(code: CodeType) -> tuple[Any, ...]:
    return code.co_code, tuple(map(_constant, code.co_consts)), code.co_names


def _constant(value: Any) -> Any:
    """Return a constant of a function as what stays the same from one process to the next."""
    if isinstance(value, CodeType):
        # of a function within: its repr has an address
        return _code(value)
    return repr(value)


def _near(before: Plain, now: Plain) -> bool:
    """Whether two lists of numbers are the same up to rounding."""
    if not (isinstance(before, list) and isinstance(now, list) and len(before) == len(now)):
        return before == now
    old = np.array(before, float)
    new = np.array(now, float)
    # of all numbers together: one that is nearly 0 has no relative precision of its own
    scale = max(1e-6, float(np.abs(old).max(initial=0)))
    return bool(np.allclose(old, new, rtol=_TOLERANCE, atol=_TOLERANCE * scale, equal_nan=True))


def _short(value: Plain) -> str:
    text = repr(value)
    if isinstance(value, str):
        text = value
    if len(text) <= _MAX_SHOWN:
        return text
    return f"{text[: _MAX_SHOWN - 3]}..."
