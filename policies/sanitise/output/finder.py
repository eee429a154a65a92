"""Finds in a stretch of an answer all that a plan wants to know of and that has a place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from policies.sanitise.finding import BY_PLACE, Finding
from policies.sanitise.injection.exfiltration import carriers
from policies.sanitise.output.canaries import CanaryFinder
from policies.sanitise.output.sighting import Sighting
from policies.sanitise.plan import GuardPlan, kinds_of
from policies.sanitise.redaction.placeholder import placeholders
from policies.sanitise.redaction.redactor import Vault
from policies.sanitise.settings import Action

if TYPE_CHECKING:
    from policies.sanitise.scan import TextScanner

CHANGING: Final = frozenset({"redact", "block"})
"""Actions for which text has to be held back until it was looked through."""

_BEFORE_ADDRESS: Final = 4_096
"""Characters before a placeholder in which an address may begin that carries it."""


class Finder:
    """Looks through stretches of one answer.

    Args:
        plan: what to look for.
        vault: of the request. Its placeholders are no findings, whatever they look like.
        is_fixed: whether the answer's text must stay as it is; what should be replaced is flagged.

    Attributes:
        changes: whether text may have to be replaced or kept from the caller, so that some is held back.
        is_idle: whether there is nothing to look for.
    """

    __slots__ = (
        "_actions", "_canaries", "_kinds", "_plan", "_scanner", "_suffix", "changes", "is_idle",
    )  # fmt: skip

    def __init__(self, plan: GuardPlan, vault: Vault | None = None, *, is_fixed: bool = False) -> None:
        self._plan = plan
        actions = plan.output
        self._kinds = kinds_of(actions)
        self._scanner = _scanner() if self._kinds else None
        self._canaries = CanaryFinder(plan.canaries) if plan.canaries and actions.canary != "ignore" else None
        self._suffix = vault.suffix if vault is not None and vault.values else ""
        placed = {name: actions.of(name) for name in _PLACED}
        if is_fixed:
            placed = {name: _unchanged(action) for name, action in placed.items()}
        self._actions: dict[str, Action] = {**placed, "personal": placed["pii"]}
        blocks = "block" in (actions.leak, actions.injection)  # seen ahead of what is sent, as more is held back
        self.is_idle = not blocks and set(placed.values()) == {"ignore"}
        self.changes = blocks or not CHANGING.isdisjoint(placed.values())

    def find(self, text: str) -> list[Sighting]:
        """Return what the stretch has, by start."""
        found = [*self._scanned(text), *self._placed(text)]
        if found and self._suffix:
            taken = [match.span() for match in placeholders(text, self._suffix)]
            found = [one for one in found if one.detector in _CARRYING or not _meets(one, taken)]
        admits = self._plan.admits
        return [
            Sighting(one, self._actions[one.detector])
            for one in sorted(found, key=BY_PLACE)
            if not admits(one.detector, one.rule, text[one.start : one.end])
        ]

    def _scanned(self, text: str) -> Iterable[Finding]:
        return () if self._scanner is None else self._scanner.scan(text, self._kinds)

    def _placed(self, text: str) -> Iterable[Finding]:
        """Yield what needs no scanner."""
        if self._plan.custom is not None and self._actions["custom"] != "ignore":
            yield from self._plan.custom.scan(text)
        if self._canaries is not None:
            yield from self._canaries.find(text)
        if self._actions["links"] != "ignore" and "//" in text:
            yield from self._links(text)

    def _links(self, text: str) -> Iterable[Finding]:
        found = carriers(text, self._plan.hosts)
        yield from (Finding("links", one.sort, one.start, one.end, 1.0) for one in found)
        if self._suffix:
            yield from self._carried(text, {one.start for one in found})

    def _carried(self, text: str, known: set[int]) -> Iterable[Finding]:
        """Yield addresses that a placeholder stands in: restored, they would carry what it stands for."""
        for match in placeholders(text, self._suffix):
            before = text[max(0, match.start() - _BEFORE_ADDRESS) : match.start()]
            gap = max(map(before.rfind, _ENDS))
            slashes = before.find("//", gap + 1)
            start = match.start() - len(before) + max(gap + 1, _scheme(before, slashes))
            if slashes < 0 or start in known:
                continue
            known.add(start)
            is_host = _PATH.search(before, slashes + 2) is None
            if is_host and text[match.end() : match.end() + 1] != ".":
                continue  # it names the host itself, as the prompt did
            if carriers(text[start : match.start()] + _CARRIED, self._plan.hosts):
                yield Finding("links", "placeholder", start, match.end(), 1.0)


def _scanner() -> TextScanner:
    # Imported here because patterns and tables take 60 MB, which a guard that only restores saves.
    from policies.sanitise.scan import shared_scanner  # noqa: PLC0415

    return shared_scanner()


def _unchanged(action: Action) -> Action:
    return "flag" if action == "redact" else action


_PLACED: Final = ("unicode", "secrets", "pii", "canary", "links", "custom")
_CARRYING: Final = frozenset({"links", "canary"})
_ENDS: Final = " \n\t<>\"'`()"
_PATH: Final = re.compile(r"[/?#]")
_CARRIED: Final = "x1" * 16
"""Stands for what a placeholder carries; longer than `exfiltration.CARRIES`."""


def _scheme(before: str, slashes: int) -> int:
    """Return where an address begins whose slashes are known."""
    for scheme in ("https:", "http:"):
        if before.endswith(scheme, 0, slashes):
            return slashes - len(scheme)
    return slashes


def _meets(finding: Finding, spans: Iterable[tuple[int, int]]) -> bool:
    return any(finding.start < end and start < finding.end for start, end in spans)
