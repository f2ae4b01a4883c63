"""Whether what one port sends is what another takes."""

import types
from itertools import chain, starmap
from numbers import Complex, Integral, Real
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

# numpy's numbers are no int, float or complex, but registered as these. An int is good where a
# float is expected, and both where a complex is (PEP 484).
_NUMBERS: dict[type, tuple[type, ...]] = {
    int: (Integral,),
    float: (int, Real),
    complex: (int, float, Complex),
}


# Of typing's own forms, such as Any, Literal["a"] and NewType.
_TYPING = ("typing", "typing_extensions")


def is_type(hint: Any) -> bool:
    """Whether something may stand as the type of a port."""
    if hint is None or isinstance(hint, type | types.GenericAlias | types.UnionType):
        return True
    return type(hint).__module__ in _TYPING


def without_notes(hint: Any) -> Any:
    """Return ``X`` for ``Annotated[X, ...]``: notes say nothing about what fits."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def is_union(hint: Any) -> bool:
    """Whether a type is ``X | Y`` or ``Optional[X]``."""
    return get_origin(hint) in (Union, types.UnionType)


def allows_none(hint: Any) -> bool:
    """Whether a type admits ``None``."""
    if is_union(hint):
        return type(None) in get_args(hint)
    return hint is None or hint is type(None)


def without_none(hint: Any) -> Any:
    """Return the type without ``None``: ``X`` for ``X | None``; ``NoneType`` for ``None``."""
    if hint is None:
        return type(None)
    if not is_union(hint):
        return hint
    members = tuple(member for member in get_args(hint) if member is not type(None))
    return Union[members]  # noqa: UP007  (a runtime tuple)


def accepts(input_type: Any, output_type: Any) -> bool:
    """Whether an input port of one type takes the payloads of an output port of another.

    ``object`` and ``Any`` on either side fit everything, a union takes its members, and arguments
    of generic types are compared where both sides have them.

    >>> accepts(float, int), accepts(object, str), accepts(int, str)
    (True, True, False)
    >>> accepts(list[int], list[str]), accepts(list, list[str])
    (False, True)
    """
    input_type = without_notes(input_type)
    output_type = without_notes(output_type)
    if input_type == output_type or _fits_all(input_type) or _fits_all(output_type):
        return True
    # The sender's union first: each of its members has to fit some member of the taker's.
    if is_union(output_type):
        return all(accepts(input_type, member) for member in get_args(output_type))
    if is_union(input_type):
        return any(accepts(member, output_type) for member in get_args(input_type))
    return _accepts_class(input_type, output_type)


def _fits_all(hint: Any) -> bool:
    return hint is Any or hint is object or isinstance(hint, TypeVar)


def _accepts_class(input_type: Any, output_type: Any) -> bool:
    input_class = get_origin(input_type) or input_type
    output_class = get_origin(output_type) or output_type
    # What is no class (a Literal, a NewType) cannot be compared; the check of each payload remains.
    if not (isinstance(input_class, type) and isinstance(output_class, type)):
        return True
    if input_class is output_class:
        # Not strict: list, without arguments, fits list[int].
        pairs = zip(get_args(input_type), get_args(output_type), strict=False)
        return all(starmap(accepts, pairs))
    if input_class is float and output_class is int:
        return True
    return _is_subclass(output_class, input_class)


def _is_subclass(cls: type, base: type) -> bool:
    try:
        return issubclass(cls, base)
    except TypeError:  # a Protocol that does not support the question: let it pass
        return True


def full_type_name(cls: type) -> str:
    """Return a class's name for messages, with its module where it is none of Python's own."""
    # numpy.bool is no bool: without the module, a message would say that bool is not bool.
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def runtime_classes(hint: Any) -> tuple[type, ...]:
    """Return the classes of which a payload must be an instance; none where nobody can tell.

    Numbers are those of other libraries too: an ``int`` port takes any ``Integral``, a ``float``
    port any ``Real``.

    >>> runtime_classes(list[int]), runtime_classes(object), runtime_classes(str | bytes)
    ((<class 'list'>,), (), (<class 'str'>, <class 'bytes'>))
    """
    hint = without_notes(hint)
    if is_union(hint):
        return _union_classes(get_args(hint))
    if hint is None:
        return (type(None),)
    cls = get_origin(hint) or hint
    if cls is object or not _takes_isinstance(cls):
        return ()
    return (cls, *_NUMBERS.get(cls, ()))


def _union_classes(members: tuple[Any, ...]) -> tuple[type, ...]:
    classes = list(map(runtime_classes, members))
    # One member that cannot be checked means that the union cannot.
    if not all(classes):
        return ()
    return tuple(chain.from_iterable(classes))


def _takes_isinstance(cls: Any) -> bool:
    if not isinstance(cls, type):
        return False
    try:
        isinstance(None, cls)
    except TypeError:  # a Protocol that is not for run time
        return False
    return True


def type_name(hint: Any) -> str:
    """Return a short name of a type for messages."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "")
