"""What the guard does for one key: the organisation's, its team's and its own word, resolved into one plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec

from policies.sanitise.finding import Kind
from policies.sanitise.merging import Resolved, resolve_levels
from policies.sanitise.settings import Action, GuardSettings

if TYPE_CHECKING:
    from policies.sanitise.personal.custom import CustomPatterns

_DIGEST_BYTES: Final = 5
_KEPT: Final = 1_024
"""Plans of different words; more levels than that with a guard of their own make plans anew, in 0.2 ms each."""

KIND_OF: Final[dict[str, Kind]] = {"unicode": "unicode", "secrets": "secrets", "pii": "personal"}
"""What the scanner calls detectors of the settings."""

NAME_OF: Final[dict[str, str]] = {"personal": "pii"}
"""What the settings call detectors of the scanner, where they differ."""


class TextActions(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about findings in texts that go to a model."""

    unicode: Action = "ignore"
    secrets: Action = "ignore"
    pii: Action = "ignore"
    injection: Action = "ignore"
    custom: Action = "ignore"

    def of(self, detector: str) -> Action:
        """Return what is done about findings of a detector, by the name of the settings or the scanner."""
        action: Action = getattr(self, NAME_OF.get(detector, detector))
        return action


class AnswerActions(TextActions, frozen=True, kw_only=True):
    """What is done about findings in answers."""

    canary: Action = "ignore"
    leak: Action = "ignore"
    links: Action = "ignore"


class SizeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a prompt may be; None for no bound. Units as in `settings.PromptLimits`."""

    characters: int = 400_000
    tokens: int | None = None
    messages: int = 500
    images: int = 20
    attachments: int | None = None
    depth: int | None = None


class ToolRule(msgspec.Struct, frozen=True):
    """What holds for calls of one tool.

    Attributes:
        action: what is done about what must not be handed to it.
        is_allowed: whether it may be called at all; if not, each call of it is a finding, `tool_not_allowed`.
        roots: folders that its paths may lead into; None for any.
        hosts: hosts that its addresses may name; None for any public one.
    """

    action: Action
    is_allowed: bool
    roots: tuple[str, ...] | None
    hosts: tuple[str, ...] | None


class ToolPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What models may ask of tools.

    Attributes:
        action: for tools without a rule of their own.
        allowed: patterns over names, of which every tuple must admit a name.
        rules: action, roots and hosts of single tools.
    """

    action: Action = "ignore"
    allowed: tuple[tuple[str, ...], ...] = ()
    roots: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    rules: dict[str, ToolRule] = {}

    @property
    def is_on(self) -> bool:
        """Whether any tool's calls are looked at."""
        return self.action != "ignore" or any(rule.action != "ignore" for rule in self.rules.values())

    def of(self, tool: str) -> ToolRule:
        """Return what holds for calls of a tool; see `policies.sanitise.tools.judge_call`."""
        own = self.rules.get(tool)
        if own is not None:
            return own
        return ToolRule(self.action, is_admitted(tool, self.allowed), self.roots, self.hosts)


class AllowList(msgspec.Struct, frozen=True):
    """What is no finding of one detector.

    Attributes:
        rules: names of rules whose findings are none.
        values: matches what may stand there; None where nothing is named.
    """

    rules: frozenset[str] = frozenset()
    values: Any = None

    def admits(self, rule: str, value: str) -> bool:
        """Tell whether a finding is none.

        Args:
            value: what was found, or the whole text for an injection.
        """
        return rule in self.rules or (self.values is not None and self.values.fullmatch(value.casefold()) is not None)


NOTHING_ALLOWED: Final = AllowList()


class GuardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard does for requests of one key. Made once for all keys of which the levels say the same.

    Attributes:
        policy_id: `g` and ten hexadecimal digits: a hash of everything below, for headers, logs and caches.
        input: for what users and assistants say.
        results: for results of tools and for documents.
        output: for answers.
        tools: for arguments of tool calls in answers.
        restore: whether placeholders become what they stand for again in answers.
        trusted: roles whose messages are looked through for secrets only.
        limits: how large a prompt may be.
        custom: looks for `patterns`; None where there are none.
        canaries: words that no answer may have.
        allow: by detector, as settings call it.
        hosts: that images and links of answers may name.
        scans_input: whether texts of requests are looked at, for more than their size.
        scans_output: whether answers are looked at, or something in them may have to be put back.
        is_idle: whether nothing but sizes is looked at.
        needs_scanner: whether `scan.shared_scanner` is used in any direction.
        needs_injection: whether the injection detector is.
    """

    policy_id: str = "g0000000000"
    input: TextActions = TextActions()
    results: TextActions = TextActions()
    output: AnswerActions = AnswerActions()
    tools: ToolPlan = ToolPlan()
    restore: bool = True
    trusted: frozenset[str] = frozenset(("system", "developer"))
    limits: SizeLimits = SizeLimits()
    custom: CustomPatterns | None = None
    canaries: tuple[str, ...] = ()
    allow: dict[str, AllowList] = {}
    hosts: tuple[str, ...] = ()
    scans_input: bool = False
    scans_output: bool = False
    is_idle: bool = True
    needs_scanner: bool = False
    needs_injection: bool = False

    def __repr__(self) -> str:  # canaries are secrets
        return f"GuardPlan({self.policy_id})"

    def admits(self, detector: str, rule: str, value: str) -> bool:
        """Tell whether an allow-list says this is no finding; a detector has the settings' or the scanner's name."""
        allowed = self.allow.get(NAME_OF.get(detector, detector))
        return allowed is not None and allowed.admits(rule, value)


IDLE: Final = GuardPlan()
"""The plan of a key of which no level says anything: prompts of the usual size pass, and nothing is looked at."""


def kinds_of(actions: TextActions) -> frozenset[Kind]:
    """Return what the scanner has to look for; empty for nothing."""
    return frozenset(kind for name, kind in KIND_OF.items() if actions.of(name) != "ignore")


def plan_for(levels: Sequence[GuardSettings], *, grants: Sequence[bool] = ()) -> GuardPlan:
    """Return what holds where these levels speak; the same object for the same words.

    Args:
        levels: the highest first.
        grants: for each but the last, whether the next one may loosen what it says; no where it is not said.

    Raises:
        policies.sanitise.personal.custom.InvalidPatternError: a pattern cannot be used.
    """
    granted = (tuple(grants) + (False,) * len(levels))[: max(len(levels) - 1, 0)]
    return _plan_of(msgspec.json.encode(levels), granted)


def is_admitted(name: str, patterns: Iterable[Sequence[str]]) -> bool:
    """Tell whether every tuple of shell patterns admits a name."""
    return all(any(fnmatchcase(name, pattern) for pattern in level) for level in patterns)


@lru_cache(_KEPT)
def _plan_of(encoded: bytes, granted: tuple[bool, ...]) -> GuardPlan:
    found = resolve_levels(msgspec.json.decode(encoded, type=list[GuardSettings]), granted)
    asked = (found.input, found.results, found.output)
    every: list[dict[str, Action]] = [
        {name: action for name, action in one.items() if action != "ignore"} for one in asked
    ]
    tools = _tools_of(found)
    scans_input = bool(every[0] or every[1])
    scans_output = bool(every[2]) or tools.is_on or _redacts(*every[:2])
    return GuardPlan(
        policy_id="g" + blake2b(msgspec.json.encode(found), digest_size=_DIGEST_BYTES).hexdigest(),
        input=TextActions(**found.input),
        results=TextActions(**found.results),
        output=AnswerActions(**found.output),
        tools=tools,
        restore=found.restore,
        trusted=frozenset(found.trusted),
        limits=msgspec.convert(found.limits, SizeLimits),
        custom=_custom(found.patterns),
        canaries=found.canaries,
        allow={name: _allow_list(words) for name, words in found.allow.items() if name != "links"},
        hosts=found.allow.get("links", ()),
        scans_input=scans_input,
        scans_output=scans_output,
        is_idle=not (scans_input or scans_output),
        needs_scanner=any(not KIND_OF.keys().isdisjoint(one) for one in every),
        needs_injection=any("injection" in one for one in every),
    )


def _redacts(*directions: dict[str, Action]) -> bool:
    return any(action == "redact" for one in directions for action in one.values())


def _tools_of(found: Resolved) -> ToolPlan:
    rules = {
        name: ToolRule(rule.action, is_admitted(name, found.tools_allowed), rule.roots, rule.hosts)
        for name, rule in found.tool_rules.items()
    }
    everywhere = found.tools
    return ToolPlan(
        action=everywhere.action,
        allowed=found.tools_allowed,
        roots=everywhere.roots,
        hosts=everywhere.hosts,
        rules=rules,
    )


def _custom(patterns: dict[str, str]) -> CustomPatterns | None:
    if not patterns:
        return None
    # Imported here because the expressions' engine costs 20 ms, which a guard without patterns does not need.
    from policies.sanitise.personal.custom import CustomPattern, CustomPatterns  # noqa: PLC0415

    return CustomPatterns([CustomPattern(name, expression) for name, expression in patterns.items()])


def _allow_list(words: Sequence[str]) -> AllowList:
    rules = frozenset(word.removeprefix("rule:") for word in words if word.startswith("rule:"))
    values = [f"(?:{translate(word.casefold())})" for word in words if not word.startswith("rule:")]
    return AllowList(rules, re.compile("|".join(values)) if values else None)
