"""Shares with their intervals, thresholds for a share of false alarms, and the report on sources left out."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.sanitise.injection.artefact import HEADS
from policies.sanitise.training.corpus import TOOL, Sample

DOCUMENTS: Final = ("document_code", "document_email", "document_table")
HARD: Final = ("doc_mention", "notinject_one")
ALARMS: Final = {"hard": 0.006, "benign": 0.003, "document": 0.02, "mention": 0.01}
"""Shares of false alarms that thresholds are set for; half of what is allowed, as other texts are to come."""

_RESERVE: Final = 0.3
"""Log odds added for documents: the highest of some two dozen of a kind says little of the next ones."""

_Z: Final = 1.96


class Rows:
    """The public rows of the data on injection, as groups of ordinary texts and of attacks.

    Args:
        samples: all texts; those that are of another task or this project's own are left out.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        public = np.array([sample.key.startswith("inj-") for sample in samples])
        attack = np.array([sample.is_attack for sample in samples])
        self.kind = np.array([sample.kind for sample in samples])
        self.source = np.array([sample.source for sample in samples])
        self.is_tool = np.array([sample.role == TOOL for sample in samples])
        self.attack = public & attack
        self.hard = public & ~attack & np.isin(self.kind, HARD)
        self.benign = public & ~attack & ~self.hard
        self.is_set_on = np.array([_half(sample.key) for sample in samples])


def _half(key: str) -> bool:
    """Tell whether thresholds are set on a text; the others are reported on."""
    return sum(map(ord, key)) % 2 == 0


def threshold(scores: NDArray[np.float64], share: float) -> float:
    """Return a score that at most a share of scores lies above."""
    ordered = np.sort(scores)[::-1]
    return float(ordered[int(share * len(ordered))]) + 1e-6


def thresholds(scores: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    """Return one threshold a head, set on half of the ordinary texts."""
    user, document = scores
    half = rows.is_set_on
    of_user = max(
        threshold(user[rows.hard & half], ALARMS["hard"]), threshold(user[rows.benign & half], ALARMS["benign"])
    )
    groups = [threshold(document[rows.benign & half & (rows.kind == kind)], ALARMS["document"]) for kind in DOCUMENTS]
    mentions = threshold(document[rows.hard & half & (rows.kind == "doc_mention")], ALARMS["mention"])
    return np.array([of_user, max(*groups, mentions) + _RESERVE])


def flags(scores: NDArray[np.float64], limits: NDArray[np.float64], as_tool: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is flagged: documents by either head, what users say by theirs."""
    beyond = scores >= limits[: len(scores), None]
    found: NDArray[np.bool_] = beyond[0] | (beyond[1] & as_tool)
    return found


def wilson(hits: int, count: int) -> str:
    """Return a share with its 95 % interval (Wilson 1927), in per cent."""
    if not count:
        return "-"
    share = hits / count
    middle = (share + _Z * _Z / (2 * count)) / (1 + _Z * _Z / count)
    half = _Z * sqrt(share * (1 - share) / count + _Z * _Z / (4 * count * count)) / (1 + _Z * _Z / count)
    return f"{100 * share:5.1f} [{100 * max(0, middle - half):.1f}, {100 * min(1, middle + half):.1f}] {hits}/{count}"


def report(scores: NDArray[np.float64], rows: Rows, limits: NDArray[np.float64]) -> list[str]:
    """Return the lines of a report: recall by source, false alarms by kind, on the half that set no threshold."""
    flagged = flags(scores, limits, rows.is_tool)
    lines = [f"thresholds {dict(zip(HEADS, limits.round(3).tolist(), strict=False))}"]
    shares = []
    for source in sorted(set(rows.source[rows.attack])):
        mine = rows.attack & (rows.source == source)
        shares.append(flagged[mine].mean())
        lines.append(f"recall {source:<46}{wilson(int(flagged[mine].sum()), int(mine.sum()))}")
    lines.append(f"recall, mean of sources {100 * np.mean(shares):.1f}")
    for name, mine in (("hard benign", rows.hard), ("benign", rows.benign)):
        part = mine & ~rows.is_set_on
        lines.append(f"false alarms, {name:<34}{wilson(int(flagged[part].sum()), int(part.sum()))}")
    for kind in sorted(set(rows.kind[rows.hard | rows.benign])):
        for role, as_tool in (("as users'", False), ("as documents", True)):
            part = (rows.hard | rows.benign) & ~rows.is_set_on & (rows.kind == kind)
            said = flags(scores, limits, np.full(len(part), as_tool))
            lines.append(f"false alarms, {kind:<22}{role:<13}{wilson(int(said[part].sum()), int(part.sum()))}")
    return lines


def foreign_threshold(scores: NDArray[np.float64], samples: Sequence[Sample], rows: Rows) -> float:
    """Return the threshold for other languages, set on this project's own texts and on public ones in English."""
    own = np.array([sample.kind == "languages" and not sample.is_attack for sample in samples])
    english = (rows.benign | rows.hard) & np.array([sample.may_be_fitted for sample in samples])
    return max(threshold(scores[own], ALARMS["mention"]), threshold(scores[english], ALARMS["benign"]))


def by_language(scores: NDArray[np.float64], samples: Sequence[Sample], limit: float) -> list[str]:
    """Return the lines of a report on other languages, each by weights without it; treebanks were never fitted to."""
    language = np.array([sample.language for sample in samples])
    attack = np.array([sample.is_attack for sample in samples])
    own = np.array([sample.kind == "languages" for sample in samples])
    treebank = np.array([sample.source.startswith("UD") for sample in samples])
    groups = [(f"recall, {name}", own & attack & (language == name)) for name in sorted(set(language[own]))]
    groups += [("recall, all languages", own & attack), ("false alarms, own", own & ~attack)]
    groups += [(f"false alarms, treebank {name}", treebank & (language == name)) for name in set(language[treebank])]
    return [f"{what:<36}{wilson(int((scores[m] >= limit).sum()), int(m.sum()))}" for what, m in groups]
