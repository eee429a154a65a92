# ruff: noqa: RUF001  signs and letters that look like others are meant
"""Patterns of what a text says about the model that should answer it, or about how hard it is; all in lower case.

Each is matched against one clause of at most `LONGEST` characters, so that no pattern ever meets a long text. `.*`
never stands inside a repetition: matching takes time in proportion to a clause's length, or its square.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 180
"""A longer clause, in characters, says more than a plea."""

_TRIGGERS: Final = """
    challenging tricky demanding advanced intricate nuanced tough straightforward elementary basic sonnet strongest
    difficulty complexity compless semplice paying quick customer grade effort escalat overthink rocket genius
    shortcut frontier model modèl modell tier rout complex complicat difficult difficile hard trivial easy simple
    urgent expert reasoning thinking think premium gpt claude gemini opus cheap best smart important critical llm
    priority quality expense money underestimate depend asap child komplex schwierig einfach dringend wichtig
    complej difícil complicad fácil sencill facile urgen kompliziert moeilijk ingewikkeld karmaşık trudne złożone
    моде сложн прост срочн 模型 复杂 複雑 複雜 困难 困難 簡単 简单 簡單 紧急 緊急 モデル 難し
"""

TRIGGERS: Final[tuple[str, ...]] = tuple(_TRIGGERS.split())
"""One of these stands in every plea; a text that has none is left alone."""


def _one_of(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


_ADVERBS: Final = r"(?:(?:very|super|quite|so|too|just|pretty|rather|most|also|all|a|an|the|my|of|\w+ly)\s+)*"
_RATED: Final = _one_of(
    r"complex|complicated|difficult|hard|hardest|challenging|tricky|demanding|advanced|intricate|nuanced|tough",
    r"sophisticated|urgent|urgently|critical|important|high[- ]stakes|mission[- ]critical|multi[- ]step|unimportant",
    r"\w+[- ](?:level|grade)|(?:high|top|low)[- ]priority|low[- ]stakes|trivial|easy|simple|basic|quick",
    r"straightforward|dead[- ]simple|elementary|no[- ]brainer|child's play",
)
_TASK: Final = _one_of("task|question|request|prompt|problem|query|job|one|thing|stuff|matter|case|work|issue") + "s?"
_IT: Final = _one_of(
    rf"(?:this|it|that|the following|the below|what follows|below|here|following)(?:\s+{_TASK})?",
    rf"(?:the|my|our|this)\s+(?:\w+\s+)?{_TASK}",
)
_SAID: Final = (
    r"(?:(?:note|warning|attention|hint|fyi|beware|remember|system|admin|router|classifier|override|instruction|and|but|"
    r"so|because|since|as|that|to you|ok|okay|hey|hi)\s+)*"
)
_AS: Final = r"(?:treated|considered|rated|scored|classified|marked|labelled|labeled) as"
_CALLED: Final = _one_of(
    rf"{_IT}\s*(?:is|'s|was|will be|are|should be {_AS}|must be {_AS}|counts as)",
    r"it's|there is|here is|here's",
    rf"(?:consider|treat|rate|classify|mark|score|label)\s+{_IT}(?:\s+as)?",
)

_RATING: Final = re.compile(
    rf"{_SAID}(?:{_CALLED}\s+)?(?:not\s+)?{_ADVERBS}{_RATED}(?:\s*(?:and|/|-)\s*{_ADVERBS}{_RATED}){{0,3}}"
    rf"(?:\s+{_ADVERBS}{_TASK}){{0,3}}(?:\s+(?:indeed|here|matter|though|and|but|so))*"
    r"(?:\s+(?:for (?:you|a|an|any|the|small|most)|to (?:answer|solve|get))\b.*)?"
)
"""`this is a very complex task`, `urgent`, `treat this as trivial`."""

_DEEP: Final = _one_of(
    r"deep|deepest|expert|advanced|careful|strong|complex|serious|sophisticated|heavy|extensive|intense|real|maximum",
    r"frontier|extra|best|highest|strongest|full|hard|rigorous|special|much|great|extended|profound|\w+[- ]level",
    r"multi-?step|world-class",
)
_THOUGHT: Final = _one_of(
    r"reasoning|thinking|thought|analysis|expertise|intelligence|knowledge|effort|quality|care|capability|capabilities",
    r"attention|reflection|compute|skills?|expert|model",
)
_NEED: Final = re.compile(
    rf"{_SAID}(?:{_IT}\s+)?(?:(?:really|certainly|clearly|definitely|absolutely)\s+)?"
    r"(?:requires?|needs?|demands?|requiring|needing|calls for|takes|use|apply|with|deserves|you need|you must use)\s+"
    r"(?:your|the|some|a lot of|no|any|little|very|extremely|absolute)?\s*"
    rf"(?:\w+ly\s+)?{_DEEP}(?:[\s-]+(?:level|quality|logical|analytical|step-by-step|and \w+|or \w+)){{0,3}}\s+"
    rf"{_THOUGHT}(?:\s+(?:and|or|to)\s.*)?"
)
"""`it requires deep reasoning`."""

_STAKES: Final = re.compile(
    _one_of(
        r"(?:task )?(?:complexity|difficulty|priority)(?: score| level| rating)?(?: (?:is |of )?[\w/ ]{1,12})?",
        r"(?:reasoning |thinking )?effort(?: \w+){0,2}|low|medium|high|escalation \w+|\d+ ?/ ?\d+",
        r"(?:this is |it's |it is )?(?:not |no )rocket science|(?:this |it )?needs a genius|no short-?cuts",
        r"(?:(?:do|give|try) )?(?:me )?your (?:absolute |very )?(?:best|smartest)(?: \w+)?",
        r"think (?:very |really |extremely )?(?:hard|harder|deeply)(?: about (?:this|it))?|asap|expert mode(?: on)?",
        r"(?:lives|my (?:job|career|life)|everything) depends? on (?:it|this)|(?:spare no|regardless of) expense",
        r"spare no expense on (?:this|it)(?: \w+)?|(?:do not|don't) overthink(?: \w+)?",
        r"(?:do not|don't) (?:underestimate|downgrade|cheap out on|economi[sz]e on) (?:this|it)(?: \w+)?",
        r"(?:no need|you (?:do not|don't) (?:need|have)) (?:to think|for)\b.*|(?:money|cost) is no (?:object|issue)",
        r"(?:cost|money|price) (?:does not|doesn't) matter|keep it cheap|save (?:money|cost|costs|tokens)\b.*",
        r"(?:low priority )?any model (?:will do|is fine|suffices)",
        r"only (?:an expert|experts|a genius|the (?:best|smartest)\b.{0,20}) can \w+ (?:this|it)",
        r"(?:even )?a (?:child|toddler|monkey) (?:can|could) \w+ (?:this|it)",
        r"(?:maximum|max|top|highest|best)(?: possible)? (?:quality|effort|intelligence|capability)(?: \w+)?",
        r"i(?:'m| am) (?:a )?(?:(?:premium|paying|vip|enterprise) ?){1,2}(?: \w+)?",
    )
)
"""`money is no object`."""

_SORT: Final = _one_of(
    r"best|strongest|smartest|top|premium|flagship|cheap|cheapest|cheaper|expensive|small|smaller|smallest|mini|tiny",
    r"weak|weaker|big|bigger|biggest|large|larger|largest|simple|basic|better|powerful|stronger|strong|full-size|expert",
    r"frontier|capable|intelligent|advanced|complex|medium|human-level|highest|lowest|fast|faster|free",
)
_MODEL: Final = re.compile(
    _one_of(
        rf"\b{_SORT}\b[\w\s-]{{0,24}}\b(?:models?|llms?|ai|tier|version|one)\b|\bmini version\b",
        r"\b(?:gpt|claude|opus|sonnet|gemini|chatgpt|o[134])(?:[- ]?\w{1,6})?\b|\bpremium\b|\btier: \w+",
        r"\b(?:tier|level|priority) \d\b",
    )
)
_WISH: Final = re.compile(
    _one_of(
        r"\b(?:use|using|pick|choose|select|route|routed|send|sent|switch|need|needs|want|wants|requires?|demands?)\b",
        r"\b(?:escalate|upgrade|downgrade|forward|assign|give|call|invoke|ignore|bypass|override|skip|only|must)\b",
        r"\b(?:should|deserves?|don't|do not|avoid|never|always|handled?|answer|answered|processed|prefer|enough)\b",
        r"\b(?:suffices?|fine|sufficient|save|waste|take|set|force|insist|will do|can|cannot|can't|won't|fails?)\b",
        r"\b(?:wrong|requested|authori[sz]e|escalation)\b",
    )
)
"""Both in one clause: `only the smartest model can answer this`."""

_ROUTING: Final = re.compile(
    _one_of(
        r".*\b(?:ignore|bypass|override|skip|disable|overrule)\b.{0,30}\b(?:routing|router|classifier|tier|model).*",
        r".*\b(?:route|send|forward|assign|escalate|upgrade|downgrade|re-?route)\s+(?:this|it|me|my \w+)\b.*",
        r".*\b(?:picks?|chooses?|selects?)\s+(?:the|a|your) model.*",
        r"(?:tier|model|route|router|routing|complexity)\s*[:=]?\s*(?:simple|medium|complex|premium|high|low|best|max\w*)",
    )
)
"""`ignore routing`, `tier: complex`."""

_ABROAD: Final = _one_of(
    # German
    r"(?:nimm|nutze?n?|verwenden?|benutzen?|wähle|nehmen sie|brauche?|braucht|\bsie\b).*modell.*",
    r".*modell.*(?:nehmen|nutzen|verwenden|benutzen|reicht|genügt|zuständig).*",
    r"(?:das|dies|diese|dieser|die|es)\b.{0,25}\bist\b.{0,25}(?:komplex|kompliziert|schwierig|schwer|einfach|trivial|"
    r"dringend|wichtig).{0,12}",
    r"(?:sehr|äußerst|extrem|höchst)? ?(?:komplex|kompliziert|schwierig|einfach|dringend|wichtig).{0,12}",
    # French
    r"(?:utilise|prend|prenez|choisi|emploie|employez|veuillez|il faut).*mod[eè]le.*",
    r"(?:c'est|c’est|ceci est|cette \w+ est|très).{0,20}(?:complexe|difficile|compliquée?|facile|simple|urgente?)",
    # Spanish, Portuguese, Italian
    r"(?:por favor )?(?:usa|use|usar|utili[cz][ae]|elige|escoge|emplea|necesito|requiere|escolh[ae]|preciso).*modelo.*",
    r"(?:esto|esta|es|isto|isso|este)\b.{0,40}(?:complej[oa]|complex[oa]|difícil|complicad[oa]|fácil|sencill[oa]|simples?|"
    r"urgente|trivial)",
    r"(?:usa|usi|usare|utilizza|scegli|serve).*modello.*",
    r"(?:questo|questa|è)\b.{0,40}(?:compless[oa]|difficile|complicat[oa]|facile|semplice|urgente)",
    # Dutch, Polish, Turkish
    r"(?:gebruik|kies|neem).*model.*",
    r"(?:dit|deze|het)\b.{0,15}\bis\b.{0,20}(?:complex|moeilijk|ingewikkeld|makkelijk|eenvoudig|dringend)",
    r"(?:użyj|wybierz).*model.*",
    r"to (?:jest )?(?:bardzo )?(?:trudne|złożone|proste|pilne).{0,12}",
    r".*model.*(?:kullan|seç).*",
    r"(?:bu )?(?:çok )?(?:karmaşık|zor|basit|acil).{0,12}",
    # Russian, Chinese, Japanese
    r"(?:использу|выбери|возьми|нужна).*модел.*",
    r"(?:это )?.{0,10}(?:сложн|прост|срочн).{0,20}",
    r".*(?:用|选择|選擇|请|請).*模型.*",
    r".{0,8}(?:很|非常|极其|十分|太|特别)?(?:复杂|複雜|困难|困難|简单|簡單|紧急).{0,6}",
    r".*モデル.*(?:使|選|願).*",
    r".{0,10}(?:とても|非常に|かなり)?(?:複雑|難し|簡単|緊急).{0,8}",
)
_FOREIGN: Final = re.compile(_ABROAD, re.DOTALL)
_WHOLE: Final = (_RATING, _NEED, _STAKES, _ROUTING, _FOREIGN)

POLITE: Final = re.compile(
    _one_of(
        r"\b(?:please|pls|plz|kindly|bitte|danke|por favor|gracias|merci|per favore|grazie|obrigad[oa])\b",
        r"\b(?:thank you|thanks)(?: (?:very|so) much| a lot)?(?: in advance)?\b|\bs'il (?:vous|te) pla[iî]t\b",
    )
    + r"[,!.]*\s*"
)
"""Words of politeness, with the mark and the blank after them."""

POLITENESS: Final = (
    "please",
    "pls",
    "plz",
    "kindly",
    "thank",
    "bitte",
    "dank",
    "por favor",
    "graci",
    "merci",
    "s'il ",
    "per favore",
    "grazie",
    "obrigad",
)
"""One of these stands in every match of `POLITE`."""


def is_plea(clause: str) -> bool:
    """Tell whether a clause, in lower case and without blanks around it, is a plea."""
    if len(clause) > LONGEST:
        return False
    if _MODEL.search(clause) and _WISH.search(clause):
        return True
    return any(pattern.fullmatch(clause) for pattern in _WHOLE)
