"""What a plan says of texts of one speaker, worked out once."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.guarding.texts import Speaker
from policies.sanitise.finding import Kind
from policies.sanitise.plan import KIND_OF, GuardPlan, kinds_of
from policies.sanitise.settings import Action, Direction

_JUDGED: Final = frozenset({"user", "tool", "system", "developer"})
"""Whose texts may be injections: an answer of the model is nobody's attempt, and what is stored gives no orders."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How texts of one speaker are looked at.

    Attributes:
        direction: what findings are counted as.
        actions: by the name of a finding's detector; what cannot be replaced is flagged where the policy says `redact`.
        kinds: what the scanner looks for.
        has_patterns: whether the policy's own patterns are looked for.
        is_judged: whether a text may be an injection.
        is_document: whether it is judged as strictly as documents are.
        circumstances: what decides on findings besides the text.
        is_idle: whether nothing is looked for.
    """

    direction: Direction
    actions: dict[str, Action]
    kinds: frozenset[Kind]
    has_patterns: bool
    is_judged: bool
    is_document: bool
    circumstances: bytes
    is_idle: bool


def terms_of(plan: GuardPlan, speaker: Speaker) -> Terms:
    """Return how texts of a speaker are looked at."""
    is_document, is_trusted = speaker == "tool", speaker in plan.trusted
    said = plan.results if is_document else plan.input
    kinds = kinds_of(said) & (frozenset({"secrets"}) if is_trusted else frozenset(KIND_OF.values()))
    has_patterns = plan.custom is not None and said.custom != "ignore" and not is_trusted
    is_judged = said.injection != "ignore" and speaker in _JUDGED and not is_trusted
    actions = {detector: said.of(detector) for detector in ("unicode", "secrets", "personal", "injection", "custom")}
    if actions["injection"] == "redact":
        actions["injection"] = "flag"
    return Terms(
        direction="tool_results" if is_document else "input",
        actions=actions,
        kinds=kinds,
        has_patterns=has_patterns,
        is_judged=is_judged,
        is_document=is_document,
        circumstances=f"{plan.policy_id} {speaker}".encode(),
        is_idle=not (kinds or has_patterns or is_judged),
    )
