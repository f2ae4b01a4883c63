import pytest

from handheld.errors import GraphError
from handheld.graph import DefaultPolicy, ImmediatePolicy, InputPolicy, SyncSetPolicy


@pytest.mark.parametrize(
    ("policy", "groups"),
    [
        (DefaultPolicy(), (("a", "b", "c"),)),
        (ImmediatePolicy(), (("a",), ("b",), ("c",))),
        (SyncSetPolicy((("a", "c"),)), (("a", "c"), ("b",))),
        (SyncSetPolicy((("c", "a"), ("b",))), (("c", "a"), ("b",))),
        (SyncSetPolicy(()), (("a", "b", "c"),)),
    ],
)
def test_policies_group_ports(policy: InputPolicy, groups: tuple[tuple[str, ...], ...]) -> None:
    assert policy.groups(["a", "b", "c"]) == groups


@pytest.mark.parametrize("sets", [("ab", "c"), "ab", None])
def test_names_are_not_taken_for_sets(sets):
    with pytest.raises(GraphError, match="one tuple of port names for each set"):
        SyncSetPolicy(sets)
