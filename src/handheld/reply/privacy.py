"""What must not be remembered of what a user types: numbers and words that open doors."""

import re

# digits in groups, as people write cards, accounts and telephones
_DIGITS = re.compile(r"(?:\d[\s.-]?){4,}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,3})?\b", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(?:pin|passwords?|passwort|passcodes?|passphrase|pwd?|passwd|(?:pass|user)(?=\s*[:=])|user (?=.*\bpass\b)"
    r"|cvv|cvc|otp|iban|ssn|sort code|security code|access code|door code"
    r"|alarm code|safe code|gate code|seed phrase|recovery phrase|api key|token|login|user ?name|card number|account number"
    r"|social security|national insurance|passport|licen[cs]e number|aadhaar|bvn|memorable word|maiden name)\b",
    re.IGNORECASE,
)
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
    r"\b(?=\S*\d)(?=\S*[A-Za-z])(?=\S*[!@#$%^&*_+=])\S{6,}|\b(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])\w{8,}\b"
)
_SPELLED = {name: str(digit) for digit, name in enumerate(
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
)}  # fmt: skip
_CARD = range(12, 20)  # digits of a payment card (ISO/IEC 7812)


def secret_in(text: str) -> str:
    """Return what secret a text seems to hold; an empty text for none. Rather too much than too
    little.

    >>> secret_in("it's 4111 1111 1111 1111"), secret_in("my pin is 1 2 3 4"), secret_in("see you at 19:30")
    ('a payment card', 'a code', '')
    """
    if _IBAN.search(text):
        return "an account number"
    figures = re.sub(r"[a-z]+", lambda word: _SPELLED.get(word[0], word[0]), text.lower())
    for run in _DIGITS.findall(figures):
        digits = [int(letter) for letter in run if letter.isdigit()]
        if len(digits) in _CARD and luhn(digits):
            return "a payment card"
        if len(digits) >= 4 and not _is_year_or_time(run):
            return "a number that could be somebody's" if len(digits) > 4 else "a code"
    if _NAMED.search(text) or _MIXED.search(text) or _ONE_WORD.fullmatch(text.strip()):
        return "a secret"
    return "an address" if _ADDRESS.search(text) else ""


def asks_for_secret(text: str) -> bool:
    """Return whether a message asks for what must not be remembered, so that its answer must not be either.

    >>> asks_for_secret("what's the wifi password?"), asks_for_secret("netflix login?"), asks_for_secret("pass the salt?")
    (True, True, False)
    """
    return bool(_NAMED.search(text) or _ASKED.search(text))


def luhn(digits: list[int]) -> bool:
    """Return whether digits carry the check digit of payment cards (Luhn, US patent 2950048).

    >>> luhn([7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 3]), luhn([7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 0])
    (True, False)
    """
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_year_or_time(run: str) -> bool:
    return re.fullmatch(r"\s*(?:(?:19|20)\d\d|[012]?\d[.][0-5]\d)\s*", run) is not None
