"""Nobody gets an answer that was made in another scope: many requests that differ in all that a scope is made of."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any, Final

from cache.calibration.keeper import BudgetKeeper
from cache.scope import Grounds, last_message, scope_of, tenant_of
from cache.semantic.base import Found
from cache.semantic.cache import SemanticCache
from gateway.caching.silent_log import SilentLog
from gateway.domain.caller import Caller
from gateway.domain.chat import read_chat
from tests.support.build import caller
from tests.support.semantic import EGG, FAR_AWAY, THE_EGG, embedder

LOOKUPS: Final = 100_000

_TOOL: Final = {"type": "function", "function": {"name": "cook", "parameters": {"type": "object"}}}
_QUESTIONS: Final = (EGG, THE_EGG)
_CHOICES: Final[dict[str, tuple[Any, ...]]] = {
    "model": ("m", "n"),
    "system": (None, "Be brief.", "Be brief!"),
    "before": ((), ("Hello", "Hi there"), ("Hello", "Hi")),
    "tools": (None, [_TOOL]),
    "tool_choice": (None, "none"),
    "response_format": (None, {"type": "json_object"}),
    "temperature": (None, 0.0, 0.5),
    "top_p": (None, 0.5),
    "max_tokens": (None, 50),
    "seed": (None, 1),
    "stop": (None, ["\n"]),
}
_SHARINGS: Final = ("user", "key", "team", "shared:pool", "shared:other", "org")
_KEYS: Final = (("acme", "red", "one"), ("acme", "red", "two"), ("acme", "blue", "one"), ("other", "red", "one"))


class Answers(dict[int, tuple[bytes, str]]):
    """Satisfies `Payloads`: answers that say for what they were made."""

    async def get(self, entry_id: int, scope: bytes) -> str | None:  # type: ignore[override]
        return super().get(entry_id, (b"", ""))[1]

    async def delete(self, entry_id: int) -> None:
        self.pop(entry_id, None)


def draw(chance: random.Random) -> tuple[Caller, dict[str, Any], Grounds]:
    """Return a request of somebody; most of what it says is what most say, so that many are equal."""
    said = {name: values[0] if chance.random() < 0.7 else chance.choice(values) for name, values in _CHOICES.items()}
    messages = [{"role": "system", "content": said["system"]}] if said["system"] else []
    roles = ("user", "assistant")
    messages += [{"role": role, "content": text} for role, text in zip(roles, said["before"], strict=False)]
    fields = {name: said[name] for name in said if name not in ("system", "before") and said[name] is not None}
    organisation, team, key = chance.choice(_KEYS)
    grounds = Grounds(
        sharing=chance.choice(_SHARINGS),
        tier=chance.choice((None, "simple", "medium")),
        user=chance.choice(("", "anna", "ben")),
        policy=chance.choice(("1", "2")),
        embedder="e",
    )
    document = {**fields, "messages": [*messages, {"role": "user", "content": chance.choice(_QUESTIONS)}]}
    key_id = f"{organisation}/{team}/{key}"
    return caller(organisation=organisation, team=team, key=key, key_id=key_id), document, grounds


def told_of(who: Caller, document: dict[str, Any], grounds: Grounds) -> str:
    """Return all that an answer may depend on but the last question."""
    around = {**document, "messages": document["messages"][:-1]}
    tenant = tenant_of(who, grounds.sharing, grounds.user)
    return json.dumps([tenant, grounds.tier, grounds.policy, around], sort_keys=True)


async def test_no_answer_leaves_its_scope() -> None:
    chance = random.Random(5)  # noqa: S311  draws requests, guards nothing
    answers = Answers()
    cache = SemanticCache(embedder(), SilentLog(), answers, BudgetKeeper(0.02))
    came = Counter[str]()
    for number in range(LOOKUPS):
        who, document, grounds = draw(chance)
        request = read_chat(json.dumps(document).encode())
        text, scope = last_message(request), scope_of(who, request, grounds)
        assert text is not None
        assert scope is not None
        told = told_of(who, document, grounds)
        search = cache.begin(scope, text)
        outcome = await search.result(10.0)
        if isinstance(outcome, Found):
            came["own" if outcome.payload == told else "foreign"] += 1
        else:
            came["miss"] += 1
            answers[number] = scope, told
            await cache.add(search, number, told.encode(), expires_at=FAR_AWAY)

    assert came["foreign"] == 0
    assert came["own"] > LOOKUPS / 10
    assert came["miss"] > LOOKUPS / 10
