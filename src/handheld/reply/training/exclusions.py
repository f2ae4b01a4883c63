"""What must not be learned from: personal data, placeholders, abuse."""

import re

from handheld.reply.training.profanity import is_profane

# Reasons as ``ReplyPairs.left_out`` counts them. What is meant to be filled in, where somebody can
# be reached, and six digits or more, which may be a telephone.
_PATTERNS = {
    "a placeholder": re.compile(r"\[[^\]]*\]|\{[^}]*\}|<[^>]*>|_{2,}|\bX{2,}\b"),
    "an address": re.compile(
        r"https?:|www\.|\b\w+@\w+|@\w{2,}|\b\w+\.(?:com|org|net|io|edu)\b", re.IGNORECASE
    ),
    "a number that could be somebody's": re.compile(r"(?:\d[\s().-]?){6,}"),
}


def reason_against(text: str) -> str:
    """Return why a text is not learned from; an empty text for one that is."""
    for reason, pattern in _PATTERNS.items():
        if pattern.search(text):
            return reason
    return "abuse" if is_profane(text) else ""
