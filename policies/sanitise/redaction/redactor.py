"""Replaces what was found by placeholders, and keeps what stood there for one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from policies.sanitise.finding import BY_PLACE, Finding
from policies.sanitise.redaction.placeholder import draw_suffix, label_of, write_placeholder


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """What the placeholders of one request stand for. Whoever writes it down must encrypt it.

    Attributes:
        suffix: of every placeholder of the request.
        values: label and number, as in `EMAIL_1`, to what stood there.
    """

    suffix: str
    values: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Vault({len(self.values)} values)"


class Redactor:
    """Masks the texts of one request. The same value gets the same placeholder in all of them.

    Args:
        vault: what an earlier turn of the conversation left behind; it is continued.
    """

    def __init__(self, vault: Vault | None = None) -> None:
        self._suffix = vault.suffix if vault is not None else draw_suffix()
        self._values: dict[str, str] = dict(vault.values) if vault is not None else {}
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        for name, value in self._values.items():
            label, _, number = name.rpartition("_")
            self._names[label, value] = name
            self._counts[label] = max(self._counts.get(label, 0), int(number))

    def __repr__(self) -> str:
        return f"Redactor({len(self._values)} values)"

    @property
    def vault(self) -> Vault:
        """Return what the placeholders stand for by now."""
        return Vault(suffix=self._suffix, values=dict(self._values))

    def mask(self, text: str, findings: Iterable[Finding]) -> str:
        """Return the text with a placeholder for each finding; those that overlap become one."""
        parts: list[str] = []
        position = 0
        for start, end, label in _merged(findings):
            parts += (text[position:start], self._placeholder(label, text[start:end]))
            position = end
        return "".join([*parts, text[position:]])

    def _placeholder(self, label: str, value: str) -> str:
        name = self._names.get((label, value))
        if name is None:
            number = self._counts[label] = self._counts.get(label, 0) + 1
            name = self._names[label, value] = f"{label}_{number}"
            self._values[name] = value
        return write_placeholder(label, int(name.rpartition("_")[2]), self._suffix)


def _merged(findings: Iterable[Finding]) -> list[tuple[int, int, str]]:
    merged: list[tuple[int, int, str, float]] = []
    for finding in sorted(findings, key=BY_PLACE):
        if finding.end <= finding.start:
            continue
        label = label_of(finding.detector, finding.rule)
        if merged and finding.start < merged[-1][1]:
            start, end, known, score = merged[-1]
            best = (label, finding.score) if finding.score > score else (known, score)
            merged[-1] = (start, max(end, finding.end), *best)
        else:
            merged.append((finding.start, finding.end, label, finding.score))
    return [(start, end, label) for start, end, label, _ in merged]
