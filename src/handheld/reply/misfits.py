"""What would be out of place below a message, whatever the judges make of its words.

Networks that count words see little of what a sentence does: it asks, asks for a favour, praises,
tells of a mishap. These rules read that from its shape, and name the intents that do not fit it:
"No" to a favour, "Cool" to burnt rice, "I know" to praise. They were written from what a strict
reader said of the replies to our own messages (``benchmarks/reply_harm``).
"""

import re
from dataclasses import dataclass

from handheld.reply.conversation import Turn
from handheld.reply.grave import plain_words

_PITY = frozenset({"sorry to hear that", "oh no", "hang in there", "get well", "rest"})
_CHEER = frozenset(
    {
        "nice",
        "glad",
        "sounds good",
        "sounds fun",
        "good idea",
        "have fun",
        "congratulations",
        "well done",
        "can't wait",
        "I love it",
        "I like it",
        "safe travels",
        "it was good",
        "thanks",
        "welcome home",
        "let's eat",
    }
)
_AGREEMENT = frozenset({"yes", "sure", "ok", "I know", "I agree", "I think so", "I guess", "I see"})
_DOUBT = frozenset(
    {
        "why",
        "what",
        "interesting",
        "ok",
        "I see",
        "I guess",
        "fair enough",
        "another time",
        "never mind",
        "not for me",
        "no",
        "no thanks",
    }
)
_PUT_OFF = frozenset(
    {
        "can't",
        "not free",
        "busy",
        "later",
        "another time",
        "I'll let you know",
        "working on it",
        "let me check",
        "no",
        "no thanks",
        "goodbye",
    }
)
# How somebody is.
_STATES = frozenset({"doing well", "not so well", "feeling better", "at home", "at work", "busy"})
# What answers nothing that was question.
_NO_ANSWER = frozenset(
    {
        "thanks",
        "you too",
        "congratulations",
        "well done",
        "goodbye",
        "what happened",
        "got it",
        "nice",
        "glad",
        "interesting",
        "welcome home",
    }
)

