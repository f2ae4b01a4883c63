"""Whether what one port sends is what another takes."""

import types
from numbers import Complex, Integral, Real
from typing import Any, TypeVar, Union, get_args, get_origin


def is_union(hint: Any) -> bool:
    """Whether a type is ``X | Y`` or ``Optional[X]``."""
    return get_origin(hint) in (Union, types.UnionType)


def allows_none(hint: Any) -> bool:
    """Whether a type admits ``None``."""
    return hint is None or hint is type(None) or (is_union(hint) and type(None) in get_args(hint))


def without_none(hint: Any) -> Any:
    """Return the type without ``None``: ``X`` for ``X | None``; ``NoneType`` for ``None``."""
    if not is_union(hint):
        return type(None) if hint is None else hint
    members = tuple(member for member in get_args(hint) if member is not type(None))
    return Union[members]  # noqa: UP007  (a runtime tuple)


def accepts(wanted: Any, given: Any) -> bool:
    """Whether a port of type ``wanted`` takes payloads of type ``given``.

    ``object`` and ``Any`` on either side fit everything, a union takes its members, and arguments of generic types are
    compared where both sides have them.

    >>> accepts(float, int), accepts(object, str), accepts(list[int], list[str]), accepts(list, list[str]), accepts(int, str)
    (True, True, False, True, False)
    """
    if any(hint is Any or hint is object or isinstance(hint, TypeVar) for hint in (wanted, given)) or wanted == given:
        return True
    if is_union(given):
        return all(accepts(wanted, member) for member in get_args(given))
    if is_union(wanted):
        return any(accepts(member, given) for member in get_args(wanted))
    wanted_class, given_class = get_origin(wanted) or wanted, get_origin(given) or given
    if not isinstance(wanted_class, type) or not isinstance(given_class, type):
        return True
    if not (_is_subclass(given_class, wanted_class) or (wanted_class, given_class) == (float, int)):
        return False
    pairs = zip(get_args(wanted), get_args(given), strict=False)
    return given_class is not wanted_class or all(accepts(w, g) for w, g in pairs)


def _is_subclass(given: type, wanted: type) -> bool:
    try:
        return issubclass(given, wanted)
    except TypeError:  # a Protocol that does not support the question: let it pass
        return True


def full_type_name(cls: type) -> str:
    """Return a class's name for messages, with its module where it is none of Python's own: ``numpy.bool`` is no ``bool``."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def runtime_classes(hint: Any) -> tuple[type, ...]:
    """Return the classes of which a payload must be an instance; none where ``isinstance`` cannot tell.

    Numbers are those of other libraries too: an ``int`` port takes any ``Integral``, a ``float`` port any ``Real``.

    >>> runtime_classes(list[int]), runtime_classes(object), runtime_classes(str | bytes)
    ((<class 'list'>,), (), (<class 'str'>, <class 'bytes'>))
    """
    if is_union(hint):
        members = [runtime_classes(member) for member in get_args(hint)]
        return tuple(cls for classes in members for cls in classes) if all(members) else ()
    cls = type(None) if hint is None else get_origin(hint) or hint
    if cls is object or not isinstance(cls, type):
        return ()
    if not _takes_isinstance(cls):
        return ()
    return (cls, *_NUMBERS.get(cls, ()))


_NUMBERS: dict[type, tuple[type, ...]] = {int: (Integral,), float: (int, Real), complex: (int, float, Complex)}


def _takes_isinstance(cls: type) -> bool:
    try:
        isinstance(None, cls)
    except TypeError:  # a Protocol that is not for run time
        return False
    return True


def type_name(hint: Any) -> str:
    """Return a short name of a type for messages."""
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
