"""Who may be given whose answer: the exact part of every look-up, by equality and by likeness.

Whatever can change an answer is in the scope to the letter, so that likeness only ever compares last messages: who
shares answers, the model or tier, the system and developer prompts, all turns but the last, tools and the choice of
them, the response format, sampling parameters, every member that is not known here, the version of guard and policy,
the embedder, and the script (with a multilingual embedder: the language's kind) of the last message.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from cache.verifier.lexicon.languages import ENGLISH, OTHERS
from gateway.domain.caller import Caller
from gateway.domain.request import ModelRequest

_LABELS: Final = frozenset({"metadata", "user", "safety_identifier"})
"""Fields that label a request. The Responses API repeats them in its answers, so that there they count."""

_TRANSPORT: Final = frozenset({"store", "stream", "stream_options"})
"""Fields that say how an answer travels, and whether it is kept."""

_DECODER: Final = msgspec.json.Decoder(dict[str, Any])
_ENCODER: Final = msgspec.json.Encoder(order="sorted")

_RANKS: Final = {"user": 0, "key": 1, "team": 2, "shared": 3, "org": 4}

_TEXT_PARTS: Final = frozenset({"text", "input_text"})
_TOLD_BY: Final = 256
"""Characters of a text that its script and language are read from."""

_SCRIPTS: Final = (
    (0x250, "latin"), (0x400, "greek"), (0x530, "cyrillic"), (0x590, "armenian"), (0x600, "hebrew"),
    (0x900, "arabic"), (0xE00, "indic"), (0x1000, "thai"), (0x10A0, "burmese"), (0x1100, "georgian"),
    (0x1200, "korean"), (0x1E00, "other"), (0x1F00, "latin"), (0x2E80, "greek"), (0x3040, "han"),
    (0x3100, "kana"), (0x3130, "han"), (0x3190, "korean"), (0xAC00, "han"), (0xD7B0, "korean"),
)  # fmt: skip
"""The first code point that no longer belongs to a script, ascending (Unicode 16, blocks). Those of India are one, as
they share digits and punctuation."""


class Grounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a scope depends on besides the caller and the request.

    Attributes:
        sharing: who shares answers, `narrowest` of what the settings and the policy say.
        tier: the tier that answers, None where the request names a model.
        user: the end user, as the caller names it.
        policy: the version of the guard and of the policy.
        embedder: which model, revision and quantisation; see `Embedder.identity`. Empty for look-ups by equality.
        is_multilingual: whether the embedder reads other languages than English.
    """

    sharing: str
    tier: str | None = None
    user: str = ""
    policy: str = ""
    embedder: str = ""
    is_multilingual: bool = False


def narrowest(one: str, other: str) -> str:
    """Return the narrower of two sharings. Two different pools have only their members' own teams in common."""
    if one == other:
        return one
    ranks = [_RANKS[sharing.partition(":")[0]] for sharing in (one, other)]
    if ranks[0] == ranks[1]:
        return "team"
    return one if ranks[0] < ranks[1] else other


def tenant_of(caller: Caller, sharing: str, user: str = "") -> str:
    """Return who shares an answer, in words: `team:acme/search`. No two sharings have a tenant in common.

    An end user is one of a key's, as keys name users as they like. Without a name it is nobody's but that of the key's
    nameless requests.
    """
    if sharing == "team":
        return f"team:{caller.organisation}/{caller.team}"
    if sharing == "org":
        return f"org:{caller.organisation}"
    if sharing == "key":
        return f"key:{caller.organisation}/{caller.key_id}"
    if sharing == "user":
        return f"user:{caller.organisation}/{caller.key_id}/{user}"
    return f"{sharing}@{caller.organisation}"


def last_message(request: ModelRequest) -> str | None:
    """Return the text that likeness may be asked about: the whole of the last message.

    None where the last turn is not a user's, where it is more than one text (pictures, results of tools), or where the
    shape of the request knows no turns.
    """
    turn = _last_turn(request.document, request.shape)
    if turn is None or isinstance(turn, str):
        return turn or None
    return _text_of(turn)[0] or None


