"""Reads what the detector is made and measured with: public sources as they lie, and what this project wrote."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from policies.sanitise.training import attacks, documents, languages, ordinary
from policies.sanitise.training.phrasing import vary

USER: Final = "user"
TOOL: Final = "tool"

NEVER_FITTED: Final = ("TensorTrust", "UD", "own transform")
"""Sources that no weight comes from, by how their names begin.

TensorTrust's original carries no licence, and the treebanks are CC BY-SA. They measure, and nothing else.
"""

OWN: Final = "own"
"""How names of what was written for this project begin."""

_WORD: Final = re.compile(r"\w+")
_GRAM: Final = 8
_DIRECT: Final = 0.2


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One text.

    Attributes:
        key: tells it from all others.
        text: as it came.
        source: where it is from; never an input of the detector.
        kind: what it is: attacks of a sort, or documents, chat and so on.
        role: `TOOL` for a document or what a tool returned, else `USER`.
        is_attack: what is to be found.
        payload: the part that is meant for the model, where that is known.
        language: ISO code where it is known.
    """

    key: str
    text: str
    source: str
    kind: str
    role: str
    is_attack: bool
    payload: str = ""
    language: str = "en"

    @property
    def may_be_fitted(self) -> bool:
        """Tell whether weights may come from it."""
        return not self.source.startswith(NEVER_FITTED)


def read_public(folder: Path) -> list[Sample]:
    """Return the public rows: those on injection, and texts of other tasks as further ordinary ones."""
    found = [_sample(row) for row in _rows(folder / "injection.jsonl.gz")]
    return found + list(_further(folder))


def _sample(row: dict[str, Any]) -> Sample:
    kind = row["kind"].split(":")[0]
    is_attack = row["label"] == "attack"
    # Bare documents carry no role in the file: those with an instruction do, and so must those without.
    is_document = kind.startswith("document_") and kind != "document_multilingual"
    role = TOOL if is_document or kind.startswith("indirect") else USER
    return Sample(
        row["id"],
        row["text"],
        row["source"],
        kind,
        role,
        is_attack,
        said(row.get("payload", "")),
        row.get("lang", "en"),
    )


def said(payload: str) -> str:
    """Return what an instruction says before the code it brings: code by itself is no attack."""
    return payload.partition("```")[0].strip()


def _further(folder: Path) -> Iterator[Sample]:
    for name, labels in (("pii", None), ("secrets", ("benign",)), ("toolargs", ("benign",))):
        for row in _rows(folder / f"{name}.jsonl.gz"):
            source = row["source"]
            known = source.startswith("leolee99")  # the same rows as in the file on injection
            if (labels is None or row["label"] in labels) and not known and not source.startswith(NEVER_FITTED):
                yield Sample(row["id"], row["text"], f"{name}:{source}", f"further_{name}", USER, is_attack=False)


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def write_own(seed: int) -> list[Sample]:
    """Return what was written for this project, each phrase varied many times; the same seed gives the same texts."""
    random = Random(seed)  # noqa: S311  texts are chosen, nothing is kept secret
    found: dict[str, Sample] = {}
    for group in (_requests(random), _in_languages(random), _documents(random), _code(random)):
        for one in group:
            found.setdefault(one.text, msgspec.structs.replace(one, key=f"{OWN}:{len(found)}"))
    return list(found.values())


def _own(text: str, kind: str, *, is_attack: bool, language: str = "en", role: str = USER, payload: str = "") -> Sample:
    return Sample("", text, f"{OWN}:{kind}", kind, role, is_attack, payload, language)


def _requests(random: Random) -> Iterator[Sample]:
    """Yield what users say in English: attacks, then ordinary requests and sentences."""
    for kind, lists, phrases, times, is_attack in (
        ("override", attacks.LISTS, attacks.OVERRIDE, 40, True),
        ("extraction", attacks.LISTS, attacks.EXTRACTION, 40, True),
        ("persona", attacks.LISTS, attacks.PERSONAS, 40, True),
        ("requests", ordinary.LISTS, ordinary.REQUESTS, 40, False),
        ("sentences", ordinary.LISTS, ordinary.SENTENCES, 50, False),
    ):
        for phrase in phrases:
            for _ in range(times):
                yield _own(vary(phrase, lists, random), kind, is_attack=is_attack)


def _code(random: Random) -> Iterator[Sample]:
    for phrase in ordinary.CODE:
        for _ in range(80):
            yield _own(vary(phrase, ordinary.LISTS, random), "code", is_attack=False)


def _in_languages(random: Random) -> Iterator[Sample]:
    for is_attack, table in ((True, languages.ATTACKS), (False, languages.ORDINARY)):
        for language, phrases in table.items():
            for phrase in phrases:
                for _ in range(16):
                    yield _own(vary(phrase, {}, random), "languages", is_attack=is_attack, language=language)


def _documents(random: Random) -> Iterator[Sample]:
    """Yield documents, each with something for people in it and with something for the model."""
    for kind, phrases in documents.FRAMES.items():
        for phrase in phrases:
            for _ in range(60):
                frame = vary(phrase, documents.LISTS, random)
                innocent = vary(random.choice(documents.INNOCENT), documents.LISTS, random)
                yield _own(_put(frame, innocent, random), f"document_{kind}", is_attack=False, role=TOOL)
                planted = _planted(random)
                text = _put(frame, planted, random)
                yield _own(text, f"document_{kind}", is_attack=True, role=TOOL, payload=said(planted))


def _planted(random: Random) -> str:
    """Return what is planted: mostly of the documents' own phrases, some of the attacks on users' side."""
    if random.random() < _DIRECT:
        return vary(random.choice(attacks.OVERRIDE + attacks.EXTRACTION), attacks.LISTS, random)
    return vary(random.choice(documents.PLANTED), documents.LISTS, random)


def _put(frame: str, inside: str, random: Random) -> str:
    """Return a document with a text in its place, or half of the time at its beginning or its end."""
    where = random.random()
    if where < 0.5 or not inside:
        return frame.replace("[[X]]", inside)
    rest = frame.replace("[[X]]", "")
    return f"{inside}\n{rest}" if where < 0.75 else f"{rest}\n{inside}"


def grams(text: str, size: int = _GRAM) -> set[int]:
    """Return hashes of all runs of as many words: of eight for copies among sources."""
    words = _WORD.findall(text.lower())
    return {hash(tuple(words[at : at + size])) for at in range(len(words) - size + 1)}
