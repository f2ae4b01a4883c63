import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.reply.privacy import luhn, secret_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111111111111111", "a payment card"),
        ("it is 5500 0000 0000 0004 ok", "a payment card"),
        ("4111 1111 1111 1112", "a number that could be somebody's"),
        ("07700 900123", "a number that could be somebody's"),
        ("the code is 4921", "a code"),
        ("4 9 2 1", "a code"),
        ("four nine two one", "a code"),
        ("DE89 3704 0044 0532 0130 00", "an account number"),
        ("GB29 NWBK 6016", "an account number"),
        ("my password is the dog", "a secret"),
        ("PIN's on the fridge", "a secret"),
        ("Tr0ub4dor&3", "a secret"),
        ("xK9mQ2vL", "a secret"),
        ("pw hunter2", "a secret"),
        ("pass: swordfish", "a secret"),
        ("user bob pass swordfish", "a secret"),
        ("hunter2", "a secret"),
        ("its swordfish99", "a secret"),
        ("pass me the salt", ""),
        ("8pm", ""),
        ("l8r then", ""),
        ("me@here.org", "an address"),
        ("https://x.org", "an address"),
        ("see you at 19:30", ""),
        ("at 7.30 then", ""),
        ("born in 1984", ""),
        ("room 12 or 14", ""),
        ("3 or 4 of us", ""),
        ("two or three", ""),
        ("ok", ""),
        ("😂", ""),
    ],
)
def test_secrets_are_seen(text, expected):
    assert secret_in(text) == expected


@given(st.lists(st.integers(0, 9), min_size=11, max_size=18))
def test_a_check_digit_makes_any_number_a_card(digits):
    """Exactly one last digit passes; the definition doubles each second digit from the right and
    adds their digits up.
    """
    right = [last for last in range(10) if luhn([*digits, last])]
    assert len(right) == 1
    doubled = [
        int(c)
        for place, digit in enumerate(reversed(digits))
        for c in str(digit * (2 if place % 2 == 0 else 1))
    ]
    assert right[0] == -sum(doubled) % 10
    assert secret_in("".join(map(str, [*digits, right[0]]))) == "a payment card"
