"""Scalars of protobuf's text format: from tokens to values, and back.

A string is ``bytes``, a number ``int`` or ``float``, and a name (true, inf, the value of an enum)
``str``: what a name means depends on the field, which the text does not tell.
"""

import math
import re
from typing import TypeAlias

Scalar: TypeAlias = bytes | str | int | float

MOST_UINT = 2**64 - 1
LEAST_INT = -(2**63)

_DECIMAL = re.compile(r"0|[1-9][0-9]*")
_OCTAL = re.compile(r"0[0-7]+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_FLOAT = re.compile(
    r"""
    (?P<value> (?: (?:0|[1-9][0-9]*) (?: \.[0-9]* )? | \.[0-9]+ ) (?: [eE][+-]?[0-9]+ )? )
    [fF]?
    """,
    re.VERBOSE,
)
_SIGNED_NAMES = ("inf", "infinity", "nan")
# Read as a float beyond all others; repr would write inf, which is a name.
_INFINITE = "1e999"

_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|[xX](?P<hex>[0-9a-fA-F]{1,2})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<letter>.))"
)
_LETTERS = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "?": "?",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_WRITTEN = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}
_MOST_BYTE = 255


def read_number(text: str, *, negative: bool = False) -> int | float:
    """Return what a number says; one beyond 64 bits is a float, as only a float field takes it.

    >>> read_number("0x1F"), read_number("017"), read_number("1f"), read_number(".5", negative=True)
    (31, 15, 1.0, -0.5)

    Raises:
        ValueError: it is none.
    """
    sign = -1 if negative else 1
    if _DECIMAL.fullmatch(text):
        value = sign * int(text)
        if LEAST_INT <= value <= MOST_UINT:
            return value
        return float(value)
    # Of at most 64 bits, unlike decimals: a field of floats takes none of these.
    if _HEX.fullmatch(text):
        return _in_64_bits(sign * int(text, 16))
    if _OCTAL.fullmatch(text):
        return _in_64_bits(sign * int(text, 8))
    match = _FLOAT.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a number, got {text[:40]!r}")
    return sign * float(match["value"])


def _in_64_bits(value: int) -> int:
    if LEAST_INT <= value <= MOST_UINT:
        return value
    raise ValueError("expected a number of at most 64 bits")


def read_signed_name(text: str) -> str:
    """Return a name with its sign: ``-inf`` and ``-nan`` alone have one. Raises ``ValueError``."""
    if text.lower() not in _SIGNED_NAMES:
        raise ValueError(f"expected a number after '-', got {text[:40]!r}")
    return f"-{text}"


def read_string(text: str) -> bytes:
    r"""Return the bytes of a string with its quotes.

    >>> read_string(r'"a\n\x41\u00e9"')
    b'a\nA\xc3\xa9'

    Raises:
        ValueError: an escape that there is not.
    """
    content = text[1:-1]
    if "\\" not in content:
        return content.encode("utf-8")
    pieces: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(content):
        pieces.append(content[end : match.start()].encode("utf-8"))
        pieces.append(_escaped(match))
        end = match.end()
    pieces.append(content[end:].encode("utf-8"))
    # Two halves of a letter, each escaped on its own, meet here and make one.
    joined = b"".join(pieces)
    if b"\xed" in joined and any(map(_is_half, _ESCAPE.finditer(content))):
        return _with_whole_letters(joined)
    return joined


def _escaped(match: re.Match[str]) -> bytes:
    if match["octal"]:
        value = int(match["octal"], 8)
        if value > _MOST_BYTE:
            raise ValueError(f"expected a byte of at most \\377, got {match.group()}")
        return bytes([value])
    if match["hex"]:
        return bytes([int(match["hex"], 16)])
    digits = match["short"] or match["long"]
    if digits:
        return _letter(int(digits, 16), match.group())
    if match["letter"] not in _LETTERS:
        raise ValueError(f"no escape {match.group()!r}")
    return _LETTERS[match["letter"]].encode()


def _letter(number: int, escape: str) -> bytes:
    try:
        return chr(number).encode("utf-8", "surrogatepass")
    except (ValueError, OverflowError):
        raise ValueError(f"no letter {escape}: the last is \\U0010FFFF") from None


def _is_half(match: re.Match[str]) -> bool:
    digits = match["short"] or match["long"]
    return bool(digits) and 0xD800 <= int(digits, 16) <= 0xDFFF


def _with_whole_letters(content: bytes) -> bytes:
    """Join halves of letters. Raises ``ValueError`` for a half that is alone."""
    # By way of UTF-16, in which the halves of a letter stand next to each other as they do here.
    try:
        text = content.decode("utf-8", "surrogatepass")
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("half a letter, \\uD800 to \\uDFFF without its other half") from None


def written(value: Scalar) -> str:
    r"""Return a scalar as the text format has it, on one line.

    >>> print(written(b'say "hi"\n'), written(1.0), written(-3), written("TOP_LEFT"))
    "say \"hi\"\n" 1.0 -3 TOP_LEFT
    """
    if isinstance(value, bytes):
        return f'"{_quoted(value)}"'
    if isinstance(value, str):
        return value
    if isinstance(value, float) and math.isinf(value):
        return _INFINITE if value > 0 else f"-{_INFINITE}"
    return repr(value)


def _quoted(value: bytes) -> str:
    # A byte that is no text becomes one letter, which is not printable.
    return "".join(map(_written_letter, value.decode("utf-8", "surrogateescape")))


def _written_letter(letter: str) -> str:
    if letter in _WRITTEN:
        return _WRITTEN[letter]
    if letter.isprintable():
        return letter
    # Three digits always: the next letter may be a digit too.
    return "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape"))
