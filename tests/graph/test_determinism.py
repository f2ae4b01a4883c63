"""The same packets in the same order, whoever's threads the nodes run on."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import Recipe, recipes

from handheld.graph import ProcessExecutor, ThreadExecutor
from handheld.graph.trace import MemoryTracer


@pytest.mark.usefixtures("many_switches")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(recipe=recipes)
def test_ten_runs_on_pools_give_what_the_calling_thread_gives(recipe: Recipe) -> None:
    expected = recipe.run(threads=0)
    for threads in (1, 2, 4):
        for _ in range(10):
            assert recipe.run(threads) == expected


@pytest.mark.usefixtures("many_switches")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(recipe=recipes)
def test_many_threads_that_feed_and_read_change_nothing(recipe: Recipe) -> None:
    expected = recipe.run(threads=0)
    for threads in (1, 3):
        for _ in range(3):
            assert recipe.run_with_callers(threads) == expected


@pytest.mark.usefixtures("many_switches")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(recipe=recipes, seed=st.integers(0, 10**6))
def test_nodes_on_executors_of_their_own_change_nothing(recipe: Recipe, seed: int) -> None:
    expected = recipe.run(threads=0)
    names = ["", "inline", "a", "b"]
    executors = {"a": ThreadExecutor(1), "b": ThreadExecutor(2)}

    def place(number: int) -> str:
        return names[(seed + number * number) % 4]

    for threads in (0, 2):
        for _ in range(3):
            assert recipe.run(threads, place, executors=executors) == expected


@pytest.mark.usefixtures("many_switches")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(recipe=recipes)
def test_a_trace_changes_nothing_and_misses_nothing(recipe: Recipe) -> None:
    expected = recipe.run(threads=0)
    for threads in (0, 2, 4):
        tracer = MemoryTracer()
        assert recipe.run(threads, trace=tracer) == expected
        trace = tracer.trace()
        assert trace.lost == 0
        # Whoever saw a packet has an arrow to the call in which it did.
        seen = sum(len(packets) for packets in expected.values())
        observed = [a for a in trace.arrows if trace.calls[a.taker].node.startswith("observer")]
        assert len(observed) == seen
        assert all(
            trace.calls[arrow.sender].start_us <= trace.calls[arrow.taker].start_us
            for arrow in trace.arrows
        )


@settings(max_examples=4, deadline=None)
@given(recipe=recipes, seed=st.integers(0, 10**6))
def test_nodes_in_processes_change_nothing(recipe: Recipe, seed: int) -> None:
    expected = recipe.run(threads=0)
    far = {"far": ProcessExecutor(2)}

    def place(number: int) -> str:
        return "far" if (seed + number) % 3 == 0 else ""

    for threads in (0, 2):
        assert recipe.run(threads, place, executors=far) == expected


@pytest.mark.usefixtures("many_switches")
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(
            1,
            ((3, 4), (3, 5)),
            (("echo", 6, 8, (12, 57, 98)), ("burst", 2, 0, (52, 24, 21))),
            ((0, 1, True), (0, 6, False)),
            3,
        ),
        Recipe(
            2,
            ((10, 3), (6, 3)),
            (("echo", 6, 1, (84, 47, 27)), ("cloner", 9, 0, (93, 27, 79))),
            ((1, 1, True), (1, 0, False)),
            2,
        ),
    ],
    ids=["burst", "cloner"],
)
def test_a_reader_below_a_loop_waits_for_every_source(recipe: Recipe) -> None:
    """A loop ends when all sources have, so a full queue on another source's stream must grow for
    its reader too.
    """
    expected = recipe.run(threads=0)
    for _ in range(150):
        assert recipe.run_with_callers(2) == expected
