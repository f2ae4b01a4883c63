import pytest

from handheld.reply.training.exclusions import reason_against


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see you at 7", ""),
        ("I hate spiders", ""),
        ("hi, i am [user 1's name]", "a placeholder"),
        ("hello {}", "a placeholder"),
        ("my name is XXX", "a placeholder"),
        ("write to me@here.org", "an address"),
        ("look at www.example", "an address"),
        ("it is on example.com", "an address"),
        ("call 555 123 4567", "a number that could be somebody's"),
        ("call 555-1234", "a number that could be somebody's"),
        ("in 2024", ""),
        ("you bitch", "abuse"),
        ("what the hell", ""),
    ],
)
def test_what_is_not_learned_from(text, expected):
    assert reason_against(text) == expected
