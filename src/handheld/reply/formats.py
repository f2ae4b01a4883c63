"""Messages that are no sentences of a person.

Nothing at all, emoji, marks, code, links, numbers, and what machines send. These are rules, since
what makes such messages special is their form: they are looked at before any network is asked.
"""

import re
import unicodedata

# What a message can be by its form, as ``Suggestions.reason`` says it.
EMPTY = "nothing said"
EMOJI = "emoji"
MARKS = "no words"
CODE = "code"
LINK = "link"
NUMBER = "number"
AUTOMATIC = "automatic"
LANGUAGE = "language"
LONG = "long"
RUN_TOGETHER = "run together"

LONGEST = 50
"""Words of a message that a few words can answer."""
# Letters of one: rules that look for links and numbers take time with the square of them.
_MOST = 1000
# Letters of a word from which on it is many words without blanks, which no network reads: the
# longest that people write to each other ("congratulations", "misunderstandings") have 15 to 17.
_RUN = 18
# laughter and drawn-out vowels are long words that anybody reads
_AGAIN = re.compile(r"(.{1,4}?)\1+", re.DOTALL)
# Share of Latin letters from which on a text may be English: a name may be written otherwise.
_LATIN = 0.7
# Letters of Latin script in Unicode: basic and extended, additional, full width, and those of
# mathematics, in which people write for show.
_LATIN_LETTERS = re.compile("[\0-\u024f\u1e00-\u1eff\uff21-\uff5a\U0001d400-\U0001d7ff]+")
# Categories of characters that nobody sees: format, control, surrogates, private use.
_UNSEEN = ("Cf", "Cc", "Cs", "Co")
_JOINER = "\u200d"
# Unseen characters that mean something within a text, and blanks of other scripts that do not.
_INNER = "\n\t" + _JOINER
_BLANKS = " \u3164\u2800\xa0" + _INNER
_SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")
# The mark that asks for colour, and the frame of a key, which stand behind what they change.
_EMOJI_MARKS = "\ufe0f\u20e3"
# Symbols up to here (quotation marks, daggers, the reference mark) are no emoji.
_LAST_MARK = "\u203b"

