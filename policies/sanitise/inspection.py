"""What the guard knows of one request and its answer: the plan, what was found, and what placeholders stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from policies.sanitise.finding import Finding
from policies.sanitise.plan import NAME_OF, GuardPlan
from policies.sanitise.redaction.redactor import Redactor, Vault
from policies.sanitise.settings import STRICTNESS, Action, Direction

MOST_VERDICTS: Final = 256
"""Verdicts kept of one request; of what follows, detectors and actions are counted without their places."""

_MOST_RANGES: Final = 32
_MOST_TOLD: Final = 32
"""Verdicts in a line of the log: with all their ranges, some ten kilobytes."""

_UNTOLD: Final = "ok"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the findings of one rule in one text amount to. It never holds what was found.

    Attributes:
        detector: as settings call it: `pii`, `secrets`, `injection`, `tools`, ...
        rule: of the detector: `email`, `override`, `traversal`, ...
        action: what the policy does about it; `monitor` did nothing.
        direction: whose text it is.
        count: findings.
        ranges: where they stand in the text, in characters as it was received, at most 32 of them.
        place: the text, as a path in the request or answer: `messages[3].content[0].text`.
        score: of the surest finding, 0 to 1.
    """

    detector: str
    rule: str
    action: Action
    direction: Direction
    count: int = 1
    ranges: tuple[tuple[int, int], ...] = ()
    place: str = ""
    score: float = 1.0


class Inspection:
    """What the guard knows of one request. The stage before the upstream makes it, the one after it adds to it.

    Args:
        plan: what holds for the caller.
        redactor: what masks its texts; made when it is needed if None.

    Attributes:
        verdicts: so far, at most `MOST_VERDICTS`.
        counts: findings by direction, detector and action; all of them.
        trusted: texts of trusted roles, for the detection of leaks; empty where nobody looks for them.
        said: texts of everybody else, which an answer may repeat; empty as above.
        tools: the declared tools' parameters as JSON Schemas, by name; empty where no calls are judged.
        restored, invented, unrestored: placeholders of the answer; see `Restorer`.
        spent_us: microseconds that the guard took so far.
        failure: guards that others run and that have said nothing, with why: `external.pii:late`; empty for none.
    """

    __slots__ = (
        "_redactor", "counts", "failure", "invented", "plan", "restored", "said", "scores", "spent_us", "tools",
        "trusted", "unrestored", "verdicts",
    )  # fmt: skip

    def __init__(self, plan: GuardPlan, redactor: Redactor | None = None) -> None:
        self.plan = plan
        self.verdicts: list[Verdict] = []
        self.counts: dict[tuple[Direction, str, Action], int] = {}
        self.scores: dict[tuple[Direction, str, Action], float] = {}
        self.trusted: tuple[str, ...] = ()
        self.said: tuple[str, ...] = ()
        self.tools: Mapping[str, Mapping[str, Any]] = {}
        self.restored = self.invented = self.unrestored = 0
        self.spent_us = 0
        self.failure = ""
        self._redactor = redactor

    @property
    def is_redacted(self) -> bool:
        """Whether a text that was forwarded or answered is not the one that came."""
        return any(action == "redact" for _, _, action in self.counts)

    @property
    def is_flagged(self) -> bool:
        """Whether anything was found that is more than monitored: the answer is for this caller only."""
        return any(STRICTNESS[action] >= STRICTNESS["flag"] for _, _, action in self.counts)

    @property
    def redactor(self) -> Redactor:
        """Return what masks the texts of this request; made at the first call, so that most requests have none."""
        if self._redactor is None:
            self._redactor = Redactor()
        return self._redactor

    @property
    def vault(self) -> Vault | None:
        """Return what the placeholders stand for by now; None where nothing was replaced."""
        vault = None if self._redactor is None else self._redactor.vault
        return vault if vault is not None and vault.values else None

    def note(self, verdict: Verdict) -> None:
        """Take in what was found; also for what a detector outside of this process says."""
        key = (verdict.direction, verdict.detector, verdict.action)
        self.counts[key] = self.counts.get(key, 0) + verdict.count
        self.scores[key] = max(self.scores.get(key, 0.0), verdict.score)
        if len(self.verdicts) < MOST_VERDICTS:
            self.verdicts.append(verdict)

    def note_findings(
        self, findings: Iterable[Finding], actions: Mapping[str, Action], direction: Direction, place: str
    ) -> None:
        """Take in the findings of one text, one verdict a rule.

        Args:
            actions: by detector, as the findings name it.
        """
        by_rule: dict[tuple[str, str], list[Finding]] = {}
        for finding in findings:
            by_rule.setdefault((finding.detector, finding.rule), []).append(finding)
        for (detector, rule), found in by_rule.items():
            self.note(
                Verdict(
                    detector=NAME_OF.get(detector, detector),
                    rule=rule,
                    action=actions[detector],
                    direction=direction,
                    count=len(found),
                    ranges=tuple((one.start, one.end) for one in found[:_MOST_RANGES]),
                    place=place,
                    score=max(one.score for one in found),
                )
            )

    def strictest(self) -> str:
        """Return the strictest action that was called for, `ok` where nothing was found."""
        if not self.counts:
            return _UNTOLD
        return max((action for _, _, action in self.counts), key=STRICTNESS.__getitem__)

    def header(self) -> bytes:
        """Return the value of `x-tierway-guard`: a dictionary of RFC 9651.

        `result=redact, pii=redact;n=2, injection=flag;n=1;score=0.83, policy=g1c2d3e4f, us=41`. `result` is the
        strictest action, or `ok`. A detector's name stands for the input; those of other directions begin with it:
        `output.secrets`. Two actions of one detector are two members, of which the later begins with a star.
        """
        members = [f"result={self.strictest()}"]
        if self.counts:
            members += self._counted()
        if self.restored or self.invented or self.unrestored:
            members.append(f"restored={self.restored};invented={self.invented};unrestored={self.unrestored}")
        if self.failure:
            members.append(f'unheard="{self.failure}"')
        members += [f"policy={self.plan.policy_id}", f"us={self.spent_us}"]
        return ", ".join(members).encode("ascii", "replace")

    def _counted(self) -> Iterator[str]:
        seen: Counter[str] = Counter()
        for key, count in self.counts.items():
            direction, detector, action = key
            name = detector if direction == "input" else f"{direction}.{detector}"
            score = f";score={self.scores[key]:.2f}" if detector == "injection" else ""
            yield f"{'*' * seen[name]}{name}={action};n={count}{score}"
            seen[name] += 1

    def told(self) -> dict[str, Any]:
        """Return what the request log and the audit keep: counts, rules and ranges, never what was found."""
        return {
            "policy": self.plan.policy_id,
            "result": self.strictest(),
            "us": self.spent_us,
            **({"unheard": self.failure} if self.failure else {}),
            **(self._found() if self.counts else {}),
        }

    def _found(self) -> dict[str, Any]:
        counts = {".".join(key): count for key, count in self.counts.items()}
        return {"counts": counts, "found": [_told(verdict) for verdict in self.verdicts[:_MOST_TOLD]]}


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "detector": verdict.detector,
        "rule": verdict.rule,
        "action": verdict.action,
        "direction": verdict.direction,
        "count": verdict.count,
        "place": verdict.place,
        "ranges": verdict.ranges,
    }
