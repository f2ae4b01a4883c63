"""Messages that are no sentences of a person: nothing at all, emoji, marks, code, links, numbers,
and what machines send.

Rules, since what makes them special is their form: they are looked at before any network is asked.
"""

import re
import unicodedata

EMPTY, EMOJI, MARKS = "nothing said", "emoji", "no words"
CODE, LINK, NUMBER, AUTOMATIC, LANGUAGE, LONG = (
    "code",
    "link",
    "number",
    "automatic",
    "language",
    "long",
)
RUN_TOGETHER = "run together"

LONGEST = 50  # words of a message that a few words can answer
_MOST = (
    1000  # letters of one: rules that look for links and numbers take time with the square of them
)
# Letters of a word from which on it is many words without blanks, which no network reads: the longest that people
# write to each other ("congratulations", "misunderstandings") have 15 to 17
_RUN = 18
_AGAIN = re.compile(
    r"(.{1,4}?)\1+", re.DOTALL
)  # laughter and drawn-out vowels are long words that anybody reads
_LATIN = 0.7  # share of Latin letters from which on a text may be English

_LINK = re.compile(
    r"https?://|www\.|\b[\w.+-]+@[\w-]+\.\w{2,}|\b[\w-]+\.(?:com|org|net|io|co|edu|gov|ly|me|app|info|uk|in|de|ng|au)\b(?:/\S*)?",
    re.IGNORECASE,
)
# six digits or more, however they are grouped: telephone, account, card, parcel
_NUMBER = re.compile(r"(?:\d[\s().+/-]{0,2}){6,}")
_ONLY_NUMBERS = re.compile(r"[\d\s.,:;#*+()/€$£₹%-]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_CLOCK = re.compile(r"\s*(?:\d{1,2}(?:[.:]\d\d)?|\d{1,3}\s?%|\d{1,2}[-/:]\d{1,2})\s*[?!.]*\s*")
_POSTCODE = re.compile(
    r"\s*[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\s*|\s*\d{5}(?:-\d{4})?\s*|.{0,40}\b[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}\s*"
)
_ADDRESS = re.compile(
    r"\s*(?:flat \S+,? )?\d+[a-z]?,? (?:[\w'.]+ ){1,3}"
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|close|way|court|place|boulevard|blvd|crescent|gardens|terrace)\b.{0,60}",
    re.IGNORECASE | re.DOTALL,
)
_CODE = re.compile(
    r"[{}\[\]]\s*[\"'\w]+\s*[:=]|[;{}]\s*$|=>|\+\+|&&|\|\||</?\w+[^<>]*>|\w+\([\w\s\"',.=]*\)\s*[;:{]|^\s*[$#>]\s+\w+"
    r"|\b(?:def|class|import|function|const|var|let|return|public|void|printf|console|lambda|elif|#include)\b\s*[\w({\"'.]+\s*[=({.;:]"
    r"|\bSELECT\b.+\bFROM\b|\b(?:INSERT INTO|UPDATE \w+ SET|DROP TABLE|CREATE TABLE)\b|\bTraceback\b"
    r"|\b[A-Z]\w*(?:Error|Exception)\b|\b(?:sudo|chmod|mkdir|docker|kubectl|npm|pip|apt|apt-get|brew|curl|grep|git|ssh|scp|rsync|cd|rm)\s+"
    r"(?:-\w+|install|push|pull|commit|clone|run|start|rebase|checkout|status|update|/\S*|~\S*|\.\S+|\S+@\S+|\w+/\S*)"
    r"|^\s*(?:/\w+){2,}|^\s*[\w.]+\s*=\s*[\w\"'(\[{]|\bNULL\b|\b0x[0-9a-f]+\b|\w+\.\w+\([^)]*\)|^\s*import \w+(?: as \w+)?\s*$",
    re.MULTILINE,
)
_AUTOMATIC = re.compile(
    # the word to send back stands in capitals; "text yes or no to mum" is a person
    r"\b(?i:reply|text|send|txt|type)\s+[\"']?(?:STOP|YES|NO|HELP|Y|N|C|END|OUT|INFO|START|CONFIRM|CANCEL|\d)\b"
    r"|(?i:\bunsubscribe\b|\bopt[- ]?out\b|\b(?:do|please do) ?not reply\b|\bdon'?t reply to this\b|\bno[- ]?reply\b"
    r"|\b(?:t&cs?|terms) (?:and conditions )?apply\b|\b(?:msg|message) (?:&|and) data rates\b"
    r"|\bauto(?:mated|matic)?[- ]?(?:message|reply)\b"
    r"|\b(?:verification|security|confirmation|access|one[- ]time|login|log[- ]in|auth\w*) (?:code|pass\w*|pin)\b|\botp\b"
    r"|\b(?:your|the) (?:\w+ )?(?:code|pin) (?:is|:)|\bout of office\b|\bend-to-end encrypted\b|\b18\+|\bgambleaware\b)"
)  # fmt: skip


