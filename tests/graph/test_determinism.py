"""The same packets in the same order, whoever's threads the nodes run on."""

import pytest
from hypothesis import HealthCheck, given, settings
from random_graphs import Recipe, recipes


@pytest.mark.usefixtures("many_switches")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(recipe=recipes)
def test_ten_runs_on_pools_give_what_the_calling_thread_gives(recipe: Recipe) -> None:
    expected = recipe.run(threads=0)
    for threads in (1, 2, 4):
        for _ in range(10):
            assert recipe.run(threads) == expected


@pytest.mark.usefixtures("many_switches")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(recipe=recipes)
def test_many_threads_that_feed_and_read_change_nothing(recipe: Recipe) -> None:
    expected = recipe.run(threads=0)
    for threads in (1, 3):
        for _ in range(3):
            assert recipe.run_with_callers(threads) == expected