# What people say before they come to it.
_OPENING = (
    r"^(?:(?:hey|hi|hello|hiya|so|and|but|ok|okay|oh|btw|also|lol|wait|well|yes|no|sorry"
    r"|please|pls|quick question|babe|mate|dude|bro|mum|mom|dad|love|guys|all) )*"
)
_FACT = re.compile(
    _OPENING
    + r"(?:who|what|when|where|which|why|how|whos|whats|whens|wheres|hows|whys)"
    + r"(?: (?:is|are|was|were|do|does|did|can|could|will|would|should|shall|have|has|r|u|time|kind"
    + r"|sort|day|many|much|long|far|often|old|one|the|your|ur|my|his|her|their|to)\b|$)"
)
# These begin as a question for a fact does, and ask for consent or for an opinion.
_PROPOSAL = re.compile(
    r"\b(?:what|how|hows|howd) about\b|\bwhy (?:dont|not)\b|\bwhat if\b|\bwhats up\b|\b(?:what"
    r"|how) do (?:you|u) (?:think|say|reckon|feel|like)\b|\b(?:sound|suit|work)s?\b"
    r"|\bhow (?:are|r|have) (?:you|u|things|we)\b|\bhows (?:it|things|life|everything)\b"
)
_ASKED = re.compile(
    _OPENING
    + r"(?:(?:is|are|am|was|were|do|does|did|can|could|would|should|shall|may|r|isnt|arent|didnt"
    r"|doesnt|wouldnt|cant|couldnt) (?!not\b|be\b|do\b|so\b|a\b|an\b|just\b|really\b|great\b"
    r"|good\b|nice\b|lovely\b|fine\b)|(?:have|has|had|will|wont|dont|havent|hasnt) (?:i|you|u"
    r"|he|she|it|we|they|the|ur|your|any)\b|any(?:one|body)\b|(?:you|u) (?:up|free|coming"
    r"|around|there|still|ready|ok|okay|awake|home|want|need|in|on)\b)"
)
_OFFER = re.compile(
    r"\b(?:do|would|did|will) (?:you|u|ye|anyone) (?:want|need|like|fancy)\b|\b(?:want"
    r"|need) (?:me|a|any|some|anything)\b|\b(?:shall|should|can|could|may) i (?:get|bring|help"
    r"|pick|make|save)\b|\bfancy (?:a|an|some)\b|\banything to bring\b"
)
_FAVOUR = re.compile(
    r"\b(?:can|could|would|will|cld) (?:you|u|ya|ye|someone|somebody|anyone"
    r"|one of you)(?! (?:make it|come|be|believe|hear|see|imagine|like|want|need)\b)|"
    + _OPENING
    + r"(?:send|shoot|pass|bring|grab|get|give|lend|tell|text|call|ring|show|forward"
    r"|email|remind|save|record|order|pick|drop|take|water|feed|let|keep|hold|wait|come) (?:me"
    r"|us|it|him|her|them|the|a|an|some|my|up|this|that|for|in|over)\b|\b(?:please|pls|plz)\b"
)
_LEAVE_TO = re.compile(r"\b(?:can|could|may|shall|should) (?:i|we)\b")
_CHOICE = re.compile(
    r"\b\w+ or (?!not\b|what\b|so\b|something\b|anything\b|else\b|whatever\b|two\b)\w+"
)
_OWN_NEWS = re.compile(
    r"^(?:(?:grand|ok|okay|right|so|well|and|anyway|yeah|good|just) )*(?:i|im|ill|ive|id|we"
    r"|were|weve|well)\b"
)
_MISHAP = re.compile(
    r"\bburn(?:t|ed|ing)\b|\b(?:broke(?! (?:the|my|a|his|her) record)|broken|cracked"
    r"|smashed (?:my|the|a))\b(?! up the)|\bpacked in\b|\bstopped working\b|\bwont (?:start"
    r"|turn on|work)\b|\b(?:forgot|lost|dropped|spilled|spilt|missed|ruined|shrank"
    r"|locked) (?:my|the|our|his|her|a)\b|\b(?:crushed|thrashed|beat|hammered|destroyed) us\b"
    r"|\bwe (?:lost|got (?:beaten|hammered|killed|crushed|thrashed))\b|\b(?:is"
    r"|are) (?:so )?(?:dead|killing me|freezing)\b|\bfinish(?:ed)? me\b|\bnearly finished\b"
    r"|\b(?:ate|chewed|eaten) (?:my|an entire|a whole|the whole|all)\b|\bstuck (?:in|on|at)\b"
    r"|\bcancelled\b|\bfailed\b|\bflat tyre\b|\bpuncture\b|\bleak(?:ing|ed)?\b|\bsoaked\b"
    r"|\bdelayed\b|\bnightmare\b|\bdisaster\b|\bgot a (?:fine|ticket)\b|\bgone wrong\b"
)
_ILL = re.compile(
    r"\b\w*ache\b|\bsore\b|\bhurts?\b|\bmigraine\b|\bfever\b|\bflu\b|\ba cold\b"
    r"|\b(?:feel(?:ing)?|im|got|been) (?:so |really |a bit |home )?(?:sick|ill|rough|poorly"
    r"|unwell)\b|\bthrowing up\b|\bcramps?\b"
)
_GLAD = re.compile(
    r"\b(?:got|been) (?:into|in to|promoted|accepted|hired|the job|the part|the flat|the keys"
    r"|engaged)\b|\bpromoted\b|\bsaid yes\b|\ball clear\b|\bi passed\b|\bpassed (?:my|the|her"
    r"|his)\b|\bwe won\b|\bi won\b|\bengaged\b|\bbooked it\b|\bits snowing\b|\bsnowing here\b"
    r"|\bgood (?:kid|boy|girl|dog)\b|\bjust landed the\b|\bgraduated\b|\bgave birth\b"
    r"|\bits a (?:boy|girl)\b"
)
_FESTIVE = frozenset("🎉🥳🎊🍾🥂🏆")
_PRAISE = re.compile(
    # "that film was brilliant" praises nobody here
    r"\bwell done\b|\bcongrat\w*|\b(?:(?:your|ur) \w+|that (?:presentation|speech|talk|solo|song"
    r"|set|goal|cake|meal|essay)) (?:was|is|looks?|were|sounded) (?:so |really )?(?:brilliant"
    r"|amazing|fantastic|lovely|beautiful|stunning|incredible|gorgeous|delicious)\b|"
    r"\bproud of (?:you|u|ye)\b|\b(?:you|u|ye) (?:absolutely |totally |just )?(?:killed"
    r"|smashed|nailed|rocked|crushed|aced|slayed|rock|rule)\b|\bgorgeous\b|\b(?:you|u) (?:look"
    r"|looked|sounded|sang|were) (?:so |really |absolutely |just )?(?:amazing|great|lovely"
    r"|beautiful|stunning|fantastic|incredible|brilliant|fit|hot|good)\b|\b(?:youre|ur|you are"
    r"|u r) (?:such )?(?:a |an |the |so )?(?:star|best|amazing|genius|legend|angel|brilliant"
    r"|sweet|kind|talented|smart|funny|clever|hero)\b"
)
_ANGER = re.compile(
    r"\b(?:are|r) (?:you|u) (?:still )?(?:mad|angry|upset|annoyed|cross|pissed)\b|\bdo (?:you"
    r"|u) hate me\b"
)
_REPAIR = re.compile(r"\bare we (?:ok|okay|good|cool|alright|fine|still friends)\b")
_PLEA = re.compile(r"\b(?:pick up|answer me|call me back)\b|\bwe (?:need|have) to talk\b")
_LEAVE_TAKING = re.compile(
    r"\b(?:bye|goodbye|night|nite|later|cya|ttyl|see (?:you|u|ya|ye)|off to|heading|gotta go"
    r"|have to go|got to go|talk (?:soon|later|tomorrow)|take care|leaving|im off)\b"
)
_WISH = re.compile(
    r"\b(?:have|happy|merry|enjoy|good|love|miss|take care|safe|sleep|nice|great|lovely"
    r"|congrat\w*|same|thank\w*|thx|hope|proud|best|cheers|see (?:you|u|ya))\b"
)
_HUNGRY = re.compile(
    r"\b(?:eat|eating|food|hungry|starving|dinner|lunch|tea|supper|takeaway|takeout|pizza|cook\w*"
    r"|order in|snacks?|meal)\b"
)
_WHEN = re.compile(r"\b(?:whens?|what time|how (?:long|soon|far)|eta|what day)\b")
_STATE = re.compile(r"\b(?:feel\w*|hows|how (?:is|are|was|were)|where|doing|up to)\b")
_HAPPENED = re.compile(
    r"\b(?:we need to talk|guess what|you (?:wont|will never) believe|omg|ugh|argh|so (?:angry"
    r"|mad|done)|bad|worst|awful|weird|crazy|accident|fell|fight|late|what a|had to|happened)\b"
)


