"""Finds in a stretch of an answer all that a plan wants to know of and that has a place."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
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


class Search:
    """What a plan wants to know of answers, worked out once.

    Args:
        plan: what to look for.
        is_fixed: whether texts must stay as they are; what should be replaced is flagged.

    Attributes:
        plan: as above.
        kinds: what the scanner looks for.
        scanner: looks for it; None where there is nothing.
        canaries: finds the plan's; None where none are looked for.
        actions: by the name of a finding's detector.
        changes: whether text may have to be replaced or kept from the caller, so that some is held back.
        is_idle: whether there is nothing to look for.
    """

    __slots__ = ("actions", "canaries", "changes", "is_idle", "kinds", "plan", "scanner")

    def __init__(self, plan: GuardPlan, *, is_fixed: bool = False) -> None:
        self.plan = plan
        actions = plan.output
        self.kinds = kinds_of(actions)
        self.scanner = _scanner() if self.kinds else None
        self.canaries = CanaryFinder(plan.canaries) if plan.canaries and actions.canary != "ignore" else None
        placed = {name: actions.of(name) for name in _PLACED}
        if is_fixed:
            placed = {name: _unchanged(action) for name, action in placed.items()}
        self.actions: dict[str, Action] = {**placed, "personal": placed["pii"]}
        blocks = "block" in (actions.leak, actions.injection)  # seen ahead of what is sent, as more is held back
        self.is_idle = not blocks and set(placed.values()) == {"ignore"}
        self.changes = blocks or not CHANGING.isdisjoint(placed.values())


class Searches:
    """The searches of plans, of which there are a few."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[Search, Search]] = {}

    def of(self, plan: GuardPlan) -> tuple[Search, Search]:
        """Return the search of a plan, and the one for texts that must stay as they are."""
        known = self._known.get(plan.policy_id)
        if known is None or known[0].plan is not plan:
            known = self._known[plan.policy_id] = Search(plan), Search(plan, is_fixed=True)
        return known


class Finder:
    """Looks through stretches of one answer.

    Args:
        search: what to look for.
        vault: of the request. Its placeholders are no findings, whatever they look like.

    Attributes:
        changes: see `Search`.
    """

    __slots__ = ("_search", "_suffix", "changes")

    def __init__(self, search: Search, vault: Vault | None = None) -> None:
        self._search = search
        self._suffix = vault.suffix if vault is not None and vault.values else ""
        self.changes = search.changes

    def find(self, text: str) -> list[Sighting]:
        """Return what the stretch has, by start."""
        search = self._search
        return self._sighted(text, [] if search.scanner is None else search.scanner.scan(text, search.kinds))

    def find_at_once(self, text: str) -> list[Sighting] | None:
        """Return what a text has that takes less than a millisecond, None for others."""
        search = self._search
        found = [] if search.scanner is None else search.scanner.scan_at_once(text, search.kinds)
        return None if found is None else self._sighted(text, found)

    def steps(self, text: str) -> Generator[None, None, list[Sighting]]:
        """Look through a text of any length with pauses; see `TextScanner.steps`."""
        search = self._search
        found = [] if search.scanner is None else (yield from search.scanner.steps(text, search.kinds))
        return self._sighted(text, found)

    def _sighted(self, text: str, found: list[Finding]) -> list[Sighting]:
        """Return what a scan found that is worth telling, and what needs no scanner."""
        search = self._search
        found = [*found, *self._placed(text)]
        if not found:
            return []
        if self._suffix:
            taken = [match.span() for match in placeholders(text, self._suffix)]
            found = [one for one in found if one.detector in _CARRYING or not _meets(one, taken)]
        admits = search.plan.admits
        return [
            Sighting(one, search.actions[one.detector])
            for one in sorted(found, key=BY_PLACE)
            if not admits(one.detector, one.rule, text[one.start : one.end])
        ]

    def _placed(self, text: str) -> Iterable[Finding]:
        """Return what needs no scanner."""
        search = self._search
        found: list[Finding] = []
        if search.plan.custom is not None and search.actions["custom"] != "ignore":
            found += search.plan.custom.scan(text)
        if search.canaries is not None:
            found += search.canaries.find(text)
        if search.actions["links"] != "ignore" and "//" in text:
            found += self._links(text)
        return found

    def _links(self, text: str) -> Iterable[Finding]:
        found = carriers(text, self._search.plan.hosts)
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
            if carriers(text[start : match.start()] + _CARRIED, self._search.plan.hosts):
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