_LINK = re.compile(
    r"https?://|www\.|\b[\w.+-]+@[\w-]+\.\w{2,}"
    r"|\b[\w-]+\.(?:com|org|net|io|co|edu|gov|ly|me|app|info|uk|in|de|ng|au)\b(?:/\S*)?",
    re.IGNORECASE,
)
# six digits or more, however they are grouped: telephone, account, card, parcel
_NUMBER = re.compile(r"(?:\d[\s().+/-]{0,2}){6,}")
_ONLY_NUMBERS = re.compile(r"[\d\s.,:;#*+()/€$£₹%-]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_CLOCK = re.compile(r"\s*(?:\d{1,2}(?:[.:]\d\d)?|\d{1,3}\s?%|\d{1,2}[-/:]\d{1,2})\s*[?!.]*\s*")
_POSTCODE = re.compile(
    r"\s*[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\s*|\s*\d{5}(?:-\d{4})?\s*"
    r"|.{0,40}\b[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}\s*"
)
_ADDRESS = re.compile(
    r"\s*(?:flat \S+,? )?\d+[a-z]?,? (?:[\w'.]+ ){1,3}"
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|close|way|court|place|boulevard|blvd"
    r"|crescent|gardens|terrace)\b.{0,60}",
    re.IGNORECASE | re.DOTALL,
)
# Code is told by marks that prose does not have in this order, and by the first words of commands.
_CODE = re.compile(
    r"[{}\[\]]\s*[\"'\w]+\s*[:=]|[;{}]\s*$|=>|\+\+|&&|\|\||</?\w+[^<>]*>"
    r"|\w+\([\w\s\"',.=]*\)\s*[;:{]|^\s*[$#>]\s+\w+"
    r"|\b(?:def|class|import|function|const|var|let|return|public|void|printf|console|lambda|elif"
    r"|#include)\b\s*[\w({\"'.]+\s*[=({.;:]"
    r"|\bSELECT\b.+\bFROM\b|\b(?:INSERT INTO|UPDATE \w+ SET|DROP TABLE|CREATE TABLE)\b"
    r"|\bTraceback\b|\b[A-Z]\w*(?:Error|Exception)\b"
    r"|\b(?:sudo|chmod|mkdir|docker|kubectl|npm|pip|apt|apt-get|brew|curl|grep|git|ssh|scp|rsync"
    r"|cd|rm)\s+(?:-\w+|install|push|pull|commit|clone|run|start|rebase|checkout|status|update"
    r"|/\S*|~\S*|\.\S+|\S+@\S+|\w+/\S*)"
    r"|^\s*(?:/\w+){2,}|^\s*[\w.]+\s*=\s*[\w\"'(\[{]|\bNULL\b|\b0x[0-9a-f]+\b|\w+\.\w+\([^)]*\)"
    r"|^\s*import \w+(?: as \w+)?\s*$",
    re.MULTILINE,
)
_AUTOMATIC = re.compile(
    # the word to send back stands in capitals; "text yes or no to mum" is a person
    r"\b(?i:reply|text|send|txt|type)\s+[\"']?"
    r"(?:STOP|YES|NO|HELP|Y|N|C|END|OUT|INFO|START|CONFIRM|CANCEL|\d)\b"
    r"|(?i:\bunsubscribe\b|\bopt[- ]?out\b|\b(?:do|please do) ?not reply\b"
    r"|\bdon'?t reply to this\b|\bno[- ]?reply\b"
    r"|\b(?:t&cs?|terms) (?:and conditions )?apply\b|\b(?:msg|message) (?:&|and) data rates\b"
    r"|\bauto(?:mated|matic)?[- ]?(?:message|reply)\b"
    r"|\b(?:verification|security|confirmation|access|one[- ]time|login|log[- ]in|auth\w*)"
    r" (?:code|pass\w*|pin)\b|\botp\b"
    r"|\b(?:your|the) (?:\w+ )?(?:code|pin) (?:is|:)|\bout of office\b|\bend-to-end encrypted\b"
    r"|\b18\+|\bgambleaware\b)"
)


def format_of(text: str) -> str:
    """Return what kind of message a text is by its form.

    Returns:
        One of the names above; empty for a text that may be a sentence in English.

    >>> [format_of(text) for text in ("", "\u200b", "😂❤️", "...", "7:30?", "see you at 7")]
    ['nothing said', 'nothing said', 'emoji', 'no words', '', '']
    """
    if len(text) > _MOST:
        return LONG
    shown = visible(text)
    if not shown:
        return EMPTY
    bare = _without_keycaps(shown)
    if not any(map(str.isalnum, bare)):
        has_emoji = bare != shown or emoji_in(shown)
        return EMOJI if has_emoji else MARKS
    return _machine_format(shown) or _language_format(shown)


def _machine_format(text: str) -> str:
    """Return which of the forms that are no sentence a text has; empty for none."""
    # a link within an automatic message is a link: the order is that of what says most
    for form, pattern in ((LINK, _LINK), (AUTOMATIC, _AUTOMATIC), (CODE, _CODE)):
        if pattern.search(text):
            return form
    return NUMBER if _is_number(text) else ""


def _is_number(text: str) -> bool:
    """Return whether a text is a number that says nothing, or an address."""
    if _NUMBER.search(text):
        return True
    if _ONLY_NUMBERS.fullmatch(text) and not _CLOCK.fullmatch(text):
        return True
    return bool(_POSTCODE.fullmatch(text) or _ADDRESS.fullmatch(text))


def _language_format(text: str) -> str:
    """Return why the words of a text cannot be read, or answered with a few; empty if they can."""
    words = text.split()
    if latin_share(text) < _LATIN:
        return LANGUAGE
    if any(map(_is_run_together, words)):
        return RUN_TOGETHER
    return LONG if len(words) > LONGEST else ""


def _is_run_together(word: str) -> bool:
    """Return whether a word is a sentence without blanks.

    >>> _is_run_together("imgoingtokillmyself"), _is_run_together("hahahahahahahahahaha")
    (True, False)
    >>> _is_run_together("mother-in-law's-birthday")
    False
    """
    if len(word) < _RUN:
        return False
    pieces = _LETTERS.findall(word)
    return any(len(_AGAIN.sub(r"\1", piece)) >= _RUN for piece in pieces)


def visible(text: str) -> str:
    """Return a text without what nobody sees: zero-width marks, directions, blanks at its ends."""
    return "".join(filter(_is_visible, text)).strip(_BLANKS)


def _is_visible(letter: str) -> bool:
    return letter in _INNER or unicodedata.category(letter) not in _UNSEEN


def emoji_in(text: str) -> list[str]:
    """Return the emoji of a text, without skin tones and the mark that asks for colour.

    >>> emoji_in("ok 👍🏽 ❤️!")
    ['👍', '❤']
    """
    emoji: list[str] = []
    for letter in text:
        if _SKIN_TONES[0] <= letter <= _SKIN_TONES[1] or letter in _EMOJI_MARKS:
            continue
        # a joiner makes one emoji of what stands before and behind it, as in a family
        if emoji and (letter == _JOINER or emoji[-1].endswith(_JOINER)):
            emoji[-1] += letter
        elif _is_symbol(letter):
            emoji.append(letter)
    return emoji


def _is_symbol(letter: str) -> bool:
    return letter > _LAST_MARK and unicodedata.category(letter) in ("So", "Sm", "Sk")


def latin_share(text: str) -> float:
    """Return the share of Latin letters among all letters, in [0, 1]; 1 without letters."""
    letters = "".join(filter(str.isalpha, text))
    if not letters:
        return 1.0
    others = _LATIN_LETTERS.sub("", letters)
    return (len(letters) - len(others)) / len(letters)


def _without_keycaps(text: str) -> str:
    """Return a text without digits that belong to an emoji such as 1️⃣."""
    return re.sub("[0-9#*]\ufe0f?\u20e3", "", text)
