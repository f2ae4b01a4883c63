"""What must not be remembered of what a user types: numbers and words that open doors."""

import re

# digits in groups, as people write cards, accounts and telephones
_DIGITS = re.compile(r"(?:\d[\s.-]?){4,}")
# account numbers as ISO 13616 writes them, in groups of four
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,3})?\b", re.IGNORECASE)
# words that name a secret: what stands beside one may be it
_NAMED = re.compile(
    r"\b(?:pin|passwords?|passwort|passcodes?|passphrase|pwd?|passwd"
    r"|(?:pass|user)(?=\s*[:=])|user (?=.*\bpass\b)"
    r"|cvv|cvc|otp|iban|ssn|sort code|security code|access code|door code"
    r"|alarm code|safe code|gate code|seed phrase|recovery phrase|api key|token|login|user ?name"
    r"|card number|account number|social security|national insurance|passport|licen[cs]e number"
    r"|aadhaar|bvn|memorable word|maiden name)\b",
    re.IGNORECASE,
)
# words that are a secret in a question alone: "your code?" but not "I wrote some code"
_ASKED = re.compile(
    r"\b(?:ur|your|wi-?fi) (?:pass|code|seed)\b|\bcode (?:you|they) (?:got|sent)\b", re.IGNORECASE
)
_ADDRESS = re.compile(
    r"https?:|www\.|\b[\w.+-]+@[\w-]+|\b\w+\.(?:com|org|net|io|edu)\b", re.IGNORECASE
)
# a whole message that is one word of letters and digits; "8pm" and "gr8" are shorter
_ONE_WORD = re.compile(r"(?:it'?s |its )?(?=\w*\d)(?=\w*[a-z]{2})\w{6,}[.!]*", re.IGNORECASE)
# letters, digits and marks in one word, as passwords are made
_MIXED = re.compile(
    r"\b(?=\S*\d)(?=\S*[A-Za-z])(?=\S*[!@#$%^&*_+=])\S{6,}"
    r"|\b(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])\w{8,}\b"
)
_SPELLED = {
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
# Digits of a payment card (ISO/IEC 7812).
_CARD = range(12, 20)
# Digits of the shortest code: a PIN.
_CODE = 4


def secret_in(text: str) -> str:
    """Return what secret a text seems to hold; an empty text for none.

    Rather too much is called one than too little: a reply that is not learned does no harm.

    >>> secret_in("it's 4111 1111 1111 1111"), secret_in("my pin is 1 2 3 4")
    ('a payment card', 'a code')
    >>> secret_in("see you at 19:30")
    ''
    """
    if _IBAN.search(text):
        return "an account number"
    for run in _DIGITS.findall(_with_digits(text)):
        if name := _secret_number(run):
            return name
    if _NAMED.search(text) or _MIXED.search(text) or _ONE_WORD.fullmatch(text.strip()):
        return "a secret"
    return "an address" if _ADDRESS.search(text) else ""


def _with_digits(text: str) -> str:
    """Return a text in small letters whose spelled digits are digits."""
    return re.sub(r"[a-z]+", lambda word: _SPELLED.get(word[0], word[0]), text.lower())


def _secret_number(run: str) -> str:
    """Return what secret digits in groups seem to be; an empty text for none."""
    digits = [int(letter) for letter in run if letter.isdigit()]
    if len(digits) in _CARD and luhn(digits):
        return "a payment card"
    if len(digits) < _CODE or _is_year_or_time(run):
        return ""
    return "a code" if len(digits) == _CODE else "a number that could be somebody's"


def asks_for_secret(text: str) -> bool:
    """Return whether a message asks for what must not be remembered.

    Then its answer must not be either, whatever it looks like.

    >>> asks_for_secret("what's the wifi password?"), asks_for_secret("pass the salt?")
    (True, False)
    """
    return bool(_NAMED.search(text) or _ASKED.search(text))


def luhn(digits: list[int]) -> bool:
    """Return whether digits carry the check digit of payment cards (Luhn, US patent 2950048).

    >>> luhn([7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 3]), luhn([7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 0])
    (True, False)
    """
    # every second digit from the right counts twice, and 9 less where that has two digits
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    single = digits[-1::-2]
    return (sum(doubled) + sum(single)) % 10 == 0


def _is_year_or_time(run: str) -> bool:
    """Return whether digits are a year of 1900 to 2099, or a time such as 19.30."""
    return re.fullmatch(r"\s*(?:(?:19|20)\d\d|[012]?\d[.][0-5]\d)\s*", run) is not None
