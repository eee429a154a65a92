"""Finds values after a word for secrets: `api_key = "..."`, `Authorization: Bearer ...`, `--password ...`."""

from __future__ import annotations

import re
import string
from typing import Final

from policies.sanitise.passes.pattern import Pattern
from policies.sanitise.randomness import digit_changes, has_drawn_letters
from policies.sanitise.secrets.values import (
    is_digest,
    is_hex,
    is_named_key,
    is_named_token,
    is_password,
    is_token_of_vendor,
    is_unmistakable,
)

_WORDS: Final = (
    "secret|token|pass(?:word|wd|wort|phrase|code)?|pwd|passw|key|credentials?|auth|authorization|bearer"
    "|access|private|pat|login|crumb|unseal"
)
_SEPARATOR: Final = r"(?:=>|:=|==|!=|=|:|,|\|)"
ANCHORS: Final = (
    # An assignment: the value may be anything.
    Pattern(
        rf"(?:{_WORDS})[0-9A-Za-z_.-]{{0,20}}[\"'\])`\\]{{0,3}}[ \t]{{0,8}}{_SEPARATOR}[ \t]{{0,8}}[\"'`("
        rf"]{{0,2}}[^\s\"'`<>(){{}}]{{6}}",
        is_caseless=True,
    ),
    # What a name of a password is followed by in quotes, without a sign between.
    Pattern(r"(?:secret|token|passw(?:or[dt])?|password|passphrase|pwd)[ \t]{1,4}[\"'][^\s\"'<>]{6}", is_caseless=True),
    # Only spaces or dashes between: a digit must follow soon, which words of a sentence do not have.
    Pattern(
        rf"(?:{_WORDS})[\s:=>|(\"'`-]{{1,8}}[0-9A-Za-z_./+=-]{{0,40}}[0-9][0-9A-Za-z_./+=-]{{4}}", is_caseless=True
    ),
    # Said in a sentence: `the password for the shop is ...`. Which word stands before is looked up where this matched.
    Pattern(
        r"[ \t](?:is|was|are):?[ \t]{1,2}[\"'`]{0,2}[^\s\"'`<>(){}]{0,40}[0-9][^\s\"'`<>(){}]{2}",
        is_caseless=True,
    ),
)
"""Where a value may begin. Their ends lie inside of it."""

_BEFORE: Final = 80
_AFTER: Final = 512
_WORD: Final = re.compile(_WORDS)
_LOWER: Final = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
"""`str.lower` makes two letters of some."""

_MOST_WORDS: Final = 3
"""Looked at before a value; `client_secret_key` has two."""

_NAME_PART: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.$-")
_LONGEST_NAME: Final = 40
_TAIL: Final = re.compile(
    r"(?P<rest>[0-9A-Za-z_.]{0,24}?)[\"'\])`\\]{0,3}+"
    r"(?:(?P<said>(?:[ \t][a-z]{1,16}){0,4}?[ \t](?:is|was|are):?(?=\s))"
    r"|\s{0,8}+(?P<sign>=>|:=|==|!=|[=:,|>-])?)\s{0,8}+"
    r"(?P<scheme>(?:Bearer|Basic|Token|ApiKey|SSWS)\s++)?"
    r"(?P<quote>\\?[\"'`(]{0,2}+)(?P<value>[^\s\"'`<>(){},;\\]{6,512})",
    re.IGNORECASE,
)
_LEAST_VALUE: Final = 6
"""Characters of a value, at the last of which an assignment's anchor ends."""

_NAME: Final = re.compile(
    r"(?:(?<![\"'`(])[A-Za-z_./-]{6,}+(?=[\s\"'`<>(){},;\\]|\Z)|(?<=[\"'`])[A-Za-z_./-]{6,}+(?=[\"'`]))"
)
"""Letters, all of a value, that are no more than a name where they form words."""

_QUOTED: Final = re.compile(r"[^\"'`\n\\]{6,128}")
_PASSWORD: Final = re.compile(r"pass(?!port|enger|ive|ed|ing|age|thru|through)|pwd")
_STRONG: Final = re.compile(
    r"secret|token(?!iz|_?type|_?count|s?_?(?:used|limit|per))|api[-_. ]?key|apikey|access[-_. ]?key"
    r"|auth(?!or(?!iz))|credential|"
    r"private[-_. ]?key|bearer|license[-_. ]?key|encryption[-_. ]?key|signing[-_. ]?key|master[-_. ]?key"
    r"|service[-_. ]?key|"
    r"account[-_. ]?key|(?<![a-z])pat$|developer[-_. ]?key|app(?:lication)?[-_. ]?key|login|crumb|unseal"
    r"|stream[-_. ]?key"
)
_HARMLESS: Final = re.compile(
    r"public|publish|tokeniz|monkey|turkey|hockey|donkey|keyboard|pattern|path\b|patch|compat|author\b|"
    r"key[-_. ]?(?:id|name|word|code|vault|frame|path|file|s?pace)|"
    r"token[-_. ]?(?:url|uri|type|name|endpoint|file|id)|secret[-_. ]?(?:name|arn|ref|id|path|version)|"
    r"access[-_. ]?(?:log|time|level|control)|"
    r"(?:primary|foreign|cache|partition|sort|idempotency|hash|row|routing|object|i18n|translation|session|storage|lookup|dedup\w*|"
    r"unique|index|bucket|s3|blob|image|query|event|message|node|map|dict|group|record|item|entity|trace|span|commit|content|"
    r"build|state|redis|temp|data|column|arrow|hot|short|answer|error|feature|metric|label|tag|set|by)[-_. ]?key"
)
_NAMED_KEY: Final = re.compile(r"[0-9a-z][_-]?key\Z")
_LEAST_CHANGES_SAID: Final = 2
"""Between digits and letters of a password in a sentence: `12-character` and `base64-encoded` have fewer."""

