import pytest

from handheld.errors import GraphError
from handheld.graph import Default, Immediate, InputPolicy, SyncSets


@pytest.mark.parametrize(
    ("policy", "groups"),
    [
        (Default(), (("a", "b", "c"),)),
        (Immediate(), (("a",), ("b",), ("c",))),
        (SyncSets((("a", "c"),)), (("a", "c"), ("b",))),
        (SyncSets((("c", "a"), ("b",))), (("c", "a"), ("b",))),
        (SyncSets(()), (("a", "b", "c"),)),
    ],
)
def test_policies_group_ports(policy: InputPolicy, groups: tuple[tuple[str, ...], ...]) -> None:
    assert policy.groups(["a", "b", "c"]) == groups


@pytest.mark.parametrize("sets", [("ab", "c"), "ab", None])
def test_names_are_not_taken_for_sets(sets):
    with pytest.raises(GraphError, match="one tuple of port names for each set"):
        SyncSets(sets)