@dataclass(frozen=True)
class _Shape:
    """What a message does, as far as its shape tells."""

    asks_fact: bool
    asks: bool
    offers: bool
    is_favour: bool
    is_mishap: bool
    is_glad: bool
    is_ill: bool


def misfits(turn: Turn) -> frozenset[str]:
    """Return the intents that would be out of place below a turn.

    Args:
        turn: the last of a conversation, of the other person. Its last message is what is asked,
            and all of it is what is told.
    """
    words = plain_words(turn.text)
    question = plain_words(turn.last)
    shape = _shape_of(turn, words, question)
    return frozenset().union(
        _below_questions(shape, question),
        _below_facts(shape, question),
        _below_requests(shape, question),
        _below_news(shape, words),
        _below_people(shape, words),
        _answers_to_nothing(shape, words, question),
    )


def _shape_of(turn: Turn, words: str, question: str) -> _Shape:
    ends_as_question = turn.last.rstrip().endswith("?")
    asks_fact = bool(_FACT.search(question)) and not _PROPOSAL.search(question)
    is_mishap = bool(_MISHAP.search(words))
    is_festive = not _FESTIVE.isdisjoint(turn.text) or "!!" in turn.text
    return _Shape(
        asks_fact=asks_fact,
        asks=ends_as_question or asks_fact or bool(_ASKED.search(question)),
        offers=bool(_OFFER.search(question)),
        is_favour=bool(_FAVOUR.search(question)) and not _OFFER.search(question),
        is_mishap=is_mishap,
        is_glad=not is_mishap and (is_festive or bool(_GLAD.search(words))),
        is_ill=bool(_ILL.search(words)),
    )


