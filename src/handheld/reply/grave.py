"""What nothing may be said to, by rules beside the detector.

The detector reads a message alone, and what it never saw it may take for small talk. These rules
know what it misses: answers whose weight lies in their question, letters that only look Latin,
grave emoji, the age of a child, and plain words of danger. In doubt they are silent.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import chain

from handheld.reply import formats
from handheld.reply.conversation import Turn
from handheld.reply.spelling import hides_letters, plain_readings

DANGER = "sensitive: danger"
GRIEF = "sensitive: bad news"
CHILD = "sensitive: a child"

# Letters of other scripts that look as Latin ones do (Unicode's confusables, those of one letter).
_ALIKE = str.maketrans(
    "авсԁегһіјкӏмоорԛѕтхуѵѡАВСЕНІЈКМОРЅТХУαινορυχκτΑΒΕΖΗΙΚΜΝΟΡΤΥΧ\u0131",
    "abcderhijklmoopqstxyvwABCEHIJKMOPSTXYaivopuxktABEZHIKMNOPTYXi",
)
# Scripts whose letters stand in for Latin ones; names in Unicode begin with these.
_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE"})
_WORD = re.compile(r"[^\W\d_]+")

_GRAVE_EMOJI = frozenset("⚰🪦⚱🔪🗡🩸🔫💊🪢🚑💣🪓🖕")
_BROKEN = frozenset("💔🖤🕊🥀😭😢")
_BABY = frozenset("👶🍼👼🤰🤱")
_SKULLS = frozenset("💀☠")
_LAUGHTER = frozenset("😂🤣😆😹😅😄😁😃")
_KITCHEN = re.compile(r"\b(?:cook|chop|dinner|lunch|kitchen|recipe|onions?|chef|bak(?:e|ing)|game)")
_LAUGHED = re.compile(r"\b(?:lo+l|lmf?ao+|rofl|(?:ha){2,}h?|(?:he){2,}|jk|just kidding)\b")

_PERSON = (
    r"(?:him|her|them|you|u|someone|somebody|every(?:one|body)|people|myself|yourself|that \w+"
    r"|(?:my|his|her|the) (?:\w+ )?(?:wife|husband|boss|neighbou?r|ex|kids?|family|mother|mum|mom"
    r"|father|dad|brother|sister|boyfriend|girlfriend|bf|gf|teacher|stepdad|landlord))"
)
_THREAT = re.compile(
    r"\b(?:im (?:going to|gonna|about to)|i am (?:going to|gonna|about to)|(?<!he is )gonna|imma"
    r"|ill|i will|i (?:really )?(?:want to|wanna|might|could|have to)|hes (?:going to|gonna)"
    r"|shes (?:going to|gonna)|theyre (?:going to|gonna)|someone (?:is going to|should))"
    r" (?:kill|murder|shoot|stab|strangle|hurt|poison|burn|drown|choke|beat up) " + _PERSON + r"\b"
)
_KIN = (
    r"(?:baby|son|daughter|mum|mom|mother|dad|father|nan|gran|grandma|grandpa|grandad|brother"
    r"|sister|wife|husband|friend)"
)
_ACUTE = re.compile(
    r"\bnoose\b|\blethal dose\b|\bpainless(?:ly)? (?:way|death|die)\b|\bpipe bomb\b"
    r"|\bhow (?:do|can|would|to) .{0,20}(?:make|build) a bomb\b"
    r"|\bhow (?:many|much) .{0,40}\b(?:overdose|to die|would kill|kills? (?:you|u|a person|me))\b"
    r"|\bactive shooter\b|\bbomb threat\b|\bshots fired\b|\bgunshots?\b"
    r"|(?:^|\b(?:a|the) )shooter (?:in|at|on|is|here|inside|outside)\b|\b(?:is|theres) a shooter\b"
    r"|\b(?:a|the) bomb (?:in|at|on|under) \w+|\b(?:on|in|under) lockdown\b(?!.*\bcovid)"
    r"|\bno way out\b(?! (?:of|from) (?:the|this|my|that) (?:car ?park|parking|meeting|mall|shift"
    r"|party|contract|dinner|plans?|maze|building|room|level|street))"
    r"|\b(?:wont|not (?:going to|gonna)|will not) be (?:around|here)"
    r"(?: (?:any ?more|much longer|for (?:much )?long(?:er)?|then|to see .*|tomorrow to .*))?$"
    r"|\b(?:ill|i will|i|hell|shell|he will|she will|we) (?:ever )?make it (?:to|till|until|past)"
    r" (?:mon|tues?|wednes|thurs|fri|satur|sun)day$"
    r"|\b(?:ill|i will|i|hell|shell|he will|she will) (?:ever )?make it "
    r"(?:to|till|until|past|through)"
    r" (?:(?:the )?(?:morning|night|weekend|week|month|year)|tomorrow|tonight|christmas)$"
    r"|\bwhen (?:you|u|they|she|he) (?:hear|get|see|read)s? the news\b"
    r"|\bi (?:have|got|bought|found) (?:the|enough) (?:pills|rope|gun)\b"
    r"|\blast (?:message|text) (?:you|u)(?:ll)? (?:will )?(?:ever )?(?:get|see|hear)\b"
    r"|\blast time (?:you|u)(?:ll)? (?:will )?(?:ever )?hear from me\b|\bon the other side$"
    r"|\bby the time (?:you|u) (?:read|get|hear|see) this\b"
    r"|\b(?:he|she|they|hes|shes|theyre|"
    + _KIN
    + r") (?:just )?(?:wont|isnt|arent|not|cant|doesnt)"
    r" (?:even )?(?:move|moving|wake up|waking up|breathe|breathing)\b"
    r"(?! (?:from|off|over|out|in|into|on|to|house|until|till|before|if|for|with|well|properly)\b)"
    r"|\b(?:his|her|their|the babys?|babys) (?:lips|face|skin|fingers)"
    r" (?:is|are|r|has|have|went|turned)(?: all| so| gone| going| turned| turning)?"
    r" (?:blue|grey|gray|purple)\b"
    r"|\bi (?:just )?dropped (?:the|my|our) (?:baby|newborn)\b"
    r"(?! (?:off|at|to|with|shower|name|food))"
    r"|\bi(?:ve)? (?:just )?(?:killed|murdered|strangled|stabbed)"
    r" (?:someone|somebody|a (?:man|woman|person|kid|child|boy|girl)|(?:my|the|a) (?:"
    + _KIN
    + r"|husband|wife|boyfriend|girlfriend))\b"
    r"|\bwould (?:anyone|anybody|any1|they|you|u|people) (?:even |really )?miss me\b"
    r"|\bwould (?:anyone|anybody|they|you|u) (?:even |really )?(?:notice|care) if i"
    r" (?:died|disappeared|was gone|were gone|wasnt|werent)\b"
    r"|\b(?:youll|ull|to) be (?:ok|okay|happy|fine|alright|strong) (?:after me|without me)\b"
    r"|\bmy own (?:funeral|burial|eulogy|obituary)\b"
    r"|\b(?:took|taken|swallowed|downed) (?:the (?:whole )?lot|them all|all of them|every last one"
    r"|the whole (?:bottle|packet|pack|box|strip))\b"
    r"(?! (?:to|back|home|off|from|out|with|up|for|on|over|down|in|into)\b)"
    r"|\bi(?:ve)? (?:just )?(?:took|taken|swallowed) (?:way |far )?too many"
    r"(?: (?:of them|pills|tablets))?$"
    r"|\bready to (?:go for good|end it|die)\b|\bend it (?:all|tonight)\b"
    r"|^whats (?:even )?the point"
    r"(?: (?:any ?more|of (?:it all|anything|living|trying|going on|me)))?$"
    r"|\bcount(?:ed|ing) .{0,30}\b(?:pills|tablets|(?:bathroom|medicine) cabinet)\b"
)
_CLAUSE = re.compile(r"[.!?;,\n]+")
_NEWS = re.compile(
    r"\b(?:got|been|was|were|getting|being) (?:just )?let go"
    r"(?: (?:today|yesterday|from work|from (?:my|his|her) job|this (?:morning|week|afternoon)))?$"
    r"|\bdivorc(?:e|ed|ing)\b|\b(?:was|got|been|being|were|is|are|get|getting) arrested\b"
    r"(?! (?:development|by (?:the|your|how)))|\barrested "
    r"(?:him|her|me|them|my|for|last|this|today|on)\b"
    r"|\b(?:been|being|got|getting|was|were) raided\b|\braided (?:my|our|his|her|the|us)\b"
    r"(?! (?:fridge|pantry|cupboards?|kitchen|wardrobe|closet|sale))"
    r"|\b(?:ice|police|immigration|cops|fbi) raid(?:s|ed|ing)?\b|\ba raid (?:at|on) "
    r"(?:my|our|the)\b"
    r"|\bdeport(?:ed|ation|ing)\b|\b(?:in|to) (?:jail|custody)\b|\bdetained\b"
    r"|\b(?:hes|shes|theyre|is|are|was|went|gone|she went|he went|now) (?:up )?"
    r"(?:in|to) heaven\b|\b(?:with|to) (?:god|jesus|the lord|the angels) now\b"
    r"|\b(?:hes|shes|theyre|is|are) with (?:god|jesus|the lord|the angels)\b|\brainbow bridge\b"
    r"|\b(?:my|our) (?:\w+ )?(?:dog|cat|puppy|son|daughter|brother|sister|mum|mom|dad|kid|friend)"
    r" (?:is|went|has gone|has been) missing\b"
    r"|\bits? (?:has )?spread(?: to (?:the|his|her|my|their) \w+)?$"
    r"|\bno longer with us\b|\bis an angel now\b"
    r"|\b(?:hes|shes|theyre|is|still|"
    + _KIN
    + r"s) on (?:the machines|life support|a ventilator)\b"
    r"|\b(?:has|have|got|had) (?!the\b)(?:\w+ )?(?:cancer|leuk\w+mia|tumou?rs?)\b"
    r"|\b(?:gained|earned|got) (?:his|her|their) (?:angel )?wings\b"
    r"|\b(?:cant|cannot|couldnt) (?:even )?(?:afford to )?feed (?:them|us|myself|(?:my|our|the)"
    r" (?:kids|family|children|baby|son|daughter))\b"
    r"|\b(?:what|as) (?:we|i|they) (?:all )?(?:feared|dreaded|were afraid of|was afraid of)\b"
    r"|\b(?:im|i am|hes|shes|he is|she is) leaving (?:you|u|me|him|her|us)\b"
    r"(?! (?:an?|the|some|my|to|with|at|in|on|here|two|both|alone|all|behind|for an?|for the)\b)"
    r"|\b(?:kissed|slept with|cheated (?:on|with)|hooked up with) (?:your|ur|my|his|her|you|me)\b"
    r"|\b(?:youre|ur|you are|im|i am|i was|he was|she was) adopted\b"
    r"|\b(?:his|her|their|mums|dads|nans|grans) ashes\b|\bscatter(?:ed|ing) .{0,20}\bashes\b"
    r"|\blike (?:rats|vermin|cockroaches|parasites)\b|\bare (?:vermin|parasites|subhuman|scum)\b"
    r"|\b(?:youre|ur|you are) (?:too|so) (?:blind|stupid|dumb|thick|ignorant)\b"
    r"|\b(?:got|need|sell|selling|any) (?:some |any |more )?(?:weed|bud|mdma|molly|ket|ketamine"
    r"|xanax|hash(?! browns?))\b|\b(?:got|need|an eighth of) green\b(?! \w)|\bneed an eighth\b"
)
_IN_HEAVEN = re.compile(r"\bheaven\b|\bwith (?:god|jesus|the (?:lord|angels))\b")

_NO = re.compile(
    r"(?:no+|nope|nah|not|never|nothing|(?:i |we |they )?(?:dont|didnt|couldnt|cant|havent)"
    r"|(?:he|she|it|they) (?:didnt|isnt|hasnt|wasnt|wont|arent|havent)|didnt|isnt|(?:hes|shes|its"
    r"|theyre|im) not|unfortunately|sadly|im afraid|afraid not|still (?:no|nothing|missing)"
    r"|(?:every(?:one|body)|all(?: of \w+)?) (?:but|except))\b"
)
_YES = re.compile(
    r"(?:ye+s|yea+h?|yeh|yep|yup|ya|it (?:is|did|has|was)|(?:he|she|they) "
    r"(?:is|did|has|are|was|have)"
    r"|i did|unfortunately|sadly|afraid so|im afraid|(?:i )?think so|positive|confirmed"
    r"|this morning|last night|just now|kind ?of|kinda|sort of|sometimes|maybe|a (?:bit|little))\b"
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty"
    r"|sixty|hundred|all|bottle|box|pack|lots?|handful|many|dunno|idk|dont know)\b"
)
_WHO = (
    r"(?:he|she|they|you|u|it|him|her|them|every(?:one|body)|any(?:one|body)|ur \w+"
    r"|(?:the|your|ur|his|her|my) (?:\w+ "
    r")?(?:baby|dog|cat|puppy|kids?|boy|girl|son|daughter|mum|mom"
    r"|mother|dad|father|gran\w*|nan|wife|husband|brother|sister|friend|driver|family|lump|biopsy"
    r"|scan|results?|test|tumou?r|mass|others)|mum|mom|dad|grandma|grandpa|nan)"
)
# Whose "no" is grave, and whose "yes".
_HOPED = re.compile(
    r"\b(?:is|are|r|was|were) " + _WHO + r" (?:\w+ )?(?:alive|safe|ok|okay|alright|all right"
    r"|breathing|awake|conscious|responsive|responding|moving|stable|found|benign|clear|negative"
    r"|home safe|in remission|out of (?:danger|surgery))(?! (?:with|for|if|to|at|on|about))\b"
    r"|\b(?:did|has|have|will|would|do you think|think) "
    + _WHO
    + r" (?:\w+ )?(?:survived?|pull(?:ed)? through|made it|make it|wake up|woken up|woke up)"
    r"(?! (?:to|on|in|for|by|tonight|tomorrow|back|home|there|here|today))\b"
    r"|\b(?:did|have|has) (?:they|you|u|anyone|the police) (?:find|found|hear from) "
    r"(?:him|her|them|the (?:body|boy|girl|kids?|child|dog|cat))\b"
    r"|\b(?:a|any|has (?:he|she|it) got a) (?:pulse|heartbeat)\b|\ball clear\b"
    r"|^(?:still )?(?:alive|breathing|conscious|benign|safe)$"
    r"|^(?:hey |are )?(?:you|u) (?:ok|okay|alright|all right|safe)$"
    r"|\b(?:did|has|have) (?:they all|all of \w+|" + _WHO + r") (?:get|got|make it|made it) out"
    r"(?: alive| safe(?:ly)?| ok(?:ay)?| of (?:the|that|your|ur) (?:house|fire|car|building|flat"
    r"|water|wreck|room))?$"
    r"|\b(?:is|are) (?!you\b|u\b)" + _WHO + r" still with us\b"
)
_FEARED = re.compile(
    r"\b(?:is|are|was|were) " + _WHO + r" (?:\w+ )?(?:dead|dying|gone|missing|unconscious|bleeding"
    r"|terminal|cancer(?:ous)?|malignant|critical|suicidal|overdosing|in (?:icu|a coma|hospital))\b"
    r"|\b(?:did|has|have) "
    + _WHO
    + r" (?:\w+ )?(?:die|died|pass(?:ed)?(?: away)?|overdosed?|relapsed?"
    r"|miscarr\w*|hurt (?:you|u|himself|herself)|hit (?:you|u)|kill(?:ed)? (?:himself|herself)"
    r"|come back|came back|spread)\b(?! (?:from|home|to|with|the))|\b(?:cancer|tumou?r) "
    r"(?:come|came) back\b"
    r"|\b(?:have|got|is it) (?:the )?cancer\b|\bis that bad\b|^(?:is it )?(?:dead|cancer|terminal)$"
)
_DONE_TO = (
    r"(?:force|touch|grope|rape|assault|attack|abuse|beat|choke|drug|threaten|follow|stab|shoot"
    r"|hit|hurt|kick|punch)"
)
# What was asked whose answer no few words can meet, whatever it is.
_DIRE = re.compile(
    r"\b(?:ambulance|paramedics?|hospice|funeral|coroner|morgue|suicidal|suicide|overdos\w+"
    r"|biopsy|poison control|police|hospital|icu)\b"
    r"|\b(?:call|called|calling|ring|rang|dial|dialled) (?:911|999|112|000)\b"
    r"|\b(?:want|wanna|going|gonna|trying|tried|planning)(?: to)?"
    r" (?:die|kill (?:your|him|her)self)\b"
    r"|\b(?:hurt|hurting|harm|harming|cut|cutting|kill|killing) (?:your|him|her)self\b"
    r"|\b(?:is|was|are|were|did) (?:any(?:one|body)|some(?:one|body)|you|u|he|she|they) (?:get )?"
    r"(?:hurt|injured|killed|attacked|assaulted|raped|shot|stabbed)\b"
    r"|\bhow many (?:\w+ )?(?:died|dead|killed|hurt|injured|missing)\b"
    r"|\b(?:have|has|got|carrying|holding) (?:a|the|his|her) gun\b"
    r"|\bdid (?:he|she|they|any(?:one|body)|some(?:one|body)) (?:\w+ )?"
    + _DONE_TO
    + r" (?:you|u|him|her|them|any(?:one|body)|some(?:one|body))\b"
    r"|\bdid (?:he|she|they|any(?:one|body)|some(?:one|body)) (?:really |actually )?jump$"
)
_COUNTED = re.compile(
    r"\bhow (?:many|much)(?: of (?:them|those|it))?(?: \w+)? (?:did|have|has|u|you) ?"
    r"(?:you|u|he|she|they)? ?(?:take|taken|took|swallow\w*|had)\b|\bhow many (?:pills|tablets)\b"
)
_HARMLESSLY_COUNTED = re.compile(
    r"photo|pic|shot|step|course|class|lesson|selfie|video|note|day|trip|exam|break|ticket|seat"
    r"|money|time|cookie|slice|biscuit|piece|cake|lap|suitcase|book|bag|guest"
)
_WHERE = re.compile(r"\bwheres?\b")
_HOW_OLD = re.compile(
    r"\bhow old\b(?! is (?:the|your|ur|that|this) (?!\w*(?:son|daughter|kid))\w+)"
    r"|\bwhats? (?:your|ur) age\b|^age$|^asl$"
)
_AGES = "six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
_AGE = r"(1[0-7]|[6-9]|" + _AGES + r")"
_OF_YEARS = r"(?: ?(?:yo|yrs?(?: old)?|years? old|y o))"
_STATED_AGE = re.compile(
    r"\b(?:im|i am|i (?:just )?turned|im turning)(?: only| just| like| literally| actually| nearly"
    r"| almost)? " + _AGE + r"(?:" + _OF_YEARS + r"\b|$| (?:btw|tho|though|lol|and|but|so)\b)"
    r"|\bi(?:m| am) in (?:year (?:[6-9]|1[01])|(?:5|6|7|8|9|10|11)th grade|middle school)\b"
)
_ONLY_AGE = re.compile(
    r"(?:im |i am |only |just |turning |almost |nearly )*" + _AGE + _OF_YEARS + r"?(?: \w+)?"
)
_SHORT = 7
"""Words of an answer that is read with its question."""


def gravity(turns: Sequence[Turn]) -> str:
    """Return why nothing may be said to a conversation's last turn; empty if no rule speaks.

    Args:
        turns: of the conversation, the latest first.

    >>> question = Turn("Is she breathing?", "Is she breathing?", True)
    >>> gravity([Turn("no", "no", False), question])
    'sensitive: bad news'
    """
    last = turns[0]
    if mixes_scripts(last.text) or hides_letters(last.text):
        return formats.LANGUAGE
    if _has_grave_emoji(last.text):
        # Emoji alone are never called a sensitive topic: they may mean anything.
        return DANGER if any(map(str.isalnum, last.text)) else formats.EMOJI
    clauses = _clauses(last.text)
    if any(map(_is_threat, clauses)) or any(map(_is_acute, _heard(turns))):
        return DANGER
    if any(map(_NEWS.search, clauses)):
        return GRIEF
    if _is_child(turns):
        return CHILD
    return GRIEF if _answers_gravely(clauses, _question(turns)) else ""


def folded(text: str) -> str:
    """Return a text with Latin letters for those that look like them.

    >>> folded("nо") == "no"  # the second letter is Cyrillic
    True
    """
    return text.translate(_ALIKE)


def mixes_scripts(text: str) -> bool:
    """Whether a word has letters of several scripts, as nobody types but to get past a filter.

    >>> mixes_scripts("gоing"), mixes_scripts("going"), mixes_scripts("naïve café")
    (True, False, False)
    """
    if text.isascii():
        return False
    return any(len(_scripts_of(word)) > 1 for word in _WORD.findall(text))


def _scripts_of(word: str) -> set[str]:
    names = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
    return names & _SCRIPTS


def _has_grave_emoji(text: str) -> bool:
    emoji = set(text)
    grave = emoji & _GRAVE_EMOJI
    words = plain_words(text)
    # A knife, or a pistol of water, is harmless where one cooks and plays.
    if grave and not (grave <= set("🔪🗡🔫🪓") and _KITCHEN.search(words)):
        return True
    if emoji & _BROKEN and emoji & _BABY:
        return "💔" in emoji or not emoji & set("😭😢") or not words
    is_skull = bool(emoji & _SKULLS) and not any(map(str.isalnum, text))
    return is_skull and not emoji & _LAUGHTER


def plain_words(text: str) -> str:
    """Return the words of a text as the rules write them: small letters, no marks."""
    text = unicodedata.normalize("NFKC", folded(text)).casefold()
    text = re.sub("['`\u2018\u2019\u00b4]", "", text)
    return " ".join(re.findall(r"[\w]+", text))


def _clauses(text: str) -> list[str]:
    pieces = chain.from_iterable(map(_CLAUSE.split, [text, *plain_readings(text)]))
    return [words for words in map(plain_words, pieces) if words]


def _heard(turns: Sequence[Turn]) -> list[str]:
    """Return the clauses of all that the other person said: danger lasts longer than a turn."""
    clauses = []
    for turn in turns:
        if not turn.mine:
            clauses += _clauses(turn.text)
    return clauses


def _is_threat(clause: str) -> bool:
    return bool(_THREAT.search(clause)) and not _LAUGHED.search(clause)


def _is_acute(clause: str) -> bool:
    return bool(_ACUTE.search(clause))


def _question(turns: Sequence[Turn]) -> list[str]:
    """Return the clauses that the last message may answer: the user's, and one's own before it."""
    # Who answers oneself asks first: "is he ok? no".
    asked_oneself, mark, _ = turns[0].text.rpartition("?")
    before = _clauses(asked_oneself) if mark else []
    if len(turns) > 1 and turns[1].mine:
        return _clauses(turns[1].text) + before
    return before


def _is_child(turns: Sequence[Turn]) -> bool:
    """Whether the other person said an age of a child: who is 13 still is, some turns later."""
    if any(map(_STATED_AGE.search, _heard(turns))):
        return True
    return any(_tells_age(turns[number:]) for number in range(len(turns)))


def _tells_age(turns: Sequence[Turn]) -> bool:
    """Whether the latest turn answers "how old are you?" with an age of a child."""
    asked = [] if turns[0].mine else _question(turns)
    if not any(map(_HOW_OLD.search, asked)):
        return False
    return any(map(_ONLY_AGE.fullmatch, _short(_clauses(turns[0].text))))


def _short(clauses: Sequence[str]) -> list[str]:
    """Return the clauses that say little without what they answer."""
    return [clause for clause in clauses if len(clause.split()) <= _SHORT]


def _answers_gravely(clauses: Sequence[str], asked: Sequence[str]) -> bool:
    """Whether an answer is bad news, or may be, once it is read with its question."""
    answers = _short(clauses)
    if answers and any(map(_DIRE.search, asked)):
        return True
    return any(_is_bad_news(answer, asked) for answer in answers)


def _is_bad_news(answer: str, asked: Sequence[str]) -> bool:
    if _NO.match(answer) and any(map(_HOPED.search, asked)):
        return True
    if _YES.match(answer) and any(map(_FEARED.search, asked)):
        return True
    if _IN_HEAVEN.search(answer) and any(map(_WHERE.search, asked)):
        return True
    return bool(_NUMBER.search(answer)) and _counts_pills(asked)


def _counts_pills(asked: Sequence[str]) -> bool:
    """Whether somebody asks how many were taken, and of nothing harmless such as photos."""
    if any(map(_HARMLESSLY_COUNTED.search, asked)):
        return False
    return any(map(_COUNTED.search, asked))