_BREAKS: Final = re.compile(r"[&?|,;\]]")


def judge_assignment(text: str, hit_end: int) -> tuple[str, int, int, float] | None:
    """Return rule, start, end and score of the value in which a match of `ANCHORS` ended, None if it is no secret."""
    if _is_name_assigned(text, hit_end):
        return None
    left = max(0, hit_end - _BEFORE)
    before = text[left:hit_end]
    before = before.lower() if before.isascii() else before.translate(_LOWER)
    for word in reversed([*_WORD.finditer(before)][-_MOST_WORDS:]):
        end = left + word.end()
        tail = _TAIL.match(text, end, min(len(text), hit_end + _AFTER))
        if tail is None or not tail.start("value") < hit_end <= tail.end("value"):
            continue
        if is_digest(tail["value"]):
            return None
        name = text[_name_start(text, left + word.start()) : end] + tail["rest"]
        return _judge(name.lower(), text, tail)
    return None


def _is_name_assigned(text: str, hit_end: int) -> bool:
    """Whether the value is a name, as most are in code: told before anything else is looked at."""
    match = _NAME.match(text, max(0, hit_end - _LEAST_VALUE))
    return match is not None and not has_drawn_letters(match.group(), 4) and not is_hex(match.group())


def _name_start(text: str, start: int) -> int:
    """Return where a name begins, with the word before it where that stands apart: `api key`, `SECRET KEY`."""
    floor = max(0, start - _LONGEST_NAME)
    begin = _part_start(text, start, floor)
    if begin > floor and text[begin - 1] == " ":
        return _part_start(text, begin - 1, floor)
    return begin


def _part_start(text: str, start: int, floor: int) -> int:
    while start > floor and text[start - 1] in _NAME_PART:
        start -= 1
    return start


def _judge(name: str, text: str, tail: re.Match[str]) -> tuple[str, int, int, float] | None:
    if tail["scheme"]:
        return ("authorization", *tail.span("value"), 0.8) if is_token_of_vendor(tail["value"]) else None
    if _PASSWORD.search(name):
        return _password(text, tail)
    is_quoted_secret = bool(tail["quote"].strip("(")) and name.endswith("secret")
    is_assigned = tail["sign"] is not None
    value, place = _value(tail)
    found = _token(name, value, place, is_assigned=is_assigned)
    return _password(text, tail) if found is None and is_quoted_secret else found


def _value(tail: re.Match[str]) -> tuple[str, tuple[int, int]]:
    """Return the value and where it stands, without the stop of the sentence that tells it."""
    value, start = tail["value"], tail.start("value")
    if tail["said"] is not None:
        value = value.rstrip(".,:?")
    return value, (start, start + len(value))


def _token(name: str, value: str, place: tuple[int, int], *, is_assigned: bool) -> tuple[str, int, int, float] | None:
    start, end = place
    cut = _BREAKS.search(value)
    if cut is not None and cut.start() >= 8:
        value, end = value[: cut.start()], start + cut.start()
    if _HARMLESS.search(name) is not None:
        return None
    if _STRONG.search(name) is not None:
        return ("assigned_token", start, end, 0.8) if is_named_token(value) else None
    if _NAMED_KEY.search(name) is not None and is_assigned:
        return ("assigned_key", start, end, 0.6) if is_named_key(value) else None
    return ("assigned_key", start, end, 0.5) if is_unmistakable(value) else None


def _password(text: str, match: re.Match[str]) -> tuple[str, int, int, float] | None:
    value, (start, end) = _value(match)
    is_quoted = bool(match["quote"].strip("("))
    if match["said"] is not None and digit_changes(value) < _LEAST_CHANGES_SAID:
        return None
    if is_quoted and (whole := _QUOTED.match(text, start)) is not None:
        value, end = whole.group(), whole.end()
    elif ";" in text[start:end]:
        value = value.partition(";")[0]
        end = start + len(value)
    return ("assigned_password", start, end, 0.7) if is_password(value, is_quoted=is_quoted) else None