def scope_of(caller: Caller, request: ModelRequest, grounds: Grounds) -> bytes | None:
    """Return the digest of everything but the text of the last message, 32 bytes.

    None where nothing may be found by likeness: the request has no exact key, or no `last_message`.
    """
    if not request.is_faithful or not request.may_be_shared:
        return None
    fields = fields_of(request)
    if fields is None:
        return None
    taken = _take_last(fields, request.shape)
    if taken is None:
        return None
    text, form = taken
    tenant = tenant_of(caller, grounds.sharing, grounds.user)
    told = (grounds.policy, grounds.embedder, _language_of(text, is_multilingual=grounds.is_multilingual))
    what = ("scope", tenant, grounds.tier or "", request.shape, told, form, fields)
    return blake2b(_ENCODER.encode(what), digest_size=32).digest()


def fields_of(request: ModelRequest) -> dict[str, Any] | None:
    """Return the members that an answer depends on, decoded anew; None where that would lose something.

    The request's own document is no substitute: its decoder reads `1e999` and `2e999` as the same number.
    """
    try:
        fields: dict[str, Any] = _DECODER.decode(request.body)
    except msgspec.DecodeError:
        return None
    for name in _TRANSPORT:
        fields.pop(name, None)
    if request.shape != "responses":
        for name in _LABELS:
            fields.pop(name, None)
    return fields


def exact_key_of(caller: Caller, request: ModelRequest, grounds: Grounds) -> bytes | None:
    """Return the key of a request, 32 bytes, or None when its answer may be given to no other.

    The order of an object's members and the spelling of its text do not matter; everything else does. A request that
    repeats a name has no key, as its decoded form holds one of the values only.
    """
    if not request.is_faithful or not request.may_be_shared:
        return None
    fields = fields_of(request)
    if fields is None:
        return None
    tenant = tenant_of(caller, grounds.sharing, grounds.user)
    what = ("exact", tenant, grounds.tier or "", request.shape, grounds.policy, fields)
    return blake2b(_ENCODER.encode(what), digest_size=32).digest()


def _last_turn(document: Mapping[str, Any], shape: str) -> str | Mapping[str, Any] | None:
    """Return the last turn of a request if it is the user's: a message, or a text that stands for one."""
    turns = document.get("input" if shape == "responses" else "messages")
    if shape == "responses" and isinstance(turns, str):
        return turns
    if shape not in ("chat", "responses", "messages") or not isinstance(turns, list) or not turns:
        return None
    turn = turns[-1]
    is_users = isinstance(turn, dict) and turn.get("role") == "user" and turn.get("type", "message") == "message"
    return turn if is_users else None


def _text_of(turn: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any] | None]:
    """Return the text of a message, and its one part where it has parts."""
    content = turn.get("content")
    if isinstance(content, str):
        return content, None
    part = content[0] if isinstance(content, list) and len(content) == 1 else None
    if not isinstance(part, dict) or part.get("type") not in _TEXT_PARTS or not isinstance(part.get("text"), str):
        return None, None
    return part["text"], part


def _take_last(fields: dict[str, Any], shape: str) -> tuple[str, object] | None:
    """Take the last message's text out of the members, and return it with what else the message is."""
    turn = _last_turn(fields, shape)
    if turn is None:
        return None
    if isinstance(turn, str):
        del fields["input"]
        return (turn, "input") if turn else None
    text, part = _text_of(turn)
    if not text:
        return None
    fields["input" if shape == "responses" else "messages"].pop()
    kept = {name: value for name, value in turn.items() if name != "content"}
    around = None if part is None else {name: value for name, value in part.items() if name != "text"}
    return text, (kept, around)


def _language_of(text: str, *, is_multilingual: bool) -> str:
    """Return the script of a text, and for a multilingual embedder whether its small words are English."""
    start = text[:_TOLD_BY]
    script = "latin" if start.isascii() else _script_of(start)
    if not is_multilingual or script != "latin":
        return script
    said = [word.strip("¿¡.,;:!?\"'()") for word in start.lower().split()]
    english, other = (sum(word in known for word in said) for known in (ENGLISH, OTHERS))
    return script if english == other else "latin-en" if english > other else "latin-other"


def _script_of(text: str) -> str:
    """Return the script of most letters, `none` where there is no letter."""
    counts: dict[str, int] = {}
    for letter in text:
        if letter.isalpha():
            script = _script(ord(letter))
            counts[script] = counts.get(script, 0) + 1
    return max(counts, key=lambda script: (counts[script], script), default="none")


def _script(code: int) -> str:
    return next((name for end, name in _SCRIPTS if code < end), "other")
