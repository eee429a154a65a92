"""What the gateway's own detectors say of a text, in the words of OpenAI's moderation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.guarding.scanning import Looker
from policies.sanitise.finding import Finding
from policies.sanitise.plan import KIND_OF, NAME_OF, GuardPlan

MODEL: Final = "tierway-guard"

OPENAI_CATEGORIES: Final = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
"""Categories of the API (platform.openai.com/docs/api-reference/moderations, 2026-11). They are about harm, which no
detector here judges: clients that look them up find them, false and with a score of 0, applied to no kind of input."""

OWN: Final = "tierway/"

_NEEDS: Final = GuardPlan(needs_scanner=True, needs_injection=True)
_KINDS: Final = frozenset(KIND_OF.values())
_DETECTORS: Final = ("injection", "secrets", "pii", "unicode")


class LocalModeration:
    """Judges texts by every detector, whatever the guard's settings do about their findings.

    Args:
        looker: has the detectors.
    """

    def __init__(self, looker: Looker) -> None:
        self._looker = looker

    async def judge(self, texts: Sequence[str], plan: GuardPlan) -> dict[str, Any]:
        """Return one result of a moderation, on texts that are judged together.

        Args:
            plan: of the caller: its allow-lists say what is no finding, its patterns are looked for too.
        """
        if self._looker.lacks(_NEEDS):
            await self._looker.load(_NEEDS)
        names = (*_DETECTORS, "custom") if plan.custom is not None else _DETECTORS
        scores = dict.fromkeys(names, 0.0)
        for text in texts:
            for finding in await self._findings(text, plan):
                name = NAME_OF.get(finding.detector, finding.detector)
                scores[name] = max(scores.get(name, 0.0), finding.score)
        return _result({OWN + name: score for name, score in scores.items()})

    async def _findings(self, text: str, plan: GuardPlan) -> list[Finding]:
        found = await self._looker.scan_long(text, _KINDS)
        if plan.custom is not None:
            found += plan.custom.scan(text)
        attack = await self._looker.judge(text, is_document=False)
        if attack is not None:
            found.append(attack)
        return [one for one in found if not _is_allowed(one, text, plan)]


def _is_allowed(finding: Finding, text: str, plan: GuardPlan) -> bool:
    if not plan.allow:
        return False
    value = text if finding.detector == "injection" else text[finding.start : finding.end]
    return any(plan.admits(finding.detector, rule, value) for rule in finding.rule.split("+"))


def _result(own: dict[str, float]) -> dict[str, Any]:
    scores = dict.fromkeys(OPENAI_CATEGORIES, 0.0) | {name: round(score, 4) for name, score in own.items()}
    return {
        "flagged": any(own.values()),
        "categories": {name: score > 0 for name, score in scores.items()},
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] if name in own else [] for name in scores},
    }