def _below_questions(shape: _Shape, question: str) -> frozenset[str]:
    """Return what answers no question."""
    if not shape.asks:
        return frozenset()
    out = set(_NO_ANSWER)
    if shape.offers:
        out.discard("thanks")
    if _PROPOSAL.search(question):
        out.discard("nice")
    return frozenset(out)


def _below_facts(shape: _Shape, question: str) -> frozenset[str]:
    """Return what does not tell the fact that a question asks for."""
    if not shape.asks_fact:
        return frozenset()
    out = {"no", "no thanks", "good luck", "yes, please", "I will"} | _CHEER | _AGREEMENT
    if not _STATE.search(question):
        out |= _STATES
    if not _WHEN.search(question):
        out.add("soon")
    return frozenset(out)


def _below_requests(shape: _Shape, question: str) -> frozenset[str]:
    """Return what chooses nothing, would be rude below a favour, or declines what is no offer."""
    out: set[str] = set()
    if shape.asks and _CHOICE.search(question) and not _PROPOSAL.search(question):
        out |= _AGREEMENT | {"no", "sounds good"}
    if shape.is_favour:
        out |= {"no", "no thanks", "thanks", "good luck", "goodbye", "you too", "what happened"}
    if _LEAVE_TO.search(question) and not shape.offers:
        out.add("no thanks")
    return frozenset(out)


def _below_news(shape: _Shape, words: str) -> frozenset[str]:
    """Return what would mock bad news, or spoil good ones."""
    out: set[str] = set()
    if shape.is_mishap or shape.is_ill:
        out |= _CHEER
    if shape.is_ill:
        out |= {"sure", "yes", "funny"}
    if shape.is_glad and not shape.asks:
        out |= _PITY | _DOUBT
    if not shape.asks and _OWN_NEWS.match(words):
        out.add("no")
    return frozenset(out)


def _below_people(shape: _Shape, words: str) -> frozenset[str]:
    """Return what would be vain below praise, or cold below anger and pleas."""
    out: set[str] = set()
    if _PRAISE.search(words) and not shape.asks:
        out |= _AGREEMENT | {"no", "nice", "what", "why", "interesting"}
    if _ANGER.search(words):
        out |= _AGREEMENT | _PUT_OFF | {"thanks", "call later", "I don't know"}
    if _REPAIR.search(words):
        out |= {"no", "I don't think so", "I guess", "maybe"}
    if _PLEA.search(words):
        out |= _PUT_OFF | _CHEER
    return frozenset(out)


def _answers_to_nothing(shape: _Shape, words: str, question: str) -> frozenset[str]:
    """Return what answers one thing alone, where that was not said."""
    out: set[str] = set()
    if not _LEAVE_TAKING.search(question):
        out.add("goodbye")
    if not _WISH.search(words):
        out.add("you too")
    if shape.asks or not (shape.is_mishap or shape.is_ill or _HAPPENED.search(words)):
        out.add("what happened")
    if not _HUNGRY.search(words):
        out |= {"food", "let's eat"}
    return frozenset(out)
