from collections.abc import Callable, Sequence
from typing import Annotated, Any, Optional, Protocol, TypeVar, Union

import pytest

from handheld.graph.types import accepts, allows_none, type_name, without_none

T = TypeVar("T")


class Plain(Protocol):
    def run(self) -> int: ...


@pytest.mark.parametrize(
    ("wanted", "given", "fits"),
    [
        (int, int, True),
        (int, bool, True),
        (bool, int, False),
        (float, int, True),
        (int, float, False),
        (object, str, True),
        (str, object, True),
        (Any, str, True),
        (T, str, True),
        (int | str, str, True),
        (int | str, bytes, False),
        (int | str, int | str, True),
        (int, int | str, False),
        (Optional[int], int, True),  # noqa: UP045
        (Union[int, None], type(None), True),  # noqa: UP007
        (list, list[str], True),
        (list[int], list, True),
        (list[int], list[str], False),
        (list[list[int]], list[list[str]], False),
        (Sequence, list[int], True),
        (Sequence, dict, False),
        (dict[str, int], dict[str, str], False),
        (Callable[[int], int], int, False),
        (Plain, int, True),
        (int, Annotated[int, "pixels"], True),
        (Annotated[int, "pixels"], int, True),
        (Annotated[int, "pixels"], Annotated[str, "pixels"], False),
    ],
)
def test_accepts(wanted: Any, given: Any, fits: bool) -> None:
    assert accepts(wanted, given) is fits


@pytest.mark.parametrize(
    ("hint", "allows", "without"),
    [
        (int, False, int),
        (None, True, type(None)),
        (int | None, True, int),
        (int | str | None, True, int | str),
        (int | str, False, int | str),
    ],
)
def test_none_in_hints(hint: Any, allows: bool, without: Any) -> None:
    assert (allows_none(hint), without_none(hint)) == (allows, without)


@pytest.mark.parametrize(
    ("hint", "name"), [(int, "int"), (list[int], "list[int]"), (int | None, "int | None")]
)
def test_type_name(hint: Any, name: str) -> None:
    assert type_name(hint) == name