def format_of(text: str) -> str:
    """Return what kind of message a text is by its form; an empty text for one that may be a
    sentence in English.

    >>> [format_of(text) for text in ("", "\u200b", "😂❤️", "...", "7:30?", "0161 496 0999", "see you at 7")]
    ['nothing said', 'nothing said', 'emoji', 'no words', '', 'number', '']
    """
    if len(text) > _MOST:
        return LONG
    shown = visible(text)
    if not shown:
        return EMPTY
    bare = _without_keycaps(shown)
    if not any(map(str.isalnum, bare)):
        return EMOJI if bare != shown or emoji_in(shown) else MARKS
    if _LINK.search(shown):
        return LINK
    if _AUTOMATIC.search(shown):
        return AUTOMATIC
    if _CODE.search(shown):
        return CODE
    if _NUMBER.search(shown) or (_ONLY_NUMBERS.fullmatch(shown) and not _CLOCK.fullmatch(shown)):
        return NUMBER
    if _POSTCODE.fullmatch(shown) or _ADDRESS.fullmatch(shown):
        return NUMBER
    if latin_share(shown) < _LATIN:
        return LANGUAGE
    if any(_is_run_together(word) for word in shown.split()):
        return RUN_TOGETHER
    return LONG if len(shown.split()) > LONGEST else ""


def _is_run_together(word: str) -> bool:
    """Return whether a word is a sentence without blanks.

    >>> [_is_run_together(word) for word in ("imgoingtokillmyself", "hahahahahahahahahaha", "mother-in-law's-birthday")]
    [True, False, False]
    """
    if len(word) < _RUN:
        return False
    return any(len(_AGAIN.sub(r"\1", piece)) >= _RUN for piece in _LETTERS.findall(word))


def visible(text: str) -> str:
    """Return a text without what nobody sees at its ends: spaces, zero-width and direction
    marks.
    """
    return "".join(letter for letter in text if unicodedata.category(letter) not in ("Cf", "Cc", "Cs", "Co")
                   or letter in "\n\t\u200d").strip(" \n\t\u200d\u3164\u2800\xa0")  # fmt: skip


def emoji_in(text: str) -> list[str]:
    """Return the emoji of a text, without skin tones and the mark that asks for colour.

    >>> emoji_in("ok 👍🏽 ❤️!")
    ['👍', '❤']
    """
    found: list[str] = []
    for letter in text:
        if "\U0001f3fb" <= letter <= "\U0001f3ff" or letter in "\ufe0f\u20e3":
            continue
        if (letter == "\u200d" and found) or (found and found[-1].endswith("\u200d")):
            found[-1] += letter
        elif unicodedata.category(letter) in ("So", "Sm", "Sk") and ord(letter) > 0x203B:
            found.append(letter)
    return found


def latin_share(text: str) -> float:
    """Return the share of Latin letters among all letters, 0 to 1; 1 for a text without letters."""
    letters = [letter for letter in text if letter.isalpha()]
    if not letters:
        return 1.0
    latin = sum(letter < "\u0250" or "\u1e00" <= letter < "\u1f00" or "\uff21" <= letter <= "\uff5a" or
                "\U0001d400" <= letter <= "\U0001d7ff" for letter in letters)  # fmt: skip
    return latin / len(letters)


def _without_keycaps(text: str) -> str:
    """Return a text without digits that are part of an emoji such as 1️⃣."""
    return re.sub("[0-9#*]\ufe0f?\u20e3", "", text)
